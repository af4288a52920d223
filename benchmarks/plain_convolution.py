"""What a plain causal convolution reaches on GRID: the yardstick that our network has to beat.

    DUOMORPH_CORPUS=... python benchmarks/plain_convolution.py --epochs 16     # some minutes; last line is JSON

Our own mel rows, eight dilated convolutions of 128 channels (2.2 s back), 100 ms of delay, clips alone, no
augmentation, L1 + 4 MSE. No emotion stream, no other delay, one speaker: it is a yardstick and not a model to ship.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duomorph import arkit, corpus
from duomorph.clock import TICK_RATE
from duomorph.evaluate import correlation
from duomorph.mel import MelConfig, log_mel

TICKS, DELAY, CHANNELS, BATCH, RATE = 185, 6, 128, 24, 2e-3
DILATIONS = (1, 2, 4, 8, 16, 32, 1, 2)
SHOWN = ("jawOpen", "mouthPucker", "mouthLowerDownLeft", "eyeBlinkLeft", "browDownLeft")


class Plain(nn.Module):
    """(B, N, 160) mel of ticks -> (B, N, 52) curves of the ticks DELAY before."""

    def __init__(self, rest: Tensor) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(160, CHANNELS), nn.Linear(CHANNELS, arkit.COUNT)
        self.convs = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=d) for d in DILATIONS)
        self.norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in DILATIONS)
        self.drop = nn.Dropout(0.1)
        with torch.no_grad():
            self.out.bias.copy_(torch.logit(rest.clamp(0.002, 0.9)))
            self.out.weight.mul_(0.1)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.enter(mel)
        for conv, norm, dilation in zip(self.convs, self.norms, DILATIONS, strict=True):
            y = conv(F.pad(norm(x).transpose(1, 2), (2 * dilation, 0))).transpose(1, 2)
            x = x + self.drop(F.gelu(y))
        return torch.sigmoid(self.out(x))


def arrays(takes: list[corpus.Take]) -> tuple[Tensor, Tensor, Tensor]:
    """Mel, truth and which ticks have a captured frame."""
    times = (np.arange(TICKS) - DELAY) / TICK_RATE
    mels = []
    for take in takes:
        rows = log_mel(take.audio, MelConfig()).reshape(-1, 160)[:TICKS]
        mels.append(np.pad(rows, ((0, TICKS - len(rows)), (0, 0)), constant_values=float(rows.min())))
    truth, known = ([getattr(take, name)(times) for take in takes] for name in ("curves_at", "known_at"))
    return torch.tensor(np.stack(mels)), torch.tensor(np.stack(truth)), torch.tensor(np.stack(known))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=16)
    epochs = parser.parse_args().epochs
    torch.manual_seed(0)
    held_out = corpus.load("grid_s1", "test")
    captured = held_out[0].captured
    (mel, truth, known), (test, wanted, judged) = arrays(corpus.load("grid_s1", "train")), arrays(held_out)
    network = Plain(truth[known].median(dim=0).values)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    steps = epochs * (len(mel) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.1)
    for _ in range(epochs):
        for rows in torch.randperm(len(mel)).split(BATCH):
            if len(rows) < BATCH:
                continue
            away = network(mel[rows]) - truth[rows]
            mask = known[rows][..., None] * torch.tensor(captured)
            loss = ((away.abs() + 4 * away.square()) * mask).sum() / mask.sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        predicted = torch.cat([network(part) for part in test.split(30)])[judged].numpy()
    target = wanted[judged].numpy()
    error = np.abs(predicted - target)
    groups = {"all": np.arange(arkit.COUNT), "mouth": arkit.MOUTH, "expression": arkit.EXPRESSION}
    result = {"epochs": epochs, "mae": {n: round(float(error[:, g[captured[g]]].mean()), 4) for n, g in groups.items()}}
    places = {name: arkit.INDEX[name] for name in SHOWN}
    result["r"] = {name: round(correlation(predicted[:, k], target[:, k]), 3) for name, k in places.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
