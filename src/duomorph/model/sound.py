"""Sound in, in place of features: what a program in another language gives the network (docs/mobile.md).

One promise: the rows that `MelStream` gives, to rounding, with its state in and out.

    mel, powers, level = Hearing()(sound, powers, level)
    add_ears(model, provenance.neutral)      # to a graph of `to_onnx`
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from duomorph.clock import ROW_RATE, ROWS_PER_TICK
from duomorph.emotion import WINDOWS
from duomorph.mel import POWER_FLOOR, MelConfig, filterbank
from duomorph.model.branches import Branches, traced

CONFIG = MelConfig()
BEFORE = {"powers": (CONFIG.level_rows - 1,), "level": (1,)}  # state, batch left out


class Hearing(nn.Module):
    """Windows of sound -> mel rows. What it knows is small: Fourier's matrix is a table looked up when it is loaded."""

    wave: Tensor
    sample: Tensor
    hann: Tensor
    bank: Tensor

    def __init__(self) -> None:
        super().__init__()
        turn = np.arange(CONFIG.fft) * (2 * np.pi / CONFIG.fft)
        self.register_buffer("wave", torch.tensor(np.cos(turn), dtype=torch.float32))
        self.register_buffer("sample", torch.arange(CONFIG.window)[:, None])
        self.register_buffer("hann", torch.tensor(np.hanning(CONFIG.window + 1)[:-1], dtype=torch.float32))
        self.register_buffer("bank", torch.from_numpy(filterbank(CONFIG)))

    def fourier(self) -> Tensor:
        """(400, 514): cosines and, a quarter turn on, sines, under the window."""
        place = self.sample * torch.arange(CONFIG.fft // 2 + 1)
        place = torch.cat([place, place + CONFIG.fft // 4], dim=1) % CONFIG.fft
        return self.wave[place] * self.hann[:, None]

    def forward(self, sound: Tensor, powers: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, 2, 400) the samples before the end of each row, and two parts of the state: mean powers of the last
        rows less 1 (so that silence is 0 and the start), the level less its own start -> (B, N, 2, 80), the same."""
        parts = (sound @ self.fourier()).square().unflatten(3, (2, -1)).sum(dim=3)  # (B, N, 2, 257)
        power = (parts @ self.bank).clamp(min=POWER_FLOOR).flatten(1, 2)  # (B, R, 80)
        rows, span = power.shape[1], CONFIG.level_rows
        known = torch.cat([powers + POWER_FLOOR, power.mean(dim=2)], dim=1)  # (B, span - 1 + R)
        loud = torch.stack([known[:, back : back + rows] for back in range(span)]).mean(dim=0).log()  # (B, R)
        fallen = CONFIG.level_fall / ROW_RATE * (torch.arange(rows) + 1)
        start = level + CONFIG.level_start
        reached = torch.cat([start, loud + fallen], dim=1)[:, None]  # (B, 1, 1 + R): what each may not fall below
        later = torch.arange(rows + 1)[None, :] > torch.arange(rows)[:, None] + 1  # (R, 1 + R)
        peak = reached.masked_fill(later, -1e9).amax(dim=2)  # (B, R)
        now = (peak - fallen).clamp(min=CONFIG.level_floor)
        mel = (power.log() - now[:, :, None]).clamp(min=-CONFIG.depth)
        return mel.unflatten(1, (-1, 2)), known[:, rows:] - POWER_FLOOR, now[:, -1:] - CONFIG.level_start


def add_ears(model: onnx.ModelProto, neutral: tuple[float, ...]) -> None:
    """Let the graph take `sound` in place of `mel`, and `functionals` in place of `emotion` and `slot`: the ticks of a
    call hold the last of them, or else what was held before, which at the start is `neutral`, (88,)."""
    graph = Branches("ears.")
    batch, ticks = torch.export.Dim("batch", min=1), torch.export.Dim("ticks", min=1)
    before = {name: torch.zeros(2, *shape) for name, shape in BEFORE.items()}
    graph.add(
        traced(
            Hearing(),
            (torch.zeros(2, 3, ROWS_PER_TICK, CONFIG.window), *before.values()),
            ({0: batch, 1: ticks}, *({0: batch} for _ in before)),
            ["sound", *(f"state_{name}" for name in before)],
            ["mel", *(f"next_{name}" for name in before)],
            "",
        )
    )
    zero, one = graph.integer(0), graph.integer(1)
    count = graph.once("Shape", ["functionals"], start=1, end=2)
    begun = graph.once("Cast", [graph.once("ReduceMax", ["state_started"], keepdims=0)], to=onnx.TensorProto.INT64)
    missing = graph.once("Max", [graph.once("Sub", [graph.once("Sub", [one, count]), begun]), zero])  # 1 or 0, (1,)
    first = graph.constant(np.tile(np.array(neutral, dtype=np.float32), WINDOWS)[None, None])  # (1, 1, 264)
    first = graph.once("Slice", [first, zero, missing, one])  # (1, 1 or 0, 264)
    several = graph.once("Concat", [graph.once("Shape", ["sound"], start=0, end=1), one, one], axis=0)
    graph.give("emotion", graph.once("Concat", [graph.once("Expand", [first, several]), "functionals"], axis=1))
    each = graph.once("Shape", ["sound"], start=0, end=2)
    graph.give("slot", graph.once("Expand", [graph.once("Add", [count, missing]), each]))  # the last of them
    floats = int(onnx.TensorProto.FLOAT)
    graph.before(
        model,
        {
            "sound": (floats, ["batch", "ticks", ROWS_PER_TICK, CONFIG.window]),
            "functionals": (floats, ["batch", "updates", WINDOWS * len(neutral)]),
            **{f"state_{name}": (floats, ["batch", *shape]) for name, shape in BEFORE.items()},
        },
        {f"next_{name}": (floats, ["batch", *shape]) for name, shape in BEFORE.items()},
        ("mel", "emotion", "slot"),
    )
