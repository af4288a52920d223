"""Settings of a run: defaults are the recipe from nothing; a TOML file and flags change them.

One promise: only fields that exist can be set, with values of their own type, and the whole of them travels in the
checkpoint and in the weights.

    settings = read(Path("c.toml"), ["--train.epochs", "30", "--model.d", "64", "--loss.mse", "1"])
    settings.train.epochs, settings.model.d, settings.loss.mse
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from duomorph import files
from duomorph.errors import SettingError
from duomorph.model.config import ModelConfig

_SHARE: Final = re.compile(r"[^=]+=(?!0+(\.0*)?$)\d+(\.\d+)?")  # a style and more than nothing


@dataclass(frozen=True)
class TrainConfig:
    """How to train."""

    epochs: int = 16
    batch: int = 8  # windows a step, over all processes
    micro: int = 8  # windows at once in one process; the rest of the batch is accumulated
    window_frames: int = 256  # of 1/30 s, beside the warm-up: 8.5 s
    stride_start: int = 32  # windows begin at multiples of this many frames, then of half as many, ...
    stride: int = 1  # ... down to this
    stride_share: float = 0.5  # of the run until the last stride is reached
    dense: float = 0.1  # share of the steps: neighbouring windows one stride apart, at 60 fps; the others are sparse
    sixty: float = 0.15  # share of the sparse steps at 60 fps; the others at 30 (every second tick, which is exact)
    alone: float = 0.4  # share of the sparse steps that see short clips by themselves, three for each window
    alone_rounds: int = 2  # copies of those clips, of `augment.rounds`; 1: as they are
    balance: float = 0.5  # 0: recordings and styles are drawn by their length, 1: all alike
    shares: tuple[str, ...] = ()  # of the styles, "grid=3", "articulate=6", all others 1; none: by `balance`
    often: tuple[str, ...] = ()  # recordings whose names begin so come more often within their style, "emodb=3"
    other_voice: float = 0.5  # share of windows heard through another vocal tract (the mel axis stretched)
    elsewhere: float = 0.0  # share of windows heard over another line and in another noise (on the mel bands)
    soften: int = 5  # ticks of a Hann window over the labels, odd: no face moves faster, and noise is not learned
    unmoved: float = 0.2  # share of windows whose emotion stands at the mean, so that the mouth manages without
    rate: float = 1.5e-3  # of AdamW at its highest
    streams_rate: float = 1.0  # times that, of each shape's choice between the streams
    warm_up_steps: int = 100
    decay: float = 0.02
    clip: float = 1.0  # of the gradient's norm
    average: float = 0.996  # of the weights, a step: what ships
    seed: int = 0
    precision: str = "bf16"  # where the device has it; or "fp32"
    compile: bool = True
    start: str = ""  # a checkpoint, or a model file, to begin with; none: from nothing
    style: str = ""  # given to all takes; none: each keeps its own
    learn: str = "all"  # or "front": the front end alone, at a quarter of the work; "emotion": that stream alone;
    # "back": all but the front end, which then drops nothing; or "style": only what `style` owns
    validate_every: int = 3  # epochs

    def __post_init__(self) -> None:
        counted = ("epochs", "batch", "micro", "window_frames", "alone_rounds", "stride", "validate_every")
        counts = {name: getattr(self, name) for name in counted}
        if min(counts.values()) < 1 or self.stride_start < self.stride:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise SettingError(
                f"got {told}, stride_start {self.stride_start}: expected all at least 1, stride_start not under "
                "stride; change them"
            )
        if self.streams_rate <= 0:
            raise SettingError(f"got train.streams_rate {self.streams_rate}: expected more than 0; set it")
        if self.soften < 1 or self.soften % 2 == 0:
            raise SettingError(f"got train.soften {self.soften}: expected an odd number, 1 leaves it out; set it")
        known = self.learn in ("all", "front", "emotion", "back", "style")
        beside = {"style": (self.style, self.start), "back": (self.start,)}.get(self.learn, ())
        if not known or not all(beside):
            raise SettingError(
                f"got train.learn {self.learn!r}, style {self.style!r}, start {self.start!r}: expected 'all', 'front', "
                "'emotion', 'back' with a model to start from, or 'style' with that and a style; change them"
            )
        for name in ("shares", "often"):
            words = getattr(self, name)
            if not all(isinstance(word, str) and _SHARE.fullmatch(word) for word in words):
                raise SettingError(f"got train.{name} {words!r}: expected a list of words, [\"grid=3\"]; change it")
        if self.precision not in ("bf16", "fp32"):
            raise SettingError(f"got train.precision {self.precision!r}: expected bf16 or fp32; change it")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the five losses."""

    mse: float = 4.0
    l1: float = 1.0
    perceptual: float = 0.5
    temporal: float = 0.2
    bend: float = 1000.0  # of the squared second differences within `temporal`
    lips: float = 0.5  # of the lips' opening within `perceptual`
    seal: float = 2.0  # times more where the lips are shut: half a seal is none
    sealed: tuple[str, ...] = ()  # styles that `lips` is asked of; none named: all
    seldom: tuple[str, ...] = ()  # styles whose moods and tongue, mostly at rest, learn their mean and not their median
    smoothing: float = 0.1


