"""The training loop: crops in, a network out, checkpoints on the way.

One promise: a run that is stopped and resumed draws the crops that an uninterrupted one would have drawn.

    train(TrainConfig(), ModelConfig(), Path("runs/first"))

AdamW, warm-up and cosine annealing, gradient clipping, an exponential moving average of the weights (what ships).
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import pickle
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from duomorph import arkit, corpus, files
from duomorph.clock import MAX_DELAY, ROWS_PER_TICK, SAMPLE_RATE, TICK_RATE
from duomorph.emotion import FUNCTIONALS, WINDOWS
from duomorph.errors import CorpusError, ModelError, SettingError
from duomorph.evaluate import correlation
from duomorph.model.config import UPDATE_TICKS, ModelConfig
from duomorph.model.network import MEL_SCALE, MEL_SILENCE, Network, State
from duomorph.train import data
from duomorph.train.losses import LossWeights, losses


@dataclass(frozen=True)
class TrainConfig:
    corpora: tuple[str, ...] = ("grid_s1", "facegood")
    epochs: int = 30
    rounds: int = 4  # copies of the corpus: one plain, the others augmented
    batch: int = 8
    micro: int = 2  # crops at once; the rest of the batch is accumulated (small crops stay in the cache)
    crop_ticks: int = 480
    alone: float = 0.5  # share of the steps that see short takes by themselves, three for each crop of a session
    balance: float = 0.5  # 0: recordings are drawn by their length, 1: all alike
    rate: float = 1.5e-3
    warm_up_steps: int = 100
    decay: float = 0.02
    clip: float = 1.0
    average: float = 0.998  # of the weights, a step
    seed: int = 0
    bf16: bool = True
    compile: bool = True
    dense_epochs: int = 3  # at the end, at every tick; before, at every second one
    start: str = ""  # a checkpoint whose averaged weights to begin with; none: from scratch
    weights: LossWeights = dataclasses.field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if min(self.epochs, self.rounds, self.batch, self.micro, self.crop_ticks) < 1 or self.batch % self.micro:
            raise SettingError(
                f"got epochs {self.epochs}, rounds {self.rounds}, batch {self.batch}, micro {self.micro}, crop_ticks "
                f"{self.crop_ticks}: expected all at least 1 and batch a multiple of micro; change them"
            )


def warm_state(network: Network, past: Tensor, delay: Tensor, stride: int) -> State:
    """The state of a stream that has heard `past` mel, (B, context + 12, 2, 80); convolutions start cold."""
    c = network.config
    level = (past - MEL_SILENCE) / MEL_SCALE
    heard = torch.arange(MAX_DELAY, past.shape[1])[None] - delay[:, None]  # (B, context) ticks before the moment
    before = level[torch.arange(len(past))[:, None], heard]  # (B, context, 2, 80)
    return dataclasses.replace(
        network.start(len(past), stride),
        late=level[:, -MAX_DELAY:],
        history=before.mean(dim=2)[:, 1:],
        detail=before[:, 1 - c.detail_rows // ROWS_PER_TICK :],
    )


def set_statistics(network: Network, sessions: list[data.Session]) -> None:
    """Mean and spread of the functionals, the same for the three windows."""
    rows = np.concatenate([session.emotion[1:, :FUNCTIONALS] for session in sessions])  # all heard
    network.emotion.mean.copy_(torch.from_numpy(np.tile(rows.mean(axis=0), WINDOWS)))
    network.emotion.scale.copy_(torch.from_numpy(np.tile(np.maximum(rows.std(axis=0), 1e-3), WINDOWS)))


def filled(network: Network, emotion: Tensor) -> Tensor:
    """Windows that heard nothing hold the mean, as `Provenance.neutral` makes them at run time."""
    return torch.where(emotion.isnan(), network.emotion.mean, emotion)


def set_resting_face(network: Network, takes: list[corpus.Take]) -> None:
    """Each shape's mean as its starting output; one that no take captured rests at almost zero."""
    with torch.no_grad():
        for shape in range(arkit.COUNT):
            seen = [take.weights[:, shape].mean() for take in takes if take.captured[shape]]
            mean = min(max(float(np.mean(seen)) if seen else 0.0, 0.002), 0.9)
            network.out_bias[shape] = math.log(mean / (1 - mean))


