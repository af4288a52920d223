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
    values: NDArray[np.float64], columns: NDArray[np.intp], numbers: Sequence[int], fps: float
) -> NDArray[np.float32]:
    """Rows of a file on their frames, in our order.

    Args:
        values: (rows, columns of the file).
        columns: (52,) from `find` or `match`.
        numbers: frame number of each row, rising from 0; dropped frames are interpolated.
        fps: to judge the length of a gap.
    Returns:
        (T, 52) float32 in [0, 1]; values a little outside, as calibrated captures have, are clipped.
    Raises:
        FormatError: a value is not finite or no weight, or frames are missing for more than 10 s.
    """
    return shapes(values, columns, numbers, fps).clip(0.0, 1.0).astype(np.float32)


def shapes(
    values: NDArray[np.float64], columns: NDArray[np.intp], numbers: Sequence[int], fps: float
) -> NDArray[np.float64]:
    """`curves` before they are clipped, (T, 52)."""
    rows = _even(np.where(columns >= 0, values[:, columns], 0.0), arkit.NAMES, numbers, fps)
    if rows.size and np.abs(rows).max() > MAX_WEIGHT:
        raise FormatError(f"a weight is {np.abs(rows).max():.4g}: expected 0 to 1; if these are percent, divide by 100")
    return rows


def angles(
    values: NDArray[np.float64], header: Sequence[str], numbers: Sequence[int], fps: float
) -> NDArray[np.float32] | None:
    """The nine head and eye angles on their frames, (T, 9); None if the file has none or all of them are 0.

    Raises:
        FormatError: a value is not finite or no angle.
    """
    if not all(name in header for name in arkit.ANGLES):
        return None
    turns = turned(values[:, [header.index(name) for name in arkit.ANGLES]], numbers, fps)
    return turns if turns.any() else None


def turned(rows: NDArray[np.float64], numbers: Sequence[int], fps: float) -> NDArray[np.float32]:
    """Rows (n, 9) of angles, in the order of `arkit.ANGLES`, on their frames, (T, 9).

    Raises:
        FormatError: a value is not finite or no angle.
    """
    turns = _even(rows, arkit.ANGLES, numbers, fps)
    if turns.size and np.abs(turns).max() > MAX_ANGLE:
        raise FormatError(f"an angle is {np.abs(turns).max():.4g}: expected radians, about -3.2 to 3.2; mend it")
    return turns.astype(np.float32)


def _even(
    rows: NDArray[np.float64], names: Sequence[str], numbers: Sequence[int], fps: float
) -> NDArray[np.float64]:
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise FormatError(
            f"frame {row + 1} has {names[column]} = {rows[row, column]}: expected a finite number; mend it"
        )
    known = np.asarray(numbers, dtype=np.int64)
    if not len(known) or known[-1] < len(known):
        return rows
    gap = np.diff(known).max() / fps
    if gap > MAX_GAP:
        raise FormatError(f"the take has a hole of {gap:.0f} s: expected at most {MAX_GAP} s; split it in two")
    if known[-1] >= MOST_GAPS * len(known):
        raise FormatError(f"{known[-1] + 1 - len(known)} of {known[-1] + 1} frames are missing: expected most of them")
    every = np.arange(known[-1] + 1)
    return np.stack([np.interp(every, known, curve) for curve in rows.T], axis=1)
