"""From descriptors to smooth contours: gating by voicing, and the three-frame moving averages.

One promise: row t of the output needs rows t - 1, t, t + 1 of the input and nothing else, in any chunking.

    smoother = Smoother(nonzero)            # (N,) bool: which columns leave zeros out
    rows = smoother.feed(raw)               # lags one row
    rows = smoother.finish()

A raw row has 26 numbers: the 25 descriptors before smoothing, then the frame's mean square. A contour row has 36:
what the functionals need, where voiced-only descriptors are zero outside the voice.

Source: GeMAPS (Eyben et al. 2016), section 3 and the published configuration (sma3, sma3nz).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.egemaps.frames import Array

RAW: Final = 26
COUNT: Final = 36
_F0: Final = 10  # raw column
_LOUDNESS: Final = 0
_ALL: Final = np.array([5, 6, 7, 8, 9])  # flux, MFCC
_VOICE: Final = np.arange(11, 25)
_FORMANTS: Final = np.array([5, 6, 8, 9, 11, 12])  # of _VOICE: frequency and bandwidth of F1, F2, F3
_SPECTRAL: Final = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9])
_ENERGY: Final = 25

# Contour columns.
F0: Final = 0
LOUDNESS: Final = 1
ALL: Final = slice(2, 7)
VOICE: Final = slice(7, 21)
VOICED_SPECTRUM: Final = slice(21, 30)
UNVOICED_SPECTRUM: Final = slice(30, 35)
ENERGY: Final = 35

LLD_NONZERO: Final = np.arange(RAW) >= 10
CONTOUR_NONZERO: Final = np.array([c == F0 or 7 <= c < ENERGY for c in range(COUNT)])


def gate(raw: Array) -> Array:
    """(T, 26) raw descriptors -> (T, 36) contours before smoothing."""
    voiced = raw[:, _F0 : _F0 + 1] > 0.0
    out = np.empty((len(raw), COUNT))
    out[:, F0] = raw[:, _F0]
    out[:, LOUDNESS] = raw[:, _LOUDNESS]
    out[:, ALL] = raw[:, _ALL]
    voice = raw[:, _VOICE]
    voice[:, _FORMANTS] *= voiced
    out[:, VOICE] = voice
    out[:, VOICED_SPECTRUM] = raw[:, _SPECTRAL] * voiced
    out[:, UNVOICED_SPECTRUM] = raw[:, _SPECTRAL[:5]] * ~voiced
    out[:, ENERGY] = raw[:, _ENERGY]
    return out


class Smoother:
    """Mean of three rows; in `nonzero` columns the mean of those that are not zero, and zero stays zero."""

    def __init__(self, nonzero: NDArray[np.bool_]) -> None:
        self._nonzero = nonzero
        self.reset()

    def reset(self) -> None:
        """Back to the start of a sound."""
        self._last = np.zeros((0, len(self._nonzero)))  # the last two rows fed

    def feed(self, rows: Array) -> Array:
        """(n, N) rows -> the rows that are now complete: one behind."""
        if not len(rows):
            return np.zeros((0, len(self._nonzero)))
        if not len(self._last):
            self._last = rows[:1]  # the first row stands in for the one before it
        known = np.concatenate([self._last, rows])
        self._last = known[-2:].copy()
        return self._mean(known)

    def finish(self) -> Array:
        """The last row; it stands in for the one after it."""
        if not len(self._last):
            return np.zeros((0, len(self._nonzero)))
        return self._mean(np.concatenate([self._last, self._last[-1:]]))

    def _mean(self, known: Array) -> Array:
        before, here, after = known[:-2], known[1:-1], known[2:]
        total = before + here + after
        count = (before != 0.0) * 1.0 + (here != 0.0) + (after != 0.0)
        smooth = np.where(here != 0.0, total / np.maximum(count, 1.0), 0.0)
        return np.where(self._nonzero, smooth, total / 3.0)
