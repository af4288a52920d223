"""Life by the figures of people, and what emotions that are asked for do to closed lips: the tables of docs/life.md.

    DUOMORPH_CORPUS=... python benchmarks/life.py READERS [--model FILE] [--json benchmarks/results/life.json]

READERS is the data set of LibriSpeech that recipes/articulate.py makes. Every fourth of its held-out clips is used.
Life: ten minutes of them, one after the other with a second between, and ten of a quiet room, seeds 0 to 4. Direction:
of their P, B and M in which the lips shut (as `duomorph evaluate` has it: nearer than 0.15 of the clip's widest), how
many still do with each emotion at 1; in the curves of the network, shaped as `animate` does, and in the articulator's
own. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import duomorph as dm
from duomorph import arkit, files
from duomorph.clock import SAMPLE_RATE, TICK_RATE
from duomorph.dataset.takes import takes
from duomorph.evaluate import phones
from duomorph.evaluate.metrics import opening
from duomorph.hearing import Hearing
from duomorph.life import Life, Living
from duomorph.prototypes import EMOTIONS
from duomorph.shaping import SHIPPED, always
from duomorph.shaping.direction import Director

Float32 = NDArray[np.float32]
MINUTES, SEEDS, EVERY = 10, 5, 4
FPS = 60


def stretches(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(n, 2) begins and ends of what is true."""
    return np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int))).reshape(-1, 2)


def lived(sound: Float32, idle: str) -> dict[str, Any]:
    """Figures of a life beside that sound."""
    level, speech = Hearing().feed(sound)
    blinks, lasts, looks, smalls, ratios, away, head = [], [], [], [], [], [], []
    for seed in range(SEEDS):
        curves, angles = Living(Life(idle, seed)).feed(level, speech, np.zeros((len(level), arkit.COUNT), np.float32))
        lids = curves[:, arkit.INDEX["eyeBlinkLeft"]] > 0.22  # a look down lowers them to 0.15
        shut = stretches(lids & ~np.logical_and.accumulate(lids[::-1])[::-1])  # but a blink that the end cuts off
        blinks.append(len(shut) / MINUTES)
        lasts += list((shut[:, 1] - shut[:, 0]) / TICK_RATE)
        gaze = np.degrees(angles[:, [arkit.ANGLES.index(f"LeftEye{way}") for way in ("Yaw", "Pitch")]])
        speed = np.hypot(*np.diff(gaze, axis=0).T) * TICK_RATE
        moves = stretches(speed > 1e-3)
        size = np.hypot(*(gaze[moves[:, 1]] - gaze[moves[:, 0]]).T)
        peak = np.array([speed[begin:end].max() for begin, end in moves])
        large = size > 1.5
        looks.append(large.sum() / MINUTES)
        smalls.append((~large).sum() / MINUTES)
        ratios += list((peak / (551 * (1 - np.exp(-size / 14))))[large])
        away.append((np.hypot(*gaze.T) > 2).mean())
        head.append(np.degrees(angles[:, :3]).std(axis=0))

    def around(values: list[Any], low: float, high: float) -> list[float]:
        return [round(float(np.quantile(values, part)), 3) for part in (low, 0.5, high)]

    return {
        "speech": round(float(speech.mean()), 2),
        "blinks_a_minute": around(blinks, 0, 1),
        "blink_s": around(lasts, 0, 1),
        "looks_a_minute": around(looks, 0, 1),
        "small_a_minute": around(smalls, 0, 1),
        "peak_speed_against_baloh": around(ratios, 0.01, 0.99),
        "away": around(away, 0, 1),
        "head_sd_deg": [round(float(part), 2) for part in np.mean(head, axis=0)],
    }


def kept(curves: list[tuple[Float32, list[slice]]]) -> dict[str, Any]:
    """How many closures there are without an emotion, and the share of them that each leaves."""
    shut = dict.fromkeys((None, *EMOTIONS), 0)
    for told, spans in curves:
        plain = opening(told)
        bound = phones.SHUT * np.quantile(plain, phones.WIDEST)
        closed = [span for span in spans if len(plain[span]) and plain[span].min() <= bound]
        shut[None] += len(closed)
        for name in EMOTIONS:
            shown = opening(Director(always({name: 1.0}), 0).feed(told))
            shut[name] += sum(shown[span].min() <= bound for span in closed)
    return {"closures": shut[None], **{name: round(float(shut[name] / shut[None]), 4) for name in EMOTIONS}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("readers", type=Path)
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    face, held = dm.load(arguments.model), takes(str(arguments.readers), "test")[::EVERY]
    said = phones.known(str(arguments.readers), held)
    shaped, articulated = [], []
    for take in held:
        clip = face.animate(take.audio, fps=FPS, shaping=SHIPPED)
        for found, curves, fps in ((shaped, clip.weights, FPS), (articulated, take.weights, float(take.fps))):
            spans = [
                slice(max(0, int(begin * fps) - 1), int(end * fps) + 2)
                for begin, end, phone in said.get(take.name, ())
                if phone.rstrip("012").upper() in phones.CLOSED
            ]
            found.append((np.nan_to_num(curves).astype(np.float32), spans))
    pause = np.zeros(SAMPLE_RATE, np.float32)
    talk = np.concatenate([part for take in held for part in (take.audio, pause)])
    count = MINUTES * 60 * SAMPLE_RATE
    hiss = np.random.default_rng(0).normal(0, 1e-4, count).astype(np.float32)
    result = {
        "weights_sha256": face.info().weights_sha256,
        "clips": len(held),
        "closures_kept": {"network": kept(shaped), "articulator": kept(articulated)},
        **{
            f"{idle}, {what}": lived(sound, idle)
            for what, sound in (("talk", np.resize(talk, count)), ("quiet", hiss))
            for idle in ("calm", "lively")
        },
    }
    for name, figures in result.items():
        print(f"{name:16} {figures}")
    if arguments.json:
        files.write(arguments.json, (json.dumps(result, indent=2) + "\n").encode())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
