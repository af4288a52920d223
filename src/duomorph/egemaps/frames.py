"""Frames of sound and their spectra: the two views that every descriptor looks at.

One promise: frame t is the samples from 160 t on, 20 ms of them for the spectral view and 60 ms for the pitch view,
and its numbers do not depend on how many frames are computed at once.

    short = power(cut(audio, SHORT, frames), SHORT_WINDOW, SHORT_FFT)     # (T, 257)

Source: GeMAPS (Eyben et al. 2016), section 3: 20 ms Hamming and 60 ms Gaussian (sigma 0.4) frames, 10 ms hop;
parameter values of the public eGeMAPSv02 configuration.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Single = NDArray[np.float32]  # where pitch is searched: openSMILE's own precision, and half the memory traffic
Real = TypeVar("Real", np.float32, np.float64)

SAMPLE_RATE: Final = 16_000  # Hz
HOP: Final = 160  # samples, 10 ms
FRAME_RATE: Final = SAMPLE_RATE // HOP  # Hz
SHORT: Final = 320  # samples, 20 ms
LONG: Final = 960  # samples, 60 ms
SHORT_FFT: Final = 512
LONG_FFT: Final = 1024
GROUP: Final = 5  # frames that are always computed together, see `times`

_n = np.arange(SHORT)
SHORT_WINDOW: Final[Array] = 0.54 - 0.46 * np.cos(2 * np.pi * _n / (SHORT - 1))  # Hamming
_away = np.arange(LONG) - (LONG - 1) / 2
LONG_WINDOW: Final[Array] = np.exp(-0.5 * (_away / (0.4 * (LONG - 1) / 2)) ** 2)  # Gauss, sigma 0.4


def cut(audio: Array, size: int, frames: int) -> Array:
    """(frames, size): the first `frames` frames of `audio`, a view. Never write to it: frames overlap."""
    audio = np.ascontiguousarray(audio)
    return np.ndarray((frames, size), np.float64, audio.data, strides=(HOP * audio.itemsize, audio.itemsize))


def power(frames: Array, window: Array, fft: int) -> Array:
    """(T, size) frames and their (size,) window -> (T, fft/2 + 1): squared magnitude of the DFT."""
    padded = np.zeros((len(frames), fft))
    np.multiply(frames, window, out=padded[:, : len(window)])
    spectrum = np.fft.rfft(padded)
    out: Array = np.square(spectrum.real)
    out += np.square(spectrum.imag)
    return out


def times(rows: NDArray[Real], matrix: NDArray[Real]) -> NDArray[Real]:
    """`rows @ matrix`, five rows at a time: the same bits for a row however many rows come with it.

    A BLAS may sum in another order for another number of rows; a fixed shape forbids that.
    """
    count = len(rows)
    if count % GROUP:
        padded = np.zeros((count + GROUP - count % GROUP, rows.shape[1]), rows.dtype)
        padded[:count] = rows
        rows = padded
    out: NDArray[Real] = np.matmul(np.ascontiguousarray(rows).reshape(-1, GROUP, rows.shape[1]), matrix)
    return out.reshape(len(rows), -1)[:count]
