"""How well phones alone tell how a real face moved, and what the articulator's curves look like on every corpus.

    pip install 'duomorph[phones,train]'
    DUOMORPH_CORPUS=... python benchmarks/articulator.py [--save]      # some minutes

Fitted on GRID's training clips, judged on its held-out ones, whose phones pocketsphinx aligned to the known words.
*Learned* is what the fit says, *whole* what `articulate.curves` gives, *knowledge alone* the same without a fit.
*Unseen words*: of six groups of GRID's 51 words each is predicted by a fit that has not seen it. Jitter is the root
mean square of the third difference per unit of deviation, at 25 fps. `--save` puts the fit where the package looks for
it. Writes benchmarks/results/articulator.json; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph import articulate, audio, corpus, restore
from duomorph.articulate import fit as fitting
from duomorph.articulate import model
from duomorph.clock import SAMPLE_RATE
from duomorph.evaluate import phones as evaluated

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "recipes"))
import articulate as recipe  # noqa: E402
from grid import from_corpus  # noqa: E402

Floats = NDArray[np.floating]
GROUPS = 6  # of words
HEARD = 60  # utterances of every corpus


def grid() -> dict[bool, dict[str, fitting.Take]]:
    """GRID's aligned clips with their range restored, by whether they are held out."""
    takes = list(from_corpus())
    speaker = restore.fit((take.lips, take.clip.fps) for take in takes if not take.held)
    sounds = {take.name: audio.read(take.sound) for take in takes}
    phones = evaluated.grid(sounds.items())
    found: dict[bool, dict[str, fitting.Take]] = {False: {}, True: {}}
    for take in takes:
        if take.name in phones:
            sound = sounds[take.name]
            said = articulate.spoken(phones[take.name], "arpabet", len(sound) / SAMPLE_RATE)
            weights = restore.restore(take.clip, take.lips, speaker).weights
            found[take.held][take.name] = (said, articulate.loudness(sound), weights, take.clip.fps)
    return found


def deaf(takes: list[fitting.Take]) -> list[fitting.Take]:
    """The same takes, as loud all the time."""
    return [(said, np.ones_like(loud), weights, fps) for said, loud, weights, fps in takes]


def learned(take: fitting.Take, fit: articulate.Fit) -> Floats:
    """(T, S) at the frames of the face."""
    said, loud, weights, fps = take
    curves = model.learned(said, loud, model.known(said, loud), fit)
    return _at_frames(np.stack([curves[shape] for shape in model.LEARNED], axis=1), len(weights), float(fps))


def whole(take: fitting.Take, fit: articulate.Fit | None) -> Floats:
    """(T, S) of the finished curves."""
    said, loud, weights, fps = take
    return fitting.sides_as_one(articulate.curves(said, loud, np.arange(len(weights)) / float(fps), fit))


def _at_frames(curves: Floats, frames: int, fps: float) -> Floats:
    grid = np.arange(len(curves)) / model.RATE
    return np.stack([np.interp(np.arange(frames) / fps, grid, curve) for curve in curves.T], axis=1)


def correlation(predicted: list[Floats], takes: list[fitting.Take]) -> dict[str, float]:
    """r of every learned shape over all frames."""
    ours = np.concatenate(predicted)
    real = np.concatenate([fitting.sides_as_one(weights) for _, _, weights, _ in takes])
    return {shape: _r(ours[:, k], real[:, k]) for k, shape in enumerate(model.LEARNED)}


def _r(ours: Floats, real: Floats) -> float:
    return round(float(np.corrcoef(ours, real)[0, 1]), 3)


def errors(train: list[fitting.Take], test: list[fitting.Take]) -> dict[str, dict[str, float]]:
    """Mean absolute error of a fit in the face's own range, and of faces that never move."""
    real = np.concatenate([fitting.sides_as_one(weights) for _, _, weights, _ in test])
    seen = np.concatenate([fitting.sides_as_one(weights) for _, _, weights, _ in train])
    own = fitting.learn(train, ranged=False)
    guesses = {
        "learned": np.concatenate([learned(take, own) for take in test]),
        "zero": np.zeros_like(real),
        "mean": seen.mean(axis=0),
        "median": np.median(seen, axis=0),
    }
    return {
        name: dict(zip(model.LEARNED, np.abs(guess - real).mean(axis=0).astype(float).round(4).tolist(), strict=True))
        for name, guess in guesses.items()
    }


