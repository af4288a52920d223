"""Where a model comes from: its training data, licence and settings.

One promise: what `duomorph info` says about a model is read from the model file itself.

    config, provenance = read_metadata(metadata, "duomorph.onnx")
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from duomorph.egemaps import VERSION as EGEMAPS_VERSION
from duomorph.errors import ModelError
from duomorph.mel import MelConfig
from duomorph.model.config import LONG, MANY, ModelConfig

KIND: Final = "duomorph face model 1"
GRAPH: Final = f"1, 2, {MANY} or {LONG} ticks, stride 1 or 2, smoothed over 1/30 s"  # what a graph takes and does
LAYOUT: Final = "2"  # how it does so: older ones run, but are not taken for what is exported now
SOUND_GRAPH: Final = f"sound, {GRAPH}"  # and one that has ears
FEATURES: Final = json.dumps({"mel": asdict(MelConfig()), "egemaps": EGEMAPS_VERSION})  # what a model is trained on


@dataclass(frozen=True)
class TrainingSource:
    name: str
    style: str
    licence: str
    credit: str
    hours: float


@dataclass(frozen=True)
class Provenance:
    """Written at export, inside the weights.

    Attributes:
        runs: the settings of each training run, as JSON, the last one last.
        neutral: 88 eGeMAPS functionals, the mean of the training data; stands for windows that heard nothing.
        streams: 52 pairs [w_mel, w_emo], the learned weight of each stream for each shape.
        smoothing_s: 52 group delays of the learned smoothing, seconds.
        default_style: what `animate` uses when no style is named.
    """

    licence: str
    trained: str  # ISO date
    epochs: int  # of the last run
    runs: tuple[str, ...]
    sources: tuple[TrainingSource, ...]
    neutral: tuple[float, ...]
    default_style: str
    parameters: int
    streams: tuple[tuple[float, float], ...]
    smoothing_s: tuple[float, ...]


def read_metadata(meta: dict[str, str], where: str) -> tuple[ModelConfig, Provenance]:
    """Config and provenance from the metadata of a model file.

    Raises:
        ModelError: the file is not ours.
    """
    if meta.get("kind") != KIND:
        raise ModelError(f"{where!r} is no Duomorph model: expected a file written by `duomorph export`")
    if meta.get("features") != FEATURES:
        raise ModelError(f"{where!r} was trained on features of another version of Duomorph: expected {FEATURES}")
    try:
        stored: dict[str, Any] = json.loads(meta["provenance"])
        stored["sources"] = tuple(TrainingSource(**source) for source in stored["sources"])
        stored["streams"] = tuple((float(mel), float(emotion)) for mel, emotion in stored["streams"])
        stored["runs"] = tuple(map(str, stored["runs"]))
        for name in ("neutral", "smoothing_s"):
            stored[name] = tuple(map(float, stored[name]))
        provenance = Provenance(**stored)
        return ModelConfig.from_dict(json.loads(meta["config"])), provenance
    except (KeyError, TypeError, ValueError) as problem:
        raise ModelError(f"{where!r} carries damaged metadata ({problem}); download or export it again") from None
