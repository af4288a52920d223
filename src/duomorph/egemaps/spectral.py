"""Descriptors of the 20 ms power spectrum: loudness, balance, slopes, flux, MFCC 1-4.

One promise: row t depends on frame t alone, and flux also on frame t - 1.

    features, magnitude = spectral(power20, previous_magnitude)   # (T, 10), (257,)

Sources: GeMAPS (Eyben et al. 2016), section 3; loudness: Hermansky 1990 (PLP equal loudness, cube root) summed over
26 mel bands; MFCC: The HTK Book 3.4, section 5.6; the band edges as the reference tool uses them (docs/egemaps.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from duomorph.egemaps.frames import SAMPLE_RATE, SHORT_FFT, Array, times

COUNT: Final = 10  # loudness, alpha ratio, Hammarberg, two slopes, flux, MFCC 1-4
_BANDS: Final = 26
_FLOOR: Final = 1e-14  # power under which a bin counts as silent
_FREQUENCY: Final = np.arange(SHORT_FFT // 2 + 1) * SAMPLE_RATE / SHORT_FFT  # Hz
_KHZ: Final = 32  # bins in 1 kHz


def _mel(hz: Array) -> Array:
    mel: Array = 1127.0 * np.log1p(hz / 700.0)
    return mel


def _filters() -> tuple[Array, Array]:
    """(257, 26) triangles on the mel scale from 20 to 8000 Hz, and their centres in Hz."""
    edges = np.linspace(_mel(np.array(20.0)), _mel(np.array(8000.0)), _BANDS + 2)
    mel = _mel(_FREQUENCY)[:, None]
    rise = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    weights = np.clip(np.minimum(rise, fall), 0.0, None)
    weights[:2] = 0.0  # the reference leaves out DC and the bin at 31 Hz
    return weights, 700.0 * np.expm1(edges[1:-1] / 1127.0)


def _equal_loudness(hz: Array) -> Array:
    """Hermansky's curve with its high-frequency term, scaled as the reference scales it."""
    w = (2 * np.pi * hz) ** 2
    curve = w**2 * (w + 56.8e6) / ((w + 6.3e6) ** 2 * (w + 0.38e9))
    return np.asarray(curve / 0.17 / (1.0 + w**3.5 / 1.7e31))


def _slope(first: int, last: int) -> Array:
    """(257,) weights whose product with a dB spectrum is the slope over bins first..last in dB/Hz.

    Least squares; the reference divides its sums by one bin less than it sums, and so do we.
    """
    bins = np.arange(first, last + 1)
    f = _FREQUENCY[bins]
    n = len(bins) - 1
    weights = np.zeros(len(_FREQUENCY))
    weights[bins] = (f - f.sum() / n) / ((f**2).sum() - f.sum() ** 2 / n)
    return weights


_MEL, _CENTRES = _filters()
_EAR: Final = _equal_loudness(_CENTRES)
_SLOPES: Final = np.stack([_slope(0, 16), _slope(16, 48)], axis=1)[:49]  # 0-500 and 500-1500 Hz
_ORDER: Final = np.arange(1, 5)
_DCT: Final = (  # (26, 4), HTK scaling and liftering with L = 22
    np.sqrt(2.0 / _BANDS)
    * np.cos(np.pi * (np.arange(_BANDS)[:, None] + 0.5) * _ORDER / _BANDS)
    * (1.0 + 11.0 * np.sin(np.pi * _ORDER / 22.0))
)
_PCM: Final = 32767.0**2  # HTK works on 16-bit samples


def _balance(over: Array, under: Array) -> Array:
    """A ratio of powers in dB, 0 in digital silence."""
    return np.asarray(10 * np.log10(np.maximum(over, _FLOOR) / np.maximum(under, _FLOOR)))


def spectral(power: Array, before: Array | None) -> tuple[Array, Array]:
    """The ten descriptors of each frame.

    Args:
        power: (T, 257) power spectra of Hamming frames, T >= 1.
        before: (257,) magnitude of the frame before the first, None at the start of the sound.
    Returns:
        (T, 10), and the last frame's magnitude to hand to the next call.
    """
    out = np.empty((len(power), COUNT))
    mel = times(power, _MEL)  # (T, 26)
    out[:, 0] = ((mel * _EAR) ** 0.33).sum(axis=1) / _BANDS
    out[:, 1] = _balance(power[:, _KHZ : 5 * _KHZ + 1].sum(axis=1), power[:, :_KHZ].sum(axis=1))
    out[:, 2] = _balance(power[:, : 2 * _KHZ].max(axis=1), power[:, 2 * _KHZ : 5 * _KHZ + 1].max(axis=1))
    out[:, 3:5] = times(10 * np.log10(np.maximum(power[:, :49], _FLOOR)), _SLOPES)
    magnitude = np.sqrt(power)
    shifted = np.concatenate([magnitude[:1] if before is None else before[None], magnitude[:-1]])
    out[:, 5] = np.sqrt((((magnitude - shifted)[:, : 5 * _KHZ]) ** 2).sum(axis=1) / (5 * _KHZ))
    out[:, 6:] = times(np.log(np.maximum(mel * _PCM, 1.0)), _DCT)
    return out, magnitude[-1]
