"""Live Link Face CSV, as Epic's iPhone app writes it and Unreal, MetaHuman and Blender add-ons read it.

One promise: frame k has the time code of exactly start + k / fps, rounded once to a thousandth of 1/60 s; values
carry ten decimals.

    data = encode(clip)               # bytes: LF, no BOM
    clip = decode(data)

63 columns: time code, count (61), the 52 shapes with JawRight before JawLeft and MouthRight before MouthLeft,
nine angles in radians (we write 0 and do not keep what we read). The time code `HH:MM:SS:FF.sss` is wall clock and
counts FF from 0 to 59 at any frame rate; reading makes the first row time 0, midnight and dropped frames included.
"""

from __future__ import annotations

import csv
import io
import math
import re
from fractions import Fraction
from typing import Final

import numpy as np

from duomorph.arkit import ANGLES
from duomorph.clip import Clip
from duomorph.errors import FormatError
from duomorph.formats.columns import CSV_ORDER, curves, match
from duomorph.formats.rate import frames

BASE: Final = 60  # time code frames a second
PARTS: Final = 1000  # the smallest step of a time code, in parts of a base frame
DAY: Final = 86_400 * BASE * PARTS
COUNT: Final = len(CSV_ORDER) + len(ANGLES)  # 61
HEADER: Final = ("Timecode", "BlendshapeCount", *(name[0].upper() + name[1:] for name in CSV_ORDER), *ANGLES)
_TIMECODE: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,2})(?:\.(\d{1,6}))?")


def encode(clip: Clip) -> bytes:
    """The clip as a CSV file."""
    order = match(HEADER[2:])  # our shape -> its place in the row
    form = ",".join(["%.10f"] * COUNT)
    row = np.zeros(COUNT)
    out = io.BytesIO()
    out.write((",".join(HEADER) + "\n").encode("ascii"))
    for k, weights in enumerate(clip.weights):
        row[order] = weights
        out.write(f"{timecode(clip.start + k / clip.fps)},{COUNT},{form % tuple(row.tolist())}\n".encode("ascii"))
    return out.getvalue()


def decode(data: bytes) -> Clip:
    """A clip from a CSV file; the first row is time 0. One row alone is taken for 30 fps.

    Raises:
        FormatError: not such a file, or damaged.
    """
    try:
        text = data.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error):
        raise FormatError("this is no Live Link Face CSV: expected text in commas; export it again") from None
    if not rows or rows[0][0].strip().lower() != "timecode":
        raise FormatError("this is no Live Link Face CSV: expected a header that begins with Timecode; export it again")
    header = [cell.strip() for cell in rows[0]]
    if len(header) < 2 or header[1].lower() != "blendshapecount":
        raise FormatError("the second column is not BlendshapeCount: expected Live Link Face's header; export it again")
    columns = match(header)
    times, values = [], np.zeros((len(rows) - 1, len(header)))
    for line, row in enumerate(rows[1:]):
        if len(row) != len(header):
            raise FormatError(f"row {line + 2} has {len(row)} cells: expected {len(header)}; the file is damaged")
        times.append(_ticks(row[0], line + 2))
        try:
            values[line, 2:] = [float(cell) for cell in row[2:]]
        except ValueError:
            raise FormatError(f"row {line + 2} has a cell that is no number: expected 0.0 to 1.0; mend it") from None
    for k in range(1, len(times)):
        if times[k] < times[k - 1] - DAY // 2:  # past midnight
            times[k:] = [time + DAY for time in times[k:]]
    unit = Fraction(1, BASE * PARTS)
    fps, numbers = frames([time * unit for time in times], unit)
    return Clip(curves(values, columns, numbers, float(fps)), fps)


def timecode(time: Fraction) -> str:
    """`HH:MM:SS:FF.sss` of an instant in seconds, to the nearest thousandth of 1/60 s; a day is a circle."""
    ticks = math.floor(time * BASE * PARTS + Fraction(1, 2)) % DAY
    frame, part = divmod(ticks, PARTS)
    second, frame = divmod(frame, BASE)
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}:{frame:02d}.{part:03d}"


def _ticks(cell: str, row: int) -> int:
    found = _TIMECODE.fullmatch(cell.strip())
    if found is None:
        raise FormatError(f"row {row} has the time code {cell!r}: expected HH:MM:SS:FF.sss; mend it")
    hour, minute, second, frame, part = found.groups(default="0")
    whole = (int(hour) * 3600 + int(minute) * 60 + int(second)) * BASE + int(frame)
    return whole * PARTS + round(Fraction(int(part), 10 ** len(part)) * PARTS)
