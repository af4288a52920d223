"""Jitter and shimmer: how much neighbouring glottal periods differ in length and in size.

One promise: row t depends on the 60 ms of frame t and its F0 alone.

    rows = perturbation(frames60, f0)       # (T, 2): local jitter, local shimmer in dB

Source: GeMAPS (Eyben et al. 2016): periods found by waveform matching around the period that F0 gives, jitter the mean
difference of neighbouring lengths over the mean length, shimmer the mean level difference of neighbouring amplitudes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from duomorph.egemaps.frames import LONG, SAMPLE_RATE, Array

_RANGE: Final = 0.1  # of the period, to either side
_MATCH: Final = 0.5  # correlation under which two periods are not of one voice
_MOST: Final = 14  # periods looked at in a frame


def perturbation(frames: Array, f0: Array) -> Array:
    """(T, 960) samples and (T,) F0 -> (T, 2) jitter (a ratio) and shimmer (dB); 0 where unvoiced or not periodic."""
    out = np.zeros((len(f0), 2))
    for row in np.flatnonzero(f0 > 0.0):
        out[row] = _frame(frames[row], float(f0[row]))
    return out


def _frame(x: Array, f0: float) -> Array:
    period = SAMPLE_RATE / f0
    size = round(period)
    low, high = int(np.floor(period * (1 - _RANGE))), int(np.ceil(period * (1 + _RANGE)))
    lags = np.arange(low, high + 1)
    start = 0
    lengths, levels = [], []
    while start + high + size + 1 < LONG and len(lengths) < _MOST:
        here = x[start : start + size]
        there = np.lib.stride_tricks.sliding_window_view(x[start + low : start + high + size], size)
        dot = there @ here
        norm = np.sqrt((there**2).sum(axis=1) * (here @ here)) + 1e-12
        match = dot / norm
        best = int(match.argmax())
        if match[best] >= _MATCH:
            move = 0.0
            if 0 < best < len(lags) - 1:
                a, b, c = match[best - 1], match[best], match[best + 1]
                bend = a - 2 * b + c
                move = 0.5 * (a - c) / bend if bend < 0 else 0.0
            lengths.append(float(lags[best]) + float(move))
            levels.append(float(here.max() - here.min()))
        start += int(lags[best])
    if len(lengths) < 2:
        return np.zeros(2)
    t, a = np.array(lengths), np.array(levels)
    jitter = np.abs(np.diff(t)).mean() / t.mean()
    shimmer = np.abs(20 * np.log10((a[1:] + 1e-9) / (a[:-1] + 1e-9))).mean()
    return np.array([jitter, shimmer])
