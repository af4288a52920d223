"""The network for ExecuTorch, PyTorch's runtime on phones: one file, two methods, state in and out (docs/mobile.md).

One promise: the curves of the stream with the emotion vector held, to rounding.

    export_pte(network, Path("duomorph.pte"))

`mood` takes the functionals, when they are new and once at the start; `tick` the sound of one tick. METHODS names what
goes in and what comes out, in this order; a part of the state that comes out goes into the next call.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from duomorph import files
from duomorph.clock import ROWS_PER_TICK
from duomorph.model.network import Network
from duomorph.model.runtime import HEARD, MEMORY, Mood, Ticks, shapes
from duomorph.model.sound import BEFORE, CONFIG, Hearing

_AFTER_TICK: Final = (*BEFORE, *MEMORY)
METHODS: Final = {
    "mood": {"inputs": ("functionals", "style", "delay", *HEARD), "outputs": HEARD},
    "tick": {
        "inputs": ("sound", "style", "delay", "mood", "keys", *_AFTER_TICK),
        "outputs": ("weights", *_AFTER_TICK),
    },
}


class _Mood(Mood):
    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """As METHODS says; functionals (1, 1, 264)."""
        return super().forward(*given)[: len(HEARD)]


class _Tick(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.hearing, self.ticks = Hearing(), Ticks(network)

    def forward(
        self, sound: Tensor, style: Tensor, delay: Tensor, mood: Tensor, keys: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        """As METHODS says; sound (1, 1, 2, 400), weights (1, 1, C)."""
        mel, *before = self.hearing(sound, *state[: len(BEFORE)])
        slot = torch.zeros(1, 1, dtype=torch.long)
        weights, *memory = self.ticks(mel, mood[:, None], keys, slot, style, delay, *state[len(BEFORE) :])
        return weights, *before, *memory


def export_pte(network: Network, path: Path) -> None:
    """Write `path` (.pte), in single precision, for the CPU (XNNPACK)."""
    logging.getLogger("torchao").setLevel(logging.ERROR)  # kernels of other processors that it misses
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
        from executorch.exir.passes.constant_prop_pass import constant_prop_pass

        network.eval().requires_grad_(False)
        sizes = shapes(network.config) | BEFORE | {
            "functionals": (1, network.config.emotion_inputs),
            "sound": (1, ROWS_PER_TICK, CONFIG.window),
        }  # fmt: skip
        known = {name: torch.zeros(1, *size) for name, size in sizes.items()}
        known |= {name: torch.zeros(1, dtype=torch.long) for name in ("style", "delay")}
        programs = {
            name: torch.export.export(module, tuple(known[one] for one in METHODS[name]["inputs"]))
            for name, module in (("mood", _Mood(network)), ("tick", _Tick(network)))
        }
        programs["tick"] = constant_prop_pass(programs["tick"].run_decompositions({}))  # `mood` runs seldom
        constants = programs["tick"].constants
        for name, value in constants.items():  # a part of another, or a view of it, is written as the wrong numbers
            constants[name] = value.clone(memory_format=torch.contiguous_format)
        lowered = to_edge_transform_and_lower(programs, partitioner=[XnnpackPartitioner()]).to_executorch()
    files.folder(path.parent)
    files.write(path, bytes(lowered.buffer))
