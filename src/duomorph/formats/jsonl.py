"""JSON lines, the data set format: one frame a line, beside a sound file of the same name.

One promise: what we write reads back exactly; what others write in this shape reads too.

    {"names": ["eyeBlinkLeft", ...], "fps": "30", "start": "0"}          <- ours; may be absent when reading
    {"timestamp": 0.0, "blendshapes": [0.0125, 0.0, ...]}
    {"timestamp": 0.03333333333333333, "blendshapes": [0.013, 0.0, ...]}

Without the first line the 52 numbers stand in the order of the Live Link Face CSV, as in the KoeMorph data sets, and
the rate follows from the time stamps. We write that same order.
"""

from __future__ import annotations

import io
import json
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, TypeGuard

import numpy as np

from duomorph.clip import Clip
from duomorph.clock import exact, frame_rate
from duomorph.errors import FormatError, SettingError
from duomorph.formats.columns import CSV_ORDER, curves, match
from duomorph.formats.rate import frames

DIGITS: Final = 9  # decimals of a time stamp beyond which it counts as exact
MAX_TIME: Final = 1e9  # s


def encode(clip: Clip) -> bytes:
    """The clip as JSON lines; the numbers are the shortest that mean the same float32."""
    header = {"names": list(CSV_ORDER), "fps": str(clip.fps), "start": str(clip.start)}
    order = match(CSV_ORDER)
    row = np.empty(len(order), np.float32)
    out = io.BytesIO()
    out.write((json.dumps(header) + "\n").encode("ascii"))
    for k, weights in enumerate(clip.weights):
        row[order] = weights
        time, numbers = float(clip.start + k / clip.fps), ", ".join(row.astype("U16").tolist())
        out.write(f'{{"timestamp": {time!r}, "blendshapes": [{numbers}]}}\n'.encode("ascii"))
    return out.getvalue()


def decode(data: bytes) -> Clip:
    """A clip from JSON lines, with or without our header.

    Raises:
        FormatError: not such a file, or damaged.
    """
    names, fps, start = CSV_ORDER, None, None
    times: list[Fraction] = []
    rows: list[list[float]] = []
    digits = 0
    for line, text in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
        if not text.strip():
            continue
        entry = _object(text, line)
        if "names" in entry and not rows and fps is None:
            names, fps, start = _header(entry, line)
            continue
        time, values = entry.get("timestamp"), entry.get("blendshapes")
        stamped = _is_number(time) and abs(time) < MAX_TIME
        if not (stamped and isinstance(values, list) and all(map(_is_number, values))):
            raise FormatError(
                f'line {line} is no frame: expected {{"timestamp": seconds, "blendshapes": [{len(names)} numbers]}}'
            )
        if len(values) != len(names):
            raise FormatError(f"line {line} has {len(values)} blendshapes: expected {len(names)}; mend it")
        times.append(Fraction(repr(time)))
        digits = max(digits, len(repr(time).partition(".")[2]))
        rows.append(values)
    values64 = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    if fps is None:
        fps, numbers = frames(times, Fraction(1, 10 ** min(digits, DIGITS)))
        start = times[0].limit_denominator(10**6) if times else Fraction(0)
    else:
        first = start if start is not None else Fraction(0)
        numbers = [round((time - first) * fps) for time in times]
        start = first + Fraction(numbers[0]) / fps if numbers else first
        numbers = [number - numbers[0] for number in numbers]
        if any(after <= before for before, after in pairwise(numbers)):
            raise FormatError(f"the time stamps do not rise by 1/{fps} s: expected what the header says; mend it")
    return Clip(curves(values64, match(names), numbers, float(fps)), fps, start or Fraction(0))


def _object(text: str, line: int) -> dict[str, Any]:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise FormatError(f"line {line} is no JSON object: expected one frame a line; the file is cut or foreign")
    return entry


def _header(entry: dict[str, Any], line: int) -> tuple[tuple[str, ...], Fraction | None, Fraction | None]:
    names, fps, start = entry["names"], entry.get("fps"), entry.get("start", "0")
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise FormatError(f"line {line} has a header without names: expected a list of the 52; mend it")
    try:
        rate, first = None if fps is None else frame_rate(fps), exact(start)
    except (SettingError, ValueError, TypeError, ZeroDivisionError, OverflowError):
        rate, first = None, Fraction(MAX_TIME)
    if abs(first) >= MAX_TIME:
        raise FormatError(
            f"line {line} has fps {fps!r:.40} and start {start!r:.40}: "
            'expected 24 to 120 and seconds, as "30" and "0"; mend it'
        )
    return tuple(names), rate, first


def _is_number(value: object) -> TypeGuard[float]:
    """A JSON number that a float holds; NaN, which Python's reader lets through, is one until it meets a limit."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53)
