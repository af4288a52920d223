"""BEAT JSON: the face files of the BEAT data sets (Body-Expression-Audio-Text), captured with ARKit at 60 fps.

One promise: names decide, frames stand where their `time` says; what we write has BEAT's own 51 names in its own order.

    {"names": ["browDownLeft", ..., "noseSneerRight"],                   <- alphabetical, without tongueOut
     "frames": [{"weights": [...], "time": 0.0166, "rotation": []}, ...]}

`rotation` is left alone: BEAT names neither its axes nor its units. BEAT is at 60 fps; resample first for its tools.
"""

from __future__ import annotations

import io
import json
from typing import Final

import numpy as np

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.errors import FormatError
from duomorph.formats import document
from duomorph.formats.columns import curves, find
from duomorph.formats.rate import timed

ORDER: Final = tuple(sorted(name for name in arkit.NAMES if name != "tongueOut"))
_PLACES: Final = np.array([arkit.INDEX[name] for name in ORDER], dtype=np.intp)


def encode(clip: Clip) -> bytes:
    """The clip as a JSON file, a frame a line; tongueOut has no place in it."""
    out = io.BytesIO()
    out.write(f'{{"names": {json.dumps(ORDER)}, "frames": ['.encode("ascii"))
    for k, (time, weights) in enumerate(zip(clip.times.tolist(), clip.weights[:, _PLACES], strict=True)):
        frame = f'{{"weights": {document.numbers(weights)}, "time": {time!r}, "rotation": []}}'
        out.write(f"{',' if k else ''}\n{frame}".encode("ascii"))
    out.write(b"\n]}\n")
    return out.getvalue()


def decode(data: bytes) -> Clip:
    """A clip from a JSON file. One frame alone is taken for 30 fps.

    Raises:
        FormatError: not such a file, or damaged.
    """
    whole = document.read(data, "BEAT JSON")
    frames = whole.get("frames")
    if not (isinstance(frames, list) and all(isinstance(frame, dict) for frame in frames)):
        raise FormatError("this is no BEAT JSON: expected names and frames; export it again")
    names = document.names(whole.get("names"), "names")
    columns = find(names)
    values = document.matrix([frame.get("weights") for frame in frames], len(names))
    fps, places, start = timed([repr(frame.get("time")) for frame in frames])
    return Clip(curves(values, columns, places, float(fps)), fps, start, captured=columns >= 0, source="BEAT")
