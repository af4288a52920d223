"""How late the face is against the sound, in milliseconds, and how sure that is.

One promise: the sound alone and the jaw alone are compared, nothing learnt; a face and a sound that do not belong
together are told by their confidence.

    hearing = Hearing()
    for block in audio.blocks("take.flac"):
        hearing.feed(block)
    trace = compare(hearing.energy(), clip["jawOpen"], clip.times)
    lag([trace])                   # Lag(ms=41.7, error_ms=14.9, confidence=0.9998): the face is 42 ms late

The speed of the jaw is correlated with the speed of the speech energy below 3 kHz, 120 times a second, at lags up to
half a second; a parabola through the best three gives the rest. Clips of a session are measured together, for a clip of
a few seconds says little alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import SAMPLE_RATE
from duomorph.dataset.manifest import Entry

Float64 = NDArray[np.float64]

RATE: Final = 120  # Hz of energy and jaw
REACH: Final = RATE // 2  # lags looked at, on both sides
LONGEST_S: Final = 600.0  # what of a take is looked at
SHORTEST_S: Final = 2.0  # less says nothing
WINDOW: Final = 512  # samples, 32 ms, centred
EDGES_HZ: Final = (80, 350, 700, 1100, 1800, 3000)
FLOOR: Final = 1e-3  # of the loud frames' power: what is 30 dB below them is silence
BAND_HZ: Final = (0.5, 8.0)  # speeds at which jaws move
NATURAL_MS: Final = 7.0  # how late jaws are in well synchronised takes: -2 ms in GRID s1, 16 ms in FACEGOOD
SURE: Final = 0.99  # confidence from which a lag is worth acting on
IN_SYNC_MS: Final = 20.0  # less is not seen
TAKE_MS: Final = 9.0  # by which well synchronised takes differ
SAMPLE_MS: Final = 130.0  # by which a single free sample would be wrong: more of them are better by their root
APART: Final = 3.0  # errors; a clear clip that is so far from its session has a lag of its own
TORN: Final = 2.0  # errors; if half of the clear clips are so far from their session it is none
# Of unrelated sound and face, the best z among the lags stays under z with the chance Phi(z / SPREAD) ** TRIES: fitted
# to pieces of 3 to 90 s of the two corpora with the sound of other pieces. From MOST free samples on it is speech
# itself, its pauses and rhythm, that agrees by chance, and more of it does not help (docs/dataset.md).
SPREAD: Final = 1.6
TRIES: Final = 15
MOST: Final = 150


@dataclass(frozen=True)
class Lag:
    """A measured lag.

    Attributes:
        ms: how late the face is; negative where it is early.
        error_ms: two of three such measurements are nearer to the truth.
        confidence: share of unrelated sounds and faces that agree less well.
    """

    ms: float
    error_ms: float
    confidence: float

    @property
    def clear(self) -> bool:
        """Whether sound and face surely belong together."""
        return self.confidence >= SURE

    @property
    def out_of_sync(self) -> bool:
        """Whether it is worth acting on."""
        return self.clear and abs(self.ms) > max(IN_SYNC_MS, 2 * self.error_ms)


@dataclass(frozen=True)
class Trace:
    """What a clip says about its lag: `correlation` (2 * REACH + 1,) by lag, and how many free samples stand behind."""

    correlation: Float64
    free: float


class Hearing:
    """Sound in, block by block; energy on an even grid out. State: one window of sound, the powers so far."""

    def __init__(self) -> None:
        self._tail = np.zeros(WINDOW // 2, np.float32)
        self._origin = -(WINDOW // 2)  # sample number of _tail[0]
        self._powers: list[NDArray[np.float32]] = []
        self._next = 0
        self._hann = np.hanning(WINDOW).astype(np.float32)
        self._bins = [round(edge * WINDOW / SAMPLE_RATE) for edge in EDGES_HZ]

    def feed(self, samples: NDArray[np.float32]) -> None:
        """(S,) further samples at 16 kHz; what goes beyond ten minutes is not looked at."""
        sound = np.concatenate([self._tail, samples])
        last = min(int((self._origin + len(sound) - WINDOW // 2) * RATE // SAMPLE_RATE), round(LONGEST_S * RATE))
        if last >= self._next:
            starts = np.arange(self._next, last + 1) * SAMPLE_RATE // RATE - WINDOW // 2 - self._origin
            spectrum = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[starts] * self._hann)
            power = spectrum.real**2 + spectrum.imag**2
            self._powers.append(np.add.reduceat(power, self._bins, axis=1)[:, :-1].astype(np.float32))
            self._next = last + 1
        kept = min(len(sound), WINDOW + SAMPLE_RATE // RATE)
        self._tail = sound[len(sound) - kept :]
        self._origin += len(sound) - kept

    def energy(self) -> Float64:
        """(n,) mean log power of the bands at k / 120 s."""
        if not self._powers:
            return np.zeros(0)
        power = np.concatenate(self._powers).astype(np.float64)  # (n, bands)
        floor = FLOOR * np.percentile(power.sum(axis=1), 95) / power.shape[1] + 1e-12
        energy: Float64 = np.log(power + floor).mean(axis=1)
        return energy


def compare(energy: Float64, jaw: NDArray[np.floating], times: Float64) -> Trace | None:
    """How well the jaw fits the energy at every lag; None if there is too little of either, or one of them is still.

    Args:
        energy: (n,) from `Hearing`.
        jaw: (T,) `jawOpen`. times: (T,) in seconds of the sound, rising.
    """
    first = max(0, math.ceil(times[0] * RATE)) if len(times) else 0
    last = min(len(energy), math.floor(times[-1] * RATE) + 1) if len(times) else 0
    if last - first < SHORTEST_S * RATE:
        return None
    moving = _speed(np.interp(np.arange(first, last) / RATE, times, jaw.astype(np.float64)))
    sounding = _speed(energy[first:last])
    if moving.std() < 1e-6 or sounding.std() < 1e-6:
        return None
    correlation = np.array([_correlation(moving, sounding, -shift) for shift in range(-REACH, REACH + 1)])
    common = (_own(moving) * _own(sounding))[1:REACH].sum()
    return Trace(correlation, len(moving) / max(1.0, 1 + 2 * common))


def lag(traces: Sequence[Trace]) -> Lag | None:
    """The lag that clips have in common; None without any."""
    free = sum(trace.free for trace in traces)
    if not free:
        return None
    correlation = sum((trace.correlation * trace.free for trace in traces), np.zeros(2 * REACH + 1)) / free  # (lags,)
    best = int(np.argmax(correlation))
    error = round(math.hypot(TAKE_MS, SAMPLE_MS / math.sqrt(free)), 1)
    if best in (0, 2 * REACH):  # still rising where we stop: no peak
        return Lag(round((best - REACH) * 1000 / RATE - NATURAL_MS, 1), error, 0.0)
    before, top, after = correlation[best - 1 : best + 2].tolist()
    curved = before - 2 * top + after
    place = best - REACH + (0.5 * (before - after) / curved if curved < 0 else 0.0)
    z = math.atanh(min(max(top, 0.0), 0.999)) * math.sqrt(max(min(free, MOST) - 3, 0.0))
    confidence = (0.5 * math.erfc(-z / SPREAD / math.sqrt(2))) ** TRIES
    return Lag(round(place * 1000 / RATE - NATURAL_MS, 1), error, round(confidence, 4))


class Sessions:
    """Collects clips, and tells each one's lag: that of its session, or its own where it is clearly another."""

    def __init__(self) -> None:
        self._own: dict[str, tuple[tuple[str, ...], Lag]] = {}
        self._pools: dict[tuple[str, ...], Trace] = {}

    def add(self, entry: Entry, trace: Trace) -> None:
        """A clip and what it says."""
        own = lag([trace])
        if own is None:
            return
        session = entry.speaker, entry.session, entry.style
        self._own[entry.id] = session, own
        known = self._pools.get(session, Trace(np.zeros(2 * REACH + 1), 0.0))
        total = known.free + trace.free
        mean = (known.correlation * known.free + trace.correlation * trace.free) / total
        self._pools[session] = Trace(mean, total)

    def lags(self) -> dict[str, Lag]:
        """The lag of every clip that has one."""
        shared = {session: lag([pool]) for session, pool in self._pools.items()}
        away: dict[tuple[str, ...], list[float]] = {session: [] for session in shared}  # errors, of clear clips
        for session, own in self._own.values():
            if own.clear:
                away[session].append(_errors(own, shared[session]))
        torn = {session for session, errors in away.items() if errors and median(errors) > TORN}
        found = {}
        for id, (session, own) in self._own.items():
            common = shared[session]
            alone = session in torn or (own.clear and _errors(own, common) > APART)
            found[id] = own if alone or common is None or common.confidence < own.confidence else common
        return found


