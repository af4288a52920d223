"""Live sound of any rate to 16 kHz, at once.

One promise: any chunking gives the same bits, and a sample is out as soon as it is in: what the filter delays,
`delay_s`, is a quarter of a millisecond from 48 kHz.

    resampler = LiveResampler(48_000)
    sound = resampler.feed(samples)      # (n,) at 48 kHz -> (m,) at 16 kHz; m = n / 3, to the nearest over the whole

A polyphase FIR of minimum phase: flat to 7.3 kHz and 60 dB down from 8 kHz on, as the filter that files pass
(`duomorph.audio`), whose linear phase would hold back 20 to 40 ms. The features read power, not phase.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import SAMPLE_RATE
from duomorph.errors import AudioError
from duomorph.sliding import sliding

Float32 = NDArray[np.float32]

MIN_RATE: Final = 8_000  # Hz
MAX_RATE: Final = 192_000
STOP_DB: Final = 60.0
PASS: Final = 0.9125  # end of the flat band, of half the lower rate; the stop band begins at half the lower rate


class LiveResampler:
    """Mono sound, chunk by chunk; what comes out of N samples are the first ceil(N * 16000 / rate)."""

    def __init__(self, rate: int) -> None:
        """Raises AudioError: a rate that is no whole number of Hz from 8000 to 192000."""
        if not (isinstance(rate, int | np.integer) and MIN_RATE <= rate <= MAX_RATE):
            got = f"got a sample rate of {rate!r:.40} Hz"
            raise AudioError(f"{got}: expected a whole number from {MIN_RATE} to {MAX_RATE}; 16000 is best")
        self.rate = int(rate)
        ratio = Fraction(SAMPLE_RATE, self.rate)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._bank = _bank(self.rate)  # (up, taps)
        self.reset()

    def reset(self) -> None:
        """Back to the start of a sound: silence before it."""
        self._tail = np.zeros(self._bank.shape[1] - 1, dtype=np.float32)
        self._taken = self._given = 0

    @property
    def delay_s(self) -> float:
        """Mean group delay of the filter for white sound: the centre of its impulse response's energy."""
        if self._up == self._down:
            return 0.0
        energy = np.square(self._bank.T.ravel().astype(np.float64))  # taps in their order, at up times the rate
        return float(np.arange(len(energy)) @ energy / energy.sum() / (self.rate * self._up))

    def feed(self, samples: Float32) -> Float32:
        """(n,) float32 at `rate` -> (m,) float32 at 16 kHz; any n, 0 too."""
        if self._up == self._down or not len(samples):
            return samples
        sound = np.concatenate([self._tail, samples])
        before, self._taken = self._taken, self._taken + len(samples)
        total = -(-self._taken * self._up // self._down)
        place = np.arange(self._given, total) * self._down  # of each output, in samples of the source times up
        self._given = total
        self._tail = sound[len(sound) - len(self._tail) :].copy()
        windows = sliding(sound, self._bank.shape[1])[place // self._up - before]
        out: Float32 = (windows * self._bank[place % self._up, ::-1]).sum(axis=1)  # row by row: no chunking shows
        return out


@cache
def _bank(rate: int) -> Float32:
    """(up, taps): every `up`th tap of a low pass at `up` times the rate, one row for each phase."""
    up = Fraction(SAMPLE_RATE, rate).numerator
    if rate == SAMPLE_RATE:
        return np.ones((1, 1), dtype=np.float32)
    edge = min(rate, SAMPLE_RATE) / 2 / (rate * up)  # of the stop band, in cycles a sample
    width = (1 - PASS) * edge
    count = math.ceil((STOP_DB - 7.95) / (2.285 * 2 * math.pi * width)) // up * up + up
    taps = _minimum_phase(_low_pass(count, edge - width / 2)) * up
    bank: Float32 = taps.reshape(-1, up).T.astype(np.float32)
    return np.ascontiguousarray(bank)


def _low_pass(count: int, cutoff: float) -> NDArray[np.float64]:
    """(count,) taps. Source: Kaiser 1974, window method."""
    time = np.arange(count) - (count - 1) / 2
    window = np.kaiser(count, 0.1102 * (STOP_DB - 8.7))
    taps: NDArray[np.float64] = 2 * cutoff * np.sinc(2 * cutoff * time) * window
    return taps


def _minimum_phase(taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The filter of the same power response that answers soonest. Source: Oppenheim & Schafer 1989, 12.4, cepstrum."""
    size = 1 << math.ceil(math.log2(8 * len(taps)))
    power = np.abs(np.fft.fft(taps, size))
    cepstrum = np.fft.ifft(np.log(np.maximum(power, 1e-6 * power.max()))).real
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    soonest: NDArray[np.float64] = np.fft.ifft(np.exp(np.fft.fft(cepstrum))).real[: len(taps)]
    return soonest
