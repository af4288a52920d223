"""JSON lines, the data set format: one frame a line, beside a sound file of the same name.

One promise: what we write reads back exactly, with all that is known of the clip but its `stamps` and `beyond`, for a
data set has even frames from 0 to 1; what others write in this shape reads too; a file of any length is read in blocks.

    {"names": ["eyeBlinkLeft", ...], "fps": "30", "start": "0"}          <- ours; may be absent when reading
    {"timestamp": 0.0, "blendshapes": [0.0125, 0.0, ...]}
    {"timestamp": 0.03333333333333333, "blendshapes": [0.013, 0.0, ...]}

The first line also carries, where there is something to say, `captured` (names of the shapes that were measured),
`angles` (the nine names; each frame then has `"angles": [...]` in radians), `source` and `timecode`. Without it the 52
numbers stand in the order of the Live Link Face CSV, as in the KoeMorph data sets, and the rate follows from the time
stamps. We write that same order. With `msgspec` (the extra `data`) reading is four times as fast and gives the same.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import chain
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.clock import exact, frame_rate
from duomorph.errors import FormatError, SettingError
from duomorph.formats import document
from duomorph.formats.columns import CSV_ORDER, curves, match, turned
from duomorph.formats.rate import DIGITS, MAX_TIME, frames

BLOCK: Final = 1 << 20  # bytes

_Frame = tuple[float, list[float], list[float]]  # time stamp, shapes, angles


@dataclass(frozen=True)
class Header:
    """What the first line says, or what holds where there is none.

    Attributes:
        names: of the numbers in a frame, as the file spells them.
        fps, start: None where the time stamps must tell.
        captured: (52,) bool.
        angles: names of the angles in a frame; empty where it has none.
        source, timecode: as in `Clip`.
    """

    names: tuple[str, ...]
    fps: Fraction | None
    start: Fraction | None
    captured: NDArray[np.bool_]
    angles: tuple[str, ...] = ()
    source: str = ""
    timecode: Fraction | None = None


@dataclass(frozen=True)
class Block:
    """Some frames of a file.

    Attributes:
        lines: (n,) numbers of their lines, from 1.
        times: (n,) float64, seconds.
        weights: (n, 52) float64 in the order of `arkit.NAMES`, as they stand there: NaN and values outside [0, 1] too.
        angles: (n, 9) float64 in the order of `arkit.ANGLES`; None where the header names none.
        faults: lines that are no frames, and what each of them is, to be read after "line 7 ".
    """

    lines: NDArray[np.int64]
    times: NDArray[np.float64]
    weights: NDArray[np.float64]
    angles: NDArray[np.float64] | None
    faults: tuple[tuple[int, str], ...]


def encode(clip: Clip) -> bytes:
    """The clip as JSON lines; the numbers are the shortest that mean the same float32."""
    header: dict[str, Any] = {"names": list(CSV_ORDER), "fps": str(clip.fps), "start": str(clip.start)}
    if not clip.captured.all():
        header["captured"] = [name for name in CSV_ORDER if clip.captured[arkit.INDEX[name]]]
    if clip.angles is not None:
        header["angles"] = list(arkit.ANGLES)
    if clip.source:
        header["source"] = clip.source
    if clip.timecode is not None:
        header["timecode"] = str(clip.timecode)
    return b"".join([(json.dumps(header) + "\n").encode("ascii"), *lines(clip)])


def lines(clip: Clip) -> Iterator[bytes]:
    """The clip's frames as JSON lines."""
    order = match(CSV_ORDER)
    row = np.empty(len(order), np.float32)
    for k, weights in enumerate(clip.weights):
        row[order] = weights
        time, angles = float(clip.start + k / clip.fps), ""
        if clip.angles is not None:
            angles = f', "angles": {document.numbers(clip.angles[k])}'
        yield f'{{"timestamp": {time!r}, "blendshapes": {document.numbers(row)}{angles}}}\n'.encode("ascii")


