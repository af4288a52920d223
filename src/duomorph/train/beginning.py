"""Where a run begins: from nothing, from another run's checkpoint, or from a model that was published.

One promise: weights are handed over only to a network of the same form; new styles begin as the default one.

    before = Beginning.read(Path("runs/first/checkpoint.pt"))       # or duomorph.onnx
    before.give(network)
"""

from __future__ import annotations

import dataclasses
import math
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duomorph import arkit
from duomorph.corpus import Take
from duomorph.emotion import FUNCTIONALS, WINDOWS
from duomorph.errors import ModelError
from duomorph.model.card import TrainingSource
from duomorph.model.config import UPDATE_TICKS, ModelConfig
from duomorph.model.export import fill, load_model
from duomorph.model.network import EMOTION_RANGE, STRETCH, Network
from duomorph.train.data import Session

EMOTION_RIDGE: Final = 10.0  # times the variance of each functional
PER_STYLE: Final = ("style", "out_bias")  # parameters with a row for each style


def set_statistics(network: Network, sessions: list[Session]) -> None:
    """Mean and spread of the functionals, the same for the three windows."""
    rows = np.concatenate([session.emotion[1:, :FUNCTIONALS] for session in sessions])  # all heard
    network.emotion.mean.copy_(torch.from_numpy(np.tile(rows.mean(axis=0), WINDOWS)))
    network.emotion.scale.copy_(torch.from_numpy(np.tile(np.maximum(rows.std(axis=0), 1e-3), WINDOWS)))


