"""Can a voice tell the expressions that are asked of it? EMO-DB, speakers left out: the tables of docs/expression.md.

    DUOMORPH_CORPUS=... OMP_NUM_THREADS=1 python benchmarks/expression.py     # 4 minutes

Targets are the curves of `duomorph.expression`, averaged over an utterance. A ridge regression from the 88 functionals
learns them on nine speakers and is judged on the tenth, ten times over, by `moods.separation`. Writes
benchmarks/results/expression.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, audio, corpus, egemaps, expression
from duomorph.corpus import root
from duomorph.egemaps.stream import ContourStream
from duomorph.evaluate.metrics import auc
from duomorph.train.augment import disturbed
from duomorph.train.config import AugmentConfig
from duomorph.train.data import _noises
from moods import WATCHED, separation

Floats = NDArray[np.floating[Any]]

OUT = Path(__file__).parent / "results" / "expression.json"
OWN = {"anger": "browDownLeft", "happiness": "mouthSmileLeft", "sadness": "mouthFrownLeft", "fear": "eyeWideLeft"}
RIDGE = 300.0  # 30 to 1000 differ by at most 0.06 in any figure
WINDOW = 2000  # contour rows, 20 s
PEAKS = egemaps.FUNCTIONAL_NAMES.index("loudnessPeaksPerSec")
CALM = ("librispeech", "arctic", "kerstin", "nathalie")
CALM_CLIPS = 120  # of each

rows = [json.loads(line) for line in (root() / "speech" / "emodb.jsonl").read_text().splitlines()]
speaker = np.array([row["speaker"] for row in rows])
emotion = np.array([row["emotion"] for row in rows])
sounds = [audio.read(root() / "speech" / row["audio"]) for row in rows]
contours = [egemaps.contours(sound) for sound in sounds]
voices = [expression._measure(rows) for rows in contours]


def calm_voice(of: str) -> expression.Voice:
    return expression.usual([v for v, s, e in zip(voices, speaker, emotion, strict=True) if (s, e) == (of, "neutral")])


calm = {name: calm_voice(name) for name in sorted(set(speaker))}


def curves_of(index: int) -> Floats:
    times = np.arange(0, len(sounds[index]) / 16_000, 1 / 60)
    return expression.expression(sounds[index], str(emotion[index]), times, calm[speaker[index]])


curves = [curves_of(index) for index in range(len(rows))]
target = np.array([part.mean(axis=0) for part in curves])  # (utterances, 52)


def begun(index: int, seconds: float | None) -> Floats:
    """The contour rows that a stream knows after so many seconds of an utterance; None: all."""
    whole = contours[index]
    return whole if seconds is None else whole[: ContourStream.known(min(int(seconds * 16_000), len(sounds[index])))]


def table(window: Callable[[int], Floats]) -> Floats:
    return np.array([egemaps.functionals(window(index)) for index in range(len(rows))], dtype=np.float64)


def fit(x: Floats, y: Floats) -> Callable[[Floats], Floats]:
    """Ridge regression on standardised columns, outliers cut at four deviations."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9

    def ready(x: Floats) -> Floats:
        return np.c_[np.clip((x - mean) / spread, -4, 4), np.ones(len(x))]

    z = ready(x)
    penalty = np.diag([RIDGE] * x.shape[1] + [0.0])
    weights = np.linalg.solve(z.T @ z + penalty, z.T @ y)
    return lambda x: ready(x) @ weights


def left_out(learn: list[Floats], judge: Floats, also: Floats | None = None) -> Floats:
    """Curves of each utterance by a regression that never heard its speaker; `also`: functionals of calm speech."""
    heard = np.zeros_like(target)
    for name in calm:
        own = speaker == name
        x, y = [part[~own] for part in learn], [target[~own]] * len(learn)
        if also is not None:
            x, y = [*x, also], [*y, np.zeros((len(also), arkit.COUNT))]
        heard[own] = fit(np.concatenate(x), np.concatenate(y))(judge[own])
    return heard


