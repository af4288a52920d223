"""Log-mel rows on the fixed 120 Hz grid, level-normalised, as a stream.

One promise: row m sees the audio up to `end_sample(m, 120)` and nothing after it, and chunking changes nothing.
A tick of the network takes the two rows that end at it and half a tick before it.

    ticks = MelStream().feed(samples)      # (S,) -> (n, 2, 80)
    ticks = log_mel(samples)               # the same for a whole clip

Level norm: the loudest 50 ms of late set the reference, which then sinks by 1.5 dB a second, so a whisper and a
shout reach the network alike. Values are in nepers of power against that reference, cut below `depth`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import ROW_RATE, ROWS_PER_TICK, SAMPLE_RATE, end_sample, index_at
from duomorph.sliding import sliding

Float32 = NDArray[np.float32]

POWER_FLOOR: Final = 1e-10


@dataclass(frozen=True)
class MelConfig:
    bands: int = 80
    low_hz: float = 50.0
    high_hz: float = 7600.0
    window: int = 400  # samples, 25 ms, ending at the row
    fft: int = 512
    level_rows: int = 6  # rows averaged before the level is taken, 50 ms
    level_start: float = -6.0  # nepers of mean band power; what the first sound is measured against
    level_floor: float = -9.0  # nepers; about -66 dBFS of speech: below it, quiet stays quiet
    level_fall: float = 0.35  # nepers a second, 1.5 dB
    depth: float = 10.0  # nepers below the level that are kept, 43 dB


def filterbank(config: MelConfig) -> Float32:
    """Triangular mel filters of height 1, (fft / 2 + 1, bands).

    Source: O'Shaughnessy 1987 mel scale, 2595 log10(1 + f / 700), and the triangles of the HTK book.
    """

    def mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 2595.0 * np.log10(1.0 + hz / 700.0)

    ends = mel(np.array([config.low_hz, config.high_hz]))
    edges = np.linspace(ends[0], ends[1], config.bands + 2)  # (bands + 2,)
    bins = mel(np.arange(config.fft // 2 + 1) * SAMPLE_RATE / config.fft)[:, None]  # (bins, 1)
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles: Float32 = np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)
    return triangles


class MelStream:
    """Samples in, ticks of level-normalised log-mel rows out. State: one window of audio, a few powers, one level."""

    latency_s: Final = 0.0  # a row is ready with its last sample

    def __init__(self, config: MelConfig | None = None) -> None:
        self.config = config or MelConfig()
        self._hann = np.hanning(self.config.window + 1)[:-1].astype(np.float32)
        self._span = np.arange(self.config.window)
        self._bank = filterbank(self.config)
        self.reset()

    def reset(self) -> None:
        """Back to the start of a clip: silence before it."""
        self._next = -1  # row to come; the first tick owns rows -1 and 0
        self._seen = 0  # samples fed
        self._tail = np.zeros(self.config.window - end_sample(-1, ROW_RATE), dtype=np.float32)
        self._powers = np.full(self.config.level_rows - 1, POWER_FLOOR)
        self._level = self.config.level_start

    def feed(self, samples: Float32) -> Float32:
        """(S,) samples at 16 kHz -> (n, 2, 80) float32: the ticks whose audio is complete now."""
        audio = np.concatenate([self._tail, samples])
        self._seen += len(samples)
        origin = self._seen - len(audio)  # sample number of audio[0]
        last = index_at(self._seen, ROW_RATE)
        last -= last % ROWS_PER_TICK  # a tick ends on an even row
        if last < self._next:
            self._tail = audio
            return np.zeros((0, ROWS_PER_TICK, self.config.bands), dtype=np.float32)
        rows = np.arange(self._next, last + 1)
        self._next = last + 1
        keep = end_sample(self._next, ROW_RATE) - self.config.window - origin
        self._tail = audio[keep:].copy()
        starts = (rows * 2 * SAMPLE_RATE + ROW_RATE) // (2 * ROW_RATE) - self.config.window - origin  # = end_sample
        windows = audio[starts[:, None] + self._span] * self._hann
        spectrum = np.fft.rfft(windows, self.config.fft)  # (rows, bins) complex64
        power = np.maximum((spectrum.real**2 + spectrum.imag**2) @ self._bank, POWER_FLOOR)  # (rows, 80)
        level = self._follow(power.mean(axis=1, dtype=np.float64))
        relative = np.log(power) - level[:, None].astype(np.float32)
        kept: Float32 = np.maximum(relative, np.float32(-self.config.depth))
        return kept.reshape(-1, ROWS_PER_TICK, self.config.bands)

    def finish(self) -> Float32:
        """No row waits for later audio: (0, 2, 80)."""
        return self.feed(np.zeros(0, dtype=np.float32))

    def _follow(self, powers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The running level of each row: the greatest of late, sinking at a fixed rate."""
        count = len(powers)
        padded = np.concatenate([self._powers, powers])
        self._powers = padded[len(padded) - self.config.level_rows + 1 :]
        span = sliding(padded, self.config.level_rows)
        loud = np.log(span.mean(axis=1))  # (rows,)
        fallen = self.config.level_fall / ROW_RATE * np.arange(1, count + 1)
        peak = np.maximum.accumulate(np.concatenate([[self._level], loud + fallen]))[1:]
        level: NDArray[np.float64] = np.maximum(peak - fallen, self.config.level_floor)
        self._level = float(level[-1])
        return level


def log_mel(samples: Float32, config: MelConfig | None = None) -> Float32:
    """Level-normalised log-mel ticks of a whole clip, causal.

    Args:
        samples: mono in [-1, 1] at 16 kHz, shape (S,).
    Returns:
        (N, 2, 80) float32; tick n holds the rows that end at n/60 - 1/120 s and n/60 s.
    Source: O'Shaughnessy 1987 mel scale; HTK triangle filters.
    """
    return MelStream(config).feed(samples)
