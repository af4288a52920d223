"""Sound that nobody speaks, as a data set of style `articulate`: the face rests while it sounds.

One promise: every clip's curves are zero, and what is held out, every fifth sound, is in no other part of the set.

    DUOMORPH_CORPUS=corpus python recipes/unspoken.py -o articulated/unspoken

The background sounds of the corpus, and music made here by seeds: chords, a bass, a melody, drums. Without them a
network that has only ever heard speech opens the mouth to a tune.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, audio, corpus
from duomorph.clip import Clip
from duomorph.clock import SAMPLE_RATE, frame_count, frame_rate
from duomorph.dataset import split
from duomorph.dataset.manifest import Writer
from duomorph.errors import AudioError, DuomorphError

STYLE = "articulate"
FPS = frame_rate("60")
HELD_EVERY = 5
PIECE_S = 15
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))
PROGRESSIONS = ((0, 3, 4, 0), (0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 1, 4))
ESC = "CC BY 3.0"
COMMANDS = "CC BY 4.0"


def note(hz: float, seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A plucked, blown or bowed tone, (S,)."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sway = 1 + rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(4, 7) * times)
    phase = 2 * np.pi * hz * np.cumsum(sway) / SAMPLE_RATE
    harmonics = np.arange(1, max(2, min(20, int(7000 / hz))))
    strength = harmonics ** -rng.uniform(0.8, 2.2) * rng.uniform(0.3, 1.0, len(harmonics))
    tone = sum(loud * np.sin(k * phase) for k, loud in zip(harmonics, strength, strict=True))
    begin = np.minimum(1, times / rng.uniform(0.003, 0.1))
    return np.asarray(tone * begin * np.exp(-times * rng.uniform(0.2, 6)) * np.minimum(1, (seconds - times) / 0.02))


def drum(rng: np.random.Generator) -> NDArray[np.float64]:
    """A kick, a snare or a hat, (S,)."""
    times = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    hiss = rng.standard_normal(len(times)) * np.exp(-times * rng.uniform(15, 80))
    thump = np.sin(2 * np.pi * (50 * times + 6 * (1 - np.exp(-30 * times)))) * np.exp(-times * 18)
    share = rng.choice([0.0, 0.5, 1.0])
    return np.asarray(share * thump * 2 + (1 - share) * hiss)


def music(seed: int) -> NDArray[np.float32]:
    """A piece of PIECE_S seconds, (S,); the same for the same seed."""
    rng = np.random.default_rng([seed, 52])
    out = np.zeros((PIECE_S + 4) * SAMPLE_RATE)
    beat = 60 / rng.uniform(60, 160)
    scale, chords = SCALES[rng.integers(len(SCALES))], PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    tonic = 55 * 2 ** (rng.integers(12) / 12)
    drums, bass, tune, chord = rng.uniform(0, 1, 4) * (rng.uniform(size=4) < (0.6, 0.7, 0.8, 0.8))
    chord += 0.3

    def pitch(degree: int, octave: int) -> float:
        up, step = divmod(int(degree), len(scale))
        return float(tonic * 2 ** (octave + up + scale[step] / 12))

    def add(sound: NDArray[np.float64], at: float, loud: float) -> None:
        begin = round(at * SAMPLE_RATE)
        out[begin : begin + len(sound)] += loud * sound[: len(out) - begin]

    for number in range(int(PIECE_S / beat)):
        at, root = number * beat, chords[number // 4 % len(chords)]
        if number % 4 == 0:
            for third in (0, 2, 4):
                add(note(pitch(root + third, 2), 4 * beat, rng), at, 0.3 * chord)
            add(note(pitch(root, 0), 2 * beat, rng), at, 0.6 * bass)
        for half in range(rng.integers(1, 3)):
            add(note(pitch(root + rng.integers(8), 3), beat, rng), at + half * beat / 2, 0.5 * tune)
        add(drum(rng), at, 0.5 * drums)
        add(drum(rng), at + beat / 2, 0.3 * drums)
    piece = out[: PIECE_S * SAMPLE_RATE]
    return (piece / max(np.abs(piece).max(), 1e-9) * rng.uniform(0.1, 0.8)).astype(np.float32)


def sounds(pieces: int) -> Iterator[tuple[str, Path | NDArray[np.float32], int, str, str]]:
    """Name, sound, its samples at 16 kHz, licence and credit of each, music the last; damaged ones are named and left
    out."""
    for path in sorted((corpus.root() / "noise").glob("*.opus")):
        try:
            length = len(audio.read(path))
        except AudioError as problem:
            print(f"left out: {problem}", file=sys.stderr)
            continue
        own = path.stem.count("-")  # ESC-10 names its clips class_fold-clip-take
        credit = "ESC-10: Piczak 2015" if own else "Speech Commands: Warden 2018"
        yield path.stem, path, length, ESC if own else COMMANDS, credit
    for seed in range(pieces):
        tune = music(seed)
        yield f"music-{seed}", tune, len(tune), "CC0 1.0", "made by a script"


def main() -> None:
    """Write the data set; what it holds already stays."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("-o", "--output", metavar="DATASET", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=60, help="of music, 15 s each (default 60)")
    options = parser.parse_args()
    names = []
    with Writer(options.output) as out:
        for name, sound, length, licence, credit in sounds(options.pieces):
            names.append(name)
            if name in out:
                continue
            rest = np.zeros((frame_count(length, FPS), arkit.COUNT), dtype=np.float32)
            kind = name.partition("_")[0].partition("-")[0]
            out.add(
                id=name, sound=sound, clip=Clip(rest, FPS), speaker="nobody", session=kind, style=STYLE,
                licence=licence, source=credit,
            )  # fmt: skip
    held = names[HELD_EVERY - 1 :: HELD_EVERY]
    split.hold_out(options.output, held)
    print(f"{len(names)} sounds, {len(held)} of them held out (split.json)")


if __name__ == "__main__":
    try:
        main()
    except DuomorphError as problem:
        sys.exit(f"unspoken.py: {problem}")
