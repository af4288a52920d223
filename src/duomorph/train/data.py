"""Sessions: takes chained into a minute of sound, their features computed once and kept on disk.

One promise: a session's features are those that the live stream would compute, for the same code computes them.

    sessions = build(load("grid_s1", "train"), AugmentConfig(), seed=0, cache=Path("runs/cache"))

Chaining gives 8.5 s of context and 20 s of emotion real speech to see. The first round is the corpus as it is, the
others are augmented. A session has one emotion track, which all windows of it share.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, audio, files
from duomorph.clock import SAMPLE_RATE, TICK_RATE
from duomorph.corpus import Take, root
from duomorph.dataset.takes import sessions as chained
from duomorph.emotion import FUNCTIONALS, EmotionTrack
from duomorph.errors import AudioError
from duomorph.mel import MelConfig, log_mel
from duomorph.model.card import FEATURES
from duomorph.train.augment import disturbed, faster, made_noise, pause
from duomorph.train.config import AugmentConfig

Float32 = NDArray[np.float32]

@dataclass(frozen=True)
class Session:
    """N ticks of one style: features, and the curves where they are known."""

    style: str
    recording: str
    mel: NDArray[np.float16]  # (N, 2, 80)
    emotion: Float32  # (U, 264), NaN where a window heard nothing
    curves: NDArray[np.float16]  # (N, 52) at the ticks' own times
    known: NDArray[np.bool_]  # (N,) False where a take has no captured frame
    captured: NDArray[np.bool_]  # (52,)

    def __len__(self) -> int:
        return len(self.mel)


def _noises() -> list[Float32]:
    """The background sounds of the corpus, damaged ones named and left out; where there are none, made ones."""
    sounds = []
    for path in sorted((root() / "noise").glob("*.opus")) if os.environ.get("DUOMORPH_CORPUS") else ():
        try:
            sounds.append(audio.read(path))
        except AudioError as problem:
            print(f"left out: {problem}", file=sys.stderr)
    if not sounds:
        print("no background sounds in DUOMORPH_CORPUS: white, pink and brown noise instead", file=sys.stderr)
    return sounds or [made_noise(tilt) for tilt in (0.0, -0.5, -1.0)]


def _session(takes: list[Take], lengths: list[int], sound: Float32) -> Session:
    """One session of takes whose audio, end to end and perhaps coloured, is `sound`; `lengths` in samples."""
    mel = log_mel(sound, MelConfig()).astype(np.float16)
    ticks = len(mel)
    times = np.arange(ticks) / TICK_RATE
    curves = np.zeros((ticks, arkit.COUNT), dtype=np.float16)
    known = np.zeros(ticks, dtype=bool)
    begin = 0
    for take, length in zip(takes, lengths, strict=True):
        start_s = begin / SAMPLE_RATE
        begin += length
        own = (times >= start_s) & (times < begin / SAMPLE_RATE)
        local = times[own] - start_s
        curves[own] = take.curves_at(local)
        known[own] = take.known_at(local)
    emotion = EmotionTrack(np.full(FUNCTIONALS, np.nan, dtype=np.float32)).feed(sound)
    return Session(takes[0].style, takes[0].recording, mel, emotion, curves, known, takes[0].captured)


def _load_cached(path: Path) -> list[Session]:
    with np.load(path) as stored:
        count = int(stored["count"])
        return [
            Session(str(stored[f"style{i}"]), str(stored[f"recording{i}"]), *(stored[f"{part}{i}"] for part in _PARTS))
            for i in range(count)
        ]


POOL_S: Final = 1800  # of sound
CHAINING: Final = 2  # version of how takes become sessions: older caches are not taken for these
_WORDS: Final = ("style", "recording")
_PARTS: Final = ("mel", "emotion", "curves", "known", "captured")


def _pieces(group: list[Take], augment: AugmentConfig, rng: np.random.Generator) -> list[tuple[Take, Float32]]:
    """The takes of a session at other speeds, with pauses between some of them."""
    pieces = [faster(take, float(rng.uniform(*augment.speed))) for take in group]
    chained = pieces[:1]
    for (before, _), (after, sound) in pairwise(pieces):
        if rng.random() < augment.pause:
            seconds = Fraction(round(rng.uniform(*augment.pause_s) * 1000), 1000)
            chained.append(pause(before, after, seconds, rng))
        chained.append((after, sound))
    return chained


def _made(job: tuple[int, list[Take]], augment: AugmentConfig | None, noises: list[Float32], seed: int) -> Session:
    """One session of a round; `job` is its number and its takes, `seed` the round's. No augmentation: as it is."""
    number, group = job
    if augment is None:
        return _session(group, [len(take.audio) for take in group], np.concatenate([take.audio for take in group]))
    rng = np.random.default_rng([seed, number])
    pieces = _pieces(group, augment, rng)
    sound = disturbed(np.concatenate([piece for _, piece in pieces]), augment, noises, rng)
    return _session([take for take, _ in pieces], [len(piece) for _, piece in pieces], sound)


def _all(groups: list[list[Take]], make: Callable[[tuple[int, list[Take]]], Session]) -> list[Session]:
    """The sessions of a round, by all cores where that is worth their start."""
    jobs, workers = list(enumerate(groups)), os.cpu_count() or 1
    seconds = sum(len(take.audio) for group in groups for take in group) / SAMPLE_RATE
    if workers == 1 or seconds < POOL_S:
        return [make(job) for job in jobs]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:  # torch's threads do not fork
        return list(pool.map(make, jobs, chunksize=max(1, len(jobs) // (8 * workers))))


def build(takes: list[Take], augment: AugmentConfig, seed: int, cache: Path, alone: bool = False) -> list[Session]:
    """Sessions of `takes`, `augment.rounds` times over; the first round is unchanged, later ones are augmented.

    With `alone`, each take is a session of its own, as a short file is to the user who animates it. Features are
    cached under `cache`, keyed by takes and their curves, augmentation, seed, round and feature version.
    """
    print_of = zlib.crc32(b"".join(take.weights.tobytes() for take in takes))
    sessions: list[Session] = []
    noises: list[Float32] = []
    for turn in range(augment.rounds):
        how = asdict(replace(augment, rounds=1)) if turn else {}
        named = [(take.name, take.style) for take in takes]
        names = json.dumps([FEATURES, CHAINING, how, seed, turn, alone, print_of, named])
        path = cache / f"sessions-{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz"
        if not path.exists():
            order = np.random.default_rng([seed, turn]).permutation(len(takes))
            groups = [[take] for take in takes] if alone else chained(takes[index] for index in order)
            noises = noises or (_noises() if turn and augment.noise else [])
            how_made = partial(_made, augment=augment if turn else None, noises=noises, seed=1000 * seed + turn)
            made = _all(groups, how_made)
            arrays = {f"{part}{i}": getattr(s, part) for i, s in enumerate(made) for part in _PARTS}
            words = {f"{part}{i}": np.array(getattr(s, part)) for i, s in enumerate(made) for part in _WORDS}
            cache.mkdir(parents=True, exist_ok=True)
            with files.atomic(path) as temporary:
                np.savez(temporary, allow_pickle=False, count=np.array(len(made)), **words, **arrays)
        sessions += _load_cached(path)
    return sessions
