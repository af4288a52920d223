"""From torch to what ships: the weights as safetensors, and an ONNX graph with explicit state that reads them there.

One promise: config and provenance travel inside both files, the weights exist once, and the graph gives what the
torch network gives.

    export(network, provenance, Path("duomorph.onnx"))    # writes duomorph.safetensors beside it
    write(network, provenance, Path("folder"), "onnx-int8", sound=True)     # duomorph-sound-int8.onnx
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from duomorph import arkit, files
from duomorph.errors import ModelError
from duomorph.model.branches import UNDER
from duomorph.model.card import FEATURES, GRAPH, KIND, LAYOUT, SOUND_GRAPH, Provenance, read_metadata
from duomorph.model.config import ModelConfig
from duomorph.model.graph import to_onnx
from duomorph.model.network import Network
from duomorph.model.packing import KEPT, pack, unpack_inside
from duomorph.model.pte import METHODS, export_pte
from duomorph.model.runtime import shapes
from duomorph.model.sound import BEFORE, add_ears

SHARED_BYTES = 1024  # smaller constants stay in the graph
STORES = {"onnx": "fp32", "onnx-fp16": "fp16", "onnx-int8": "int8"}  # how a format keeps matrices


def metadata(config: ModelConfig, provenance: Provenance) -> dict[str, str]:
    """What both files carry: kind, configuration, provenance."""
    return {
        "kind": KIND,
        "features": FEATURES,
        "config": json.dumps(config.to_dict()),
        "provenance": json.dumps(asdict(provenance)),
    }


def share_weights(model: onnx.ModelProto, weights: bytes, location: str) -> None:
    """Let the graph's weights be read from the safetensors file they stand in.

    ONNX's external data names a file, an offset and a length; a safetensors file is eight bytes of header length, a
    JSON header with each tensor's place, and the tensors as they are.
    """
    header = int.from_bytes(weights[:8], "little")
    entries = json.loads(weights[8 : 8 + header])
    for constant in model.graph.initializer:
        entry = entries.get(constant.name.removeprefix(UNDER).removesuffix(KEPT))
        if entry and len(constant.raw_data) >= SHARED_BYTES:
            begin, end = (8 + header + offset for offset in entry["data_offsets"])
            constant.ClearField("raw_data")
            constant.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", begin), ("length", end - begin)):
                constant.external_data.add(key=key, value=str(value))


def write(
    network: Network, provenance: Provenance, folder: Path, kind: str, sound: bool, weights: Path | None = None
) -> Path:
    """What `duomorph export` makes, under a name that says what it is. `kind`: one of STORES, or "executorch"."""
    if kind == "executorch":
        path = folder / "duomorph.pte"
        export_pte(network, path)
        files.write(path.with_suffix(".json"), card(network.config, provenance, {"methods": METHODS}))
        return path
    path = folder / f"duomorph{'-sound' * sound}{kind.removeprefix('onnx')}.onnx"
    like = weights.with_suffix(".onnx") if weights else None
    if sound:
        export_sound(network, provenance, path, STORES[kind], like)
    else:
        export(network, provenance, path, STORES[kind], weights, like)
    return path


def export(
    network: Network,
    provenance: Provenance,
    path: Path,
    store: str = "fp32",
    weights: Path | None = None,
    like: Path | None = None,
) -> None:
    """Write `path` (.onnx) and the safetensors file beside it, each whole or not at all. They belong together.

    Args:
        store: how matrices are kept, see `pack`.
        weights: the safetensors file that the network was read from: as fp32 it is written again byte for byte.
        like: see `to_onnx`.
    """
    tensors, meta = pack(network, store), metadata(network.config, provenance)
    kept = weights.read_bytes() if weights and store == "fp32" else save(tensors, metadata=meta)
    beside = path.with_suffix(".safetensors")
    model = to_onnx(network, like)
    unpack_inside(model, tensors)
    share_weights(model, kept, beside.name)
    digest = hashlib.sha256(kept).hexdigest()
    onnx.helper.set_model_props(model, meta | {"graph": GRAPH, "layout": LAYOUT, "weights_sha256": digest})
    files.folder(path.parent)
    files.write(beside, kept)
    files.write(path, model.SerializeToString(deterministic=True))


def export_sound(
    network: Network, provenance: Provenance, path: Path, store: str = "fp32", like: Path | None = None
) -> None:
    """Write `path` (.onnx), which takes sound itself and holds its weights, and beside it as JSON what a caller has to
    know."""
    model = to_onnx(network, like)
    unpack_inside(model, pack(network, store))
    add_ears(model, provenance.neutral)
    style = str(network.config.styles.index(provenance.default_style))
    for_all = {"graph": SOUND_GRAPH, "shapes": ",".join(arkit.NAMES), "style": style}  # readers without JSON too
    onnx.helper.set_model_props(model, metadata(network.config, provenance) | for_all)
    files.folder(path.parent)
    files.write(path.with_suffix(".json"), card(network.config, provenance, {}))
    files.write(path, model.SerializeToString(deterministic=True))


def card(config: ModelConfig, provenance: Provenance, more: dict[str, Any]) -> bytes:
    """Names, styles and the sizes of the state, as JSON, for a program that takes a model without Python."""
    told = {
        "shapes": arkit.NAMES,
        "styles": config.styles,
        "style": provenance.default_style,
        "state": shapes(config) | BEFORE,
        "neutral": provenance.neutral,
        **more,
    }
    return (json.dumps(told) + "\n").encode()


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
    if any(tensor.dtype != torch.float32 for tensor in weights.values()):
        raise ModelError(f"the weights in {str(path)!r} are rounded: expected those that they were made from")
    network = Network(config)
    fill(network, weights)
    return network, provenance
