"""Exact time: every frame, tick and mel row stands at a fraction of a second that never drifts.

One promise: frame k of a clip at `fps` frames a second stands at exactly k/fps s; nothing here adds up floats.

The audio is 16 kHz. The network ticks at 60 Hz and reads mel rows at 120 Hz, so a tick is two rows, a frame at
60 fps one tick and a frame at 30 fps two. The audio of a tick or row ends at the nearest sample: hops alternate
between 266 and 267 samples (nominally 267; 533 at 30 fps), and an hour has exactly 3600 * fps frames.

    end_sample(60, TICK_RATE)          # 16000
    frame_count(16000, Fraction(30))   # 30
    delay_ticks(33)                    # 2 ticks = 33.3 ms
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from numbers import Real
from typing import Final

from duomorph.errors import SettingError

SAMPLE_RATE: Final = 16_000  # Hz
TICK_RATE: Final = 60  # Hz, steps of the network
ROW_RATE: Final = 120  # Hz, mel rows
ROWS_PER_TICK: Final = ROW_RATE // TICK_RATE
MAX_DELAY: Final = 12  # ticks, 200 ms
PROFILES: Final = {"live": 17.0, "balanced": 67.0, "offline": 100.0}  # ms that the network listens ahead, by purpose
MIN_FPS: Final = Fraction(24_000, 1001)  # film on television, 23.976
MAX_FPS: Final = Fraction(120)
_NUMBER: Final = re.compile(r"\s*[+-]?\d{0,40}(\.\d{0,40})?(/\d{1,40}|[eE][+-]?\d{1,2})?\s*", re.ASCII)


def end_sample(index: int, rate: int | Fraction) -> int:
    """Number of samples before instant `index / rate` s, to the nearest sample (halves round up)."""
    return (2 * index * SAMPLE_RATE * rate.denominator + rate.numerator) // (2 * rate.numerator)


def index_at(samples: int, rate: int | Fraction) -> int:
    """The greatest index whose `end_sample` is at most `samples`: how far `samples` of audio reach."""
    index = samples * rate.numerator // (SAMPLE_RATE * rate.denominator)
    return index + 1 if end_sample(index + 1, rate) <= samples else index


def frame_count(samples: int, fps: Fraction) -> int:
    """Frames of a clip of `samples` at 16 kHz: all k with k/fps inside the clip."""
    return -(-samples * fps.numerator // (SAMPLE_RATE * fps.denominator))


def nominal_hop(fps: Fraction) -> int:
    """Samples from frame to frame, rounded: 533 at 30 fps, 267 at 60. For display only; see `end_sample`."""
    return round(Fraction(SAMPLE_RATE) / fps)


def exact(value: int | float | str | Fraction) -> Fraction:
    """A number as the fraction it is. Text is a number of sane size: `Fraction("1e999999999")` would never end.

    Raises:
        ValueError, TypeError, OverflowError, ZeroDivisionError: not a number, as `Fraction` raises them.
    """
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError(f"not a number: {value[:40]!r}")
    return Fraction(value)


def frame_rate(fps: int | float | str | Fraction) -> Fraction:
    """A checked frame rate; 23.976, 29.97 and "30000/1001" mean the broadcast rates.

    Raises:
        SettingError: not a number from 23.976 to 120.
    """
    try:
        rate = exact(fps)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        rate = Fraction(0)
    broadcast = Fraction(round(rate) * 1000, 1001)
    rate = broadcast if abs(rate - broadcast) < Fraction(1, 200) else rate.limit_denominator(1001)
    if not MIN_FPS <= rate <= MAX_FPS:
        raise SettingError(f"frame rate {fps!r:.40} is out of range: expected 24 to 120 fps, try 30 or 60")
    return rate


def delay_ticks(delay_ms: float) -> int:
    """Whole ticks of a delay in ms, rounded up (half a millisecond is forgiven, so 17, 33, 67, ... mean 1, 2, 4 ticks).

    Raises:
        SettingError: not a number from 0 to 200.
    """
    limit = 1000 * MAX_DELAY // TICK_RATE
    if not isinstance(delay_ms, Real) or not 0 <= delay_ms <= limit:  # also refuses NaN
        raise SettingError(f"delay {delay_ms!r} ms is out of range: expected 0 to {limit} ms, try 100")
    return max(0, math.ceil((delay_ms - 0.5) * TICK_RATE / 1000))
