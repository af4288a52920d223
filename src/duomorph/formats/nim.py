"""Audio2Face-3D NIM CSV, as the clients of NVIDIA's service write it (`animation_frames.csv`).

One promise: columns are found by name, so the row numbers that pandas puts in front and the sixteen tongue shapes of
newer services do no harm; what we write reads back exactly.

    timeCode,blendShapes.EyeBlinkLeft,...,blendShapes.TongueOut          <- order of arkit.NAMES
    0.0,0.0125,...

Seconds in `timeCode`. The format holds no angles and no word on what was captured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.formats import table

PREFIX: Final = "blendShapes."
HEADER: Final = ("timeCode", *(PREFIX + name[0].upper() + name[1:] for name in arkit.NAMES))


def encode(clip: Clip) -> bytes:
    """The clip as a CSV file; the numbers are the shortest that mean the same float32."""
    return table.encode(HEADER, lines(clip))


def lines(clip: Clip) -> Iterator[bytes]:
    """The clip's frames as lines of a CSV file."""
    return table.written(clip, clip.weights)


def decode(data: bytes) -> Clip:
    """A clip from a CSV file. One row alone is taken for 30 fps.

    Raises:
        FormatError: not such a file, or damaged.
    """
    return table.decode(data, "NIM CSV", PREFIX, source="Audio2Face-3D NIM")
