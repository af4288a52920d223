"""Curve files: every format is a pair of pure functions between bytes and a clip.

One promise: the format follows the suffix, the same clip gives the same bytes, and a file is written whole or
not at all.

    clip = read("take.csv")       # .csv (Live Link Face), .jsonl (data set), .npz (numpy)
    clip.save("take.npz")         # or write(clip, "take.npz")
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from duomorph import arkit, files
from duomorph.clip import Clip
from duomorph.errors import FormatError
from duomorph.formats import jsonl, livelink, npz

Encode = Callable[[Clip], bytes]
Decode = Callable[[bytes], Clip]

FORMATS: Final[dict[str, tuple[Encode, Decode]]] = {
    ".csv": (livelink.encode, livelink.decode),
    ".jsonl": (jsonl.encode, jsonl.decode),
    ".npz": (npz.encode, npz.decode),
}


def read(path: str | Path) -> Clip:
    """The clip in a curve file.

    Raises:
        FormatError: unknown suffix, missing, unreadable or damaged.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise FormatError(f"cannot read {str(path)!r}: got suffix {path.suffix!r}, expected one of {known}")
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise FormatError(f"cannot read {str(path)!r} ({reason}): expected a curve file; check the name") from None
    try:
        return FORMATS[path.suffix.lower()][1](data)
    except FormatError as problem:
        raise FormatError(f"cannot read {str(path)!r}: {problem}") from None


def write(take: Clip, path: str | Path) -> None:
    """Write a clip, whole or not at all; the format follows the suffix.

    Raises:
        FormatError: unknown suffix, a clip that is none, or the file cannot be written.
    """
    encode = encoder(path)
    shape = take.weights.shape
    if len(shape) != 2 or shape[1] != arkit.COUNT or not np.isfinite(take.weights).all():
        raise FormatError(
            f"cannot write {str(path)!r}: got weights of shape {shape}, expected finite (frames, {arkit.COUNT})"
        )
    files.write(path, encode(take))


def encoder(path: str | Path) -> Encode:
    """How to write a path's suffix, in capitals too. Raises FormatError if it is unknown."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise FormatError(f"cannot write {str(path)!r}: got suffix {suffix!r}, expected one of {known}; rename it")
    return FORMATS[suffix][0]
