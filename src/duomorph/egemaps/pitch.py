"""F0 candidates of each 60 ms frame, by subharmonic summation on an octave scale.

One promise: candidates of frame t depend on frame t alone, best first.

    hz, voicing = candidates(magnitude60)       # (T, 513) -> (T, 6), (T, 6); 0 where there are fewer

Source: Hermes 1988, "Measurement of pitch by subharmonic summation": peaks enhanced, smoothed, interpolated by cubic
splines onto octaves, weighted by the ear's sensitivity, 15 harmonics compressed by 0.85; voicing = 1 - mean/peak
(Eyben, "Real-time Speech and Music Classification", 2016). Parameter values of the public eGeMAPSv02 configuration.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from duomorph.egemaps.frames import LONG_FFT, SAMPLE_RATE, Array, Single, times

COUNT: Final = 6
MIN_F0: Final = 55.0  # Hz
MAX_F0: Final = 1000.0
_BINS: Final = LONG_FFT // 2 + 1  # of the spectrum, and points on the octave axis
_BIN: Final = SAMPLE_RATE / LONG_FFT  # Hz
_LOWEST: Final = 25.0  # Hz, first point of the octave axis
_OCTAVES: Final = float(np.log2(SAMPLE_RATE / 2 / _LOWEST))
_HARMONICS: Final = 15
_COMPRESSION: Final = 0.85
_LOW: Final = 12  # bins, 190 Hz: under it a lone line is read off the spectrum itself
_BLOCK: Final = 50  # frames at once in the summation: stays in the cache


def _spline_matrix() -> Array:
    """(513, 513): 1/4-1/2-1/4 smoothing, natural cubic spline to the octave axis, ear weighting, in one."""
    smooth = 0.5 * np.eye(_BINS) + 0.25 * np.eye(_BINS, k=1) + 0.25 * np.eye(_BINS, k=-1)
    smooth[0] = smooth[-1] = 0.0
    smooth[0, 0] = smooth[-1, -1] = 1.0
    system = 4.0 * np.eye(_BINS) + np.eye(_BINS, k=1) + np.eye(_BINS, k=-1)
    system[0] = system[-1] = 0.0
    system[0, 0] = system[-1, -1] = 1.0
    second = 6.0 * (np.eye(_BINS, k=1) + np.eye(_BINS, k=-1) - 2.0 * np.eye(_BINS))
    second[0] = second[-1] = 0.0
    curvature = np.linalg.solve(system, second)  # second derivatives of the spline per unit ordinate
    hz = _LOWEST * 2.0 ** (np.arange(_BINS) * (_OCTAVES / (_BINS - 1)))
    place = np.minimum(hz / _BIN, _BINS - 1)
    left = np.minimum(place.astype(np.intp), _BINS - 2)
    b = (place - left)[:, None]
    a = 1.0 - b
    identity = np.eye(_BINS)
    spline = a * identity[left] + b * identity[left + 1]
    spline += ((a**3 - a) * curvature[left] + (b**3 - b) * curvature[left + 1]) / 6.0
    ear = 0.5 + np.arctan(3.0 * np.log2(hz / 32.0)) / np.pi
    return np.asarray((ear[:, None] * (spline @ smooth)).T)


def _bands() -> list[tuple[slice, slice, Single]]:
    """The matrix cut into octaves: each needs only the bins of its octave and a few beside them."""
    matrix = _spline_matrix().astype(np.float32)
    bands = []
    step = round((_BINS - 1) / _OCTAVES)  # points in an octave
    for start in range(0, _BINS, step):
        points = slice(start, min(start + step, _BINS))
        used = np.flatnonzero(np.abs(matrix[:, points]).max(axis=1) > 1e-9)
        bins = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((points, bins, np.ascontiguousarray(matrix[bins, points])))
    return bands


_BANDS: Final = _bands()
_SHIFTS: Final = [int(np.log2(n) * _BINS / _OCTAVES) for n in range(2, _HARMONICS + 1)]


def enhance(magnitude: Single) -> Single:
    """Keep each local maximum and two bins on either side of it; zero what lies between."""
    size = magnitude.shape[1]
    flat = magnitude.ravel()  # all rows on one axis, one behind the other
    peak = np.zeros(magnitude.shape, dtype=bool)
    higher = flat[1:] > flat[:-1]
    np.logical_and(higher[:-1], flat[1:-1] > flat[2:], out=peak.ravel()[1:-1])
    peak[:, 0] = magnitude[:, 0] > magnitude[:, 1]
    peak[:, -1] = magnitude[:, -1] > magnitude[:, -2]
    keep = peak.copy()
    beside, peaks = keep.ravel(), peak.ravel()
    for shift in (1, 2):  # what reaches into another row is kept there anyway: it lies beyond that row's outer peaks
        beside[shift:] |= peaks[:-shift]
        beside[:-shift] |= peaks[shift:]
    some = peak.any(axis=1)
    first = np.where(some, peak.argmax(axis=1), size)
    last = np.where(some, size - 1 - peak[:, ::-1].argmax(axis=1), 0)
    bins = np.arange(size)
    keep |= (bins < first[:, None]) | (bins > last[:, None])
    return magnitude * keep


def octave_spectrum(magnitude: Single) -> Single:
    """(T, 513) magnitudes -> (T, 513) on the octave axis."""
    sharp = enhance(magnitude)
    out = np.empty_like(sharp)
    for points, bins, matrix in _BANDS:
        out[:, points] = times(sharp[:, bins], matrix)
    return np.maximum(out, 0.0, out=out)


def summation(octave: Single) -> Single:
    """(T, 513): each point collects 15 harmonics, the n-th weighted by 0.85^(n-1)."""
    total = np.empty_like(octave)
    for start in range(0, len(octave), _BLOCK):
        points = np.ascontiguousarray(octave[start : start + _BLOCK].T)  # (513, t): a shift is one long stretch
        sums = points.copy()
        part = np.empty_like(points)
        weight = 1.0
        for shift in _SHIFTS:
            weight *= _COMPRESSION
            sums[:-shift] += np.multiply(points[shift:], weight, out=part[shift:])
        total[start : start + _BLOCK] = sums.T
    return total


def _tone(magnitude: Single) -> Array:
    """(T,) Hz of spectra that are one low line and nothing else, 0 for all others.

    On the octave axis a bin of 15.6 Hz is wide down there, and a sine of 60 Hz comes out 2 % high. Voices have
    harmonics, so this never concerns them.
    """
    hz = np.zeros(len(magnitude))
    low = np.flatnonzero(magnitude[:, _LOW:].max(axis=1) < 0.01 * magnitude[:, 2:_LOW].max(axis=1))
    if len(low):
        top = magnitude[low, 2:_LOW].argmax(axis=1) + 2
        before, here, after = (np.log(magnitude[low, top + side] + 1e-30) for side in (-1, 0, 1))
        # The transform of a Gaussian window is a Gaussian: its logarithm is a parabola.
        hz[low] = _BIN * (top + 0.5 * (before - after) / np.minimum(before - 2.0 * here + after, -1e-9))
    return hz


def candidates(magnitude: Single) -> tuple[Array, Array]:
    """(T, 513) magnitudes -> F0 candidates in Hz and their voicing in [0, 1], (T, 6) each."""
    total = summation(octave_spectrum(magnitude))
    mean = total.mean(axis=1, dtype=np.float64)
    flat = total.ravel()
    peak = total > mean[:, None]
    peak[:, 0] = peak[:, -1] = False
    inner = peak.ravel()[1:-1]
    inner &= flat[1:-1] > flat[:-2]
    inner &= flat[1:-1] > flat[2:]
    # Peaks are few: each row's are moved to its left end, and only those are sorted.
    row, place = np.divmod(np.flatnonzero(peak), _BINS)
    count = np.bincount(row, minlength=len(total))
    column = np.arange(len(row)) - (np.cumsum(count) - count)[row]
    strength = np.zeros((len(total), max(int(count.max()), COUNT)), np.float32)
    point = np.zeros(strength.shape, np.intp)
    strength[row, column] = -total[row, place]
    point[row, column] = place
    rows = np.arange(len(total))[:, None]
    order = np.argsort(strength, axis=1, kind="stable")[:, :COUNT]
    best = point[rows, order]
    real = strength[rows, order] < 0.0
    low, middle, high = (total[rows, best + side].astype(np.float64) for side in (-1, 0, 1))
    bend = low - 2.0 * middle + high
    # parabola through the peak; a peak lies within half a bin, what is none may lie anywhere
    move = np.clip(0.5 * (low - high) / np.where(bend < 0.0, bend, -1.0), -1.0, 1.0)
    score = middle - 0.25 * (low - high) * move
    hz = _LOWEST * 2.0 ** ((best + move) * (_OCTAVES / (_BINS - 1)))
    tone = _tone(magnitude)
    hz[:, 0] = np.where((tone > 0.0) & real[:, 0], tone, hz[:, 0])
    real &= (hz >= MIN_F0) & (hz <= MAX_F0)
    voicing = np.where(real, 1.0 - mean[:, None] / np.where(score > 0.0, score, 1.0), 0.0)
    order = np.argsort(~real, axis=1, kind="stable")  # those out of range leave no gap
    return np.where(real, hz, 0.0)[rows, order], voicing[rows, order]
