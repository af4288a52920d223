"""Jitter and shimmer: how much neighbouring glottal periods differ in length and in size.

One promise: frame t uses the periods that end its 10 ms and never looks farther than its own 60 ms.

    periods = Periods()
    rows = periods.feed(audio, start, f0)       # (n, 2): local jitter, local shimmer in dB

Where a voiced stretch begins, a pointer starts at the frame; each step compares one period from there with the next
one, within 10 % of the length that F0 gives, and moves the pointer by the length found.

Source: GeMAPS (Eyben et al. 2016), section 3: waveform matching around the period that F0 gives; jitter the mean
difference of neighbouring lengths over the mean length; shimmer the mean difference of neighbouring peak-to-peak
amplitudes over their mean, as 20 log10(1 + shimmer). How the pointer moves is measured (docs/egemaps.md).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from duomorph.egemaps.frames import HOP, SAMPLE_RATE, Array

_RANGE: Final = 0.1  # of the period, to either side
_MARGIN: Final = 0.35  # of a period: how far before the frame the pointer rests
_MATCH: Final = 0.5  # correlation under which two periods are not of one voice


class Periods:
    """The pointer and what is carried from frame to frame."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the start of a sound."""
        self._ahead = 0  # samples from the start of the next frame to the pointer
        self._voiced = False
        self._length = 0.0  # of the last matched period, samples; 0 = none in this voiced stretch
        self._jitter = self._shimmer = 0.0  # stand until there are new periods

    def feed(self, audio: Array, start: int, f0: Array) -> Array:
        """Decided frames.

        Args:
            audio: samples; frame 0 of this call begins at `start`, and two hops before it must be there too.
            f0: (n,) Hz, 0 = unvoiced.
        Returns:
            (n, 2): jitter (a ratio), shimmer (dB); 0 where unvoiced or no two periods match.
        """
        out = np.zeros((len(f0), 2))
        for row, hz in enumerate(f0.tolist()):
            if hz > 0.0:
                out[row] = self._frame(audio, start + row * HOP, SAMPLE_RATE / hz)
            else:
                self.reset()
        return out

    def _frame(self, audio: Array, begin: int, period: float) -> tuple[float, float]:
        first = not self._voiced
        if first:
            self._voiced, self._ahead = True, 0
        lengths: list[float] = []
        changes: list[float] = []
        amplitudes: list[float] = []
        differences: list[float] = []
        place = begin + self._ahead
        while place + _MARGIN * period < begin or first:
            first = False
            length, match = _next_period(audio, place, period)
            step = round(length)
            if match >= _MATCH:
                size = int(period)
                here = audio[place + 1 : place + size]
                there = audio[place + step + 1 : place + step + size]
                a, b = float(here.max() - here.min()), float(there.max() - there.min())
                amplitudes.append(a + b)
                differences.append(abs(a - b))
                lengths.append(length)
                if self._length:
                    changes.append(abs(length - self._length))
                self._length = length
            place += step
        self._ahead = place - begin - HOP
        if amplitudes:
            ratio = 2.0 * sum(differences) / max(sum(amplitudes), 1e-12)
            self._shimmer = 20.0 * math.log10(1.0 + min(ratio, 1.0))
        if changes:
            self._jitter = (sum(changes) / len(changes)) / (sum(lengths) / len(lengths))
        return self._jitter, self._shimmer


def _next_period(audio: Array, place: int, period: float) -> tuple[float, float]:
    """Length of the period at `place` by its best match, refined by a parabola, and the correlation there."""
    size = round(period)
    low, high = math.floor(period * (1.0 - _RANGE)), math.ceil(period * (1.0 + _RANGE))
    here = audio[place : place + size]
    after = audio[place + low : place + high + size]
    # Correlation coefficient at each lag; running sums give the mean and energy of each stretch.
    here = here - np.add.reduce(here) / size
    dot = np.correlate(after, here)
    totals = np.cumsum([after, after * after], axis=1)
    sums = totals[:, size - 1 :]
    sums[:, 1:] -= totals[:, : high - low]
    energy = sums[1] - sums[0] * sums[0] / size
    match = (dot / np.sqrt(np.maximum(energy, 1e-12) * float(here @ here) + 1e-18)).tolist()
    best, peak = 0, -1.0
    for k in range(1, len(match) - 1):
        value = match[k]
        if value > peak and match[k - 1] < value >= match[k + 1]:
            best, peak = k, value
    if not best:
        return period, 0.0
    a, c = match[best - 1], match[best + 1]
    bend = a - 2.0 * peak + c
    return low + best + (0.5 * (a - c) / bend if bend < 0.0 else 0.0), peak
