"""Settings of a run from words like `train.epochs=30`.

One promise: only fields that exist can be set, with values of their own type.

    train, model = parse(["train.epochs=30", "model.front=128"])
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from duomorph.errors import SettingError
from duomorph.model.config import ModelConfig
from duomorph.train.loop import TrainConfig

Config = TypeVar("Config")


def _value(word: str) -> Any:
    try:
        value = json.loads(word)
    except ValueError:
        return word  # a bare name
    return tuple(value) if isinstance(value, list) else value


def _set(config: Config, path: list[str], word: str, whole: str) -> Config:
    known = {field.name: getattr(config, field.name) for field in fields(config)}  # type: ignore[arg-type]
    if path[0] not in known:
        raise SettingError(f"unknown setting {whole!r}: expected one of {', '.join(known)} after the dot")
    old = known[path[0]]
    if is_dataclass(old) and len(path) == 2:
        return replace(config, **{path[0]: _set(old, path[1:], word, whole)})  # type: ignore[type-var]
    value = _value(word)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if len(path) != 1 or type(value) is not type(old):
        raise SettingError(f"cannot set {whole}: got {word!r}, expected a {type(old).__name__} such as {old!r}")
    return replace(config, **{path[0]: value})  # type: ignore[type-var]


def parse(words: Sequence[str]) -> tuple[TrainConfig, ModelConfig]:
    """`train.KEY=VALUE` and `model.KEY=VALUE`; values as JSON.

    Raises:
        SettingError: no such setting, or a value of another type.
    """
    train, model = TrainConfig(), ModelConfig()
    for whole in words:
        name, equals, word = whole.partition("=")
        part, _, rest = name.partition(".")
        if not equals or not rest or part not in ("train", "model"):
            raise SettingError(f"cannot read setting {whole!r}: expected train.NAME=VALUE or model.NAME=VALUE")
        if part == "train":
            train = _set(train, rest.split("."), word, whole)
        else:
            model = _set(model, rest.split("."), word, whole)
    return train, model