def set_emotion_directions(network: Network, sessions: list[Session], chances: NDArray[np.float64]) -> None:
    """What of the functionals is looked at, 264 -> 256, in closed form: gradient descent learns the few speakers who
    show emotions, and how their room sounds, by heart.

    Ridge regression of the face on the functionals, for each style, after the mean of each collection of recordings is
    taken off both: sounding like the corpus with the emotions is no emotion. Its principal directions, mixed at random
    (fixed seed) into all channels.
    """
    mean, scale = network.emotion.mean.double().numpy(), network.emotion.scale.double().numpy()
    parts: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for session, chance in zip(sessions, chances, strict=True):
        updates = np.arange(1, min(len(session.emotion), len(session) // UPDATE_TICKS))
        shown = session.curves * (session.known[:, None] & session.captured)
        total = np.concatenate([np.zeros((1, arkit.COUNT)), shown.astype(np.float64).cumsum(axis=0)])
        face = (total[(updates + 1) * UPDATE_TICKS] - total[(updates - 1) * UPDATE_TICKS]) / (2 * UPDATE_TICKS)
        level = np.nan_to_num((session.emotion[updates] - mean) / scale).clip(-EMOTION_RANGE, EMOTION_RANGE)
        weight = np.full((len(updates), 1), chance / max(1, len(updates)))
        key = session.style, session.recording.partition("-")[0]
        parts.setdefault(key, []).append(np.concatenate([weight, level, face], axis=1))
    inputs = len(mean)
    covariance: dict[str, NDArray[np.float64]] = {}
    for (style, _), rows in parts.items():
        weight, values = np.split(np.concatenate(rows), [1], axis=1)
        values -= (weight * values).sum(axis=0) / weight.sum().clip(1e-12)
        covariance[style] = covariance.get(style, 0) + (weight * values).T @ values[:, :inputs]
    maps = []
    for of in covariance.values():
        ridge = EMOTION_RIDGE * np.diag(of[:inputs].diagonal() + 1e-9)
        maps.append(np.linalg.solve(of[:inputs] + ridge, of[inputs:].T))
    every, strength, _ = np.linalg.svd(np.concatenate(maps, axis=1), full_matrices=False)
    kept = every[:, strength >= 1e-2 * strength[0]]  # (264, directions)
    spread = np.sqrt(np.einsum("ir,ij,jr->r", kept, sum(of[:inputs] for of in covariance.values()), kept) + 1e-12)
    seed = torch.Generator().manual_seed(0)
    mix = torch.randn(network.config.emotion, kept.shape[1], generator=seed) * kept.shape[1] ** -0.5
    with torch.no_grad():
        network.emotion.compress.weight.copy_(mix @ torch.from_numpy((kept / spread).T).float())
        network.emotion.compress.bias.copy_(torch.randn(network.config.emotion, generator=seed))


def set_resting_face(network: Network, takes: list[Take]) -> None:
    """Each style's mean of each shape as its starting output; one that no take of the style captured rests at zero."""
    for row, style in enumerate(network.config.styles):
        own = [take for take in takes if take.style == style]
        for shape in range(arkit.COUNT):
            seen = [take.weights[:, shape].mean() for take in own if take.captured[shape]]
            mean = min(max(float(np.mean(seen)) if seen else 0.0, 0.0), 1.0)
            share = (mean + STRETCH) / (1 + 2 * STRETCH)
            network.out_bias.data[row, shape] = math.log(share / (1 - share))


_DAMAGED: Final = (
    OSError, RuntimeError, LookupError, TypeError, ValueError, EOFError, struct.error, pickle.UnpicklingError,
)  # fmt: skip


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `Trainer.save` wrote.

    Raises:
        ModelError: no checkpoint of ours.
    """
    try:
        stored: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        if not {"settings", "step", "average", "runs", "sources"} <= set(stored):
            raise KeyError
    except _DAMAGED as problem:
        reason = getattr(problem, "strerror", None) or "damaged or foreign"
        raise ModelError(
            f"cannot read checkpoint {str(path)!r} ({reason}): expected one written by `duomorph train`; name another"
        ) from None
    return stored


@dataclass(frozen=True)
class Beginning:
    """What a run goes on from: a checkpoint of another, or a model that was published."""

    model: ModelConfig
    weights: dict[str, Tensor]
    runs: list[str]
    sources: list[TrainingSource]
    default_style: str

    @classmethod
    def read(cls, path: Path) -> Beginning:
        """Raises ModelError if `path` is neither."""
        if path.suffix in (".onnx", ".safetensors"):
            network, provenance = load_model(path.with_suffix(".safetensors"))
            runs, origin, style = list(provenance.runs), list(provenance.sources), provenance.default_style
            return cls(network.config, network.state_dict(), runs, origin, style)
        stored = load_checkpoint(path)
        model = ModelConfig.from_dict(stored["settings"]["model"])
        origin = [TrainingSource(**source) for source in stored["sources"]]
        return cls(model, stored["average"], stored["runs"], origin, model.styles[0])

    def give(self, network: Network) -> None:
        """Hand the weights over; styles that are new begin as the default one.

        Raises:
            ModelError: the network has another form.
        """
        free = {name: getattr(network.config, name) for name in ("styles", "dropout", "tau_start", "tau")}
        mine, theirs = network.config.to_dict(), dataclasses.replace(self.model, **free).to_dict()
        odd = [name for name in mine if mine[name] != theirs[name]]
        if odd:
            raise ModelError(
                f"cannot start from that model: its {odd[0]} is {theirs[odd[0]]!r}, this run's {mine[odd[0]]!r}; "
                f"expected the same, set --model.{odd[0]}"
            )
        rows = [
            self.model.styles.index(name if name in self.model.styles else self.default_style)
            for name in network.config.styles
        ]
        fill(network, self.weights | {name: self.weights[name][rows] for name in PER_STYLE})


_FRONT: Final = ("mel.front.",)
_OWN: Final = {"front": _FRONT, "emotion": ("emotion.norm.", "emotion.key_value.", "age")}  # what learns alone


def learn_part_alone(network: Network, part: str) -> None:
    """Freeze everything but the front end, or but the emotion stream; or ("back") the front end."""
    for name, parameter in network.named_parameters():
        own = not name.startswith(_FRONT) if part == "back" else name.startswith(_OWN[part])
        parameter.requires_grad_(own and parameter.requires_grad)


def learn_style_alone(network: Network, style: str) -> None:
    """Freeze everything but what one style has of its own."""
    others = torch.tensor([row for row, name in enumerate(network.config.styles) if name != style], dtype=torch.long)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in PER_STYLE)
        if name in PER_STYLE:
            parameter.register_hook(lambda gradient: gradient.index_fill(0, others.to(gradient.device), 0.0))
