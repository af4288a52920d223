"""From torch to what ships: one ONNX graph with explicit state, and the same weights as safetensors.

One promise: config and provenance travel inside both files, and the graph gives what the torch network gives.

    export(network, provenance, Path("duomorph.onnx"))    # writes duomorph.safetensors beside it
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import onnx
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from duomorph import files
from duomorph.errors import ModelError
from duomorph.model.card import KIND, Provenance, read_metadata
from duomorph.model.config import ModelConfig
from duomorph.model.network import STATE_NAMES, Network, State

INPUTS = ("mel", "emotion", "slot", "style", "delay")
OPSET = 20


class _Step(nn.Module):
    """`Network.forward` with the state as a flat list, as ONNX wants it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, mel: Tensor, emotion: Tensor, slot: Tensor, style: Tensor, delay: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        weights, after = self.network(mel, emotion, slot, style, delay, State(*state))
        return weights, *flat(after)


def flat(state: State) -> tuple[Tensor, ...]:
    """The fields of a state in order (`dataclasses.astuple` would copy every tensor)."""
    return tuple(getattr(state, name) for name in STATE_NAMES)


def metadata(config: ModelConfig, provenance: Provenance) -> dict[str, str]:
    """What both files carry: kind, configuration, provenance."""
    return {
        "kind": KIND,
        "config": json.dumps(config.to_dict()),
        "provenance": json.dumps(asdict(provenance)),
    }


def to_onnx(network: Network, meta: dict[str, str]) -> bytes:
    """The graph: inputs `INPUTS` and `state_*`, outputs `weights` and `next_*`; batch, ticks, updates are free."""
    network.eval()
    c = network.config
    ticks, updates, batch = 7, 3, 2
    example = (
        torch.zeros(batch, ticks, 2, c.bands),
        torch.zeros(batch, updates, c.emotion_inputs),
        torch.zeros(batch, ticks, dtype=torch.long),
        torch.zeros(batch, dtype=torch.long),
        torch.zeros(batch, dtype=torch.long),
        *flat(network.start(batch)),
    )
    b, n, u = (torch.export.Dim(name, min=1) for name in ("batch", "ticks", "updates"))
    dynamic = (
        {0: b, 1: n}, {0: b, 1: u}, {0: b, 1: n}, {0: b}, {0: b},
        tuple({0: b} for _ in STATE_NAMES),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            _Step(network),
            example,
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=[*INPUTS, *(f"state_{name}" for name in STATE_NAMES)],
            output_names=["weights", *(f"next_{name}" for name in STATE_NAMES)],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # the exporter notes source files and stack traces: not for the world
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    onnx.helper.set_model_props(model, meta)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def export(network: Network, provenance: Provenance, path: Path) -> None:
    """Write `path` (.onnx) and the safetensors file beside it, each whole or not at all."""
    meta = metadata(network.config, provenance)
    files.write(path, to_onnx(network, meta))
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with files.atomic(path.with_suffix(".safetensors")) as temporary:
        save_file(tensors, temporary, metadata=meta)


def load_weights(path: Path) -> Network:
    """The torch network of a safetensors file.

    Raises:
        ModelError: not a file of ours.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            config, _ = read_metadata(stored.metadata() or {}, str(path))
        network = Network(config)
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as problem:
        raise ModelError(f"cannot read weights {str(path)!r}: {problem}; expected a safetensors file") from None
    return network
