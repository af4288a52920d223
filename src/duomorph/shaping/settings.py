"""How a face is to speak, in one TOML file: what the flags say, by their names, and a section for each shape.

One promise: a file that is taken means what it says, and `text` of it reads back as the same settings.

    given = read("calm.toml")              # {"intensity": 1.2, "emotion": {"joy": 0.6}, "shapes": {"jawOpen": {...}}}
    settings = Settings(**given)
    stream = face.stream(60, settings.delay_ms, settings.style, settings.shaping)

    intensity = 1.2
    idle = "calm"
    [emotion]
    joy = 0.6
    [jawOpen]
    gain = 1.1

A file of `--shape-config` is one too: it has only sections.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from duomorph import files
from duomorph.clock import delay_ticks
from duomorph.errors import SettingError
from duomorph.life import Life
from duomorph.shaping import Shaping
from duomorph.shaping.direction import always
from duomorph.shaping.table import table


@dataclass(frozen=True)
class Settings:
    """By the names of the command line's flags.

    Attributes:
        style: None for the model's own. gate, close_limit: what `--no-gate` and `--no-close-limit` turn off.
        emotion: strengths by name. shapes: gain, offset, min, max by shape or group.
    """

    style: str | None = None
    delay_ms: float = 100.0
    intensity: float = 1.0
    expressiveness: float = 1.0
    hold_ms: float = 0.0
    smooth: float = 0.0
    gate: bool = True
    close_limit: bool = True
    idle: str = "off"
    seed: int = 0
    emotion: Mapping[str, float] = field(default_factory=dict)
    shapes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises SettingError: a value is out of range, or of another kind; `style` is left to the model."""
        for one in fields(self):
            value, usual = getattr(self, one.name), one.default
            kinds: tuple[type, ...] = (int, float) if isinstance(usual, float) else (type(usual),)
            if one.name in ("emotion", "shapes"):
                kinds = (dict,)
            elif one.name == "style":
                kinds = (str, type(None))
            finite = not isinstance(value, float) or math.isfinite(value)
            if not isinstance(value, kinds) or not finite or (isinstance(value, bool) and bool not in kinds):
                expected = " or ".join(kind.__name__ for kind in kinds)
                raise SettingError(f"got {one.name} = {value!r:.40}: expected {expected}; see docs/shaping.md")
        for name, strength in self.emotion.items():
            if isinstance(strength, bool) or not isinstance(strength, int | float):
                raise SettingError(f"got the emotion {name!r:.40} = {strength!r:.40}: expected a number from 0 to 1")
        delay_ticks(self.delay_ms)
        assert self.shaping

    @cached_property
    def shaping(self) -> Shaping:
        return Shaping(
            smooth_hz=self.smooth,
            intensity=self.intensity,
            expressiveness=self.expressiveness,
            hold_ms=self.hold_ms,
            gate=self.gate,
            table=table(dict(self.shapes)) if self.shapes else None,
            close_limit=self.close_limit,
            emotion=always(self.emotion) if self.emotion else None,
            life=Life(self.idle, self.seed),
        )


KEYS: Final = tuple(one.name for one in fields(Settings) if one.name not in ("emotion", "shapes"))


def read(path: str | Path) -> dict[str, Any]:
    """What a file says; what it leaves out is not there.

    Raises:
        SettingError: it cannot be read, or says what no setting is.
    """
    try:
        said = files.text(path)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise SettingError(f"cannot read {str(path)!r} ({reason}): expected TOML; see docs/shaping.md") from None
    try:
        return parse(said)
    except SettingError as problem:
        raise SettingError(f"cannot use {str(path)!r}: {problem}") from None


def parse(said: str) -> dict[str, Any]:
    """The same of text. Raises SettingError as `read` does."""
    try:
        found = tomllib.loads(said)
    except (ValueError, RecursionError) as problem:
        raise SettingError(f"got what is no TOML ({problem}): expected lines such as intensity = 1.2") from None
    given: dict[str, Any] = {key: found.pop(key) for key in (*KEYS, "emotion") if key in found}
    for name, value in found.items():
        if not isinstance(value, dict):  # a section is a shape's
            raise SettingError(f"got {name:.40} = {value!r:.40}: expected one of {', '.join(KEYS)}; rename it")
    if found:
        given["shapes"] = found
    Settings(**given)
    return given


def text(settings: Settings) -> str:
    """The file of these settings: everything but what is as usual, and the style where it is the model's own."""
    usual = Settings()
    lines = [
        f"{key} = {json.dumps(getattr(settings, key))}"
        for key in KEYS
        if getattr(settings, key) != getattr(usual, key)
    ]  # fmt: skip
    for name, values in (("emotion", settings.emotion), *settings.shapes.items()):
        if values:
            lines += ["", f"[{json.dumps(name)}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines).lstrip("\n") + "\n"
