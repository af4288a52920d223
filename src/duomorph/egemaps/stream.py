"""The streams: samples in, descriptors out as they become final; and the sliding functionals every 300 ms.

One promise: any chunking gives the same rows as one call, and a stream holds less than a megabyte however long it runs.

    stream = LldStream()
    rows = stream.feed(samples)             # (n, 25), lags `stream.latency_s`
    rows = stream.finish()

    track = FunctionalTrack()
    rows = track.feed(samples)              # (u, 88), one for each 300 ms reached

Frames are computed in groups of five, vectorised over as many groups as a call brings.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import end_sample
from duomorph.egemaps import contours as c
from duomorph.egemaps.formants import formants, true_formants
from duomorph.egemaps.frames import (
    FRAME_RATE,
    GROUP,
    HOP,
    LONG,
    LONG_FFT,
    LONG_WINDOW,
    SAMPLE_RATE,
    SHORT,
    SHORT_FFT,
    SHORT_WINDOW,
    Array,
    cut,
    power,
)
from duomorph.egemaps.functionals import COUNT, functionals
from duomorph.egemaps.names import LLD_NAMES
from duomorph.egemaps.periods import PAST, Periods
from duomorph.egemaps.pitch import candidates
from duomorph.egemaps.spectral import spectral
from duomorph.egemaps.track import LAG, PitchPath
from duomorph.egemaps.voice import harmonics
from duomorph.errors import AudioError

Float32 = NDArray[np.float32]

_BLOCK: Final = 200  # frames at once: bounds the memory of a call
_QUIET: Final = 0.001**2 * LONG * LONG_FFT  # RMS 0.001 of the weighted 60 ms frame: under it nothing is voiced
_FORMANTS: Final = [16, 19, 22]  # columns of the raw row
_BANDWIDTHS: Final = [17, 20, 23]
_NO_CONTOURS: Final = np.zeros((0, c.COUNT), dtype=np.float32)
_REFERENCE: Final = 27.5  # Hz, 0 semitones


def check_samples(samples: NDArray[Any]) -> Array:
    """Samples as float64 in [-1, 1].

    Raises:
        AudioError: not a 1-D float32 array of finite numbers.
    """
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32 or samples.ndim != 1:
        got = f"{samples.dtype} of shape {samples.shape}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise AudioError(f"got {got}, expected mono float32 samples at 16 kHz, shape (S,); convert the sound first")
    if not np.isfinite(samples).all():
        raise AudioError("got NaN or infinite samples, expected finite numbers in [-1, 1]; repair the sound first")
    return np.clip(samples.astype(np.float64), -1.0, 1.0)


class RawStream:
    """Samples in, raw descriptor rows (n, 26) out; see `contours`.

    Args:
        formants_unvoiced: also find formants where there is no voice (the functionals do not read them).
    """

    def __init__(self, *, formants_unvoiced: bool) -> None:
        self._formants_unvoiced = formants_unvoiced
        self._path = PitchPath()
        self._periods = Periods()
        self.reset()

    def reset(self) -> None:
        """Back to the start of a sound."""
        self._path.reset()
        self._periods.reset()
        self._audio = np.zeros(PAST)  # from `PAST` samples before the first frame whose pitch is not decided
        self._seen = 0  # frames of `_audio` already analysed
        self._magnitude: Array | None = None  # of the last short frame, for the flux
        self._rows = np.zeros((0, c.RAW))  # analysed, pitch not decided
        self._magnitude60 = np.zeros((0, LONG_FFT // 2 + 1), np.float32)
        self._loud = np.zeros(0, dtype=bool)

    def feed(self, samples: Array) -> Array:
        """Checked samples -> (n, 26) rows whose pitch is now decided."""
        out = []
        step = _BLOCK * HOP
        for start in range(0, max(len(samples), 1), step):
            self._audio = np.concatenate([self._audio, samples[start : start + step]])
            ready = (len(self._audio) - PAST - LONG) // HOP + 1 - self._seen
            if ready >= GROUP:
                out.append(self._analyse(ready // GROUP * GROUP))
        return np.concatenate(out) if out else np.zeros((0, c.RAW))

    def finish(self) -> Array:
        """The rest of the rows."""
        ready = max((len(self._audio) - PAST - LONG) // HOP + 1 - self._seen, 0)
        out = [self._analyse(ready), self._decided(self._path.finish())]
        return np.concatenate(out)

    def _analyse(self, count: int) -> Array:
        if count <= 0:
            return np.zeros((0, c.RAW))
        audio = self._audio[PAST + self._seen * HOP :]
        self._seen += count
        short = cut(audio, SHORT, count)
        rows = np.zeros((count, c.RAW))
        rows[:, :10], self._magnitude = spectral(power(short, SHORT_WINDOW, SHORT_FFT), self._magnitude)
        rows[:, 25] = np.einsum("ij,ij->i", short, short) / SHORT
        spectrum = power(cut(audio, LONG, count), LONG_WINDOW, LONG_FFT)
        magnitude = np.sqrt(spectrum, dtype=np.float32)
        self._rows = np.concatenate([self._rows, rows])
        self._magnitude60 = np.concatenate([self._magnitude60, magnitude])
        energy = 2.0 * spectrum.sum(axis=1) - spectrum[:, 0] - spectrum[:, -1]  # of the weighted frame, by Parseval
        self._loud = np.concatenate([self._loud, energy > _QUIET])
        return self._decided(self._path.feed(*candidates(magnitude)))

    def _decided(self, f0: Array) -> Array:
        """Complete the oldest rows, whose F0 is now known, and let go of them."""
        count = len(f0)
        if not count:
            return np.zeros((0, c.RAW))
        rows = self._rows[:count]
        f0 = np.where(self._loud[:count], f0, 0.0)
        voiced = f0 > 0.0
        rows[:, 10] = np.where(voiced, 12.0 * np.log2(np.where(voiced, f0, _REFERENCE) / _REFERENCE), 0.0)
        asked = np.flatnonzero(voiced | self._formants_unvoiced)
        if len(asked):
            short = cut(self._audio[PAST:], SHORT, count)[asked] * SHORT_WINDOW
            rows[asked[:, None], _FORMANTS], rows[asked[:, None], _BANDWIDTHS] = formants(short)
        rows[:, 11:13] = self._periods.feed(self._audio, PAST, f0)
        voice = harmonics(self._magnitude60[:count], f0, rows[:, _FORMANTS])
        rows[:, 13:16] = voice[:, :3]
        rows[:, [18, 21, 24]] = voice[:, 3:]
        self._rows, self._loud = self._rows[count:].copy(), self._loud[count:].copy()
        self._magnitude60 = self._magnitude60[count:].copy()
        self._audio = self._audio[count * HOP :].copy()
        self._seen -= count
        return rows


class LldStream:
    """The 25 low-level descriptors of eGeMAPSv02 as the sound arrives, 100 rows a second.

    Row t describes the frame that starts at t * 10 ms; it comes out `latency_s` after that at the latest.
    """

    latency_s: Final = LONG / SAMPLE_RATE + (LAG + 1 + GROUP - 1) / FRAME_RATE

    def __init__(self) -> None:
        self._raw = RawStream(formants_unvoiced=True)
        self._smoother = c.Smoother(c.LLD_NONZERO)

    def feed(self, samples: Float32) -> Float32:
        """Samples of any number, 0 too -> (n, 25) rows that are now final.

        Raises:
            AudioError: not a 1-D float32 array of finite numbers.
        """
        return self._out(self._smoother.feed(self._raw.feed(check_samples(samples))))

    def finish(self) -> Float32:
        """The rows that were waiting for more sound; call `reset` before the next sound."""
        return self._out(np.concatenate([self._smoother.feed(self._raw.finish()), self._smoother.finish()]))

    def reset(self) -> None:
        """Back to the start of a sound."""
        self._raw.reset()
        self._smoother.reset()

    @staticmethod
    def _out(rows: Array) -> Float32:
        return rows[:, : len(LLD_NAMES)].astype(np.float32)


class ContourStream:
    """What the functionals read: (n, 36) float32 rows."""

    @staticmethod
    def known(samples: int) -> int:
        """How many rows are final once `samples` samples have been fed."""
        frames = max((samples - LONG) // HOP + 1, 0)
        return max(frames // GROUP * GROUP - LAG - 1, 0)

    def __init__(self) -> None:
        self._raw = RawStream(formants_unvoiced=False)
        self._smoother = c.Smoother(c.CONTOUR_NONZERO)

    def feed(self, samples: Array) -> Float32:
        """Checked samples -> the rows that are now final."""
        raw = self._raw.feed(samples)
        if not len(raw):  # most small chunks complete no group of frames
            return _NO_CONTOURS
        return self._smoother.feed(c.gate(raw)).astype(np.float32)

    def finish(self) -> Float32:
        """The rest of the rows."""
        rest = self._smoother.feed(c.gate(self._raw.finish()))
        return np.concatenate([rest, self._smoother.finish()]).astype(np.float32)

    def reset(self) -> None:
        """Back to the start of a sound."""
        self._raw.reset()
        self._smoother.reset()


class FunctionalTrack:
    """The 88 functionals of the last 20 s, every 300 ms.

    Row u belongs to the instant u * update_s and is computed from the descriptors that are final once the samples up
    to that instant have been fed; before anything is known it is zero. Nothing looks past the end of the sound.

    Args:
        update_s: time between rows, exact.
        window_s: how far back a row looks; while less has been heard, over what has been heard.
    """

    def __init__(self, update_s: Fraction = Fraction(3, 10), window_s: int | Fraction = 20) -> None:
        self._rate = 1 / Fraction(update_s)
        self._size = int(Fraction(window_s) * FRAME_RATE)  # rows
        self._contours = ContourStream()
        self._ring = np.zeros((self._size + 2 * _BLOCK, c.COUNT), dtype=np.float32)
        self.reset()

    def reset(self) -> None:
        """Back to the start of a sound."""
        self._contours.reset()
        self._rows = 0  # contour rows so far
        self._samples = 0
        self._updates = 0
        self._due = 0  # samples before the next update

    def feed(self, samples: Float32) -> Float32:
        """Samples of any number, 0 too -> (u, 88), one row for each update instant reached.

        Raises:
            AudioError: not a 1-D float32 array of finite numbers.
        """
        checked = check_samples(samples)
        out = []
        for start in range(0, max(len(checked), 1), _BLOCK * HOP):
            part = checked[start : start + _BLOCK * HOP]
            self._add(self._contours.feed(part))
            self._samples += len(part)
            while self._due <= self._samples:
                out.append(functionals(self._window(ContourStream.known(self._due))))
                self._updates += 1
                self._due = end_sample(self._updates, self._rate)
        return np.stack(out) if out else np.zeros((0, COUNT), dtype=np.float32)

    def finish(self) -> Float32:
        """Always (0, 88): a row never waits for what comes after its instant."""
        return np.zeros((0, COUNT), dtype=np.float32)

    def _add(self, rows: Float32) -> None:
        if not len(rows):
            return
        self._ring[(self._rows + np.arange(len(rows))) % len(self._ring)] = rows
        self._rows += len(rows)

    def _window(self, stop: int) -> Float32:
        """The last rows before row `stop`."""
        first, last = max(stop - self._size, 0) % len(self._ring), stop % len(self._ring)
        if stop and last <= first:
            return np.concatenate([self._ring[first:], self._ring[:last]])
        return self._ring[first:last]


def lld(audio: Float32) -> Float32:
    """The 25 descriptors of a whole sound.

    Args:
        audio: mono samples in [-1, 1] at 16 kHz, shape (S,).
    Returns:
        (T, 25) float32 in the order of `LLD_NAMES`, T = (S - 960) // 160 + 1; row t is the frame from t * 10 ms on.
    Raises:
        AudioError: not a 1-D float32 array of finite numbers.
    """
    stream = LldStream()
    return np.concatenate([stream.feed(audio), stream.finish()])


def contours(audio: Float32) -> Float32:
    """(T, 36) float32: what `functionals` reads, for a whole sound. Raises AudioError as `lld` does."""
    stream = ContourStream()
    return np.concatenate([stream.feed(check_samples(audio)), stream.finish()])


def vocal_tract(audio: Float32) -> tuple[Float32, Float32]:
    """Formants 1-3 of the vocal tract itself; those of `lld` are openSMILE's, which are others (docs/egemaps.md).

    Args:
        audio: mono samples in [-1, 1] at 16 kHz, shape (S,).
    Returns:
        (T, 3) float32 centre frequencies and (T, 3) bandwidths in Hz, 0 where there is none, in silence too: row t is
        the 20 ms from t * 10 ms on, T = (S - 320) // 160 + 1.
    Raises:
        AudioError: not a 1-D float32 array of finite numbers.
    Source: Markel & Gray 1976, "Linear Prediction of Speech": autocorrelation method, order 11 at 11 kHz.
    """
    samples = check_samples(audio)
    frames = cut(samples, SHORT, max((len(samples) - SHORT) // HOP + 1, 0)) * SHORT_WINDOW
    frequencies, bandwidths = true_formants(frames)
    return frequencies.astype(np.float32), bandwidths.astype(np.float32)


def extract(audio: Float32) -> Float32:
    """(88,) float32: the functionals of a whole sound. Raises AudioError as `lld` does."""
    return functionals(contours(audio))
