"""Live Link Face CSV, as Epic's iPhone app writes it and Unreal, MetaHuman and Blender add-ons read it.

One promise: frame k has the time code of exactly the first one + k / fps, rounded once to a thousandth of 1/60 s, and
values carry ten decimals; what a phone wrote is written back as it was, uneven clock and dropped frames included.

    data = encode(clip)               # bytes: LF, no BOM
    clip = decode(data)

63 columns: time code, count (61), the 52 shapes with JawRight before JawLeft and MouthRight before MouthLeft, nine
signed angles in radians. The time code `HH:MM:SS:FF.sss` is wall clock and counts FF from 0 to 59 at any frame rate
(to 24, 25 or 30 where other tools wrote it: several seconds tell); reading makes the first row time 0 and keeps its
wall clock in `timecode`. Rows that the phone dropped are bridged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.arkit import ANGLES
from duomorph.clip import Clip
from duomorph.clock import MIN_FPS
from duomorph.errors import FormatError
from duomorph.formats import table
from duomorph.formats.columns import CSV_ORDER, angles, curves, match
from duomorph.formats.rate import frames

BASE: Final = 60  # time code frames a second
PARTS: Final = 1000  # the smallest step of a time code, in parts of a base frame
SECOND: Final = BASE * PARTS  # ticks: thousandths of a base frame
DAY: Final = 86_400 * SECOND
COUNT: Final = len(CSV_ORDER) + len(ANGLES)  # 61
HEADER: Final = ("Timecode", "BlendshapeCount", *(name[0].upper() + name[1:] for name in CSV_ORDER), *ANGLES)
OTHERS: Final = (24, 25, 30)  # what other tools count to
FULL: Final = 4  # seconds that say how far they count
LEAST, MOST = -1.0, 2.0  # calibrated captures exceed 0 and 1 by a little; what is further out is not kept
_TIMECODE: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,2})(?:\.(\d{1,6}))?", re.ASCII)


def encode(clip: Clip) -> bytes:
    """The clip as a CSV file."""
    return table.encode(HEADER, lines(clip))


def lines(clip: Clip) -> Iterator[bytes]:
    """The clip's frames as lines of a CSV file."""
    order = match(HEADER[2:])  # our shape -> its place in the row
    form = ",".join(["%.10f"] * COUNT)
    row = np.zeros(COUNT)
    for k, stamp in enumerate(_stamps(clip)):
        if stamp is None:  # the device dropped it
            continue
        row[order] = clip.weights[k] if clip.beyond is None else clip.weights[k] + clip.beyond[k]
        if clip.angles is not None:
            row[-len(ANGLES) :] = clip.angles[k]
        yield f"{stamp},{COUNT},{form % tuple(row.tolist())}\n".encode("ascii")


def decode(data: bytes) -> Clip:
    """A clip from a CSV file; the first row is time 0. One row alone is taken for 30 fps.

    Raises:
        FormatError: not such a file, or damaged.
    """
    header, rows = table.rows(data, "Live Link Face CSV")
    if header[0].lower() != "timecode":
        raise FormatError("this is no Live Link Face CSV: expected a header that begins with Timecode; export it again")
    if len(header) < 2 or header[1].lower() != "blendshapecount":
        raise FormatError("the second column is not BlendshapeCount: expected Live Link Face's header; export it again")
    columns = match(header)
    stamps, values = table.columns(rows, header, 0, range(2, len(header)))
    ticks = _rising(_ticks(stamps))
    fps, numbers = frames([Fraction(tick, SECOND) for tick in ticks], Fraction(1, SECOND))
    whole = curves(values, np.where(columns < 0, columns, columns - 2), numbers, float(fps), LEAST, MOST)
    inside = not whole.size or (whole.min() >= 0 and whole.max() <= 1)
    weights = whole if inside else whole.clip(0, 1)
    return Clip(
        weights,
        fps,
        angles=angles(values, header[2:], numbers, float(fps)),
        captured=columns >= 0,
        source="Live Link Face",
        timecode=Fraction(ticks[0] % DAY, SECOND) if ticks else None,
        stamps=_uneven(ticks, numbers, fps),
        beyond=None if inside else whole - weights,
    )


def timecode(time: Fraction) -> str:
    """`HH:MM:SS:FF.sss` of an instant in seconds, to the nearest thousandth of 1/60 s; a day is a circle."""
    return _written(math.floor(time * SECOND + Fraction(1, 2)))


def _written(ticks: int) -> str:
    frame, part = divmod(ticks % DAY, PARTS)
    second, frame = divmod(frame, BASE)
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}:{frame:02d}.{part:03d}"


def _stamps(clip: Clip) -> Sequence[str | None]:
    """The time code of every frame; None where the device dropped it."""
    first = clip.start if clip.timecode is None else clip.timecode
    if clip.stamps is None:
        return [timecode(first + k / clip.fps) for k in range(len(clip))]
    base = math.floor(first * SECOND + Fraction(1, 2))
    return [None if math.isnan(time) else _written(base + round(time * SECOND)) for time in clip.stamps.tolist()]


def _uneven(ticks: Sequence[int], numbers: Sequence[int], fps: Fraction) -> NDArray[np.float64] | None:
    """Seconds from frame 0 to each frame by the device's clock, NaN for a frame without a row; None if it is even."""
    over, under = (SECOND / fps).as_integer_ratio()
    if all(tick - ticks[0] == (2 * k * over + under) // (2 * under) for k, tick in enumerate(ticks)):
        return None
    stamps = np.full(numbers[-1] + 1, np.nan)
    stamps[numbers] = (np.array(ticks, dtype=np.float64) - ticks[0]) / SECOND
    return stamps


def _rising(ticks: Sequence[int]) -> list[int]:
    """Wall clock to time that goes on past midnight."""
    rising, days = [], 0
    for k, tick in enumerate(ticks):
        days += k > 0 and tick < ticks[k - 1] - DAY // 2
        rising.append(tick + days * DAY)
    return rising


def _ticks(stamps: Sequence[str]) -> list[int]:
    codes = []
    for row, cell in enumerate(stamps, 2):
        found = _TIMECODE.fullmatch(cell.strip())
        if found is None:
            raise FormatError(f"row {row} has the time code {cell[:40]!r}: expected HH:MM:SS:FF.sss; mend it")
        hour, minute, second, frame, part = found.groups(default="0")
        whole = (int(hour) * 60 + int(minute)) * 60 + int(second)
        codes.append((whole, int(frame) * PARTS + round(Fraction(int(part), 10 ** len(part)) * PARTS)))
    base = _base(codes)
    return [whole * SECOND + (2 * parts * BASE + base) // (2 * base) for whole, parts in codes]


def _base(codes: Sequence[tuple[int, int]]) -> int:
    """How far time codes of (seconds, parts of a frame) count in a second: to 60 as the phone does, unless several full
    seconds stop at its half or before, as those of other tools do."""
    seconds, most = len({second for second, _ in codes}), max((parts for _, parts in codes), default=0)
    full = seconds >= FULL and len(codes) >= MIN_FPS * (seconds - 2)
    return next((base for base in OTHERS if full and most < base * PARTS), BASE)
