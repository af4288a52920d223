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

# The order in which Live Link Face writes its CSV: ours, with right before left for the two sideways pairs.
CSV_ORDER: Final[tuple[str, ...]] = tuple(
    arkit.mirror(name) if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight") else name for name in arkit.NAMES
)


def match(names: Sequence[str]) -> NDArray[np.intp]:
    """For each of the 52 shapes its position among `names`, or -1 where it is absent and may be.

    Raises:
        FormatError: a shape is absent or there twice.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        shape = arkit.canonical(name)
        if shape is None:
            continue
        if shape in places:
            raise FormatError(f"the shape {shape} is there twice: expected each of the 52 once; remove one")
        places[shape] = place
    absent = [name for name in arkit.NAMES if name not in places and name not in MISSABLE]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise FormatError(f"the shape {absent[0]}{more} is absent: expected the 52 ARKit names; check the header")
    return np.array([places.get(name, -1) for name in arkit.NAMES], dtype=np.intp)


def curves(
    values: NDArray[np.float64], columns: NDArray[np.intp], numbers: Sequence[int], fps: float
) -> NDArray[np.float32]:
    """Rows of a file on their frames, in our order.

    Args:
        values: (rows, columns of the file).
        columns: (52,) from `match`.
        numbers: frame number of each row, rising from 0; dropped frames are interpolated.
        fps: to judge the length of a gap.
    Returns:
        (T, 52) float32 in [0, 1]; values a little outside, as calibrated captures have, are clipped.
    Raises:
        FormatError: a value is not finite, or frames are missing for more than 10 s.
    """
    rows = np.where(columns >= 0, values[:, columns], 0.0)  # (rows, 52)
    if not np.isfinite(rows).all():
        row, shape = np.argwhere(~np.isfinite(rows))[0]
        raise FormatError(
            f"frame {row + 1} has {arkit.NAMES[shape]} = {rows[row, shape]}: expected a number from 0 to 1; mend it"
        )
    rows = rows.clip(0.0, 1.0)
    known = np.asarray(numbers, dtype=np.int64)
    if len(known) and known[-1] >= len(known):
        gap = np.diff(known).max() / fps
        if gap > MAX_GAP:
            raise FormatError(f"the take has a hole of {gap:.0f} s: expected at most {MAX_GAP} s; split it in two")
        every = np.arange(known[-1] + 1)
        rows = np.stack([np.interp(every, known, curve) for curve in rows.T], axis=1)
    return rows.astype(np.float32)