def scored(heard: Floats) -> dict[str, float]:
    """How well the curves of all utterances tell one emotion from another."""
    by_emotion = [{name: curves[emotion == name] for name in set(emotion)} for curves in (target, heard)]
    return {pair: round(score, 3) for pair, score in separation(*by_emotion).items()}


def shown(heard: Floats) -> dict[str, float]:
    names = ("browInnerUp", *WATCHED, "noseSneerLeft")
    return {name: round(float(np.clip(heard, 0, 1)[:, arkit.INDEX[name]].mean()), 3) for name in names}


def chained(kind: str, seconds: float | None, rng: np.random.Generator) -> Floats:
    """Functionals of the last 20 s after so much of an utterance, behind others of its speaker in random order."""
    out = np.zeros((len(rows), egemaps.functionals(contours[0]).size))
    for name in calm:
        own = np.flatnonzero(speaker == name)
        chains = [own] if kind == "mixed" else [own[emotion[own] == feeling] for feeling in sorted(set(emotion[own]))]
        for chain in chains:
            order = rng.permutation(chain)
            for place, index in enumerate(order):
                before = [contours[earlier] for earlier in order[:place]]
                out[index] = egemaps.functionals(np.concatenate([*before, begun(index, seconds)])[-WINDOW:])
    return out


def changed(seconds: int, window: int, index: int) -> Floats:
    """20 s of a speaker's neutral voice, then so many of the emotion of an utterance, from it on."""
    rng = np.random.default_rng(index)
    own = np.flatnonzero(speaker == speaker[index])

    def talk(of: NDArray[np.integer[Any]], length: int) -> Floats:
        parts = [contours[other] for other in rng.permutation(of[of != index])]
        return np.resize(np.concatenate(parts or [contours[index]]), (length, contours[index].shape[1]))

    before = talk(own[emotion[own] == "neutral"], WINDOW)
    now = np.concatenate([contours[index], talk(own[emotion[own] == emotion[index]], WINDOW)])[: seconds * 100]
    return np.concatenate([before, now])[-window:]


