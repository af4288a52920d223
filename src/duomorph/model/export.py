"""From torch to what ships: the weights as safetensors, and an ONNX graph with explicit state that reads them there.

One promise: config and provenance travel inside both files, the weights exist once, and the graph gives what the
torch network gives.

    export(network, provenance, Path("duomorph.onnx"))    # writes duomorph.safetensors beside it
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from duomorph import files
from duomorph.errors import ModelError
from duomorph.model.card import FEATURES, KIND, Provenance, read_metadata
from duomorph.model.config import ModelConfig
from duomorph.model.network import STATE_NAMES, Network, State

INPUTS = ("mel", "emotion", "slot", "style", "delay")
OPSET = 20
SHARED_BYTES = 1024  # smaller constants stay in the graph


class _Step(nn.Module):
    """`Network.forward` with the state as a flat list, as ONNX wants it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, mel: Tensor, emotion: Tensor, slot: Tensor, style: Tensor, delay: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        weights, after = self.network(mel, emotion, slot, style, delay, State(*state))
        return weights, *(part.clone() for part in flat(after))  # a part that a smaller form leaves as it was


def flat(state: State) -> tuple[Tensor, ...]:
    """The fields of a state in order (`dataclasses.astuple` would copy every tensor)."""
    return tuple(getattr(state, name) for name in STATE_NAMES)


def metadata(config: ModelConfig, provenance: Provenance) -> dict[str, str]:
    """What both files carry: kind, configuration, provenance."""
    return {
        "kind": KIND,
        "features": FEATURES,
        "config": json.dumps(config.to_dict()),
        "provenance": json.dumps(asdict(provenance)),
    }


def to_onnx(network: Network) -> onnx.ModelProto:
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
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # packages that it misses and we do not need
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
            optimize=False,  # it would transpose weights, and they could no longer be shared; the runtime does it
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
    return model


def share_weights(model: onnx.ModelProto, weights: bytes, location: str) -> None:
    """Let the graph's constants that stand in a safetensors file be read from there.

    ONNX's external data names a file, an offset and a length; a safetensors file is eight bytes of header length, a
    JSON header with each tensor's place, and the tensors as they are.
    """
    header = int.from_bytes(weights[:8], "little")
    places: dict[bytes, tuple[int, int]] = {}
    for name, entry in json.loads(weights[8 : 8 + header]).items():
        if name != "__metadata__":
            begin, end = (8 + header + offset for offset in entry["data_offsets"])
            places[weights[begin:end]] = (begin, end - begin)
    for constant in model.graph.initializer:
        data = numpy_helper.to_array(constant).tobytes()
        if len(data) >= SHARED_BYTES and data in places:
            offset, length = places[data]
            constant.ClearField("raw_data")
            constant.ClearField("float_data")
            constant.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", offset), ("length", length)):
                constant.external_data.add(key=key, value=str(value))


def export(network: Network, provenance: Provenance, path: Path) -> None:
    """Write `path` (.onnx) and the safetensors file beside it, each whole or not at all. They belong together."""
    meta = metadata(network.config, provenance)
    beside = path.with_suffix(".safetensors")
    weights = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, metadata=meta)
    model = to_onnx(network)
    share_weights(model, weights, beside.name)
    onnx.helper.set_model_props(model, meta | {"weights_sha256": hashlib.sha256(weights).hexdigest()})
    files.folder(path.parent)
    files.write(beside, weights)
    files.write(path, model.SerializeToString(deterministic=True))


def load_model(path: Path) -> tuple[Network, Provenance]:
    """The torch network of a safetensors file, and where it comes from.

    Raises:
        ModelError: not a file of ours.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            config, provenance = read_metadata(stored.metadata() or {}, str(path))
        network = Network(config)
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as problem:
        raise ModelError(f"cannot read weights {str(path)!r}: {problem}; expected a safetensors file") from None
    return network, provenance