def decode(data: bytes) -> Clip:
    """A clip from JSON lines, with or without our header.

    Raises:
        FormatError: not such a file, or damaged.
    """
    if not data.strip():
        raise FormatError("this is no JSON lines: got an empty file, expected a header or frames; export it again")
    header, blocks = stream(io.BytesIO(data))
    most = data.count(b"\n") + 1
    times, weights = np.empty(most), np.empty((most, arkit.COUNT))
    turns = np.empty((most, len(header.angles)))
    count = 0
    for block in blocks:
        for line, fault in block.faults:
            raise FormatError(f"line {line} {fault}")
        own = slice(count, count := count + len(block.times))
        times[own], weights[own] = block.times, block.weights
        if block.angles is not None:
            turns[own] = block.angles
    fps, start, numbers = _clock(header, times[:count])
    angles = turned(turns[:count], numbers, float(fps)) if header.angles else None
    return Clip(
        weights=curves(weights[:count], np.arange(arkit.COUNT), numbers, float(fps)),
        fps=fps,
        start=start,
        angles=angles,
        captured=header.captured,
        source=header.source,
        timecode=header.timecode,
    )


def stream(file: BinaryIO) -> tuple[Header, Iterator[Block]]:
    """The header of a file and its frames, about a megabyte at a time: a line that is no frame stops nothing.

    Args:
        file: open at its beginning; it must stay open while blocks are taken.
    Raises:
        FormatError: the header is damaged.
    """
    number, first = 0, b""
    for text in file:
        number, first = number + 1, text
        if not text.isspace():
            break
    try:
        entry = json.loads(first)
    except (ValueError, RecursionError):  # not ours to judge: as a frame it will be a fault
        entry = None
    if isinstance(entry, dict) and "names" in entry:
        return (header := _header(entry, number)), _blocks(file, [], number, header)
    plain = Header(CSV_ORDER, None, None, np.ones(arkit.COUNT, dtype=bool))
    return plain, _blocks(file, [first] if first else [], max(0, number - 1), plain)


def _blocks(file: BinaryIO, first: list[bytes], number: int, header: Header) -> Iterator[Block]:
    """Blocks of the lines `first` and the rest of `file`; `number` lines went before."""
    columns, turns = match(header.names), [header.angles.index(name) for name in arkit.ANGLES if header.angles]
    shapes = len(header.names)
    parse = _parser()
    for texts in chain([first], iter(lambda: file.readlines(BLOCK), [])):
        lines, times, rows, angles = [], [], [], []
        faults = []
        for number, text in enumerate(texts, number + 1):  # noqa: B020  # goes on where the last block ended
            found = parse(text)
            if isinstance(found, str):
                if found:
                    faults.append((number, found))
                continue
            time, row, turn = found
            if len(row) != shapes:
                faults.append((number, f"has {len(row)} blendshapes: expected {shapes}; mend it"))
            elif turns and len(turn) != len(turns):
                faults.append((number, f"has {len(turn)} angles: expected {len(turns)}; mend it"))
            else:
                lines.append(number)
                times.append(time)
                rows.append(row)
                angles.append(turn)
        values = np.array(rows, dtype=np.float64).reshape(len(rows), shapes)
        yield Block(
            lines=np.array(lines, dtype=np.int64),
            times=np.array(times, dtype=np.float64),
            weights=np.where(columns >= 0, values[:, columns], 0.0),
            angles=np.array(angles, dtype=np.float64).reshape(-1, len(turns))[:, turns] if turns else None,
            faults=tuple(faults),
        )


