"""The ONNX graph of a network: with explicit state, one way for a tick and others for many, weights by their names.

One promise: it gives the curves that the torch network gives; that is tried before it is handed out.

    model = to_onnx(network)

Tracing takes minutes, and the graph does not depend on the values of the weights: a network of the form that ships, or
of the one that it was fine-tuned from, gets that graph, with weights of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor

from duomorph import arkit
from duomorph.clock import MAX_DELAY, ROWS_PER_TICK
from duomorph.errors import ModelError
from duomorph.model.branches import UNDER, Branches, Values, traced
from duomorph.model.card import GRAPH, LAYOUT, read_metadata
from duomorph.model.config import LONG, MANY
from duomorph.model.engine import State
from duomorph.model.network import MEL_SCALE, MEL_SILENCE, Network
from duomorph.model.runtime import HEARD, MEMORY, Held, Mood, Ticks, shapes

SHIPPED = Path(str(resources.files("duomorph") / "weights" / "duomorph.onnx"))
TOLERANCE = 1e-4  # between the curves of torch and those of a graph
UNSHAPED = ("styles", "dropout", "tau_start", "tau", "smoothing_s")  # settings that change values, and not the graph


def to_onnx(network: Network, like: Path | None = None) -> onnx.ModelProto:
    """The graph: inputs and `state_*`, outputs `weights` and `next_*`; batch and updates are free.

    `stride`: 1; or 2, for the last of every two ticks. `mel`: 2 ticks, `MANY` or `LONG`, or of stride 1 a single one.
    `emotion`: the updates that are new, none too. `slot`: 0 for the update held before, 1 for the first new one, ...;
    the last tick holds the last.

    Args:
        like: a model file that `network` may have the form of; the one that ships is tried too.
    Raises:
        ModelError: what was traced gives other curves.
    """
    network.eval()
    with torch.no_grad():
        for make in (partial(_known, like), partial(_known, SHIPPED), _traced):
            model = make(network)
            if model is not None and _agrees(_filled(model, network), network):
                return model
    raise ModelError(f"the graph that torch {torch.__version__} made gives other curves: expected 2.13; install that")


def _weights(network: Network) -> dict[str, Tensor]:
    return {UNDER + name: value for name, value in (*network.named_parameters(), *network.named_buffers())}


def _known(path: Path | None, network: Network) -> onnx.ModelProto | None:
    """The graph of a file, where it is that of a network of this form."""
    try:
        model = onnx.load(path or "", load_external_data=False)
        meta = {entry.key: entry.value for entry in model.metadata_props}
        config, _ = read_metadata(meta, str(path))
    except (OSError, DecodeError, ModelError):
        return None
    free = {name: getattr(config, name) for name in UNSHAPED}
    made = meta.get("graph"), meta.get("layout")
    same = made == (GRAPH, LAYOUT) and dataclasses.replace(network.config, **free) == config
    named = {constant.name for constant in model.graph.initializer if constant.name.startswith(UNDER)}
    return model if same and named == _weights(network).keys() else None


def _filled(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    """With the weights of `network`, and nothing said of where they come from."""
    weights = _weights(network)
    for constant in model.graph.initializer:
        if constant.name in weights:
            constant.CopyFrom(numpy_helper.from_array(weights[constant.name].contiguous().numpy(), constant.name))
    del model.metadata_props[:]
    return model


def _agrees(model: onnx.ModelProto, network: Network) -> bool:
    """Whether the graph, call after call in all its ways, gives the curves of the network."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    sizes = {f"state_{name}": list(shape) for name, shape in shapes(network.config).items()}
    ends = np.cumsum((1, 2, MANY, LONG))
    rng = np.random.default_rng(0)
    mel = rng.normal(MEL_SILENCE / 2, MEL_SCALE, (ends[-1], ROWS_PER_TICK, network.config.bands)).astype(np.float32)
    spread = rng.normal(size=network.config.emotion_inputs).astype(np.float32)
    emotion = network.emotion.mean.numpy() + network.emotion.scale.numpy() * spread
    given = [torch.from_numpy(mel)[None], torch.from_numpy(emotion)[None, None]]
    slot, style, delay = np.zeros(len(mel), dtype=np.int64), torch.tensor([0]), torch.tensor([MAX_DELAY // 2])
    for stride in (1, 2):
        state = State(session, sizes, network.config.bands)
        start = network.start(1, stride)
        expected, _ = network(*given, torch.from_numpy(slot)[None], style, delay, start, stride)
        found = [state.call(mel[:1], emotion[None], slot[:1] + 1, 0, MAX_DELAY // 2, 1)]
        for begin, end in pairwise(ends):
            found.append(state.call(mel[begin:end], emotion[None][:0], slot[begin:end], 0, MAX_DELAY // 2, stride))
        if not np.allclose(np.concatenate(found), expected[0].numpy(), rtol=0, atol=TOLERANCE):
            return False
    return True


def _traced(network: Network) -> onnx.ModelProto:
    c = network.config
    sizes = shapes(c)
    batch = {0: torch.export.Dim("batch", min=1)}
    voice = (torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.long))  # style, delay

    def ticks(count: int, stride: int) -> onnx.GraphProto:
        moods, keys = torch.zeros(2, 3, *sizes["mood"]), torch.zeros(2, *sizes["keys"])
        slot = torch.zeros(2, count, dtype=torch.long)
        several = batch | {1: torch.export.Dim("moods", min=1)}
        return traced(
            Ticks(network, stride),
            (torch.zeros(2, count, 2, c.bands), moods, keys, slot, *voice, *_zeros(sizes, MEMORY)),
            (batch, several, batch, batch, batch, batch, (batch,) * len(MEMORY)),
            ["mel", "moods", "next_keys", "slot", "style", "delay", *_named("state", MEMORY)],
            ["weights", *_named("next", MEMORY)],
        )

    heard = _named("state", HEARD)
    after = [*_named("next", HEARD), "moods"]
    held = traced(Held(), tuple(_zeros(sizes, HEARD)), ((batch,) * len(HEARD),), heard, after)
    several = batch | {1: torch.export.Dim("updates", min=1)}
    mood = traced(
        Mood(network),
        (torch.zeros(2, 3, c.emotion_inputs), *voice, *_zeros(sizes, HEARD)),
        (several, batch, batch, (batch,) * len(HEARD)),
        ["emotion", "style", "delay", *heard],
        after,
    )
    graph = Branches()
    graph.choose(graph.over("emotion", 0), graph.way(mood), graph.way(held))

    def several_ticks(stride: int) -> onnx.GraphProto:
        few = graph.either(graph.over("mel", 2), graph.way(ticks(MANY, stride)), graph.way(ticks(2, stride)))
        return graph.either(graph.over("mel", MANY), graph.way(ticks(LONG, stride)), few)

    stride = graph.once("Greater", ["stride", graph.integer(1)])
    blocks = graph.either(stride, several_ticks(2), several_ticks(1))
    # ONNX Runtime packs the weights of products in the outermost ways alone: that of a single tick, live at 60 fps
    graph.choose(graph.over("mel", 1), blocks, graph.way(ticks(1, 1)))
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
    return graph.model(kinds, results)


def _named(prefix: str, names: Iterable[str]) -> list[str]:
    return [f"{prefix}_{name}" for name in names]


def _zeros(sizes: dict[str, tuple[int, ...]], names: Iterable[str]) -> list[Tensor]:
    return [torch.zeros(2, *sizes[name]) for name in names]
