"""Jitter and shimmer: how much neighbouring glottal periods differ in length and in size.

One promise: frame t uses the periods around the end of its first 10 ms and never looks farther than its own 60 ms.

    periods = Periods()
    rows = periods.feed(audio, start, f0)       # (n, 2): local jitter, local shimmer in dB

Where a voiced stretch begins, a pointer starts at the frame. A period is the length L within 10 % of what F0 gives at
which the L samples from the pointer on and the L after them correlate best; the pointer then moves by L. A frame takes
one period and as many more as leave two of the longest within its first 10 ms. Where the pointer is already at the
next frame or past it, the last period is measured again with the new F0.

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
_MATCH: Final = 0.5  # correlation under which two stretches are not two periods of one voice
_LATEST: Final = -2  # samples from a frame's begin: a pointer after that finds no new period in the frame
PAST: Final = 3 * HOP  # samples before a frame that its first period may need
_FULL_SCALE: Final = 32768.0
_SILENT: Final = 2.0**-4  # on every square, so that no energy is 0; exact in the sums
_LONGEST: Final = 400  # samples, more than 1.1 periods of 55 Hz
_SPREAD: Final = 80  # more than the longest length less the shortest
_ROOT: Final[Array] = 1.0 / np.sqrt(np.maximum(np.arange(_LONGEST + 1.0), 1.0))  # of 1 / length
_INSIDE: Final[list[Array]] = [np.tri(n + 1, n, -1) for n in range(_SPREAD)]  # row j: ones for the first j samples


class Periods:
    """The pointer and what is carried from frame to frame."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the start of a sound, or of a voiced stretch."""
        self._voiced = False
        self._ahead = self._begun = 0  # samples from the start of the next frame to the pointer; to the last period
        self._length = 0.0  # of the last matched period, samples; 0 = none in this voiced stretch
        self._jitter = self._shimmer = 0.0  # stand until there are new periods

    def feed(self, audio: Array, start: int, f0: Array) -> Array:
        """Decided frames.

        Args:
            audio: samples; frame 0 of this call begins at `start`, and `PAST` samples before it must be there too.
            f0: (n,) Hz from 55 to 1000, 0 = unvoiced.
        Returns:
            (n, 2): jitter (a ratio), shimmer (dB); 0 where unvoiced or no two periods match.
        """
        out = np.zeros((len(f0), 2))
        if not f0.any():
            self.reset()
            return out
        sound = _Sound(audio[: start + (len(f0) - 1) * HOP + LONG])
        for row, hz in enumerate(f0.tolist()):
            if hz > 0.0:
                out[row] = self._frame(sound, start + row * HOP, SAMPLE_RATE / hz)
            else:
                self.reset()
        return out

    def _frame(self, sound: _Sound, begin: int, period: float) -> tuple[float, float]:
        place = begin + (self._ahead if self._ahead <= _LATEST else self._begun) if self._voiced else begin
        self._voiced = True
        low, high = int(period * (1.0 - _RANGE)), int(period * (1.0 + _RANGE))
        last = begin + HOP + _LATEST - 2 * math.ceil(period * (1.0 + _RANGE))
        lengths = changes = amplitudes = differences = 0.0  # sums
        matched = compared = 0
        more = True
        while more:
            begun = place
            length, match = sound.period(place, low, high) or (period, 0.0)
            step = round(length)
            if match >= _MATCH:
                here, after = sound.swings(place, step)
                amplitudes += here + after
                differences += abs(here - after)
                lengths += length
                matched += 1
                if self._length:
                    changes += abs(length - self._length)
                    compared += 1
                self._length = length
            place += step
            more = place <= last
        self._ahead, self._begun = place - begin - HOP, begun - begin - HOP
        if matched:
            self._shimmer = 20.0 * math.log10(1.0 + min(2.0 * differences / max(amplitudes, 1.0), 1.0))
        if compared:
            self._jitter = min((changes / compared) / (lengths / matched), 1.0)
        return self._jitter, self._shimmer


class _Sound:
    """Samples as 16-bit sound has them. Sums of such integers are exact, so any chunking gives the same bits."""

    def __init__(self, audio: Array) -> None:
        samples = audio * _FULL_SCALE
        self._samples = np.trunc(samples, out=samples)
        size, item = len(samples), samples.itemsize
        # Row n: samples from n on.
        self._from = np.ndarray((size - _SPREAD + 1, _SPREAD), np.float64, samples.data, strides=(item, item))
        # Running sums of samples (real) and squares (imaginary) give the mean and the energy of every stretch.
        both = np.zeros(size + 1, complex)
        both.real[1:] = samples
        squares = samples * samples
        squares += _SILENT
        both.imag[1:] = squares
        self._running = both.cumsum()

    def period(self, place: int, low: int, high: int) -> tuple[float, float] | None:
        """Length of the period at `place`, refined by a parabola, and the correlation coefficient there.

        For every length from `low` to `high`: that many samples from `place` on, and as many after them.
        """
        samples, running, spread = self._samples, self._running, high - low
        # Products of the first `low` samples, then of the 0 to `spread` samples that longer periods have more.
        match = np.correlate(samples[place + low : place + low + high], samples[place : place + low])
        more = self._from[place + 2 * low : place + low + high + 1, :spread] * _INSIDE[spread]
        match += more.dot(samples[place + low : place + high])
        middle = running[place + low : place + high + 1]
        first = middle - running[place]
        second = running[place + 2 * low : place + 2 * high + 1 : 2] - middle
        root = _ROOT[low : high + 1]
        a, b = first.real * root, second.real * root  # means, times root of length
        match -= a * b
        a *= a
        b *= b
        energies = (first.imag - a) * (second.imag - b)
        match /= np.sqrt(energies, out=energies)
        best = int(match.argmax())
        if not 0 < best < spread:
            best = _highest_peak(match.tolist())
            if not best:
                return None
        left, peak, right = match[best - 1 : best + 2].tolist()
        move = 0.5 * (left - right) / (left - 2.0 * peak + right)
        return low + best + move, peak - 0.25 * (left - right) * move

    def swings(self, place: int, length: int) -> tuple[float, float]:
        """Peak to peak of two periods, without the first and last sample of each."""
        two = self._samples[place + 1 : place + 2 * length - 1]
        ends = np.array([0, length - 2, length])
        first, _, second = (np.maximum.reduceat(two, ends) - np.minimum.reduceat(two, ends)).tolist()
        return first, second


def _highest_peak(values: list[float]) -> int:
    """Index of the highest local maximum, 0 if there is none."""
    best, peak = 0, -math.inf
    before = values[0]
    for k in range(1, len(values) - 1):
        value = values[k]
        if before < value > peak and value >= values[k + 1]:
            best, peak = k, value
        before = value
    return best
