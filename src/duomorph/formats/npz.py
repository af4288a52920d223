"""numpy archive: `weights` (T, 52) float32, `names` (52,), `fps` and `start` as numerator and denominator.

One promise: exact, plain arrays (no pickle), and the same clip gives the same bytes.

    take = numpy.load("take.npz")
    take["weights"][:, list(take["names"]).index("jawOpen")]
    fps = take["fps"][0] / take["fps"][1]
"""

from __future__ import annotations

import io
import zipfile
import zlib
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.clock import frame_rate
from duomorph.errors import FormatError, SettingError
from duomorph.formats.columns import curves, match


def encode(clip: Clip) -> bytes:
    """The clip as an .npz archive."""
    out = io.BytesIO()
    np.savez(
        out,
        weights=np.ascontiguousarray(clip.weights, dtype="<f4"),
        names=np.array(arkit.NAMES),
        fps=np.array(clip.fps.as_integer_ratio(), dtype="<i8"),
        start=np.array(clip.start.as_integer_ratio(), dtype="<i8"),
    )
    return out.getvalue()


def decode(data: bytes) -> Clip:
    """A clip from an .npz archive; names may come in any order.

    Raises:
        FormatError: not such a file, or damaged.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("weights", "names", "fps")}
            arrays["start"] = archive["start"] if "start" in archive else np.array([0, 1])
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, MemoryError, SyntaxError) as problem:
        raise FormatError(f"this is no curve archive ({problem}): expected weights, names, fps; mend it") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        raise FormatError("this archive is damaged: expected weights, names and fps; copy it again") from None
    weights, names = arrays["weights"], [str(name) for name in arrays["names"].reshape(-1)]
    if weights.ndim != 2 or weights.shape[1] != len(names) or weights.dtype.kind != "f":
        raise FormatError(
            f"weights are {weights.dtype} of shape {weights.shape}: expected float (frames, {len(names)}); mend them"
        )
    fps, start = _fraction(arrays["fps"], "fps"), _fraction(arrays["start"], "start")
    try:
        rate = frame_rate(fps)
    except SettingError as problem:
        raise FormatError(str(problem)) from None
    return Clip(curves(weights.astype(np.float64), match(names), range(len(weights)), float(rate)), rate, start)


def _fraction(pair: NDArray[np.generic], name: str) -> Fraction:
    values = pair.reshape(-1).tolist()
    if pair.dtype.kind != "i" or len(values) != 2 or values[1] == 0:
        raise FormatError(f"{name} is {values[:3]}: expected two integers, numerator and denominator; save it again")
    return Fraction(values[0], values[1])
