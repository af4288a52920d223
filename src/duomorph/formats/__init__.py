"""Curve files: every format is a pair of pure functions between bytes and a clip.

One promise: the format follows its name or the suffix, the same clip gives the same bytes, and a file is written
whole or not at all.

    clip = read("take.csv")                   # Live Link Face, NIM or plain: the header decides
    clip.save("take.npz")                     # or write(clip, "take.npz")
    clip.save("take.csv", format="plain")     # without a name, .csv is Live Link Face and .json Audio2Face
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from duomorph import arkit, files
from duomorph.clip import Clip, joined
from duomorph.clock import MAX_FPS, MIN_FPS
from duomorph.errors import FormatError
from duomorph.formats import a2f, beat, jsonl, livelink, nim, npz, plain


@dataclass(frozen=True)
class Format:
    """A codec and the suffix of its files; `lines` of those that grow a frame a line: what a further part adds."""

    suffix: str
    encode: Callable[[Clip], bytes]
    decode: Callable[[bytes], Clip]
    lines: Callable[[Clip], Iterator[bytes]] | None = None


# By name. Of those that share a suffix the first is what that suffix means when writing.
FORMATS: Final[dict[str, Format]] = {
    "livelink": Format(".csv", livelink.encode, livelink.decode, livelink.lines),
    "nim": Format(".csv", nim.encode, nim.decode, nim.lines),
    "plain": Format(".csv", plain.encode, plain.decode, plain.lines),
    "a2f": Format(".json", a2f.encode, a2f.decode),
    "beat": Format(".json", beat.encode, beat.decode),
    "jsonl": Format(".jsonl", jsonl.encode, jsonl.decode, jsonl.lines),
    "npz": Format(".npz", npz.encode, npz.decode),
}
SUFFIXES: Final = tuple(dict.fromkeys(codec.suffix for codec in FORMATS.values()))


def read(path: str | Path, format: str | None = None) -> Clip:
    """The clip in a curve file.

    Args:
        format: a key of `FORMATS`; None for what suffix and header say.
    Raises:
        FormatError: unknown format, missing, unreadable or damaged.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if format is None and suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise FormatError(f"cannot read {str(path)!r}: got suffix {path.suffix!r}, expected one of {known}")
    if format is not None:
        codec(format)  # before anything is read
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise FormatError(f"cannot read {str(path)!r} ({reason}): expected a curve file; check the name") from None
    try:
        return FORMATS[format or recognised(data, suffix)].decode(data)
    except FormatError as problem:
        raise FormatError(f"cannot read {str(path)!r}: {problem}") from None


def write(take: Clip, path: str | Path, format: str | None = None) -> None:
    """Write a clip, whole or not at all.

    Args:
        format: a key of `FORMATS`; None for what the suffix means.
    Raises:
        FormatError: unknown format, a clip that is none, or the file cannot be written.
    """
    write_parts([take], path, format)


def write_parts(parts: Iterable[Clip], path: str | Path, format: str | None = None) -> int:
    """Write the clip that these parts, at least one, are when each follows the other, whole or not at all.

    A format of lines needs the memory of one part. Raises as `write` does, and whatever taking a part raises.
    Returns:
        How many frames.
    """
    form = codec(meant(path, format))
    checked = (_check(part, path) for part in parts)
    if form.lines is None:
        take = joined(checked)
        files.write(path, form.encode(take))
        return len(take)
    with files.atomic(path) as temporary, temporary.open("wb") as out:
        first = next(checked)
        out.write(form.encode(first))
        frames = len(first)
        for part in checked:
            out.writelines(form.lines(part))
            frames += len(part)
    return frames


def _check(part: Clip, path: str | Path) -> Clip:
    if not MIN_FPS <= part.fps <= MAX_FPS:
        raise FormatError(
            f"cannot write {str(path)!r}: got {float(part.fps):g} frames a second, expected 24 to 120; resample it"
        )
    for name, values, columns in (("weights", part.weights, arkit.COUNT), ("angles", part.angles, len(arkit.ANGLES))):
        if values is None:
            continue
        if values.shape != (len(part), columns) or not np.isfinite(values).all():
            raise FormatError(
                f"cannot write {str(path)!r}: got {name} of shape {values.shape}, expected finite (frames, {columns})"
            )
    return part


def meant(path: str | Path, format: str | None = None, others: Iterable[str] = ()) -> str:
    """Name of the format in which `path` is to be written.

    Args:
        others: suffixes that the caller writes itself, to be told of.
    Raises:
        FormatError: `format` or the suffix is unknown, or the suffix means another kind of file.
    """
    suffix = Path(path).suffix.lower()
    if format is not None:
        own = codec(format).suffix
        if suffix in SUFFIXES and suffix != own:
            raise FormatError(
                f"cannot write {str(path)!r} as {format}: got suffix {suffix!r}, expected them to agree; name it {own}"
            )
        return format
    for name, candidate in FORMATS.items():
        if candidate.suffix == suffix:
            return name
    known = ", ".join((*SUFFIXES, *others))
    raise FormatError(f"cannot write {str(path)!r}: got suffix {suffix!r}, expected one of {known}; rename it")


def codec(format: str) -> Format:
    """The codec of that name. Raises FormatError if it is unknown."""
    if format not in FORMATS:
        raise FormatError(f"format {format!r} is unknown: expected one of {', '.join(FORMATS)}; choose one of them")
    return FORMATS[format]


def recognised(data: bytes, suffix: str) -> str:
    """Name of the format of a file with one of our suffixes, by what stands in it where several share the suffix."""
    if suffix == ".csv":
        header = data[:10_000].partition(b"\n")[0].lower()
        return "nim" if b"blendshapes." in header else "livelink" if b"blendshapecount" in header else "plain"
    if suffix == ".json":
        return "a2f" if b'"weightMat"' in data or b'"facsNames"' in data else "beat"
    return suffix[1:]
