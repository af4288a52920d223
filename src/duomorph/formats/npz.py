"""numpy archive: `weights` (T, 52) float32, `names` (52,), `fps` and `start` as numerator and denominator, and whatever
else the clip knows: `captured` (52,), `source`, `angles` (T, 9), `timecode`, `stamps`, `beyond`.

One promise: exact and whole, plain arrays (no pickle), and the same clip gives the same bytes.

    take = numpy.load("take.npz")
    take["weights"][:, list(take["names"]).index("jawOpen")]
    fps = take["fps"][0] / take["fps"][1]

Reading takes other people's archives too: shapes under `shape`, some of the 52, `fps` as one number.
"""

from __future__ import annotations

import io
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.clock import frame_rate
from duomorph.errors import FormatError, SettingError
from duomorph.formats.columns import MAX_ANGLE, curves, find

Arrays = Mapping[str, NDArray[np.generic]]
_KEYS = ("weights", "names", "shape", "fps", "start", "captured", "source", "angles", "timecode", "stamps", "beyond")


def encode(clip: Clip) -> bytes:
    """The clip as an .npz archive."""
    arrays: dict[str, NDArray[np.generic]] = {
        "weights": np.ascontiguousarray(clip.weights, dtype="<f4"),
        "names": np.array(arkit.NAMES),
        "fps": np.array(clip.fps.as_integer_ratio(), dtype="<i8"),
        "start": np.array(clip.start.as_integer_ratio(), dtype="<i8"),
        "captured": np.asarray(clip.captured, dtype=bool),
        "source": np.array(clip.source),
    }
    if clip.angles is not None:
        arrays["angles"] = np.ascontiguousarray(clip.angles, dtype="<f4")
    if clip.timecode is not None:
        arrays["timecode"] = np.array(clip.timecode.as_integer_ratio(), dtype="<i8")
    if clip.stamps is not None:
        arrays["stamps"] = np.ascontiguousarray(clip.stamps, dtype="<f8")
    if clip.beyond is not None:
        arrays["beyond"] = np.ascontiguousarray(clip.beyond, dtype="<f4")
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]  # its stub takes the keyword allow_pickle for one of them
    return out.getvalue()


def decode(data: bytes) -> Clip:
    """A clip from an .npz archive; names may come in any order, and some may be absent.

    Raises:
        FormatError: not such a file, or damaged.
    """
    arrays = _arrays(data)
    weights = arrays["weights"]
    names = [str(name) for name in arrays["names" if "names" in arrays else "shape"].reshape(-1)]
    if weights.ndim != 2 or weights.shape[1] != len(names) or weights.dtype.kind != "f":
        raise FormatError(
            f"weights are {weights.dtype} of shape {weights.shape}: expected float (frames, {len(names)}); mend them"
        )
    columns = find(names)
    try:
        rate = frame_rate(_fraction(arrays, "fps"))
    except SettingError as problem:
        raise FormatError(str(problem)) from None
    frames = len(weights)
    angles = _table(arrays, "angles", (frames, len(arkit.ANGLES)))
    if angles is not None and not (np.abs(angles) <= MAX_ANGLE).all():
        raise FormatError("angles hold something that is no angle: expected radians; mend them")
    beyond = _table(arrays, "beyond", (frames, arkit.COUNT))
    if beyond is not None and not (np.abs(beyond) <= 1).all():
        raise FormatError("beyond holds something above 1: expected what exceeds the range by a little; mend it")
    stamps = _table(arrays, "stamps", (frames,))
    if stamps is not None and not _rises(stamps):
        raise FormatError("stamps do not rise from 0: expected seconds, NaN where a frame is lacking; mend them")
    return Clip(
        curves(_wide(weights), columns, range(frames), float(rate)),
        rate,
        _fraction(arrays, "start") if "start" in arrays else Fraction(0),
        angles=None if angles is None else angles.astype(np.float32),
        captured=_captured(arrays) & (columns >= 0),
        source=str(arrays["source"].reshape(-1)[0]) if "source" in arrays and arrays["source"].size else "",
        timecode=_fraction(arrays, "timecode") if "timecode" in arrays else None,
        stamps=stamps,
        beyond=None if beyond is None else beyond.astype(np.float32),
    )


def _arrays(data: bytes) -> Arrays:
    try:
        with warnings.catch_warnings(), np.load(io.BytesIO(data), allow_pickle=False) as archive:
            warnings.simplefilter("ignore", UserWarning)  # numpy speaks up about headers from Python 2
            arrays = {name: archive[name] for name in _KEYS if name in archive}
        missing = [name for name in ("weights", "fps") if name not in arrays]
        if missing or not arrays.keys() & {"names", "shape"}:
            raise KeyError(missing[0] if missing else "names")
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):  # numpy gives other files as bytes
            raise TypeError("a member is no array")
        return arrays
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, MemoryError, SyntaxError) as problem:
        reason = str(problem).partition("\n")[0][:100]
        raise FormatError(f"this is no curve archive ({reason}): expected weights, names, fps; mend it") from None
    except (zipfile.BadZipFile, zlib.error, tokenize.TokenError, NotImplementedError, OverflowError, RuntimeError):
        raise FormatError("this archive is damaged: expected weights, names and fps; copy it again") from None


def _captured(arrays: Arrays) -> NDArray[np.bool_]:
    captured = arrays.get("captured")
    if captured is None:
        return np.ones(arkit.COUNT, dtype=bool)
    if captured.dtype.kind != "b" or captured.shape != (arkit.COUNT,):
        raise FormatError(f"captured is {captured.dtype} of shape {captured.shape}: expected 52 truths; mend it")
    return captured.astype(bool)


def _table(arrays: Arrays, name: str, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    values = arrays.get(name)
    if values is None:
        return None
    if values.dtype.kind != "f" or values.shape != shape:
        raise FormatError(f"{name} are {values.dtype} of shape {values.shape}: expected float {shape}; mend them")
    return _wide(values)


def _wide(values: NDArray[np.generic]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # of a long double: it becomes infinite, and is refused as such
        return values.astype(np.float64)


def _rises(stamps: NDArray[np.float64]) -> bool:
    known = stamps[~np.isnan(stamps)]
    ends = len(stamps) > 0 and stamps[0] == 0 and not np.isnan(stamps[-1])
    return bool(ends and np.isfinite(known).all() and (np.diff(known) > 0).all())


def _fraction(arrays: Arrays, name: str) -> Fraction:
    """An exact number: two integers, or one number."""
    values = arrays[name].reshape(-1).tolist()
    kind = arrays[name].dtype.kind
    if kind == "i" and len(values) == 2 and values[1] != 0:
        return Fraction(values[0], values[1])
    if kind in "if" and len(values) == 1 and np.isfinite(values[0]):
        return Fraction(values[0])
    raise FormatError(f"{name} is {values[:3]}: expected two integers, numerator and denominator; save it again")
