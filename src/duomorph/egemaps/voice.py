"""Voice quality of decided frames: harmonics-to-noise ratio, harmonic differences, formant levels.

One promise: row t depends on frame t's spectrum, F0 and formants alone.

    rows = harmonics(magnitude60, f0, formant_hz)   # (T, 6): HNR, H1-H2, H1-A3, A1, A2, A3

Sources: HNR from the autocorrelation at the pitch period: Boersma 1993; harmonic differences and formant levels:
GeMAPS (Eyben et al. 2016). Which harmonic the reference calls H1, how far it looks for a peak and its values for
unvoiced frames are measured (docs/egemaps.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.egemaps.frames import LONG_FFT, SAMPLE_RATE, Array, Single

COUNT: Final = 6
SILENT: Final = -201.0  # dB, level of what is not there
_BIN: Final = SAMPLE_RATE / LONG_FFT  # Hz
_BINS: Final = LONG_FFT // 2 + 1
_HARMONICS: Final = 100
_FEW: Final = 24
_LEAST_HNR: Final = 0.1  # -10 dB: the reference never says less, however far its F0 is off
_MISSING: Final = -200.0  # dB over F0, level of a harmonic without a peak
_REACH: Final = 0.2  # a formant's level is that of the strongest harmonic within 20 %


def _db(magnitude: Array) -> Array:
    out: Array = np.maximum(20.0 * np.log10(np.maximum(magnitude, 1e-30)), SILENT)
    return out


def _nearest_peaks(magnitude: Single, centre: Array, half: Array) -> tuple[Array, Array]:
    """The local maximum nearest to each point, not farther than `half` bins: its place and its height (parabola).

    Args:
        magnitude: (T, bins); centre: (T, N) in bins; half: (T,) in bins.
    Returns:
        (T, N) place in bins and (T, N) height, 0 where there is no peak.
    """
    count, size = magnitude.shape
    heights = magnitude.ravel()  # all rows on one axis, one behind the other
    peak = np.zeros((count, size), dtype=bool)
    np.logical_and(heights[1:-1] > heights[:-2], heights[1:-1] > heights[2:], out=peak.ravel()[1:-1])
    peak[:, 0] = peak[:, -1] = False
    bins = np.flatnonzero(peak)
    left, middle, right = (heights[bins + side].astype(np.float64) for side in (-1, 0, 1))
    tilt = left - right
    move = 0.5 * tilt / (left - 2.0 * middle + right)
    bins = np.concatenate([[-size], bins, [(count + 1) * size]])
    places = bins + np.concatenate([[0.0], move, [0.0]])
    heights = np.concatenate([[0.0], middle - 0.25 * tilt * move, [0.0]])
    start = np.arange(0, count * size, size)[:, None]
    point = start + centre
    after = np.searchsorted(bins, start + np.minimum(centre, size - 2).astype(np.intp), side="right")
    # Where the two are as good as equally far, the parabola decides; so places are refined first.
    upper = np.abs(places[after] - point) < np.abs(places[after - 1] - point)
    upper &= bins[after] < start + size  # a peak below may be of the row before, but then it is too far away
    nearest = after - 1 + upper
    real = (centre <= size - 2) & (np.abs(bins[nearest] - point) <= half[:, None])
    return places[nearest] - start, np.where(real, heights[nearest], 0.0)


def hnr(magnitude: Single, f0: Array) -> Array:
    """(T,) dB: energy at the best lag near the period over the rest, for voiced frames."""
    # The autocorrelation is the DFT of the power spectrum, which is even: real in, real out.
    power = np.empty((len(f0), LONG_FFT))
    np.square(magnitude, out=power[:, :_BINS])
    power[:, _BINS:] = power[:, _BINS - 2 : 0 : -1]
    r = np.fft.rfft(power).real
    period = np.rint(SAMPLE_RATE / f0).astype(np.intp)
    near = np.clip(period[:, None] + np.arange(-3, 4), 1, LONG_FFT // 2)
    best = r[np.arange(len(r))[:, None], near].max(axis=1)
    rest = np.maximum(r[:, 0] - best, 1e-10 * r[:, 0] + 1e-30)
    return np.asarray(10.0 * np.log10(np.maximum(best / rest, _LEAST_HNR)))


def harmonics(magnitude: Single, f0: Array, formant_hz: Array) -> Array:
    """(T, 513), (T,), (T, 3) -> (T, 6): HNR, H1-H2, H1-A3, levels of F1-F3 over that of F0, all dB."""
    out = np.zeros((len(f0), COUNT))
    out[:, 3:] = SILENT
    voiced: NDArray[np.intp] = np.flatnonzero(f0 > 0.0)
    if len(voiced):
        # Harmonics are needed as far as a formant can ask for them; most frames ask for few.
        asked = np.maximum((1.0 + _REACH) * formant_hz[voiced].max(axis=1) / f0[voiced] + 1.5, 3.5)
        few = asked <= _FEW
        for some, count in ((few, _FEW), (~few, _HARMONICS)):
            rows = voiced[some]
            if len(rows):
                top = min(int((asked[some] * f0[rows]).max() / _BIN) + 3, _BINS)  # bins that can matter
                out[rows] = _voiced(magnitude[rows], f0[rows], formant_hz[rows], count, top)
    return out


def _voiced(magnitude: Single, f0: Array, formant_hz: Array, count: int, top: int) -> Array:
    """`harmonics` of voiced frames, looking for the first `count` harmonics in the lowest `top` bins."""
    step = f0 / _BIN
    place, height = _nearest_peaks(magnitude[:, :top], step[:, None] * np.arange(1, count + 1), 0.5 * step)
    around = np.clip(np.rint(step).astype(np.intp)[:, None] + np.arange(-1, 2), 0, _BINS - 1)
    fundamental = magnitude[np.arange(len(f0))[:, None], around].max(axis=1)
    level = np.where(height > 0.0, _db(height / np.maximum(fundamental, 1e-30)[:, None]), _MISSING)  # over F0
    level[:, 0] = 0.0
    rows = np.empty((len(f0), COUNT))
    rows[:, 0] = hnr(magnitude, f0)
    for i in range(3):
        centre = formant_hz[:, i : i + 1] / _BIN
        inside = (np.abs(place - centre) <= _REACH * centre) & (height > 0.0)
        strongest = np.where(inside, level, SILENT - 1.0).max(axis=1)
        rows[:, 3 + i] = np.where(inside.any(axis=1), strongest, 0.0)
    rows[:, 1] = np.maximum(level[:, 1] - level[:, 2], SILENT)
    rows[:, 2] = np.maximum(level[:, 1] - rows[:, 5], SILENT)
    return rows
