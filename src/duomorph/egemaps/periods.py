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

from duomorph.egemaps.frames import HOP, LONG, SAMPLE_RATE, Array

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
        if not f0.any():
            self.reset()
            return out
        # For the peaks: short lists are faster than short arrays.
        values = audio[: start + len(f0) * HOP + LONG].tolist()
        for row, hz in enumerate(f0.tolist()):
            if hz > 0.0:
                out[row] = self._frame(audio, values, start + row * HOP, SAMPLE_RATE / hz)
            else:
                self.reset()
        return out

    def _frame(self, audio: Array, values: list[float], begin: int, period: float) -> tuple[float, float]:
        first = not self._voiced
        if first:
            self._voiced, self._ahead = True, 0
        size = int(period)
        lengths = changes = amplitudes = differences = 0.0  # sums
        matched = compared = 0
        place = begin + self._ahead
        search = _Search(audio, place, begin + min(math.ceil(2.2 * period) + 4, LONG), period)
        swing = -1.0  # peak to peak from `place` on, where it is known
        while place + _MARGIN * period < begin or first:
            first = False
            length, match = search.next_period(place)
            step = round(length)
            if match >= _MATCH:
                here = swing if swing >= 0.0 else _swing(values[place + 1 : place + size])
                swing = _swing(values[place + step + 1 : place + step + size])
                amplitudes += here + swing
                differences += abs(here - swing)
                lengths += length
                matched += 1
                if self._length:
                    changes += abs(length - self._length)
                    compared += 1
                self._length = length
            else:
                swing = -1.0
            place += step
        self._ahead = place - begin - HOP
        if matched:
            ratio = 2.0 * differences / max(amplitudes, 1e-12)
            self._shimmer = 20.0 * math.log10(1.0 + min(ratio, 1.0))
        if compared:
            self._jitter = (changes / compared) / (lengths / matched)
        return self._jitter, self._shimmer


def _swing(period: list[float]) -> float:
    """Peak to peak of one period."""
    return max(period) - min(period)


class _Search:
    """The next period by its best match, from `start` on, for one period length."""

    def __init__(self, audio: Array, start: int, stop: int, period: float) -> None:
        self._audio, self._start, self._period = audio, start, period
        self._size = size = round(period)
        self._low, self._high = math.floor(period * (1.0 - _RANGE)), math.ceil(period * (1.0 + _RANGE))
        # Running sums give the mean and the energy of every stretch of one period.
        part = np.empty((2, stop - start))
        part[0] = audio[start:stop]
        np.multiply(part[0], part[0], out=part[1])
        running = np.zeros((2, stop - start + 1))
        np.add.accumulate(part, axis=1, out=running[:, 1:])
        sums = running[:, size:] - running[:, :-size]
        self._sum = sums[0]
        energy = sums[1]
        energy -= sums[0] * sums[0] / size
        np.maximum(energy, 1e-12, out=energy)
        self._weight = 1.0 / np.sqrt(energy, out=energy)

    def next_period(self, place: int) -> tuple[float, float]:
        """Length of the period at `place`, refined by a parabola, and the correlation coefficient there."""
        size, low, high = self._size, self._low, self._high
        i = place - self._start
        match = np.correlate(self._audio[place + low : place + high + size], self._audio[place : place + size])
        match -= self._sum[i + low : i + high + 1] * (self._sum.item(i) / size)
        match *= self._weight[i + low : i + high + 1] * self._weight.item(i)
        values = match.tolist()
        best, peak = 0, -1.0
        before = values[0]
        for k in range(1, len(values) - 1):
            value = values[k]
            if before < value > peak and value >= values[k + 1]:
                best, peak = k, value
            before = value
        if not best:
            return self._period, 0.0
        a, c = values[best - 1], values[best + 1]
        bend = a - 2.0 * peak + c
        return low + best + (0.5 * (a - c) / bend if bend < 0.0 else 0.0), peak
