"""Which frame rate do these time stamps mean, and which frame is each of them?

One promise: stamps written by any tool at a common rate, rounded as that tool rounds, give back exactly that
rate; a dropped frame leaves a gap in the frame numbers and does not bend the rate.

    frames([Fraction(0), Fraction("0.033"), Fraction("0.067")], Fraction("0.001"))   # Fraction(30), [0, 1, 2]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from statistics import median
from typing import Final

from duomorph.clock import MAX_FPS, MIN_FPS, exact, frame_rate
from duomorph.errors import FormatError

ALONE: Final = Fraction(30)  # what the rate of a single frame is said to be
COMMON: Final = tuple(Fraction(rate) for rate in (30, 60, 24, 25, 50, 48, 100, 120, 90, 40)) + tuple(
    Fraction(rate * 1000, 1001) for rate in (30, 60, 120, 48, 24)
)
JITTER: Final = Fraction(1, 2000)  # relative; a phone's clock against its nominal rate
DIGITS: Final = 9  # decimals of a stamp beyond which it counts as exact
MAX_TIME: Final = 1e9  # s
UNEVEN: Final = Fraction(1, 10)  # relative; the usual step against the mean one


def frames(times: Sequence[Fraction], quantum: Fraction) -> tuple[Fraction, list[int]]:
    """Frames per second and the frame number of each stamp, the first being 0.

    Args:
        times: rising, in seconds.
        quantum: what the stamps were rounded to, in seconds.
    Raises:
        FormatError: the stamps do not rise, or mean no rate from 24 to 120.
    """
    if len(times) < 2:
        return ALONE, [0] * len(times)
    for number, step in enumerate(_steps(times), 2):
        if step <= 0:
            raise FormatError(f"time does not go on at frame {number}: expected rising time stamps; sort the rows")
    middle = 1 / median(_steps(times))
    rate = _exact(times, quantum, middle)
    if rate is not None:
        return rate, list(range(len(times)))
    numbers = list(
        accumulate((max(1, round(step * middle)) for step in _steps(times)), initial=0)
    )  # counts dropped frames
    mean = numbers[-1] / (times[-1] - times[0])
    if abs(mean - middle) > UNEVEN * middle:
        raise FormatError(f"the time stamps are uneven: got steps around {float(1 / middle):.4g} s, expected even ones")
    rate = min(COMMON, key=lambda common: abs(common - mean))
    if abs(rate - mean) > JITTER * mean:
        rate = frame_rate(mean) if MIN_FPS <= mean <= MAX_FPS else _refuse(mean)
    return rate, numbers


def _steps(times: Sequence[Fraction]) -> Iterator[Fraction]:
    """From each stamp to the next; never all at once, an hour of fractions takes megabytes."""
    return (after - before for before, after in pairwise(times))


def _spans(times: Sequence[Fraction]) -> Iterator[tuple[int, Fraction]]:
    """How far from the first each other stamp is."""
    return ((index, time - times[0]) for index, time in enumerate(times) if index)


def timed(stamps: Sequence[str]) -> tuple[Fraction, list[int], Fraction]:
    """Frames per second, frame number of each stamp and time of the first, of stamps written as decimal seconds.

    Raises:
        FormatError: a stamp is no number of seconds, or as `frames`.
    """
    times, digits = [], 0
    for row, stamp in enumerate(stamps, 1):
        try:
            times.append(exact(stamp))
        except (ValueError, ZeroDivisionError):
            raise FormatError(f"frame {row} has the time {stamp[:40]!r}: expected seconds, as 0.033; mend it") from None
        if abs(times[-1]) > MAX_TIME:
            raise FormatError(f"frame {row} has the time {stamp[:40]!r}: expected at most 1e9 seconds; mend it")
        plain = stamp.strip().lstrip("+-").replace(".", "", 1).isdigit()
        digits = max(digits, len(stamp.strip().partition(".")[2]) if plain else DIGITS)
    fps, numbers = frames(times, Fraction(1, 10 ** min(digits, DIGITS)))
    return fps, numbers, times[0].limit_denominator(10**6) if times else Fraction(0)


def _exact(times: Sequence[Fraction], quantum: Fraction, near: Fraction) -> Fraction | None:
    """The simplest rate whose frames, rounded, stand at these times; None if no single rate does."""
    low = max((span - quantum) / count for count, span in _spans(times))  # bounds of the frame period
    high = min((span + quantum) / count for count, span in _spans(times))
    if low > high or high <= 0:
        return None
    slowest, fastest = 1 / high, (1 / low if low > 0 else near * 2)
    fits = [rate for rate in COMMON if slowest <= rate <= fastest]
    if fits:
        return fits[0] if len(fits) == 1 else min(fits, key=lambda rate: _doubt(rate, times, quantum, near))
    simplest = _simplest(slowest, fastest)
    return simplest if MIN_FPS <= simplest <= MAX_FPS else _refuse(simplest)


def _doubt(rate: Fraction, times: Sequence[Fraction], quantum: Fraction, near: Fraction) -> tuple[bool, bool, Fraction]:
    """What speaks against a rate: rounding alone does not explain the stamps, it is a broken one, how far it is off."""
    off = [Fraction(0), *(span - index / rate for index, span in _spans(times))]
    spread = max(off) - min(off)
    if spread >= quantum:
        return True, False, abs(rate - near)
    return False, rate.denominator > 1, spread


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator in [low, high], 0 < low <= high (continued fractions)."""
    whole = -(-low.numerator // low.denominator)  # ceil
    if whole <= high:
        return Fraction(whole)
    floor = whole - 1
    return floor + 1 / _simplest(1 / (high - floor), 1 / (low - floor))


def _refuse(rate: Fraction) -> Fraction:
    raise FormatError(f"the time stamps mean {float(rate):.6g} frames a second: expected 24 to 120; resample the take")
