"""Voices, languages and moods that no training knew, in the default style: the tables of the model card.

    DUOMORPH_CORPUS=... python recipes/articulate.py -o articulated
    DUOMORPH_CORPUS=... python recipes/unspoken.py -o articulated/unspoken
    DUOMORPH_CORPUS=... python benchmarks/any_voice.py articulated [--model FILE] [--json FILE]

Held-out clips of each data set, 100 ms of delay, as the network gives them (nothing shaped): against the articulator's
curves, r and jitter at 30 and 60 fps; lips shut on P B M, open in silence, round where they should; 95th percentiles;
how well EMO-DB's left-out speakers' moods are told apart (`moods.separation`); how far the mouth opens to noise and
music, against the 90 % quantile of the readers' speech; and the captured faces of GRID (held-out clips) and FACEGOOD
(all takes) in the default style, beside the loudness of the sound alone: for a model that learned neither of them
(recipes/left_out.toml) a voice and a face that it does not know. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import duomorph as dm
from duomorph import arkit, files
from duomorph.clock import SAMPLE_RATE
from duomorph.dataset.takes import takes
from duomorph.evaluate import phones
from duomorph.evaluate.metrics import opening
from duomorph.evaluate.report import Played, predictions, report, trivial
from duomorph.face import Face
from duomorph.shaping import RAW, SHIPPED
from moods import separation

Floats = NDArray[np.floating[Any]]

SPOKEN = ("librispeech", "arctic", "kerstin", "nathalie", "synthetic", "emodb")
DELAY_MS = 100.0
R = ("jawOpen", "mouthPucker", "mouthFunnel", "mouthLowerDownLeft", "mouthUpperUpLeft", "mouthPressLeft", "tongueOut")
RANGE = ("jawOpen", "mouthFunnel", "mouthUpperUpLeft", "mouthLowerDownLeft", "mouthPucker")
CALM = ("browInnerUp", "browDownLeft", "browOuterUpLeft", "mouthSmileLeft", "mouthFrownLeft")


def spoken(face: Face, folder: Path) -> tuple[dict[str, Any], list[Played]]:
    """Scores of one data set, and what was played at 30 fps."""
    test, faces = takes(str(folder), "test"), trivial(takes(str(folder), "train"))
    said = phones.known(str(folder), test)
    found: dict[str, Any] = {"clips": len(test)}
    first: list[Played] = []
    for fps in (30, 60):
        played = predictions(face, test, Fraction(fps), DELAY_MS)
        one = report(played, folder.name, faces, DELAY_MS)
        sounds = phones.figures(
            [(p.times, p.predicted, p.truth, said.get(p.take.name), p.take.recording) for p in played]
        )
        assert sounds
        found[str(fps)] = {
            "mae": one.mae,
            "mae_mouth": one.groups["mouth"],
            "baselines_mouth": one.group_baselines["mouth"],
            "r": {name: one.r.get(name) for name in R},
            "jitter": one.jitter["mouth"],
            **{kind: {side: figure[side] for side in ("ours", "truth")} for kind, figure in sounds.items()},
        }
        first = first or played
    speech = np.concatenate([one.predicted for one in first])
    found["p95"] = {name: float(np.quantile(speech[:, arkit.INDEX[name]], 0.95)) for name in RANGE}
    found["mean"] = {name: float(speech[:, arkit.INDEX[name]].mean()) for name in CALM}
    return found, first


def mood(played: Played) -> str:
    """EMO-DB's sessions are one mood of one speaker."""
    return played.take.recording.rpartition("-")[2]


def emotions(folder: Path, played: list[Played]) -> dict[str, Any]:
    """How well the curves tell one emotion from another."""
    targets, heard = defaultdict(list), defaultdict(list)
    for take in takes(str(folder), "train"):
        targets[take.recording.rpartition("-")[2]].append(take.weights.mean(axis=0))
    for one in played:
        heard[mood(one)].append(one.clip.weights.mean(axis=0))
    by_emotion = [{name: np.array(rows) for name, rows in means.items()} for means in (targets, heard)]
    return {
        "utterances": {name: len(rows) for name, rows in heard.items()},
        "auc": separation(*by_emotion),
        "shown": {
            name: {shape: float(np.mean(rows, axis=0)[arkit.INDEX[shape]]) for shape in (*CALM, "eyeWideLeft")}
            for name, rows in heard.items()
        },
    }


def unspoken(face: Face, folder: Path, widest: float) -> dict[str, Any]:
    """Mean opening of the lips, or of a jaw behind shut ones, to each kind of sound that nobody speaks, of `widest`."""
    apart = defaultdict(lambda: defaultdict(list))
    for take in takes(str(folder), "test"):
        kind = "music" if take.name.startswith("music") else "noise"
        for name, shaping in (("raw", RAW), ("as animate shapes it", SHIPPED)):
            clip = face.animate(take.audio, 30, DELAY_MS, take.style, shaping=shaping)
            apart[name][kind].append(np.maximum(opening(clip.weights), clip["jawOpen"]))
    return {
        name: {kind: float(np.concatenate(one).mean()) / widest for kind, one in kinds.items()}
        for name, kinds in apart.items()
    }


def captured(face: Face) -> dict[str, Any]:
    """r of real faces in the default style, which is not how they move: their own style is what `evaluate` scores."""
    found: dict[str, Any] = {}
    jaw = arkit.INDEX["jawOpen"]
    for name, parts in (("grid_s1", ("test",)), ("facegood", ("train", "test"))):
        known = [take for part in parts for take in takes(name, part)]
        played = predictions(face, known, Fraction(30), DELAY_MS, face.info().provenance.default_style)
        one = report(played, name, trivial(known), DELAY_MS)
        loud = np.concatenate([loudness(p.take.audio, p.clip.times[p.known]) for p in played])
        truth = np.concatenate([p.truth[:, jaw] for p in played])
        found[name] = {
            "clips": len(known),
            "r": {shape: one.r.get(shape) for shape in R},
            "r_jawOpen_of_loudness": float(np.corrcoef(loud, truth)[0, 1]),
        }
    return found


def loudness(sound: Floats, times: Floats) -> Floats:
    """(n,) root mean square of the 50 ms about each moment."""
    half = SAMPLE_RATE // 40
    padded = np.pad(np.square(sound, dtype=np.float64), half)
    places = np.round(times * SAMPLE_RATE).astype(int).clip(0, len(sound))
    total = np.concatenate([[0.0], np.cumsum(padded)])
    root: Floats = np.sqrt((total[places + 2 * half] - total[places]).clip(0) / (2 * half))
    return root


def rounded(value: Any) -> Any:
    """Four digits of every figure."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return round(float(value), 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="ARTICULATED")
    parser.add_argument("--model")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    face = dm.load(options.model)
    result: dict[str, Any] = {"weights_sha256": face.info().weights_sha256, "delay_ms": DELAY_MS}
    played = {}
    for name in SPOKEN:
        result[name], played[name] = spoken(face, options.data / name)
        print(name, json.dumps(rounded(result[name])), flush=True)
    result["emotions"] = emotions(options.data / "emodb", played["emodb"])
    widest = float(np.quantile(np.concatenate([opening(one.predicted) for one in played["librispeech"]]), 0.9))
    result["unspoken"] = unspoken(face, options.data / "unspoken", widest)
    result["captured"] = captured(face)
    result = rounded(result)
    print(json.dumps(result))
    if options.json:
        files.write(options.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
