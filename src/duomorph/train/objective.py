"""The loss of a part of a batch: what is run, cut up and put on devices.

One promise: a window is seen as a stream would see it that has heard the sound before it.

    total, parts = Objective(network, LossConfig(), compiled=False)(part, counts, every)
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import torch
from torch import Tensor, nn

from duomorph import arkit
from duomorph.clock import MAX_DELAY, ROWS_PER_TICK, TICK_RATE
from duomorph.model.network import MEL_SCALE, MEL_SILENCE, Network, State, rms
from duomorph.train.config import LossConfig
from duomorph.train.losses import Counts, losses, seldom


def warm_state(network: Network, past: Tensor, delay: Tensor, every: int) -> State:
    """The state of a stream that has heard `past` mel, (B, context + 12, 2, 80); convolutions start cold."""
    c = network.config
    level = (past - MEL_SILENCE) / MEL_SCALE
    ticks = torch.arange(MAX_DELAY, past.shape[1], device=past.device)
    heard = ticks[None] - delay[:, None]  # (B, context) ticks before the moment
    before = level[torch.arange(len(past), device=past.device)[:, None], heard]  # (B, context, 2, 80)
    return dataclasses.replace(
        network.start(len(past), every),
        late=level[:, -MAX_DELAY:],
        history=before.mean(dim=2)[:, 1:],
        detail=before[:, 1 - c.detail_rows // ROWS_PER_TICK :],
    )


def filled(network: Network, emotion: Tensor) -> Tensor:
    """Windows that heard nothing hold the mean, as `Provenance.neutral` makes them at run time."""
    return torch.where(emotion.isnan(), network.emotion.mean, emotion)


class FrontAlone(nn.Module):
    """The front end with a linear output for each style, which is thrown away when it has learned: what a voice says is
    learned at a quarter of the work of the whole network. Called as the network is."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        config = network.config
        self.network = network
        self.norm = nn.LayerNorm(config.front)
        self.out = nn.Linear(config.front, len(config.styles) * arkit.COUNT)
        nn.init.normal_(self.out.weight, std=0.02)
        self.out.bias.data.copy_(network.out_bias.data.flatten())

    def forward(
        self, mel: Tensor, emotion: Tensor, slot: Tensor, style: Tensor, delay: Tensor, state: State, stride: int = 1
    ) -> tuple[Tensor, State]:
        x = self.out(self.norm(self.network.mel.features(mel, delay, state)[:, ::stride]))  # (B, M, styles * C)
        own = x.unflatten(2, (-1, arkit.COUNT))[torch.arange(len(x), device=x.device), :, style]  # (B, M, C)
        return self.network.stretched(own), state


class EmotionAlone(nn.Module):
    """The emotion stream with a linear output for each shape, which is thrown away when it has learned: moods are a
    small part of all speech, and the whole network leaves them to the last. Called as the network is."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.out = nn.Parameter(torch.zeros(arkit.COUNT, network.config.d))
        self.bias = nn.Parameter(network.out_bias.detach().clone())  # (styles, C)

    def forward(
        self, mel: Tensor, emotion: Tensor, slot: Tensor, style: Tensor, delay: Tensor, state: State, stride: int = 1
    ) -> tuple[Tensor, State]:
        network = self.network
        looked = network.query(network.queries + network.style[style] + network.delay(delay)[:, None])  # (B, C, d)
        heard, _ = network.attend_emotion(looked, emotion, state.emotion, state.heard)  # (B, U, C, d)
        x = (rms(heard) * self.out).sum(dim=3) + self.bias[style][:, None]  # (B, U, C)
        pick = slot[:, ::stride, None].expand(-1, -1, arkit.COUNT)
        return network.stretched(x.gather(1, pick)), state


ALONE: Final = {"front": FrontAlone, "emotion": EmotionAlone}  # what can learn by itself


class Objective(nn.Module):
    """The loss of a part of a batch: what is run, cut up and put on devices."""

    def __init__(self, network: Network, weights: LossConfig, compiled: bool, bf16: bool, learn: str = "all") -> None:
        super().__init__()
        self.network, self.weights, self.bf16 = network, weights, bf16
        self.rare: Tensor
        self.sealed: Tensor
        self.register_buffer("rare", seldom(network.config.styles, weights.seldom), persistent=False)
        of = [not weights.sealed or style in weights.sealed for style in network.config.styles]
        self.register_buffer("sealed", torch.tensor(of), persistent=False)
        self.runs: nn.Module = ALONE[learn](network) if learn in ALONE else network
        # in a list: registered once
        self._run = [torch.compile(self.runs, dynamic=False) if compiled else self.runs]

    def forward(self, part: dict[str, Tensor], counts: Counts, every: int) -> tuple[Tensor, Tensor]:
        """Arrays of `windows.Batch` and the counts of the whole batch -> its share of the loss, and of `PARTS`."""
        network = self.network
        inputs = {name: part[name] for name in ("mel", "slot", "style", "delay")}
        state = warm_state(network, part["past"], part["delay"], every)
        # here, and not by Fabric, which would round features and truth too
        with torch.autocast(state.late.device.type, torch.bfloat16, enabled=self.bf16):
            predicted, _ = self._run[0](**inputs, emotion=filled(network, part["emotion"]), state=state, stride=every)
        target = 1 - math.exp(-1 / (TICK_RATE * network.config.smoothing_s))
        return losses(
            predicted.float(), part["truth"][:, ::every], part["mask"][:, ::every], counts, every,
            network.alpha(), target, self.weights, self.rare[part["style"], None],
            self.sealed[part["style"], None],
        )  # fmt: skip