def batch_tensors(batch: data.Batch, part: slice) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array[part]) for name, array in vars(batch).items()}


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `Trainer.save` wrote.

    Raises:
        ModelError: no checkpoint of ours.
    """
    try:
        stored: dict[str, Any] = torch.load(path, weights_only=True)
        if not {"config", "model", "epoch", "average", "runs"} <= set(stored):
            raise KeyError("fields are missing")
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as problem:
        reason = str(problem).partition("\n")[0]
        raise ModelError(
            f"cannot read checkpoint {str(path)!r}: {reason}; expected one written by `duomorph train`"
        ) from None
    return stored


class Trainer:
    """A run in a folder: what it has, one epoch at a time."""

    def __init__(self, config: TrainConfig, model: ModelConfig, out: Path, cache: Path) -> None:
        self.config, self.out = config, out
        torch.manual_seed(config.seed)
        self.takes = {name: corpus.load(name, "train") for name in config.corpora}
        self.sessions = [
            session
            for takes in self.takes.values()
            for session in data.build(takes, config.rounds, config.seed, cache)
        ]
        every = [take for takes in self.takes.values() for take in takes]
        short = [take for take in every if take.end_s * TICK_RATE < data.ALONE_TICKS]
        rounds = min(2, config.rounds)
        self.alone = data.build(short, rounds, config.seed, cache, alone=True) if short and config.alone else []
        self.network = Network(model)
        self.runs: list[str] = []  # the settings of this run and of those it goes on from
        if config.start:
            before = load_checkpoint(Path(config.start))
            self.network.load_state_dict(before["average"])
            self.runs += before["runs"]
        settings = dataclasses.asdict(dataclasses.replace(config, start="previous run" if config.start else ""))
        self.runs.append(json.dumps(settings))
        set_statistics(self.network, self.sessions)
        if not config.start:
            set_resting_face(self.network, every)
        self.average = Network(model)
        self.average.load_state_dict(self.network.state_dict())
        self.run = torch.compile(self.network, dynamic=False) if config.compile else self.network
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.rate,
            betas=(0.9, 0.98),
        )
        self.hours = {
            name: sum(len(take.audio) for take in takes) / SAMPLE_RATE / 3600 for name, takes in self.takes.items()
        }
        self.audio_hours = sum(self.hours.values())
        self.steps = max(1, round(self.audio_hours * 3600 * TICK_RATE / (config.batch * config.crop_ticks)))  # an epoch
        self.epoch = 0

    def rate(self, step: int) -> float:
        """Warm-up, then half a cosine down to a hundredth."""
        total = self.config.epochs * self.steps
        if step < self.config.warm_up_steps:
            return self.config.rate * (step + 1) / self.config.warm_up_steps
        done = (step - self.config.warm_up_steps) / max(1, total - self.config.warm_up_steps)
        return self.config.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def train_epoch(self) -> dict[str, float]:
        config = self.config
        progress = min(1.0, self.epoch / max(1, config.epochs - 1))
        model = self.network.config
        for network in (self.network, self.average):
            network.tau.fill_(model.tau_start + (model.tau - model.tau_start) * progress)
        rng = np.random.default_rng([config.seed, 1, self.epoch])
        torch.manual_seed(config.seed * 100_003 + self.epoch)  # dropout
        crops = data.Crops(self.sessions, self.network.config, rng, config.crop_ticks, config.balance)
        self.network.train()
        sums: dict[str, float] = {}
        for index in range(self.steps):
            step = self.epoch * self.steps + index
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(step)
            if self.alone and rng.random() < config.alone:
                batch, width = crops.draw_alone(3 * config.batch, self.alone), 3 * config.micro
            else:
                batch, width = crops.draw(config.batch), config.micro
            self.optimizer.zero_grad(set_to_none=True)
            for start in range(0, len(batch.mel), width):
                parts = self._backward(batch_tensors(batch, slice(start, start + width)))
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + value * config.micro / config.batch / self.steps
            nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
            self.optimizer.step()
            self._average(step)
        self.epoch += 1
        return sums

    def _backward(self, crop: dict[str, Tensor]) -> dict[str, float]:
        truth, mask, past = crop.pop("truth"), crop.pop("mask"), crop.pop("past")
        crop["emotion"] = filled(self.network, crop["emotion"])
        stride = 1 if self.epoch >= self.config.epochs - self.config.dense_epochs else 2
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
            predicted, _ = self.run(**crop, state=warm_state(self.network, past, crop["delay"], stride), stride=stride)
        truth, mask = truth[:, ::stride], mask[:, ::stride]
        target = 1 - math.exp(-1 / (TICK_RATE * self.network.config.smoothing_s))
        total, parts = losses(
            predicted.float(), truth, mask, self.network.alpha(), target, self.config.weights
        )
        (total * self.config.micro / self.config.batch).backward()
        return parts | {"total": float(total.detach())}

    def _average(self, step: int) -> None:
        keep = min(self.config.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)

    # -- checkpoints

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def save(self) -> None:
        state = {
            "config": dataclasses.asdict(self.config),
            "model": self.network.config.to_dict(),
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "hours": self.hours,
            "runs": self.runs,
            "trained": datetime.date.today().isoformat(),
            "optimizer": self.optimizer.state_dict(),
        }
        with files.atomic(self.checkpoint) as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        """Raises ModelError if there is no checkpoint, CorpusError if it belongs to another run."""
        state = load_checkpoint(self.checkpoint)
        mine = json.dumps([dataclasses.asdict(self.config), self.network.config.to_dict()])
        if json.dumps([state["config"], state["model"]]) != mine:
            raise CorpusError(
                f"cannot resume {self.checkpoint}: it was made with other settings; repeat those or use a new --out"
            )
        self.epoch = state["epoch"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def predict(network: Network, session: data.Session, delay: int, block: int = 480) -> np.ndarray[Any, Any]:
    """Curves of a session's ticks, aligned with its own truth: (N, 52). The network's average mode."""
    network.eval()
    state = network.start(1)
    ticks = len(session) + delay
    mel = np.full((ticks, ROWS_PER_TICK, network.config.bands), MEL_SILENCE, dtype=np.float32)
    mel[: len(session)] = session.mel
    style = torch.tensor([network.config.styles.index(session.style)])
    wait = torch.tensor([delay])
    out = []
    for begin in range(0, ticks, block):
        piece = torch.from_numpy(mel[begin : begin + block])[None]
        updates = np.minimum((begin + np.arange(piece.shape[1])) // UPDATE_TICKS, len(session.emotion) - 1)
        held = min(max(0, begin - 1) // UPDATE_TICKS, len(session.emotion) - 1)
        rows = filled(network, torch.from_numpy(session.emotion[held : updates[-1] + 1])[None])
        slot = torch.from_numpy(updates - held)[None]
        weights, state = network(piece, rows, slot, style, wait, state)
        out.append(weights[0].numpy())
    return np.concatenate(out)[delay:]


def validate(network: Network, sessions: list[data.Session], delay: int = 6) -> dict[str, float]:
    """MAE over what was captured and r(jawOpen), by style, tick by tick."""
    report: dict[str, float] = {}
    for style in dict.fromkeys(session.style for session in sessions):
        own = [session for session in sessions if session.style == style]
        predicted = np.concatenate([predict(network, s, delay)[s.known] for s in own])
        truth = np.concatenate([s.curves[s.known].astype(np.float32) for s in own])
        shapes = own[0].captured
        report[f"mae_{style}"] = float(np.abs(predicted - truth)[:, shapes].mean())
        for shape in ("jawOpen", "mouthPucker", "mouthLowerDownLeft"):
            index = arkit.INDEX[shape]
            report[f"r_{shape}_{style}"] = correlation(predicted[:, index], truth[:, index])
    return report


def train(config: TrainConfig, model: ModelConfig, out: Path, resume: bool = False) -> Path:
    """Train a network; returns the checkpoint. One line of JSON an epoch goes to `out/log.jsonl`."""
    cache = out.parent / "cache"
    files.folder(out)
    if not resume and (out / "checkpoint.pt").exists():
        raise CorpusError(f"{str(out)!r} holds a run already: go on with --resume, or choose another folder")
    trainer = Trainer(config, model, out, cache)
    if resume:
        trainer.resume()
    test = [
        session
        for name in config.corpora
        for take in corpus.load(name, "test")
        for session in data.build([take], 1, config.seed, cache / "test")
    ]
    while trainer.epoch < config.epochs:
        began = time.perf_counter()
        parts = trainer.train_epoch()
        seconds = time.perf_counter() - began
        trainer.save()
        line: dict[str, Any] = {"epoch": trainer.epoch, "seconds": round(seconds, 1)}
        line["audio_hours_per_hour"] = round(trainer.audio_hours * 3600 / seconds, 1)
        line |= {name: round(value, 6) for name, value in parts.items()}
        if trainer.epoch % 3 == 0 or trainer.epoch == config.epochs:
            line |= {name: round(value, 4) for name, value in validate(trainer.average, test).items()}
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), file=sys.stderr, flush=True)
    return trainer.checkpoint