@cache
def _parser() -> Callable[[bytes], _Frame | str]:
    """How a line is read: by msgspec where it is installed, and whatever that refuses by Python's own reader."""
    try:
        import msgspec
    except ImportError:
        return _frame
    fields: list[tuple[str, Any, Any] | tuple[str, Any]]
    fields = [("timestamp", float), ("blendshapes", list[float]), ("angles", list[float], [])]
    read = msgspec.json.Decoder(msgspec.defstruct("Frame", fields)).decode

    def parse(text: bytes) -> _Frame | str:
        try:
            found: Any = read(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return _frame(text)
        if not -MAX_TIME < found.timestamp < MAX_TIME:
            return _frame(text)
        return found.timestamp, found.blendshapes, found.angles

    return parse


def _frame(text: bytes) -> _Frame | str:
    """One line, or what is wrong with it; empty for an empty line."""
    if text.isspace():
        return ""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        return "is no JSON object: expected one frame a line; the file is cut or foreign"
    time, row = _floats([entry.get("timestamp")]), _floats(entry.get("blendshapes"))
    turn = _floats(entry.get("angles", []))
    if time is None or row is None or turn is None or not abs(time[0]) < MAX_TIME:
        return f'is no frame: expected {{"timestamp": seconds, "blendshapes": [{arkit.COUNT} numbers]}}'
    return time[0], row, turn


def _floats(values: object) -> list[float] | None:
    """A list of JSON numbers; NaN, which Python's reader lets through, is one until it meets a limit. None: no such."""
    if not isinstance(values, list):
        return None
    kinds = set(map(type, values))
    if not kinds <= {float, int}:
        return None
    try:
        return values if int not in kinds else list(map(float, values))
    except OverflowError:
        return None


def _header(entry: dict[str, Any], line: int) -> Header:
    names, fps, start = entry["names"], entry.get("fps"), entry.get("start", "0")
    if not _texts(names):
        raise FormatError(f"line {line} has a header without names: expected a list of the 52; mend it")
    try:
        rate, first = None if fps is None else frame_rate(fps), exact(start)
        timecode = None if entry.get("timecode") is None else exact(entry["timecode"])
    except (SettingError, ValueError, TypeError, ZeroDivisionError, OverflowError):
        rate, first, timecode = None, Fraction(MAX_TIME), None
    if abs(first) >= MAX_TIME or abs(timecode or Fraction(0)) >= MAX_TIME:
        raise FormatError(
            f"line {line} has fps {fps!r:.40}, start {start!r:.40}, timecode {entry.get('timecode')!r:.40}: "
            'expected 24 to 120 and seconds, as "30" and "0"; mend it'
        )
    captured = match(names) >= 0
    if (seen := entry.get("captured")) is not None:
        shapes = {arkit.canonical(name) for name in seen} if _texts(seen) else {None}
        if None in shapes:
            raise FormatError(f"line {line} has captured {seen!r:.40}: expected names of shapes; mend it")
        captured &= np.array([name in shapes for name in arkit.NAMES])
    angles = entry.get("angles", [])
    if not _texts(angles) or (angles and sorted(angles) != sorted(arkit.ANGLES)):
        raise FormatError(f"line {line} has angles {angles!r:.40}: expected the nine names; mend it")
    source = entry.get("source", "")
    if not isinstance(source, str):
        raise FormatError(f"line {line} has source {source!r:.40}: expected text; mend it")
    return Header(tuple(names), rate, first, captured, tuple(angles), source, timecode)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _clock(header: Header, times: NDArray[np.float64]) -> tuple[Fraction, Fraction, list[int]]:
    """Rate, time of the first frame, and the frame number of each row, from 0."""
    if header.fps is None:
        stamps = [Fraction(repr(time)) for time in times.tolist()]
        digits = max((len(repr(time).partition(".")[2]) for time in times.tolist()), default=0)
        fps, numbers = frames(stamps, Fraction(1, 10 ** min(digits, DIGITS)))
        return fps, stamps[0].limit_denominator(10**6) if stamps else Fraction(0), list(numbers)
    fps, start = header.fps, header.start or Fraction(0)
    if not len(times):
        return fps, start, []
    counted = np.rint((times - float(start)) * float(fps)).astype(np.int64)
    if (np.diff(counted) <= 0).any():
        raise FormatError(f"the time stamps do not rise by 1/{fps} s: expected what the header says; mend it")
    return fps, start + Fraction(int(counted[0])) / fps, (counted - counted[0]).tolist()
