"""A table of gains, offsets and limits by shape, for an avatar that answers otherwise than others.

One promise: a table that is taken means what it says; whatever else stands in the file is refused by name.

    table = read("avatar.toml")            # [jawOpen] gain = 1.2, max = 0.9; [brows] gain = 0.5
    curves = table.apply(curves)           # (n, 52) -> (n, 52): gain * x + offset, held between min and max

A section names a shape (in any spelling; without Left or Right it is both), a group of `arkit.GROUPS`, `mouth`,
`expression` or `all`. Where sections overlap, the narrower one wins, key by key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, files
from duomorph.errors import SettingError

Float32 = NDArray[np.float32]

GROUPS: Final[dict[str, NDArray[np.intp]]] = {
    "all": np.arange(arkit.COUNT),
    "mouth": arkit.MOUTH,
    "expression": arkit.EXPRESSION,
    **arkit.GROUPS,
}
KEYS: Final = {"gain": (1.0, -10.0, 10.0), "offset": (0.0, -1.0, 1.0), "min": (0.0, 0.0, 1.0), "max": (1.0, 0.0, 1.0)}


@dataclass(frozen=True, eq=False)
class Table:
    """(52,) float32 each, in the order of `arkit.NAMES`."""

    gain: Float32
    offset: Float32
    least: Float32
    most: Float32

    def apply(self, curves: Float32) -> Float32:
        """(n, 52) -> (n, 52)."""
        moved: Float32 = (self.gain * curves + self.offset).clip(self.least, self.most)
        return moved

    def turned(self, gains: Mapping[str, float]) -> Table:
        """The table with these gains, by shape or group. Raises SettingError as `read` does."""
        changed, gain = table({name: {"gain": value} for name, value in gains.items()}), self.gain.copy()
        for name in gains:
            gain[meant(name)] = changed.gain[meant(name)]
        return replace(self, gain=gain)


def read(path: str | Path) -> Table:
    """The table in a TOML file.

    Raises:
        SettingError: it cannot be read, or holds anything but known keys of known shapes within their ranges.
    """
    try:
        sections = tomllib.loads(files.text(path))
    except (OSError, ValueError, RecursionError) as problem:  # what is no TOML or no UTF-8 is a ValueError
        reason = getattr(problem, "strerror", None) or problem
        raise SettingError(f"cannot read {str(path)!r} ({reason}): expected TOML; see docs/shaping.md") from None
    try:
        return table(sections)
    except SettingError as problem:
        raise SettingError(f"cannot use {str(path)!r}: {problem}") from None


def table(sections: dict[str, Any]) -> Table:
    """The table of sections that are in memory. Raises SettingError as `read` does."""
    columns = {key: np.full(arkit.COUNT, usual, dtype=np.float32) for key, (usual, _, _) in KEYS.items()}
    named = [(meant(name), name, values) for name, values in sections.items()]
    for members, name, values in sorted(named, key=lambda section: -len(section[0])):
        if not isinstance(values, dict):
            got = f"{name!r:.40} = {values!r:.40}"
            raise SettingError(f"got {got}: expected a section; write the name in brackets and below it gain = 1")
        for key, value in values.items():
            columns[key][members] = _checked(name, key, value)
    wrong = np.flatnonzero(columns["min"] > columns["max"])
    if len(wrong):
        shape = arkit.NAMES[wrong[0]]
        least, most = columns["min"][wrong[0]], columns["max"][wrong[0]]
        raise SettingError(f"{shape} has min {least:g} over max {most:g}: expected min below max; change one")
    return Table(columns["gain"], columns["offset"], columns["min"], columns["max"])


def meant(name: str) -> NDArray[np.intp]:
    """The shapes that a section means. Raises SettingError: none."""
    if name in GROUPS:
        return GROUPS[name]
    shapes = [shape for shape in map(arkit.canonical, (name, f"{name}Left", f"{name}Right")) if shape]
    if not shapes:
        known = ", ".join(GROUPS)
        raise SettingError(f"section {name!r:.40} is no shape: expected one of the 52 such as jawOpen, or {known}")
    return np.array([arkit.INDEX[shape] for shape in dict.fromkeys(shapes)], dtype=np.intp)


def _checked(name: str, key: str, value: object) -> float:
    if key not in KEYS:
        raise SettingError(f"section {name!r} has {key!r:.40}: expected {', '.join(KEYS)}; see docs/shaping.md")
    _, least, most = KEYS[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:  # NaN too
        got = f"section {name!r} has {key} = {value!r:.40}"
        raise SettingError(f"{got}: expected a number from {least:g} to {most:g}")
    return float(value)
