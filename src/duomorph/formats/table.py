"""CSV text to rows and numbers: what the CSV formats share.

One promise: a table comes out whole and rectangular or is refused with the row that is wrong.

    header, lines = rows(data, "Live Link Face CSV")
    values = numbers(lines, range(1, len(header)))       # (rows, columns) float64
    clip = decode(data, "CSV", prefix="")                # a column of seconds, and shapes by name
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.errors import FormatError
from duomorph.formats.columns import angles, curves, find
from duomorph.formats.rate import timed

TIMES: Final = ("time", "timestamp", "timecode", "seconds", "time_s", "t")  # what a column of seconds is called


def rows(data: bytes, kind: str) -> tuple[list[str], list[list[str]]]:
    """The header without blanks around its names, and the rows below, as long as the header each.

    Raises:
        FormatError: no text, no header, or a row of another length.
    """
    try:
        text = data.decode("utf-8-sig")
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error):
        raise FormatError(f"this is no {kind}: expected text in commas; export it again") from None
    if not lines:
        raise FormatError(f"this is no {kind}: got an empty file, expected a header; export it again")
    header = [name.strip() for name in lines[0]]
    for line, row in enumerate(lines[1:], 2):
        if len(row) != len(header):
            raise FormatError(f"row {line} has {len(row)} cells: expected {len(header)}; the file is damaged")
    return header, lines[1:]


def numbers(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> NDArray[np.float64]:
    """Cells of some columns as numbers, (rows, columns).

    Raises:
        FormatError: a cell is no number.
    """
    values = np.empty((len(rows), len(columns)))
    for line, row in enumerate(rows):
        try:
            values[line] = [float(row[column]) for column in columns]
        except ValueError:
            raise FormatError(f"row {line + 2} has a cell that is no number: expected 0.0 to 1.0; mend it") from None
    return values


def encode(clip: Clip, header: Sequence[str], values: NDArray[np.float32]) -> bytes:
    """A table of `values` (T, columns) behind the seconds of the frames; the shortest numbers that mean the same."""
    out = io.BytesIO()
    out.write((",".join(header) + "\n").encode("ascii"))
    for time, row in zip(clip.times.tolist(), values, strict=True):
        out.write(f"{time!r},{','.join(row.astype('U16').tolist())}\n".encode("ascii"))
    return out.getvalue()


def decode(data: bytes, kind: str, prefix: str, source: str = "") -> Clip:
    """A clip from a table with a column of seconds and columns named `prefix` + shape; others are left alone.

    Raises:
        FormatError: not such a table, or damaged.
    """
    header, lines = rows(data, kind)
    clock = [place for place, name in enumerate(header) if name.lower() in TIMES]
    if len(clock) != 1:
        raise FormatError(f"this is no {kind}: got {len(clock)} columns of time, expected one named time; rename it")
    named = [name[len(prefix) :] if name.lower().startswith(prefix.lower()) else "" for name in header]
    columns = find(named)
    used = [place for place, name in enumerate(named) if name in arkit.ANGLES or place in columns]
    places = np.array([used.index(place) if place >= 0 else -1 for place in columns.tolist()], dtype=np.intp)
    values = numbers(lines, used)
    fps, frames, start = timed([row[clock[0]] for row in lines])
    return Clip(
        curves(values, places, frames, float(fps)),
        fps,
        start,
        angles=angles(values, [named[place] for place in used], frames, float(fps)),
        captured=columns >= 0,
        source=source,
    )
