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

import numpy as np

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.formats import table


def encode(clip: Clip) -> bytes:
    """The clip as a CSV file; the numbers are the shortest that mean the same float32."""
    kept = np.flatnonzero(clip.captured)
    header = [arkit.NAMES[shape] for shape in kept] + list(arkit.ANGLES if clip.angles is not None else ())
    values = clip.weights[:, kept] if clip.angles is None else np.hstack([clip.weights[:, kept], clip.angles])
    return table.encode(clip, ["time", *header], values)


def decode(data: bytes) -> Clip:
    """A clip from a CSV file. One row alone is taken for 30 fps.

    Raises:
        FormatError: not such a file, or damaged.
    """
    return table.decode(data, "CSV of curves", prefix="")
