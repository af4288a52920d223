"""Plain CSV, for spreadsheets and one's own scripts: `time` in seconds and one column for each shape.

One promise: any table with a column of seconds and ARKit names in its header reads, in any order and spelling; what
we write reads back exactly.

    time,eyeBlinkLeft,eyeLookDownLeft,...,tongueOut                     <- order of arkit.NAMES
    0.0,0.0125,0.0,...
    0.03333333333333333,0.013,0.0,...

A shape that has no column was not captured, and one that was not captured gets none. The nine angles follow where
there are any (HeadYaw, ..., radians).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.formats import table


def encode(clip: Clip) -> bytes:
    """The clip as a CSV file; the numbers are the shortest that mean the same float32."""
    names = [arkit.NAMES[shape] for shape in np.flatnonzero(clip.captured)]
    return table.encode(["time", *names, *(arkit.ANGLES if clip.angles is not None else ())], lines(clip))


def lines(clip: Clip) -> Iterator[bytes]:
    """The clip's frames as lines of a CSV file."""
    values = clip.weights[:, clip.captured]
    return table.written(clip, values if clip.angles is None else np.hstack([values, clip.angles]))


def decode(data: bytes) -> Clip:
    """A clip from a CSV file. One row alone is taken for 30 fps.

    Raises:
        FormatError: not such a file, or damaged.
    """
    return table.decode(data, "CSV of curves", prefix="")
