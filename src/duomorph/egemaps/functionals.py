"""The 88 functionals: statistics of contours over an utterance or a window.

One promise: a pure function of the contour rows it is given; no rows give zeros, and nothing is ever NaN or infinite.

    row = functionals(contours(audio))      # (88,)

Source: GeMAPS (Eyben et al. 2016), section 3.2, and the published configuration. Slopes: each rise goes from a valley to
the next peak, each fall from a peak to the next valley.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.egemaps import contours as c
from duomorph.egemaps.frames import FRAME_RATE, Array
from duomorph.egemaps.names import FUNCTIONAL_NAMES

COUNT: Final = len(FUNCTIONAL_NAMES)  # 88
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
    x = np.asarray(rows, dtype=np.float64)
    f0 = x[:, c.F0]
    out[0:10] = _profile(f0[f0 > 0.0])
    out[10:20] = _profile(x[:, c.LOUDNESS])
    out[20:30] = _moments(x[:, c.ALL], np.ones((len(x), 5), dtype=bool)).ravel()
    voice = x[:, c.VOICE.start : c.VOICED_SPECTRUM.stop]
    out[30:76] = _moments(voice, voice != 0.0).ravel()
    unvoiced = x[:, c.UNVOICED_SPECTRUM]
    out[76:81] = _moments(unvoiced, unvoiced != 0.0)[:, 0]
    seconds = len(x) / FRAME_RATE
    peaks, _, _ = _peaks(x[:, c.LOUDNESS])
    out[81] = peaks / seconds
    out[82:87] = _segments(f0 > 0.0, seconds)
    out[87] = 10.0 * np.log10(max(float(x[:, c.ENERGY].mean()), 1e-12))
    return out.astype(np.float32)


def _moments(x: Array, used: NDArray[np.bool_]) -> Array:
    """(N, 2): mean, and standard deviation over mean, of the used values of each column."""
    count = np.maximum(used.sum(axis=0), 1)
    mean = np.where(used, x, 0.0).sum(axis=0) / count
    variance = (np.where(used, x - mean, 0.0) ** 2).sum(axis=0) / count
    ratio = np.where(mean != 0.0, np.sqrt(variance) / np.where(mean != 0.0, mean, 1.0), 0.0)
    return np.stack([mean, ratio], axis=1)


def _profile(x: Array) -> Array:
    """(10,): mean, deviation, three percentiles and their range, mean and deviation of rises and falls per second."""
    out = np.zeros(10)
    if not len(x):
        return out
    out[0:2] = _moments(x[:, None], np.ones((len(x), 1), dtype=bool))[0]
    out[2:5] = np.percentile(x, [20.0, 50.0, 80.0])
    out[5] = out[4] - out[2]
    _, rises, falls = _peaks(x)
    if len(rises):
        out[6], out[7] = rises.mean(), rises.std()
    if len(falls):
        out[8], out[9] = falls.mean(), falls.std()
    return out


def _peaks(x: Array) -> tuple[int, Array, Array]:
    """Number of peaks, and the slopes of rises and falls between peaks and valleys, units per second."""
    turns = np.flatnonzero(np.diff(np.sign(np.diff(x))) != 0) + 1
    threshold = _RELATIVE * float(x.max() - x.min())
    kept: list[int] = []  # alternating extremes that differ by at least the threshold
    for t in [0, *turns.tolist(), len(x) - 1]:
        if not kept:
            kept.append(t)
        elif len(kept) >= 2 and (x[t] - x[kept[-1]]) * (x[kept[-1]] - x[kept[-2]]) > 0:
            kept[-1] = t  # goes on in the same direction
        elif abs(x[t] - x[kept[-1]]) >= threshold and x[t] != x[kept[-1]]:
            kept.append(t)
    index = np.array(kept)
    steps = np.diff(x[index]) if len(index) > 1 else np.zeros(0)
    slopes = steps * FRAME_RATE / np.maximum(np.diff(index), 1) if len(index) > 1 else np.zeros(0)
    peaks = int(((steps[:-1] > 0) & (steps[1:] < 0)).sum())
    return peaks, slopes[slopes > 0], -slopes[slopes < 0]


def _segments(voiced: NDArray[np.bool_], seconds: float) -> Array:
    """(5,): voiced segments per second, mean and deviation of voiced, then of unvoiced segment lengths in s."""
    spoken, silent = _runs(voiced), _runs(~voiced)
    out = np.zeros(5)
    out[0] = len(spoken) / seconds
    if len(spoken):
        out[1:3] = spoken.mean(), spoken.std()
    if len(silent):
        out[3:5] = silent.mean(), silent.std()
    return out


def _runs(state: NDArray[np.bool_]) -> Array:
    """Lengths in s, first frame to last, of the stretches where `state` holds.

    As the reference counts: a gap of one frame does not part a stretch, stretches under three frames do not count.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], state, [False]])))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return np.zeros(0)
    parted = starts[1:] - stops[:-1] > 1
    lengths = stops[np.append(parted, True)] - starts[np.append(True, parted)]
    return (lengths[lengths >= 3] - 1) / FRAME_RATE
