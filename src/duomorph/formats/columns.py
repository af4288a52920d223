"""Between the columns of a file and the 52 curves of a clip.

One promise: columns are matched by name, never by position, and come out finite, in [0, 1] and on even frames.

    columns = match(names)                           # ["JawOpen", "eyeBlink_L", ...] -> place of each of the 52
    weights = curves(values, columns, numbers, fps)  # (T, 52) in the order of arkit.NAMES
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.errors import FormatError

MISSABLE: Final = frozenset({"tongueOut"})  # came two years after the others; old files lack it
MAX_GAP: Final = 10  # s; a longer hole in a take is two takes
MOST_GAPS: Final = 4  # frames for every row; more is no take but an attack on our memory
MAX_WEIGHT: Final = 10.0  # solvers overshoot, percent do not pass: clipped they would be a mouth wide open
MAX_ANGLE: Final = 100.0  # rad; degrees written by mistake pass here, noise does not

# The order in which Live Link Face writes its CSV: ours, with right before left for the two sideways pairs.
CSV_ORDER: Final[tuple[str, ...]] = tuple(
    arkit.mirror(name) if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight") else name for name in arkit.NAMES
)


def find(names: Sequence[str]) -> NDArray[np.intp]:
    """For each of the 52 shapes its position among `names`, or -1 where it is absent.

    Raises:
        FormatError: a shape is there twice, or none of them is there.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        shape = arkit.canonical(name)
        if shape is None:
            continue
        if shape in places:
            raise FormatError(f"the shape {shape} is there twice: expected each of the 52 once; remove one")
        places[shape] = place
    if not places:
        raise FormatError("there is no face shape: expected ARKit names such as jawOpen; check the header")
    return np.array([places.get(name, -1) for name in arkit.NAMES], dtype=np.intp)


def match(names: Sequence[str]) -> NDArray[np.intp]:
    """As `find`, for files that hold them all; tongueOut alone may be absent.

    Raises:
        FormatError: a shape is absent or there twice.
    """
    columns = find(names)
    absent = [name for name, place in zip(arkit.NAMES, columns, strict=True) if place < 0 and name not in MISSABLE]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise FormatError(f"the shape {absent[0]}{more} is absent: expected the 52 ARKit names; check the header")
    return columns


def curves(
    values: NDArray[np.floating],
    columns: NDArray[np.intp],
    numbers: Sequence[int],
    fps: float,
    low: float = 0.0,
    high: float = 1.0,
) -> NDArray[np.float32]:
    """Rows of a file on their frames, in our order; beside them memory for no further copy is needed.

    Args:
        values: (rows, columns of the file).
        columns: (52,) from `find` or `match`.
        numbers: frame number of each row, rising from 0; dropped frames are interpolated.
        fps: to judge the length of a gap.
        low, high: values a little outside, as calibrated captures have, are clipped.
    Returns:
        (T, 52) float32 in [low, high].
    Raises:
        FormatError: a value is not finite or no weight, or frames are missing for more than 10 s.
    """
    most = _greatest(values, columns, arkit.NAMES)
    if most > MAX_WEIGHT:
        raise FormatError(f"a weight is {most:.4g}: expected 0 to 1; if these are percent, divide by 100")
    rows = _even(values, columns, numbers, fps)
    return np.clip(rows, low, high, out=rows)


def angles(
    values: NDArray[np.floating], header: Sequence[str], numbers: Sequence[int], fps: float
) -> NDArray[np.float32] | None:
    """The nine head and eye angles on their frames, (T, 9); None if the file has none or all of them are 0.

    Raises:
        FormatError: a value is not finite or no angle.
    """
    if not all(name in header for name in arkit.ANGLES):
        return None
    turns = turned(values[:, [header.index(name) for name in arkit.ANGLES]], numbers, fps)
    return turns if turns.any() else None


def turned(rows: NDArray[np.floating], numbers: Sequence[int], fps: float) -> NDArray[np.float32]:
    """Rows (n, 9) of angles, in the order of `arkit.ANGLES`, on their frames, (T, 9).

    Raises:
        FormatError: a value is not finite or no angle.
    """
    columns = np.arange(len(arkit.ANGLES))
    most = _greatest(rows, columns, arkit.ANGLES)
    if most > MAX_ANGLE:
        raise FormatError(f"an angle is {most:.4g}: expected radians, about -3.2 to 3.2; mend it")
    return _even(rows, columns, numbers, fps)


def _greatest(values: NDArray[np.floating], columns: NDArray[np.intp], names: Sequence[str]) -> float:
    """The greatest magnitude in these columns; an error where one is not finite, at the first such row."""
    most, faults = 0.0, []
    for column, place in enumerate(columns.tolist()):
        if place < 0 or not len(values):
            continue
        size = np.abs(values[:, place])
        most = max(most, float(size.max()))
        if not np.isfinite(size).all():
            faults.append((int(np.argmin(np.isfinite(size))), column))
    if faults:
        row, column = min(faults)
        got = f"{names[column]} = {values[row, columns[column]]}"
        raise FormatError(f"frame {row + 1} has {got}: expected a finite number; mend it")
    return most


def _even(
    values: NDArray[np.floating], columns: NDArray[np.intp], numbers: Sequence[int], fps: float
) -> NDArray[np.float32]:
    """These columns, 0 where there is none, on even frames."""
    known = np.asarray(numbers, dtype=np.int64)
    bridged = len(known) > 0 and known[-1] >= len(known)
    if bridged:
        gap = np.diff(known).max() / fps
        if gap > MAX_GAP:
            raise FormatError(f"the take has a hole of {gap:.0f} s: expected at most {MAX_GAP} s; split it in two")
        if known[-1] >= MOST_GAPS * len(known):
            missing = known[-1] + 1 - len(known)
            raise FormatError(f"{missing} of {known[-1] + 1} frames are missing: expected most of them")
    every = np.arange(known[-1] + 1 if bridged else len(values))
    rows = np.zeros((len(every), len(columns)), np.float32)
    for column, place in enumerate(columns.tolist()):
        if place >= 0:
            rows[:, column] = np.interp(every, known, values[:, place]) if bridged else values[:, place]
    return rows
