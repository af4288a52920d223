"""CSV text to rows and numbers: what the CSV formats share.

One promise: a table comes out whole and rectangular or is refused with the row that is wrong.

    header, lines = rows(data, "Live Link Face CSV")
    stamps, values = columns(lines, header, 0, range(1, len(header)))   # a list of text, (rows, n) float32
    clip = decode(data, "CSV", prefix="")   # a column of seconds, and shapes by name
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.errors import FormatError
from duomorph.formats.columns import angles, curves, find
from duomorph.formats.rate import timed

TIMES: Final = ("time", "timestamp", "timecode", "seconds", "time_s", "t")  # what a column of seconds is called


def rows(data: bytes, kind: str) -> tuple[list[str], Iterator[list[str]]]:
    """The header without blanks around its names, and the rows below, one by one: an hour of cells takes gigabytes.

    Raises:
        FormatError: no text, or no header; while rows are taken: no text.
    """
    lines = _lines(data, kind)
    header = [name.strip() for name in next(lines, [])]
    if not header:
        raise FormatError(f"this is no {kind}: got an empty file, expected a header; export it again")
    return header, lines


def _lines(data: bytes, kind: str) -> Iterator[list[str]]:
    try:
        text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
        yield from (row for row in csv.reader(text, strict=True) if row)
    except (UnicodeDecodeError, csv.Error):
        raise FormatError(f"this is no {kind}: expected text in commas; export it again") from None


def columns(
    lines: Iterable[list[str]], header: Sequence[str], clock: int, places: Sequence[int]
) -> tuple[list[str], NDArray[np.float32]]:
    """The cells of the column `clock`, and those of the columns `places` as numbers, (rows, places).

    Raises:
        FormatError: a row of another length than the header, or a cell that is no number.
    """
    stamps, values = [], array("f")
    for line, row in enumerate(lines, 2):
        if len(row) != len(header):
            raise FormatError(f"row {line} has {len(row)} cells: expected {len(header)}; the file is damaged")
        stamps.append(row[clock])
        try:
            values.extend([float(row[place]) for place in places])
        except ValueError:
            raise FormatError(f"row {line} has a cell that is no number: expected 0.0 to 1.0; mend it") from None
    return stamps, np.frombuffer(values, np.float32).reshape(len(stamps), len(places))


def encode(header: Sequence[str], lines: Iterable[bytes]) -> bytes:
    """A whole table."""
    return b"".join([(",".join(header) + "\n").encode("ascii"), *lines])


def written(clip: Clip, values: NDArray[np.float32]) -> Iterator[bytes]:
    """Lines of `values` (T, columns) behind the seconds of the frames; the shortest numbers that mean the same."""
    for time, row in zip(clip.times.tolist(), values, strict=True):
        yield f"{time!r},{','.join(row.astype('U16').tolist())}\n".encode("ascii")


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
    shapes = find(named)
    used = [place for place, name in enumerate(named) if name in arkit.ANGLES or place in shapes]
    places = np.array([used.index(place) if place >= 0 else -1 for place in shapes.tolist()], dtype=np.intp)
    stamps, values = columns(lines, header, clock[0], used)
    fps, frames, start = timed(stamps)
    return Clip(
        curves(values, places, frames, float(fps)),
        fps,
        start,
        angles=angles(values, [named[place] for place in used], frames, float(fps)),
        captured=shapes >= 0,
        source=source,
    )
