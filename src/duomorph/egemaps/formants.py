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

from duomorph.egemaps.frames import SAMPLE_RATE, SHORT, SHORT_FFT, Array

RATE: Final = 11_000  # Hz after resampling
ORDER: Final = 11
COUNT: Final = 3
_LOWEST: Final = 50.0  # Hz
_HIGHEST: Final = 5450.0
_TRUE_LOWEST: Final = 90.0  # Hz; below it roots shape the slope of the spectrum
_TRUE_WIDEST: Final = 700.0  # Hz; so do those as wide as this


def _resampled(windowed: Array, first: int, bins: int, constant: float) -> Array:
    """(T, 320) windowed frames -> (T, 220) at 11 kHz: of their spectra the lowest bins alone, made sound again.

    `first`: where the frame begins in the 512-point DFT. `constant`: weight of the bin at 0 Hz.
    """
    padded = np.zeros((len(windowed), SHORT_FFT))
    padded[:, first : first + SHORT] = windowed
    spectrum = np.fft.rfft(padded)[:, :bins]
    spectrum[:, 0] *= constant
    return np.fft.irfft(spectrum, SHORT_FFT * RATE // SAMPLE_RATE)[:, : SHORT * RATE // SAMPLE_RATE]


def predictor(r: Array) -> Array:
    """(T, 12) autocorrelation -> (T, 12) prediction-error filters 1, a1, ..., a11 (Levinson-Durbin)."""
    a = np.zeros_like(r)
    a[:, 0] = 1.0
    error = r[:, 0] + 1e-30
    for i in range(1, r.shape[1]):
        k = np.einsum("ij,ij->i", a[:, :i], r[:, i:0:-1])
        k /= -error
        np.maximum(np.minimum(k, 1.0, out=k), -1.0, out=k)
        a[:, 1 : i + 1] += k[:, None] * a[:, i - 1 :: -1]
        error *= 1.0 - k * k
        error += 1e-30
    return a


def formants(windowed: Array) -> tuple[Array, Array]:
    """(T, 320) Hamming frames -> (T, 3) centre frequencies and (T, 3) bandwidths in Hz; 0 where there is none."""
    # The frame sits in the middle of the DFT, so 66 of 220 samples at 11 kHz are empty and 66 fall off the end.
    low = _resampled(windowed, (SHORT_FFT - SHORT) // 2, SHORT * RATE // 32_000, 2.0)
    return _resonances(_coefficients(low), _LOWEST, np.inf)


def true_formants(windowed: Array) -> tuple[Array, Array]:
    """As `formants`, without the reference's peculiarities: what phonetics calls F1-F3."""
    whole = _resampled(windowed, 0, SHORT_FFT * RATE // 32_000, 1.0)  # every bin under 5.5 kHz
    return _resonances(-_coefficients(whole), _TRUE_LOWEST, _TRUE_WIDEST)


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
