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
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from duomorph import arkit, files
from duomorph.clock import ROWS_PER_TICK
from duomorph.errors import ModelError
from duomorph.model.branches import Branches, Values, lean
from duomorph.model.card import FEATURES, GRAPH, KIND, Provenance, read_metadata
from duomorph.model.config import MANY, ModelConfig
from duomorph.model.network import Network
from duomorph.model.runtime import HEARD, MEMORY, Held, Mood, Ticks, shapes

OPSET = 20
SHARED_BYTES = 1024  # smaller constants stay in the graph


def metadata(config: ModelConfig, provenance: Provenance) -> dict[str, str]:
    """What both files carry: kind, configuration, provenance."""
    return {
        "kind": KIND,
        "features": FEATURES,
        "config": json.dumps(config.to_dict()),
        "provenance": json.dumps(asdict(provenance)),
    }


def to_onnx(network: Network) -> onnx.ModelProto:
    """The graph: inputs and `state_*`, outputs `weights` and `next_*`; batch and updates are free.

    `stride`: 1; or 2, for the last of every two ticks. `mel`: 2 ticks, `MANY`, or of stride 1 a single one.
    `emotion`: the updates that are new, none too. `slot`: 0 for the update held before, 1 for the first new one, ...;
    the last tick holds the last.
    """
    network.eval()
    c = network.config
    sizes = shapes(c)
    batch = {0: torch.export.Dim("batch", min=1)}
    voice = (torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.long))  # style, delay

    def ticks(count: int, stride: int) -> onnx.GraphProto:
        moods, keys = torch.zeros(2, 3, *sizes["mood"]), torch.zeros(2, *sizes["keys"])
        slot = torch.zeros(2, count, dtype=torch.long)
        several = batch | {1: torch.export.Dim("moods", min=1)}
        return _graph(
            Ticks(network, stride),
            (torch.zeros(2, count, 2, c.bands), moods, keys, slot, *voice, *_zeros(sizes, MEMORY)),
            (batch, several, batch, batch, batch, batch, (batch,) * len(MEMORY)),
            ["mel", "moods", "next_keys", "slot", "style", "delay", *_named("state", MEMORY)],
            ["weights", *_named("next", MEMORY)],
        )

    heard = _named("state", HEARD)
    after = [*_named("next", HEARD), "moods"]
    held = _graph(Held(), tuple(_zeros(sizes, HEARD)), ((batch,) * len(HEARD),), heard, after)
    several = batch | {1: torch.export.Dim("updates", min=1)}
    mood = _graph(
        Mood(network),
        (torch.zeros(2, 3, c.emotion_inputs), *voice, *_zeros(sizes, HEARD)),
        (several, batch, batch, (batch,) * len(HEARD)),
        ["emotion", "style", "delay", *heard],
        after,
    )
    graph = Branches()
    graph.choose(graph.over("emotion", 0), graph.way(mood), graph.way(held))
    many, second = (graph.either(graph.over("mel", 2), graph.way(ticks(MANY, stride)), graph.way(ticks(2, stride)))
                    for stride in (1, 2))  # fmt: skip
    every = graph.either(graph.over("mel", 1), many, graph.way(ticks(1, 1)))
    graph.choose(graph.once("Greater", ["stride", graph.integer(1)]), second, every)
    floats, integers = int(onnx.TensorProto.FLOAT), int(onnx.TensorProto.INT64)
    kinds: Values = {
        "mel": (floats, ["batch", "ticks", ROWS_PER_TICK, c.bands]),
        "emotion": (floats, ["batch", "updates", c.emotion_inputs]),
        "slot": (integers, ["batch", "ticks"]),
        "style": (integers, ["batch"]),
        "delay": (integers, ["batch"]),
        "stride": (integers, [1]),
        **{f"state_{name}": (floats, ["batch", *shape]) for name, shape in sizes.items()},
    }
    results: Values = {
        "weights": (floats, ["batch", "frames", arkit.COUNT]),
        **{f"next_{name}": (floats, ["batch", *shape]) for name, shape in sizes.items()},
    }
    return graph.model(kinds, results, OPSET)


def _named(prefix: str, names: Iterable[str]) -> list[str]:
    return [f"{prefix}_{name}" for name in names]


def _zeros(sizes: dict[str, tuple[int, ...]], names: Iterable[str]) -> list[Tensor]:
    return [torch.zeros(2, *sizes[name]) for name in names]


def _graph(
    module: nn.Module, example: tuple[Any, ...], dynamic: tuple[Any, ...], inputs: list[str], outputs: list[str]
) -> onnx.GraphProto:
    """One way through the network."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # packages that it misses and we do not need
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            optimize=False,  # it would transpose weights, and they could no longer be shared; see `lean`
            verbose=False,
        )
    assert program is not None
    return lean(program.model_proto, "network.").graph


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
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    _write(network, meta, save(tensors, metadata=meta), path)


def again(weights: Path, path: Path) -> None:
    """A safetensors file -> `path` (.onnx), a graph of today, and beside it the same weights, byte for byte. Raises
    ModelError as `load_model` does."""
    network, provenance = load_model(weights)
    _write(network, metadata(network.config, provenance), weights.read_bytes(), path)


def _write(network: Network, meta: dict[str, str], weights: bytes, path: Path) -> None:
    beside = path.with_suffix(".safetensors")
    model = to_onnx(network)
    share_weights(model, weights, beside.name)
    digest = hashlib.sha256(weights).hexdigest()
    onnx.helper.set_model_props(model, meta | {"graph": GRAPH, "weights_sha256": digest})
    files.folder(path.parent)
    files.write(beside, weights)
    files.write(path, model.SerializeToString(deterministic=True))


def fill(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Hand weights over. Raises ModelError: they are those of a network that is built otherwise."""
    try:
        network.load_state_dict(weights)
    except RuntimeError:  # which names every tensor
        raise ModelError(
            "the weights do not fit the network of their own settings: expected those of this version of Duomorph; "
            "use the version that trained them"
        ) from None


def load_model(path: Path) -> tuple[Network, Provenance]:
    """The torch network of a safetensors file, and where it comes from.

    Raises:
        ModelError: not a file of ours, or of another version.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            config, provenance = read_metadata(stored.metadata() or {}, str(path))
        weights = load_file(path)
    except (OSError, SafetensorError) as problem:
        raise ModelError(f"cannot read weights {str(path)!r}: {problem}; expected a safetensors file") from None
    network = Network(config)
    fill(network, weights)
    return network, provenance
