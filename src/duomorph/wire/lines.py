"""JSON lines, the format of our data sets, line by line: what runs through a pipe can be kept and read as a take.

One promise: header and lines, put one after the other, are a file that `duomorph.formats` reads.

    out.write(header(Fraction(60)))
    out.write(encode(frame))           # {"timestamp": 0.5, "blendshapes": [52 numbers], "angles": [9 numbers]}
"""

from __future__ import annotations

import json
from fractions import Fraction

from duomorph.arkit import ANGLES, NAMES
from duomorph.formats.document import numbers
from duomorph.wire import Frame


def header(fps: Fraction) -> bytes:
    """The first line: names in the order of the numbers, and the frame rate, exactly."""
    return (json.dumps({"names": NAMES, "fps": str(fps), "angles": ANGLES}) + "\n").encode()


def encode(frame: Frame) -> bytes:
    """One line; numbers are the shortest that mean the same float32."""
    shapes, angles = numbers(frame.weights), numbers(frame.angles)
    return f'{{"timestamp": {frame.time_s!r}, "blendshapes": {shapes}, "angles": {angles}}}\n'.encode()
