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
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
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


POOL_S: Final = 1800  # of sound
CHAINING: Final = 3  # version of how takes become sessions: older caches are not taken for these
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


@dataclass(frozen=True)
class _Job:
    """One session to be made: the takes it is made of, and the seeds of what is done to them; none: as they are."""

    takes: list[Take]
    augment: AugmentConfig
    seeds: tuple[int, ...]


_sounds: list[Float32] = []  # of the process: background noises, which all its jobs share


def _share(noises: list[Float32]) -> None:
    _sounds[:] = noises


def _serve(noises: list[Float32], asked_by: int) -> None:
    """In a process of the pool: the sounds, and an end with the process that it works for, which may be killed."""
    _share(noises)

    def watch() -> None:
        while os.getppid() == asked_by:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _made(job: _Job) -> Session:
    """A session and its features."""
    if not job.seeds:
        sounds = [take.audio for take in job.takes]
        return _session(job.takes, [len(sound) for sound in sounds], np.concatenate(sounds))
    rng = np.random.default_rng(job.seeds)
    pieces = _pieces(job.takes, job.augment, rng)
    sound = disturbed(np.concatenate([piece for _, piece in pieces]), job.augment, _sounds, rng)
    return _session([take for take, _ in pieces], [len(piece) for _, piece in pieces], sound)


def _all(jobs: list[_Job]) -> Iterator[Session]:
    """The sessions in their order, by all cores where that is worth their start."""
    disturb = any(job.seeds and job.augment.noise for job in jobs)
    noises, workers = _noises() if disturb else [], os.cpu_count() or 1
    if workers == 1 or sum(len(take.audio) for job in jobs for take in job.takes) < POOL_S * SAMPLE_RATE:
        _share(noises)
        yield from map(_made, jobs)
        return
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not fork
    with ProcessPoolExecutor(workers, spawn, initializer=_serve, initargs=(noises, os.getpid())) as pool:
        yield from pool.map(_made, jobs, chunksize=max(1, min(8, len(jobs) // (8 * workers))))


@dataclass(frozen=True)
class _Part:
    """The sessions of one recording in one round, and the file that keeps them."""

    path: Path
    jobs: list[_Job]

    def save(self, made: list[Session]) -> None:
        arrays = {f"{part}{i}": getattr(s, part) for i, s in enumerate(made) for part in _PARTS}
        with files.atomic(self.path) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)

    def load(self) -> list[Session]:
        of = self.jobs[0].takes[0]
        with np.load(self.path) as stored:
            arrays = [[stored[f"{part}{i}"] for part in _PARTS] for i in range(len(self.jobs))]
        return [Session(of.style, of.recording, *parts) for parts in arrays]


def _part(takes: list[Take], augment: AugmentConfig, seed: int, turn: int, cache: Path, alone: bool) -> _Part:
    """How the takes of one recording become sessions in round `turn`."""
    print_of = zlib.crc32(b"".join(take.weights.tobytes() for take in takes))
    how = asdict(replace(augment, rounds=1)) if turn else {}
    named = [(take.name, take.style) for take in takes]
    words = json.dumps([FEATURES, CHAINING, how, seed, turn, alone, print_of, takes[0].recording, named])
    key = hashlib.sha256(words.encode()).hexdigest()[:16]
    order = np.random.default_rng([seed, turn]).permutation(len(takes))
    groups = [[take] for take in takes] if alone else chained(takes[index] for index in order)
    seeds = (seed, turn, int(key[:8], 16)) if turn else ()
    jobs = [_Job(group, augment, (*seeds, number) if turn else ()) for number, group in enumerate(groups)]
    return _Part(cache / f"sessions-{key}.npz", jobs)


def build(takes: list[Take], augment: AugmentConfig, seed: int, cache: Path, alone: bool = False) -> list[Session]:
    """Sessions of `takes`, `augment.rounds` times over; the first round is unchanged, later ones are augmented.

    With `alone`, each take is a session of its own, as a short file is to the user who animates it. Features are
    cached under `cache`, recording by recording, keyed by takes and their curves, augmentation, seed, round and
    feature version: another corpus beside the first computes its own alone.
    """
    recordings: dict[tuple[str, str], list[Take]] = {}
    for take in takes:
        recordings.setdefault((take.style, take.recording), []).append(take)
    parts = [
        _part(own, augment, seed, turn, cache, alone) for turn in range(augment.rounds) for own in recordings.values()
    ]
    missing = [part for part in parts if not part.path.exists()]
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        made = _all([job for part in missing for job in part.jobs])
        for part in missing:
            part.save([next(made) for _ in part.jobs])
    return [session for part in parts for session in part.load()]