def prosody(name: str) -> tuple[dict[str, float], Floats]:
    """Brows of unlabelled speech, and its functionals."""
    lines = (root() / "speech" / f"{name}.jsonl").read_text().splitlines()
    raised, functionals = [], []
    for line in lines[:: len(lines) // CALM_CLIPS]:
        sound = audio.read(root() / "speech" / json.loads(line)["audio"])
        times = np.arange(0, len(sound) / 16_000, 1 / 60)
        raised.append(expression.expression(sound, None, times)[:, arkit.INDEX["browInnerUp"]])
        functionals.append(egemaps.extract(sound))
    brow = np.concatenate(raised)
    tops = sum(int(((x[1:-1] > x[:-2]) & (x[1:-1] >= x[2:]) & (x[1:-1] > 0.05)).sum()) for x in raised)
    figures = {"mean": brow.mean(), "p95": np.quantile(brow, 0.95), "raises_a_minute": tops / len(brow) * 3600}
    return {key: round(float(value), 4) for key, value in figures.items()}, np.array(functionals, dtype=np.float64)


def main() -> None:
    results: dict[str, Any] = {"targets": {}}
    starts = {seconds: table(partial(begun, seconds=seconds)) for seconds in (1, 2, 3, None)}
    whole_table = starts[None]
    for feeling in sorted(set(emotion)):
        own = np.flatnonzero(emotion == feeling)
        aroused = [expression.arousal(voices[index], calm[speaker[index]]) for index in own]
        results["targets"][feeling] = {
            "utterances": len(own),
            "arousal": {f"p{q}": round(float(np.percentile(aroused, q)), 2) for q in (5, 50, 95)},
            "dbfs": round(float(np.mean([10 * np.log10(np.mean(sounds[index] ** 2)) for index in own])), 1),
            "peaks_a_second": round(float(whole_table[own, PEAKS].mean()), 2),
            "mean": shown(target[own]),
            "highest": round(float(max(curves[index].max() for index in own)), 3),
        }

    alone = list(starts.values())
    whole = left_out([whole_table], whole_table)
    level = [n.startswith("spectralFlux") or (n.startswith("loudness_") and "Norm" not in n) or n.endswith("dBp")
             for n in egemaps.FUNCTIONAL_NAMES]  # fmt: skip
    free = whole_table[:, ~np.array(level)]
    results["whole"] = scored(whole)
    results["whole_one_curve"] = {}
    for feeling, name in OWN.items():
        high, low = (whole[emotion == one][:, arkit.INDEX[name]] for one in (feeling, "neutral"))
        results["whole_one_curve"][f"{feeling}/neutral by {name}"] = round(auc(high, low), 3)
    results["whole_level_free"] = scored(left_out([free], free))
    known = whole_table.copy()
    for name in calm:
        known[speaker == name] -= known[(speaker == name) & (emotion == "neutral")].mean(axis=0)
    results["whole_speaker_known"] = scored(left_out([known], known))
    results["after"] = {str(s or "all"): scored(left_out(alone, x)) for s, x in starts.items()}

    rng = np.random.default_rng(0)
    noises, config = _noises(), AugmentConfig()
    rough = np.array([egemaps.extract(disturbed(sound, config, noises, rng)) for sound in sounds], dtype=np.float64)
    results["disturbed"] = {
        "learned clean": scored(left_out([whole_table], rough)),
        "learned clean and disturbed": scored(left_out([whole_table, rough], rough)),
        "clean, learned clean and disturbed": scored(left_out([whole_table, rough], whole_table)),
    }

    judged = {"alone": {1: starts[1], None: whole_table}}
    learned = {"alone": alone}
    for kind in ("same", "mixed"):
        judged[kind] = {seconds: chained(kind, seconds, rng) for seconds in (1, None)}
        learned[kind] = [chained(kind, seconds, rng) for seconds in (1, None) for _ in range(2)]
    learned |= {"alone and same": alone + learned["same"], "alone and mixed": alone + learned["mixed"]}
    results["chains"] = {
        f"learned {how}": {
            f"{kind}, after {seconds or 'all'}": scored(left_out(tables, x))
            for kind, by in judged.items()
            for seconds, x in by.items()
        }
        for how, tables in learned.items()
    }
    results["change"] = {
        f"window {window // 100} s": {
            f"{seconds} s": scored(left_out(alone, table(partial(changed, seconds, window))))
            for seconds in (1, 2, 4, 8, 16)
        }
        for window in (WINDOW, 500)
    }

    results["prosody"], quiet = {}, {}
    for name in CALM:
        results["prosody"][name], quiet[name] = prosody(name)
    grid = [take.audio for take in corpus.load("grid_s1", "train")[::8]]
    quiet["grid_s1"] = np.array([egemaps.extract(sound) for sound in grid], dtype=np.float64)
    everyone = np.concatenate(list(quiet.values()))
    both = left_out([whole_table] * 3, whole_table, everyone)
    results["with_calm_corpora"] = {
        "separation": scored(both),
        "shown": {feeling: shown(both[emotion == feeling]) for feeling in sorted(set(emotion))},
        "shown_without": {feeling: shown(whole[emotion == feeling]) for feeling in sorted(set(emotion))},
    }
    results["unheard_corpora"] = {}
    for name, x in quiet.items():
        others = np.concatenate([part for other, part in quiet.items() if other != name])
        labels = np.concatenate([target] * 3 + [np.zeros((len(others), arkit.COUNT))])
        results["unheard_corpora"][name] = shown(fit(np.concatenate([whole_table] * 3 + [others]), labels)(x))

    OUT.write_text(json.dumps(results, indent=1) + "\n")
    json.dump(results["whole"], sys.stdout)


if __name__ == "__main__":
    main()
