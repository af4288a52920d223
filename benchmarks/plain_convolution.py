"""What a plain causal convolution reaches on the same data: the yardstick that our network has to beat.

    DUOMORPH_CORPUS=... python benchmarks/plain_convolution.py                          # GRID alone, some minutes
    DUOMORPH_CORPUS=... python benchmarks/plain_convolution.py --config recipes/shipped.toml --steps 4000 \\
        --cache runs/cache [--json benchmarks/results/plain_convolution.json]

Our own mel rows, eight dilated convolutions of 128 channels (2.2 s back, 0.4 M parameters), 100 ms of delay, a row
and a resting face for each style, L1 + 4 MSE. Windows are drawn as `duomorph train` draws them (augmented as the
settings say; without --config GRID's clips alone and as they are). No emotion stream, no other delay: it is a
yardstick and not a model to ship. Held-out takes, each alone; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duomorph import arkit, files
from duomorph.clock import TICK_RATE
from duomorph.corpus import Take
from duomorph.dataset.takes import takes
from duomorph.evaluate import correlation
from duomorph.mel import MelConfig, log_mel
from duomorph.train import data, windows
from duomorph.train.config import Settings, changed, read

DELAY, CHANNELS, RATE = 6, 128, 2e-3
DILATIONS = (1, 2, 4, 8, 16, 32, 1, 2)
SHOWN = ("jawOpen", "mouthPucker", "mouthLowerDownLeft", "mouthPressLeft", "eyeBlinkLeft", "browDownLeft")
GRID_ALONE: dict[str, dict[str, Any]] = {
    "train": {"batch": 8, "alone": 1.0, "dense": 0.0, "other_voice": 0.0},
    "augment": {"rounds": 1},
}


class Plain(nn.Module):
    """(B, N, 160) mel of ticks and (B,) styles -> (B, N, 52) curves of the ticks DELAY before."""

    def __init__(self, rest: Tensor) -> None:
        """`rest` is each style's face that never moves, (styles, 52)."""
        super().__init__()
        self.enter, self.out = nn.Linear(160, CHANNELS), nn.Linear(CHANNELS, arkit.COUNT, bias=False)
        self.convs = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=d) for d in DILATIONS)
        self.norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in DILATIONS)
        self.drop = nn.Dropout(0.1)
        self.style = nn.Embedding(len(rest), CHANNELS)
        self.rest = nn.Parameter(torch.logit(rest.clamp(0.002, 0.9)))
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.style.weight.mul_(0.1)

    def forward(self, mel: Tensor, style: Tensor) -> Tensor:
        x = self.enter(mel) + self.style(style)[:, None]
        for conv, norm, dilation in zip(self.convs, self.norms, DILATIONS, strict=True):
            y = conv(F.pad(norm(x).transpose(1, 2), (2 * dilation, 0))).transpose(1, 2)
            x = x + self.drop(F.gelu(y))
        return torch.sigmoid(self.out(x) + self.rest[style][:, None])


def drawn(learned: list[Take], settings: Settings, cache: Path, steps: int) -> Iterator[windows.Batch]:
    """The batches of a run, all at the one delay."""
    sessions = data.build(learned, settings.augment, 0, cache)
    short = [take for take in learned if take.end_s * TICK_RATE < windows.ALONE_TICKS]
    draw = windows.Sampler(sessions, data.build(short, settings.augment, 0, cache, alone=True), settings)
    for step in range(steps):
        batch, _ = draw(step, step / steps)
        yield windows.stack([replace(window, delay=DELAY) for window in batch], settings.model)


def fit(learned: list[Take], settings: Settings, cache: Path, steps: int) -> Plain:
    """A trained network."""
    styles = settings.model.styles
    rest = [np.concatenate([take.weights for take in learned if take.style == style]) for style in styles]
    torch.manual_seed(0)
    network = Plain(torch.tensor(np.stack([np.median(face, axis=0) for face in rest])))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.1)
    for step, batch in enumerate(drawn(learned, settings, cache, steps)):
        mel, style, truth, mask = (torch.from_numpy(getattr(batch, n)) for n in ("mel", "style", "truth", "mask"))
        away = network(mel.flatten(2), style) - truth
        loss = ((away.abs() + 4 * away.square()) * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"{step}/{steps} loss {float(loss.detach()):.4f}", flush=True)
    return network.eval()


@torch.no_grad()
def played(network: Plain, take: Take, style: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and captured curves at the ticks of a take that has captured frames, (n, 52) each."""
    mel = log_mel(take.audio, MelConfig()).reshape(-1, 160)
    mel = np.pad(mel, ((0, DELAY), (0, 0)), constant_values=-MelConfig().depth)
    curves = network(torch.from_numpy(mel)[None], torch.tensor([style]))[0, DELAY:].numpy()
    times = np.arange(len(curves)) / TICK_RATE
    known = take.known_at(times)
    return curves[known], take.curves_at(times)[known]


def scores(network: Plain, test: list[Take], style: int) -> dict[str, Any]:
    """MAE and r of held-out takes of one data set."""
    predicted, truth = map(np.concatenate, zip(*(played(network, take, style) for take in test), strict=True))
    captured = test[0].captured
    error = np.abs(predicted - truth)
    groups = {"all": np.arange(arkit.COUNT), "mouth": arkit.MOUTH, "expression": arkit.EXPRESSION}
    mae = {name: group[captured[group]] for name, group in groups.items()}
    places = {name: arkit.INDEX[name] for name in SHOWN if truth[:, arkit.INDEX[name]].std() > 1e-3}
    return {
        "takes": len(test),
        "mae": {name: round(float(error[:, group].mean()), 4) for name, group in mae.items() if len(group)},
        "r": {name: round(correlation(predicted[:, k], truth[:, k]), 3) for name, k in places.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = read(options.config, []) if options.config else changed(Settings(data=("grid_s1",)), GRID_ALONE)
    learned = [take for name in settings.data for take in takes(name, "train")]
    styles = tuple(dict.fromkeys(take.style for take in learned))
    settings = changed(settings, {"model": {"styles": list(styles)}})
    network = fit(learned, settings, options.cache, options.steps)
    result: dict[str, Any] = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()), "steps": options.steps,
    }  # fmt: skip
    for name in settings.data:
        if test := takes(name, "test"):
            result[Path(name).name] = scores(network, test, styles.index(test[0].style))
    print(json.dumps(result))
    if options.json:
        files.write(options.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
