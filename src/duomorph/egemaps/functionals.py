"""The 88 functionals: statistics of contours over an utterance or a window.

One promise: a pure function of the contour rows it is given; no rows give zeros, and nothing is ever NaN or infinite.

    row = functionals(contours(audio))      # (88,)

Source: GeMAPS (Eyben et al. 2016), section 3.2, and the published configuration. Slopes: each rise goes from a valley
to the next peak, each fall from a peak to the next valley.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.egemaps import contours as c
from duomorph.egemaps.frames import FRAME_RATE, Array
from duomorph.egemaps.names import FUNCTIONAL_NAMES

COUNT: Final = len(FUNCTIONAL_NAMES)  # 88
_BLOCK: Final = 2000  # rows in double precision at once: a window of 20 s, and no more of a long sound
_ONE: Final[Array] = np.ones(_BLOCK)
_RELATIVE: Final = 0.1  # of the range: how deep a valley must be to part two peaks


def functionals(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """The 88 functionals of eGeMAPSv02.

    Args:
        rows: (T, 36) contour rows, as `contours(audio)` gives them; T may be 0.
    Returns:
        (88,) float32 in the order of `FUNCTIONAL_NAMES`.
    """
    out = np.zeros(COUNT)
    if not len(rows):
        return out.astype(np.float32)
    seconds = len(rows) / FRAME_RATE
    f0, loudness = rows[:, c.F0].astype(np.float64), rows[:, c.LOUDNESS].astype(np.float64)
    voiced = f0 > 0.0
    mean, ratio = _moments(rows)
    for first, last, column in ((20, 30, c.ALL.start), (30, 76, c.VOICE.start)):
        count = (last - first) // 2
        out[first:last:2] = mean[column : column + count]
        out[first + 1 : last : 2] = ratio[column : column + count]
    out[76:81] = mean[c.UNVOICED_SPECTRUM]
    for first, column, contour in ((0, c.F0, f0[voiced]), (10, c.LOUDNESS, loudness)):
        if not len(contour):
            continue
        out[first], out[first + 1] = mean[column], ratio[column]
        out[first + 2 : first + 5] = _percentiles(contour)
        out[first + 5] = out[first + 4] - out[first + 2]
        peaks, rises, falls = _slopes(contour)
        out[first + 6 : first + 8] = _mean_and_spread(rises)
        out[first + 8 : first + 10] = _mean_and_spread(falls)
        if first:
            out[81] = peaks / seconds
    out[82:87] = _segments(voiced, seconds)
    out[87] = 10.0 * np.log10(max(float(mean[c.ENERGY]), 1e-12))
    return out.astype(np.float32)


def _moments(rows: NDArray[np.floating]) -> tuple[Array, Array]:
    """Mean, and standard deviation over mean, of each column; zeros count only where the contour keeps them."""
    sums = np.zeros((3, rows.shape[1]))  # of values, of squares, of those that are not zero
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        x, one = part.astype(np.float64), _ONE[: len(part)]
        there = (part != 0.0).astype(np.float32)  # counts to 2000 are exact
        sums += one @ x, one @ np.square(x), one.astype(np.float32) @ there
    count = np.where(c.CONTOUR_NONZERO, np.maximum(sums[2], 1.0), len(rows))
    mean = sums[0] / count
    variance = np.maximum(sums[1] / count - mean * mean, 0.0)
    variance[variance < 1e-12 * mean * mean] = 0.0  # a constant contour, but for rounding
    return mean, np.where(mean != 0.0, np.sqrt(variance) / np.where(mean != 0.0, mean, 1.0), 0.0)


def _mean_and_spread(x: Array) -> tuple[float, float]:
    """Mean and standard deviation, 0 of nothing; a third of the time of numpy's own on short arrays."""
    if not len(x):
        return 0.0, 0.0
    mean = float(np.add.reduce(x)) / len(x)
    away = x - mean
    return mean, math.sqrt(float(away @ away) / len(x))


def _percentiles(x: Array) -> Array:
    """The 20th, 50th and 80th percentile, linear between ranks."""
    rank = np.array([0.2, 0.5, 0.8]) * (len(x) - 1)
    low = rank.astype(np.intp)
    high = np.minimum(low + 1, len(x) - 1)
    ordered = np.partition(x, np.concatenate([low, high]))
    return np.asarray(ordered[low] + (rank - low) * (ordered[high] - ordered[low]))


def _slopes(x: Array) -> tuple[int, Array, Array]:
    """Number of peaks, and the slopes of rises and falls between peaks and valleys, units per second."""
    rises, falls = x[1:] > x[:-1], x[1:] < x[:-1]
    turned = (rises[1:] != rises[:-1]) | (falls[1:] != falls[:-1])
    turns = np.concatenate([[0], np.flatnonzero(turned) + 1, [len(x) - 1]])
    heights = x[turns].tolist()
    threshold = max(_RELATIVE * float(x.max() - x.min()), np.finfo(np.float64).tiny)
    kept = [0]  # of the turns: alternating extremes that differ by at least the threshold
    last, direction = heights[0], 0.0
    for turn, height in enumerate(heights):
        step = height - last
        if step * direction > 0.0:  # goes on in the same direction
            kept[-1], last = turn, height
        elif step >= threshold or -step >= threshold:
            kept.append(turn)
            last, direction = height, step
    extremes = turns[kept]
    steps = np.diff(x[extremes])
    slopes = steps * FRAME_RATE / np.diff(extremes)
    up = steps > 0.0
    return int(np.count_nonzero(up[:-1] & ~up[1:])), slopes[up], -slopes[~up]


def _segments(voiced: NDArray[np.bool_], seconds: float) -> Array:
    """(5,): voiced segments per second, mean and deviation of voiced, then of unvoiced segment lengths in s."""
    edges = np.concatenate([[0], np.flatnonzero(voiced[1:] != voiced[:-1]) + 1, [len(voiced)]])
    first = 0 if voiced[0] else 1  # edge at which the first voiced stretch begins
    spoken, silent = _lengths(edges[first:]), _lengths(edges[1 - first :])
    out = np.zeros(5)
    out[0] = len(spoken) / seconds
    out[1:3], out[3:5] = _mean_and_spread(spoken), _mean_and_spread(silent)
    return out


def _lengths(edges: NDArray[np.intp]) -> Array:
    """Lengths in s, first frame to last, of the stretches from edges 0 to 1, 2 to 3, ...

    As the reference counts: a gap of one frame does not part a stretch, stretches under three frames do not count.
    """
    starts, stops = edges[:-1:2], edges[1::2]
    if not len(starts):
        return np.zeros(0)
    parted = starts[1:] - stops[:-1] > 1
    lengths = stops[np.append(parted, True)] - starts[np.append(True, parted)]
    return np.asarray((lengths[lengths >= 3] - 1) / FRAME_RATE)