def unseen_words(train: dict[str, fitting.Take]) -> dict[str, dict[str, float]]:
    """r over the frames of words that the fit has not seen, of the fit and of knowledge alone."""
    said = json.loads((corpus.root() / "grid_s1" / "words.json").read_text())
    spoken = {name: _words(said[name], len(take[2]), float(take[3])) for name, take in train.items()}
    every = sorted({word for words in spoken.values() for word in words} - {"", "sil", "sp"})
    np.random.default_rng(0).shuffle(every)
    ours, known, real = [], [], []
    for group in range(GROUPS):
        unseen = set(every[group::GROUPS])
        hidden = {name: np.isin(words, list(unseen)) for name, words in spoken.items()}
        fit = fitting.learn(train.values(), without=hidden.values())
        for name, take in train.items():
            ours.append(learned(take, fit)[hidden[name]])
            known.append(learned_shapes_known(take)[hidden[name]])
            real.append(fitting.sides_as_one(take[2])[hidden[name]])
    real_all = np.concatenate(real)
    return {
        kind: {shape: _r(np.concatenate(guess)[:, k], real_all[:, k]) for k, shape in enumerate(model.LEARNED)}
        for kind, guess in (("learned", ours), ("knowledge alone", known))
    }


def learned_shapes_known(take: fitting.Take) -> Floats:
    """(T, S) by knowledge alone."""
    said, loud, weights, fps = take
    curves = model.known(said, loud)
    return _at_frames(np.stack([curves[shape] for shape in model.LEARNED], axis=1), len(weights), float(fps))


def _words(said: list[tuple[float, float, str]], frames: int, fps: float) -> NDArray[np.str_]:
    begins = np.array([begin for begin, _, _ in said])
    names = np.array(["", *(word for _, _, word in said)])
    at: NDArray[np.str_] = names[np.searchsorted(begins, np.arange(frames) / fps, side="right")]
    return at


def jitter(takes: list[Floats]) -> dict[str, float]:
    """Of every learned shape, over takes of (T, S)."""
    steps = np.concatenate([np.diff(take, 3, axis=0) for take in takes])
    spread = np.concatenate(takes).std(axis=0)
    rough = np.sqrt((steps**2).mean(axis=0, dtype=np.float64)) / spread
    return dict(zip(model.LEARNED, rough.round(3).tolist(), strict=True))


def of_corpus(name: str, fit: articulate.Fit | None) -> dict[str, Any]:
    """Range, closure, silence and rounding of some utterances, evenly taken."""
    every = recipe.utterances(name)
    calm = [u for u in every if u.emotion in (None, "neutral")]
    takes, drawn = [], []
    for utterance in calm[:: max(1, len(calm) // HEARD)]:
        sound = utterance.samples()
        seconds = len(sound) / SAMPLE_RATE
        times = np.arange(int(seconds * 60)) / 60
        said = articulate.spoken(utterance.phones, utterance.phone_set, seconds)
        weights = articulate.curves(said, articulate.loudness(sound), times, fit)
        phones = articulate.arpabet(utterance.phones, utterance.phone_set, seconds)
        takes.append((times, weights, weights, phones, utterance.speaker))
        drawn.append(fitting.sides_as_one(weights))
    shown = evaluated.figures(takes)
    assert shown
    high = np.quantile(np.concatenate(drawn).astype(np.float64), 0.95, axis=0).round(3).tolist()
    return {
        "utterances": len(takes),
        "p95": dict(zip(model.LEARNED, high, strict=True)),
        **{kind: round(float(figure["truth"]), 4) for kind, figure in shown.items()},
    }


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--save", action="store_true", help="put the fit into the package")
    options = parser.parse_args()
    clips = grid()
    train, test = list(clips[False].values()), list(clips[True].values())
    fit = fitting.learn(train)
    if options.save:
        fitting.save(Path(model.__file__).with_name(model.FILE), fit)
    silent = fitting.learn(deaf(train))
    jaw = model.LEARNED.index("jawOpen")
    loud = np.concatenate([_at_frames(take[1][:, None], len(take[2]), float(take[3]))[:, 0] for take in test])
    real = np.concatenate([fitting.sides_as_one(take[2])[:, jaw] for take in test])
    found = {
        "clips": {"fitted": len(train), "held_out": len(test)},
        "r": {
            "learned": correlation([learned(take, fit) for take in test], test),
            "learned, phones alone": correlation([learned(take, silent) for take in deaf(test)], test),
            "whole": correlation([whole(take, fit) for take in test], test),
            "whole, phones alone": correlation([whole(take, silent) for take in deaf(test)], test),
            "knowledge alone": correlation([whole(take, None) for take in test], test),
            "loudness alone": {"jawOpen": _r(loud, real)},
        },
        "mae": errors(train, test),
        "unseen words": unseen_words(clips[False]),
        "jitter": {
            "whole": jitter([whole(take, fit) for take in test]),
            "real face": jitter([fitting.sides_as_one(take[2]) for take in test]),
        },
        "corpora": {name: of_corpus(name, fit) for name in recipe.LICENCES},
        "corpora, knowledge alone": {"librispeech": of_corpus("librispeech", None)},
    }
    text = json.dumps(found, indent=1)
    (ROOT / "benchmarks" / "results" / "articulator.json").write_text(text + "\n")
    print(text)
    print(json.dumps(found["r"]["whole"]))


if __name__ == "__main__":
    main()
