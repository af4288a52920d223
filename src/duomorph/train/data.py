"""Sessions: takes chained into a minute of sound, their features computed once and kept on disk.

One promise: a session's features are those that the live stream would compute, for the same code computes them.

    sessions = build(load("grid_s1", "train"), rounds=3, seed=0, cache=Path("runs/cache"))
    batch = Crops(sessions, config, rng, ticks=480, balance=0.5).draw(8)

Chaining gives 8.5 s of context and 20 s of emotion real speech to see; crops that begin with a session teach the
cold start. The first round is the corpus as it is, the others change voice (speed), noise and the sound's colour.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from duomorph import arkit, audio, files
from duomorph.clock import MAX_DELAY, ROWS_PER_TICK, SAMPLE_RATE, TICK_RATE
from duomorph.corpus import Take, root
from duomorph.emotion import FUNCTIONALS, EmotionTrack
from duomorph.errors import AudioError, CorpusError
from duomorph.mel import MelConfig, log_mel
from duomorph.model.card import FEATURES
from duomorph.model.config import UPDATE_TICKS, ModelConfig

Float32 = NDArray[np.float32]

SESSION_S: Final = 60
ALONE_TICKS: Final = 3 * TICK_RATE + MAX_DELAY  # of a crop that holds a short take by itself


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


def _with_speed(take: Take, speed: float) -> tuple[Take, Float32]:
    """The take played faster or slower: pitch, formants and tempo move together, and the curves with them."""
    sound = soxr.resample(take.audio, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32)
    times = np.arange(int(take.end_s / speed * TICK_RATE)) / TICK_RATE * speed
    return replace(take, weights=take.curves_at(times), fps=Fraction(TICK_RATE)), sound


def _coloured(sound: Float32, rng: np.random.Generator) -> Float32:
    """A random smooth equaliser of up to 9 dB, as microphones and rooms have."""
    points = rng.uniform(-9, 9, size=6)
    spectrum = np.fft.rfft(sound)
    place = np.linspace(0, len(points) - 1, len(spectrum))
    gain = 10 ** (np.interp(place, np.arange(len(points)), points) / 20)
    return np.fft.irfft(spectrum * gain, len(sound)).astype(np.float32)


def _with_noise(sound: Float32, noise: Float32, snr_db: float) -> Float32:
    loud = np.sqrt(np.mean(np.square(sound)) + 1e-12)
    hiss = np.resize(noise, len(sound))
    quiet = np.sqrt(np.mean(np.square(hiss)) + 1e-12)
    return (sound + hiss * (loud / quiet * 10 ** (-snr_db / 20))).astype(np.float32)


def _noises() -> list[Float32]:
    """The background sounds of the corpus; damaged ones are named and left out."""
    sounds = []
    for path in sorted((root() / "noise").glob("*.opus")):
        try:
            sounds.append(audio.read(path))
        except AudioError as problem:
            print(f"left out: {problem}", file=sys.stderr)
    if not sounds:
        raise CorpusError(f"no background sound: expected *.opus in {root() / 'noise'}; or set train.rounds=1")
    return sounds


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
        known[own] = local <= take.end_s
    emotion = EmotionTrack(np.full(FUNCTIONALS, np.nan, dtype=np.float32)).feed(sound)
    return Session(takes[0].style, takes[0].recording, mel, emotion, curves, known, takes[0].captured)


def _chains(takes: list[Take], rng: np.random.Generator) -> list[list[Take]]:
    """Takes in random order, in groups of about `SESSION_S`; a long take is a session of its own."""
    groups: list[list[Take]] = [[]]
    length = 0.0
    for index in rng.permutation(len(takes)):
        take = takes[index]
        seconds = len(take.audio) / SAMPLE_RATE
        if groups[-1] and length + seconds > SESSION_S:
            groups.append([])
            length = 0.0
        groups[-1].append(take)
        length += seconds
    return groups


def _load_cached(path: Path) -> list[Session]:
    with np.load(path) as stored:
        count = int(stored["count"])
        return [
            Session(str(stored[f"style{i}"]), str(stored[f"recording{i}"]), *(stored[f"{part}{i}"] for part in _PARTS))
            for i in range(count)
        ]


_WORDS: Final = ("style", "recording")
_PARTS: Final = ("mel", "emotion", "curves", "known", "captured")


def build(takes: list[Take], rounds: int, seed: int, cache: Path, alone: bool = False) -> list[Session]:
    """Sessions of `takes`, `rounds` times over; round 0 is unchanged, later ones are augmented.

    With `alone`, each take is a session of its own, as a short file is to the user who animates it. Features are
    cached under `cache`, keyed by takes and their curves, seed, round and feature version.
    """
    print_of = zlib.crc32(b"".join(take.weights.tobytes() for take in takes))
    sessions: list[Session] = []
    noises: list[Float32] = []
    for turn in range(rounds):
        names = json.dumps([FEATURES, seed, turn, alone, print_of, [(take.name, take.style) for take in takes]])
        path = cache / f"sessions-{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz"
        if not path.exists():
            rng = np.random.default_rng([seed, turn])
            noises = noises or (_noises() if turn else [])
            made = []
            for group in [[take] for take in takes] if alone else _chains(takes, rng):
                pieces = [(take, take.audio) for take in group]
                if turn:
                    pieces = [_with_speed(take, float(rng.uniform(0.85, 1.2))) for take in group]
                sound = np.concatenate([piece for _, piece in pieces])
                if turn:
                    sound = _coloured(sound, rng)
                    if rng.random() < 0.7:
                        sound = _with_noise(sound, noises[rng.integers(len(noises))], float(rng.uniform(5, 35)))
                made.append(_session([take for take, _ in pieces], [len(piece) for _, piece in pieces], sound))
            arrays = {f"{part}{i}": getattr(s, part) for i, s in enumerate(made) for part in _PARTS}
            words = {f"{part}{i}": np.array(getattr(s, part)) for i, s in enumerate(made) for part in _WORDS}
            cache.mkdir(parents=True, exist_ok=True)
            with files.atomic(path) as temporary:
                np.savez(temporary, allow_pickle=False, count=np.array(len(made)), **words, **arrays)
        sessions += _load_cached(path)
    return sessions


@dataclass(frozen=True)
class Batch:
    """Arrays of B crops of N ticks, named as `Network.forward` names them, and the truth."""

    mel: Float32  # (B, N, 2, 80)
    emotion: Float32  # (B, U, 264)
    slot: NDArray[np.int64]  # (B, N)
    style: NDArray[np.int64]  # (B,)
    delay: NDArray[np.int64]  # (B,)
    past: Float32  # (B, context + 12, 2, 80) the mel before the crop
    truth: Float32  # (B, N, 52) curves of ticks n - delay
    mask: Float32  # (B, N, 52) 1 where the truth is known and the convolutions are warm


class Crops:
    """Draws random crops of sessions; a third begin where the session begins, the cold start."""

    def __init__(
        self, sessions: list[Session], config: ModelConfig, rng: np.random.Generator, ticks: int, balance: float
    ) -> None:
        """`ticks` of a crop beside the warm-up; `balance` 0 draws recordings by their length, 1 all alike."""
        self.sessions, self.config, self.rng = sessions, config, rng
        self.ticks = ticks + config.warm_up_ticks
        lengths = np.array([len(session) for session in sessions], dtype=float)
        recordings = np.array([session.recording for session in sessions])
        for recording in set(recordings):  # a small one is drawn more often than its share
            own = recordings == recording
            lengths[own] /= lengths[own].sum() ** balance
        self._chance = lengths / lengths.sum()

    def draw(self, count: int) -> Batch:
        return self._stack([self._crop() for _ in range(count)])

    def draw_alone(self, count: int, alone: list[Session]) -> Batch:
        """Whole short takes from a cold start."""
        drawn = [alone[index] for index in self.rng.integers(len(alone), size=count)]
        return self._stack([self._draw(session, 0, ALONE_TICKS) for session in drawn])

    @staticmethod
    def _stack(crops: list[Batch]) -> Batch:
        return Batch(*(np.stack([getattr(crop, name) for crop in crops]) for name in vars(crops[0])))

    def _crop(self) -> Batch:
        session = self.sessions[self.rng.choice(len(self.sessions), p=self._chance)]
        cold = self.rng.random() < 1 / 3 or len(session) <= self.ticks
        begin = 0 if cold else int(self.rng.integers(1, len(session) - self.ticks + 1))
        return self._draw(session, begin, self.ticks)

    def _draw(self, session: Session, begin: int, ticks: int) -> Batch:
        """A crop at a random delay, in another voice half of the time."""
        drawn = crop(session, self.config, begin, ticks, int(self.rng.integers(MAX_DELAY + 1)))
        if self.rng.random() < 0.5:
            return drawn
        warp, colour = other_voice(self.config.bands, self.rng)
        silence = np.float32(-MelConfig().depth)
        mel, past = (np.maximum(heard @ warp + colour, silence) for heard in (drawn.mel, drawn.past))
        return replace(drawn, mel=mel, past=past)


def other_voice(bands: int, rng: np.random.Generator) -> tuple[Float32, Float32]:
    """Another vocal tract and microphone: the mel axis stretched by up to 8 % (80, 80), and a smooth gain (80,) of up
    to 1 neper. Source of the first: vocal tract length perturbation, Jaitly & Hinton 2013."""
    place = np.clip(np.arange(bands) * rng.uniform(0.92, 1.08), 0, bands - 1)
    left = np.minimum(place.astype(np.intp), bands - 2)
    warp = np.zeros((bands, bands), dtype=np.float32)
    warp[left, np.arange(bands)] = 1 - (place - left)
    warp[left + 1, np.arange(bands)] += place - left
    points = rng.uniform(-1, 1, size=6)
    colour = np.interp(np.linspace(0, 5, bands), np.arange(6), points).astype(np.float32)
    return warp, colour


def crop(session: Session, config: ModelConfig, begin: int, ticks: int, delay: int) -> Batch:
    """One row of a batch (no leading axis): `ticks` ticks of a session from tick `begin` on."""
    silence = -MelConfig().depth
    padded = np.full((ticks, ROWS_PER_TICK, config.bands), silence, dtype=np.float32)
    mel = session.mel[begin : begin + ticks]
    padded[: len(mel)] = mel
    past = np.full((config.context_ticks + MAX_DELAY, ROWS_PER_TICK, config.bands), silence, dtype=np.float32)
    before = session.mel[max(0, begin - len(past)) : begin]
    past[len(past) - len(before) :] = before
    first = max(0, begin // UPDATE_TICKS - config.updates + 1)
    update = (begin + np.arange(ticks)) // UPDATE_TICKS
    rows = first + np.arange(config.updates + ticks // UPDATE_TICKS + 1)
    emotion = session.emotion[np.minimum(rows, len(session.emotion) - 1)]
    slot = np.minimum(update, len(session.emotion) - 1) - first
    source = begin + np.arange(ticks) - delay  # the tick whose curves are due
    inside = (source >= 0) & (source < len(session))
    source = np.clip(source, 0, len(session) - 1)
    due = inside & session.known[source]
    if begin:
        due[: config.warm_up_ticks] = False
    mask = (due[:, None] & session.captured[None]).astype(np.float32)
    style = config.styles.index(session.style)
    return Batch(
        mel=padded,
        emotion=emotion,
        slot=slot,
        style=np.array(style),
        delay=np.array(delay),
        past=past,
        truth=session.curves[source].astype(np.float32),
        mask=mask,
    )
