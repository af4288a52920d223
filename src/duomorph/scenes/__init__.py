"""Curves on a character: files for engines and editors, with the keyframes that are needed and no others.

One promise: what a file plays, by linear interpolation, is within the tolerance of every frame, and no shape is dropped
without being named.

    Stage().write(clip, "take.glb")                              # the head that came along
    stage = Stage.of("me.vrm", mapping="map.toml")
    left_out = stage.write(clip, "take.glb")                     # ["tongueOut"]: me.vrm lacks it
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from duomorph import arkit, files
from duomorph.clip import Clip
from duomorph.errors import FormatError, SettingError
from duomorph.scenes import avatar, glb, unity, usd, vrma
from duomorph.scenes.avatar import Avatar

__all__ = ["FORMATS", "TOLERANCE", "Avatar", "Stage", "meant"]

TOLERANCE: Final = 0.01


@dataclass(frozen=True)
class Format:
    """How it is written, the shapes of a character that it shows, and what raises MissingExtra where it cannot be."""

    encode: Callable[[Clip, Avatar, float], bytes]
    shown: Callable[[Avatar], Collection[str]] = lambda avatar: avatar.binds
    ready: Callable[[], object] = lambda: None


# By suffix.
FORMATS: Final[dict[str, Format]] = {
    "glb": Format(glb.encode),
    "vrma": Format(vrma.encode, vrma.shown),
    "usda": Format(usd.text, ready=usd.need),
    "usdc": Format(usd.binary, ready=usd.need),
    "anim": Format(unity.encode),
}


@dataclass(frozen=True)
class Stage:
    """Who shows the curves, and how far a played curve may be from a frame: 0 to 0.1, 0 keeps every frame."""

    avatar: Avatar = field(default_factory=avatar.read)
    tolerance: float = TOLERANCE

    @classmethod
    def of(
        cls, character: str | Path | None = None, mapping: str | Path | None = None, tolerance: float | None = None
    ) -> Stage:
        """The stage of these files; None for what comes along.

        Raises:
            FormatError: the character cannot be used.
            SettingError: the mapping cannot, or the tolerance is out of range.
        """
        if tolerance is not None and not 0 <= tolerance <= 0.1:
            raise SettingError(f"got a tolerance of {tolerance:g}: expected 0 to 0.1; try {TOLERANCE}")
        names = avatar.mapping(mapping) if mapping is not None else None
        return cls(avatar.read(character, names), TOLERANCE if tolerance is None else tolerance)

    def write(self, clip: Clip, path: str | Path, format: str | None = None) -> list[str]:
        """Write the clip, whole or not at all.

        Args:
            format: a key of `FORMATS`; None for what the suffix says.
        Returns:
            Shapes that the clip moves and the character lacks.
        Raises:
            FormatError: unknown format, or the file cannot be written. MissingExtra: it needs what is not installed.
        """
        name = meant(path, format)
        if name is None:
            got = format or Path(path).suffix
            raise FormatError(
                f"cannot write {str(path)!r}: got {got!r}, expected one of {', '.join(FORMATS)}; rename it"
            )
        files.write(path, FORMATS[name].encode(clip, self.avatar, self.tolerance))
        shown = FORMATS[name].shown(self.avatar)
        return [shape for shape in arkit.NAMES if shape not in shown and np.any(clip[shape])]


def meant(path: str | Path, format: str | None = None) -> str | None:
    """The key of `FORMATS` in which `path` is to be written; None if it is another kind of file.

    Raises:
        FormatError: suffix and format disagree.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if format not in FORMATS and suffix not in FORMATS:
        return None
    if format is not None and format != suffix:
        raise FormatError(f"cannot write {str(path)!r} as {format}: got suffix '.{suffix}', expected them to agree")
    return suffix