def _errors(own: Lag, common: Lag | None) -> float:
    """How far a clip is from its session, in errors of its own."""
    return abs(own.ms - common.ms) / own.error_ms if common is not None else 0.0


def _speed(curve: Float64) -> Float64:
    """What of a curve changes as fast as jaws do, as its difference from sample to sample."""
    mirrored = np.concatenate([curve, curve[::-1]])
    hz = np.fft.rfftfreq(len(mirrored), 1 / RATE)
    kept = np.exp(-0.5 * (hz / BAND_HZ[1]) ** 2) * (1 - np.exp(-0.5 * (hz / BAND_HZ[0]) ** 2))
    speed: Float64 = np.diff(np.fft.irfft(np.fft.rfft(mirrored) * kept, len(mirrored))[: len(curve)])
    return speed


def _correlation(moving: Float64, sounding: Float64, shift: int) -> float:
    """Of moving[k] with sounding[k + shift], over what they share."""
    if shift < 0:
        moving, sounding = moving[-shift:], sounding[:shift]
    elif shift:
        moving, sounding = moving[:-shift], sounding[shift:]
    moving, sounding = moving - moving.mean(), sounding - sounding.mean()
    return float(moving @ sounding / (math.sqrt(float((moving @ moving) * (sounding @ sounding))) + 1e-12))


def _own(curve: Float64) -> Float64:
    """How a curve correlates with itself, by lag."""
    size = 2 * len(curve)
    power = np.abs(np.fft.rfft(curve - curve.mean(), size)) ** 2
    own: Float64 = np.fft.irfft(power, size)[: len(curve)]
    own /= own[0]
    return own