@dataclass(frozen=True)
class AugmentConfig:
    """What becomes of the sound in the copies of the corpus; features of each copy are computed once and cached."""

    rounds: int = 2  # copies, the first unchanged
    speed: tuple[float, float] = (0.85, 1.2)  # pitch, formants and tempo together; the labels move along
    colour_db: float = 9.0  # of a random smooth equaliser
    noise: float = 0.7  # share of sessions with background noise
    snr_db: tuple[float, float] = (5.0, 35.0)
    room: float = 0.3  # share in a simulated room
    reverb_s: tuple[float, float] = (0.15, 0.7)  # its reverberation time T60
    band: float = 0.2  # share through a telephone or a codec
    gain_db: tuple[float, float] = (-18.0, 6.0)
    pause: float = 0.3  # share of the seams between clips that get a silent pause
    pause_s: tuple[float, float] = (0.3, 2.5)


@dataclass(frozen=True)
class Settings:
    """All of a run."""

    data: tuple[str, ...] = ("grid_s1", "facegood")  # corpora by name, or folders with a manifest
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.train.learn in ("front", "back") and not self.model.front:
            raise SettingError(
                f"got train.learn {self.train.learn!r} for a network without a front end: expected model.front above "
                "0; set it"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON gives it back."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


SECTIONS = ("train", "model", "loss", "augment")


def _checked(config: object, section: str, name: str, value: Any) -> Any:
    """A value for a field, of the field's own type."""
    known = {field.name: getattr(config, field.name) for field in fields(config)}  # type: ignore[arg-type]
    if name not in known:
        raise SettingError(f"unknown setting {section}.{name}: expected one of {', '.join(known)}")
    old = known[name]
    value = tuple(value) if isinstance(value, list) else value
    if isinstance(old, float) and type(value) is int:
        value = float(value)
    same = type(value) is type(old) and (not isinstance(old, tuple) or {type(x) for x in value} <= {int, float, str})
    if not same:
        raise SettingError(f"cannot set {section}.{name}: got {value!r}, expected a {type(old).__name__} like {old!r}")
    return value


def changed(settings: Settings, sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    """`settings` with some fields set: {"train": {"epochs": 30}}.

    Raises:
        SettingError, ModelError: no such section or field, a value of another type or out of range.
    """
    for section, values in sections.items():
        if section == "data":
            settings = replace(settings, data=tuple(map(str, values)))
            continue
        if section not in SECTIONS or not isinstance(values, Mapping):
            raise SettingError(f"unknown section {section!r}: expected {', '.join(SECTIONS)}; change it")
        part = getattr(settings, section)
        part = replace(part, **{name: _checked(part, section, name, value) for name, value in values.items()})
        settings = replace(settings, **{section: part})
    return settings


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word  # a bare name


def read(path: Path | None, flags: Sequence[str], settings: Settings | None = None) -> Settings:
    """The defaults, changed by a TOML file, changed by flags `--SECTION.NAME VALUE`.

    Raises:
        SettingError, ModelError: not readable, no such setting, a value of another type or out of range.
    """
    settings = settings or Settings()
    if path is not None:
        try:
            settings = changed(settings, tomllib.loads(files.text(path)))
        except (OSError, ValueError) as problem:
            raise SettingError(f"cannot read settings {str(path)!r}: {problem}; expected a TOML file") from None
    words = [part for flag in flags for part in (flag.split("=", 1) if flag.startswith("--") else [flag])]
    sections: dict[str, dict[str, Any]] = {}
    for name, word in zip(words[::2], words[1::2], strict=False):
        section, dot, key = name.removeprefix("--").partition(".")
        if not name.startswith("--") or not dot:
            raise SettingError(f"unknown argument {name!r}: expected --SECTION.NAME VALUE, as in --train.epochs 30")
        sections.setdefault(section, {})[key] = _value(word)
    if len(words) % 2:
        raise SettingError(f"got {words[-1]!r} without a value: expected --SECTION.NAME VALUE; add it")
    return changed(settings, sections)
