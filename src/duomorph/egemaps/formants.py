"""Formants 1-3: centre and bandwidth from the roots of a linear predictor.

One promise: the numbers are openSMILE's, with its peculiar resampler, because that is what eGeMAPS means in practice.

    frequencies, bandwidths = formants(hamming_frames)      # (T, 3) Hz each
    frequencies, bandwidths = true_formants(hamming_frames) # the same of the vocal tract itself

Source: Markel & Gray 1976 (autocorrelation method, root solving); order 11 at 11 kHz as GeMAPS says. What the
reference does beyond that is found by measurement and told in docs/egemaps.md: only the lowest 110 DFT bins survive
its resampling (0-3.4 kHz), the last third of the window is cut off, and the roots are those of 1 - sum a z^-k.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from duomorph.egemaps.frames import SHORT, SHORT_FFT, Array, times

RATE: Final = 11_000  # Hz after resampling
ORDER: Final = 11
COUNT: Final = 3
_LOWEST: Final = 50.0  # Hz
_HIGHEST: Final = 5450.0
_TRUE_LOWEST: Final = 90.0  # Hz; below it roots shape the slope of the spectrum
_TRUE_WIDEST: Final = 700.0  # Hz; so do those as wide as this


def _resampler(first: int, bins: Array) -> Array:
    """(320, 220): a windowed 16 kHz frame to 11 kHz, by DFT synthesis.

    `first`: where the frame begins in the 512-point DFT. `bins`: weight of each of the lowest bins.
    """
    k = np.arange(len(bins))
    heard = 2 * np.pi / SHORT_FFT * np.outer(np.arange(SHORT) + first, k)  # phase of each bin
    given = 2 * np.pi / (SHORT_FFT * RATE / 16_000) * np.outer(k, np.arange(SHORT * RATE // 16_000))
    scale = bins / SHORT_FFT
    return np.asarray((np.cos(heard) * scale) @ np.cos(given) + (np.sin(heard) * scale) @ np.sin(given))


# The reference: the frame sits in the middle of the DFT, so 66 of 220 output samples are empty and 66 fall off the end.
_RESAMPLE: Final = _resampler((SHORT_FFT - SHORT) // 2, np.full(SHORT * RATE // 32_000, 2.0))


def predictor(r: Array) -> Array:
    """(T, 12) autocorrelation -> (T, 12) prediction-error filters 1, a1, ..., a11 (Levinson-Durbin)."""
    a = np.zeros_like(r)
    a[:, 0] = 1.0
    error = r[:, 0] + 1e-30
    for i in range(1, r.shape[1]):
        k = np.einsum("ij,ij->i", a[:, :i], r[:, i:0:-1])
        k /= -error
        np.clip(k, -1.0, 1.0, out=k)
        a[:, 1 : i + 1] += k[:, None] * a[:, i - 1 :: -1]
        error *= 1.0 - k * k
        error += 1e-30
    return a


def formants(windowed: Array) -> tuple[Array, Array]:
    """(T, 320) Hamming frames -> (T, 3) centre frequencies and (T, 3) bandwidths in Hz; 0 where there is none."""
    return _resonances(_coefficients(times(windowed, _RESAMPLE)), _LOWEST, np.inf)


def true_formants(windowed: Array) -> tuple[Array, Array]:
    """As `formants`, without the reference's peculiarities: what phonetics calls F1-F3."""
    whole = _resampler(0, np.append(1.0, np.full(SHORT_FFT * RATE // 32_000 - 1, 2.0)))  # every bin under 5.5 kHz
    return _resonances(-_coefficients(windowed @ whole), _TRUE_LOWEST, _TRUE_WIDEST)


def _coefficients(low: Array) -> Array:
    """(T, 220) frames at 11 kHz -> (T, 11) coefficients of their linear predictors."""
    size = low.shape[1]
    r = np.empty((len(low), ORDER + 1))
    for lag in range(ORDER + 1):
        np.einsum("ij,ij->i", low[:, : size - lag], low[:, lag:], out=r[:, lag])
    return predictor(r)[:, 1:]


def _resonances(a: Array, lowest: float, widest: float) -> tuple[Array, Array]:
    """The three lowest roots of z^11 - a1 z^10 - ... - a11 above the real axis, as frequency and bandwidth in Hz."""
    companion = np.zeros((len(a), ORDER, ORDER))
    companion[:, np.arange(1, ORDER), np.arange(ORDER - 1)] = 1.0
    companion[:, 0] = a
    roots = np.linalg.eigvals(companion).astype(np.complex128)  # (T, 11)
    hz = np.angle(roots) * (RATE / (2 * np.pi))
    width = np.abs(np.log(np.maximum(np.abs(roots), 1e-12))) * (RATE / np.pi)
    usable = (hz >= lowest) & (hz <= _HIGHEST) & (width <= widest)
    order = np.argsort(np.where(usable, hz, np.inf), axis=1, kind="stable")[:, :COUNT]
    rows = np.arange(len(a))[:, None]
    found = usable[rows, order]
    return np.where(found, hz[rows, order], 0.0), np.where(found, width[rows, order], 0.0)
