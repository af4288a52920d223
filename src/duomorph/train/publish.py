"""From a training run to model files.

One promise: what ships are the averaged weights of a checkpoint, with where they come from written inside.

    publish(Path("runs/first/checkpoint.pt"), Path("src/duomorph/weights/duomorph.onnx"))
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from duomorph.clock import TICK_RATE
from duomorph.emotion import FUNCTIONALS
from duomorph.errors import SettingError
from duomorph.model.card import Provenance, TrainingSource
from duomorph.model.config import ModelConfig
from duomorph.model.export import export, fill
from duomorph.model.network import Network
from duomorph.train.beginning import load_checkpoint
from duomorph.train.objective import ALONE


def constants(network: Network) -> dict[str, Any]:
    """What of a provenance the network itself knows: what it has learned of constants."""
    keep = (1 - network.alpha()) / network.alpha()  # group delay of the smoothing, ticks
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "streams": tuple((mel, emotion) for mel, emotion in network.stream_weights().tolist()),
        "smoothing_s": tuple((keep / TICK_RATE).tolist()),
    }


def provenance_of(checkpoint: dict[str, Any], network: Network, style: str | None) -> Provenance:
    """What the training run knows about itself and what the network has learned of constants."""
    styles = network.config.styles
    if style is not None and style not in styles:
        raise SettingError(f"style {style!r} is unknown: expected one of {', '.join(styles)}")
    return Provenance(
        licence="MIT",
        trained=checkpoint["trained"],
        epochs=checkpoint["epoch"],
        runs=tuple(checkpoint["runs"]),
        sources=tuple(TrainingSource(**source) for source in checkpoint["sources"]),
        neutral=tuple(network.emotion.mean[:FUNCTIONALS].tolist()),
        default_style=style or checkpoint["settings"]["train"]["style"] or styles[0],
        **constants(network),
    )


def trained(checkpoint: Path, style: str | None = None) -> tuple[Network, Provenance]:
    """The network with the averaged weights of a training run, and where it comes from.

    Args:
        style: the default one; None: the run's own, or the first.
    Raises:
        ModelError: no checkpoint of ours. SettingError: no such style, or only a part of it has learned.
    """
    stored = load_checkpoint(checkpoint)
    if (part := stored["settings"]["train"]["learn"]) in ALONE:
        raise SettingError(
            f"{str(checkpoint)!r} is of a network whose {part} learned alone: expected a run of the whole network; "
            f"go on with  duomorph train --train.start {checkpoint} -o FOLDER"
        )
    network = Network(ModelConfig.from_dict(stored["settings"]["model"]))
    fill(network, stored["average"])
    with torch.no_grad():
        return network, provenance_of(stored, network, style)


def publish(checkpoint: Path, path: Path, like: Path | None = None) -> None:
    """`trained` as `path` (.onnx) and the safetensors file beside it; `like`: a model that it may have the form of."""
    export(*trained(checkpoint), path, like=like)
