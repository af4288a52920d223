"""Is somebody speaking, and how loud? From the level of the sound alone, tick by tick.

One promise: a tick is judged by the sound up to it and by nothing after, so any chunking judges alike; and by
differences of level, so above -85 dB of full scale no gain matters.

    hearing = Hearing()
    level, speech = hearing.feed(samples)      # (S,) at 16 kHz -> (n,) dB, (n,) bool: the ticks that are complete

A tick is speech where its level, from 150 to 6000 Hz, stands over the floor, the quietest 50 ms of the last two
seconds, and not too far under the loudest of late. So a steady noise is silence after two seconds, and so is a note
held that long; music that moves is not: a level cannot tell it from a voice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import SAMPLE_RATE, TICK_RATE, end_sample, index_at
from duomorph.sliding import sliding

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

WINDOW: Final = 400  # samples, 25 ms, ending at the tick
FFT: Final = 512
LOW_HZ: Final = 150.0
HIGH_HZ: Final = 6000.0
FULL_HZ: Final = 1000.0  # below it power counts less: rumble and wind are uneven there
FLOOR_TICKS: Final = 120  # how far back the floor is looked for, 2 s
TRUST_TICKS: Final = 30  # so long from the start on nothing is known of the floor: all is speech that is not too quiet
MEAN_TICKS: Final = 3  # averaged before the floor is taken
OVER_DB: Final = 4.0  # speech stands so far over the floor,
UNDER_DB: Final = 34.0  # and at most so far under the loudest,
FALL_DB: Final = 1.5  # which sinks so much a second,
SILENT_DB: Final = -85.0  # and not below this, of full scale
UNKNOWN: Final = 1e9  # dB; no floor


class Hearing:
    """Samples in; out, for every tick, its level and whether it is speech."""

    latency_s: Final = 0.0  # it waits for nothing that the network does not wait for

    def __init__(self, heard: int = 0) -> None:
        """`heard`: so many samples of the clip are over before it begins to listen."""
        self._hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
        hz = np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT
        self._band = np.flatnonzero((hz >= LOW_HZ) & (hz <= HIGH_HZ))
        self._weight = np.minimum(hz[self._band] / FULL_HZ, 1) / (FFT * WINDOW / 4)
        self.reset(heard)

    def reset(self, heard: int = 0) -> None:
        """Back to the start of a clip: silence before it."""
        self._tail = np.zeros(WINDOW, dtype=np.float32)
        self._seen = heard  # samples
        self._next = index_at(heard, TICK_RATE) + 1 if heard else 0  # tick to come
        self._powers = np.zeros(MEAN_TICKS - 1)  # of the last ticks
        self._floor = np.full(FLOOR_TICKS, UNKNOWN)  # mean levels of the last ticks, dB
        self._peak = SILENT_DB

    def feed(self, samples: Float32) -> tuple[Float64, Flags]:
        """(S,) samples at 16 kHz -> (n,), (n,): a value for each tick that these samples complete."""
        sound = np.concatenate([self._tail, samples])
        self._seen += len(samples)
        ticks = np.arange(self._next, index_at(self._seen, TICK_RATE) + 1)
        origin = self._seen - len(sound)  # sample number of sound[0]
        starts = (ticks * 2 * SAMPLE_RATE + TICK_RATE) // (2 * TICK_RATE) - WINDOW - origin  # = end_sample
        self._next += len(ticks)
        self._tail = sound[end_sample(self._next, TICK_RATE) - WINDOW - origin :].copy()
        if not len(ticks):
            return np.zeros(0), np.zeros(0, dtype=bool)
        windows = sound[starts[:, None] + np.arange(WINDOW)] * self._hann
        spectrum = np.fft.rfft(windows, FFT)[:, self._band]
        power = (spectrum.real**2 + spectrum.imag**2) @ self._weight
        return self._judged(power, ticks)

    def _judged(self, power: Float64, ticks: NDArray[np.intp]) -> tuple[Float64, Flags]:
        """(n,) power of each tick -> (n,), (n,)."""
        padded = np.concatenate([self._powers, power])
        self._powers = padded[len(padded) - MEAN_TICKS + 1 :]
        mean = _decibel(sliding(padded, MEAN_TICKS).mean(axis=1))
        known = np.concatenate([self._floor, np.where(ticks < MEAN_TICKS + 2, UNKNOWN, mean)])  # before it: no sound
        floor = sliding(known, FLOOR_TICKS)[: len(ticks)].min(axis=1)
        self._floor = known[len(known) - FLOOR_TICKS :]
        fallen = FALL_DB / TICK_RATE * np.arange(1, len(ticks) + 1)
        peak = np.maximum.accumulate(np.concatenate([[self._peak], mean + fallen]))[1:] - fallen
        self._peak = float(peak[-1])
        least = np.maximum(np.where(ticks < TRUST_TICKS, SILENT_DB, floor + OVER_DB), SILENT_DB)
        speech: Flags = mean > np.maximum(least, peak - UNDER_DB)
        return mean, speech


def _decibel(power: Float64) -> Float64:
    level: Float64 = 10 * np.log10(np.maximum(power, 1e-12))
    return level
