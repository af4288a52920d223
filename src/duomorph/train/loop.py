"""The training loop: windows in, a network out, checkpoints on the way; on a CPU, a GPU, or many of either.

One promise: a run that is stopped, or killed, and resumed makes the steps that an uninterrupted one would have made.

    train(Settings(), Path("runs/first"))                       # or: torchrun --nproc-per-node 4 -m duomorph train ...

AdamW, warm-up and cosine annealing, gradient clipping, an exponential moving average of the weights (what ships).
Every process draws the same windows and works on its own share of them, so the loss does not depend on how many
there are. Lightning Fabric brings devices, processes and precision.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import math
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from duomorph import arkit, files
from duomorph.clock import MAX_DELAY, ROWS_PER_TICK, SAMPLE_RATE, TICK_RATE
from duomorph.corpus import Take
from duomorph.dataset.takes import Source, sources, takes
from duomorph.emotion import FUNCTIONALS, WINDOWS
from duomorph.errors import CorpusError, ModelError, SettingError
from duomorph.evaluate import correlation
from duomorph.model.config import UPDATE_TICKS, ModelConfig
from duomorph.model.export import load_model
from duomorph.model.network import MEL_SCALE, MEL_SILENCE, Network, State
from duomorph.train import data, windows
from duomorph.train.config import LossConfig, Settings, TrainConfig
from duomorph.train.losses import PARTS, Counts, count, losses
from duomorph.train.report import Reporter

Prepare = Callable[[Network], None]
Parts = tuple[list[Take], list[Take]]  # to learn from, and held out

SAVE_EVERY_S: Final = 300  # within an epoch


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


def set_statistics(network: Network, sessions: list[data.Session]) -> None:
    """Mean and spread of the functionals, the same for the three windows."""
    rows = np.concatenate([session.emotion[1:, :FUNCTIONALS] for session in sessions])  # all heard
    network.emotion.mean.copy_(torch.from_numpy(np.tile(rows.mean(axis=0), WINDOWS)))
    network.emotion.scale.copy_(torch.from_numpy(np.tile(np.maximum(rows.std(axis=0), 1e-3), WINDOWS)))


def filled(network: Network, emotion: Tensor) -> Tensor:
    """Windows that heard nothing hold the mean, as `Provenance.neutral` makes them at run time."""
    return torch.where(emotion.isnan(), network.emotion.mean, emotion)


def set_resting_face(network: Network, takes: list[Take]) -> None:
    """Each shape's mean as its starting output; one that no take captured rests at almost zero."""
    with torch.no_grad():
        for shape in range(arkit.COUNT):
            seen = [take.weights[:, shape].mean() for take in takes if take.captured[shape]]
            mean = min(max(float(np.mean(seen)) if seen else 0.0, 0.002), 0.9)
            network.out_bias[shape] = math.log(mean / (1 - mean))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `Trainer.save` wrote.

    Raises:
        ModelError: no checkpoint of ours.
    """
    try:
        stored: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        if not {"settings", "step", "average", "runs", "sources"} <= set(stored):
            raise KeyError("fields are missing")
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as problem:
        reason = str(problem).partition("\n")[0]
        raise ModelError(
            f"cannot read checkpoint {str(path)!r}: {reason}; expected one written by `duomorph train`"
        ) from None
    return stored


@dataclass(frozen=True)
class Beginning:
    """What a run goes on from: a checkpoint of another, or a model that was published."""

    model: ModelConfig
    weights: dict[str, Tensor]
    runs: list[str]
    sources: list[Source]
    default_style: str

    @classmethod
    def read(cls, path: Path) -> Beginning:
        """Raises ModelError if `path` is neither."""
        if path.suffix in (".onnx", ".safetensors"):
            network, provenance = load_model(path.with_suffix(".safetensors"))
            origin = [Source(**dataclasses.asdict(source)) for source in provenance.sources]  # type: ignore[typeddict-item]
            style = provenance.default_style
            return cls(network.config, network.state_dict(), list(provenance.runs), origin, style)
        stored = load_checkpoint(path)
        model = ModelConfig.from_dict(stored["settings"]["model"])
        return cls(model, stored["average"], stored["runs"], stored["sources"], model.styles[0])

    def give(self, network: Network) -> None:
        """Hand the weights over; styles that are new begin as the default one.

        Raises:
            ModelError: the network has another form.
        """
        free = {"styles": network.config.styles, "dropout": network.config.dropout}
        mine, theirs = network.config.to_dict(), dataclasses.replace(self.model, **free).to_dict()  # type: ignore[arg-type]
        odd = [name for name in mine if mine[name] != theirs[name]]
        if odd:
            raise ModelError(
                f"cannot start from that model: its {odd[0]} is {theirs[odd[0]]!r}, this run's {mine[odd[0]]!r}; "
                f"expected the same, set --model.{odd[0]}"
            )
        rows = [
            self.model.styles.index(name if name in self.model.styles else self.default_style)
            for name in network.config.styles
        ]
        network.load_state_dict(self.weights | {"style": self.weights["style"][rows]})


def learn_style_alone(network: Network, style: str) -> None:
    """Freeze everything but one row of the styles."""
    for parameter in network.parameters():
        parameter.requires_grad_(parameter is network.style)
    own = torch.zeros(len(network.config.styles), 1, 1)
    own[network.config.styles.index(style)] = 1.0
    network.style.register_hook(lambda gradient: gradient * own.to(gradient.device))


class Objective(nn.Module):
    """The loss of a part of a batch: what is run, cut up and put on devices."""

    def __init__(self, network: Network, weights: LossConfig, compiled: bool) -> None:
        super().__init__()
        self.network, self.weights = network, weights
        self._run = [torch.compile(network, dynamic=False) if compiled else network]  # in a list: registered once

    def forward(self, part: dict[str, Tensor], counts: Counts, every: int) -> tuple[Tensor, Tensor]:
        """Arrays of `windows.Batch` and the counts of the whole batch -> its share of the loss, and of `PARTS`."""
        network = self.network
        inputs = {name: part[name] for name in ("mel", "slot", "style", "delay")}
        state = warm_state(network, part["past"], part["delay"], every)
        predicted, _ = self._run[0](**inputs, emotion=filled(network, part["emotion"]), state=state, stride=every)
        target = 1 - math.exp(-1 / (TICK_RATE * network.config.smoothing_s))
        with torch.autocast(predicted.device.type, enabled=False):
            return losses(
                predicted.float(), part["truth"][:, ::every], part["mask"][:, ::every], counts, network.alpha(),
                target, self.weights,
            )  # fmt: skip


def make_fabric(config: TrainConfig) -> Fabric:
    """The devices there are; all processes that torchrun has started."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # what it found is no news
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator="auto",
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def can_compile(fabric: Fabric) -> bool:
    """On a CPU torch's compiler needs one for C++."""
    return fabric.device.type != "cpu" or any(map(shutil.which, ("g++", "clang++", "c++")))


class Trainer:
    """A run in a folder: what it has, one step at a time."""

    def __init__(
        self, settings: Settings, learned: list[Take], out: Path, cache: Path, prepare: Prepare | None = None
    ) -> None:
        """`prepare` changes the network before it learns, as ablations do."""
        config = settings.train
        self.fabric = make_fabric(config)
        if config.batch % self.fabric.world_size:
            raise SettingError(
                f"got train.batch {config.batch} for {self.fabric.world_size} processes: expected a multiple of them"
            )
        torch.manual_seed(config.seed)
        self.takes = learned
        before = Beginning.read(Path(config.start)) if config.start else None
        known = before.model.styles if before else settings.model.styles
        styles = tuple(dict.fromkeys(take.style for take in learned))
        if before or not set(styles) <= set(known):
            styles = tuple(dict.fromkeys((*known, *styles) if before else styles))
            settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, styles=styles))
        self.settings, self.out = settings, out
        with self._first():
            self.sessions = data.build(self.takes, settings.augment, config.seed, cache)
            short = [take for take in self.takes if take.end_s * TICK_RATE < windows.ALONE_TICKS]
            rounds = dataclasses.replace(settings.augment, rounds=min(2, settings.augment.rounds))
            alone = short and config.alone > 0
            self.alone = data.build(short, rounds, config.seed, cache, alone=True) if alone else []
        self.draw = windows.Sampler(self.sessions, self.alone, settings)
        self.network = Network(settings.model)
        self.runs: list[str] = []  # the settings of this run and of those it goes on from
        if before:
            before.give(self.network)
            self.runs += before.runs
        hidden = dataclasses.replace(settings, train=dataclasses.replace(config, start=config.start and "previous run"))
        self.runs.append(json.dumps(hidden.to_dict()))
        if config.learn == "all":
            set_statistics(self.network, self.sessions)
        if not before:
            set_resting_face(self.network, self.takes)
        self.average = Network(settings.model)
        self.average.load_state_dict(self.network.state_dict())
        if prepare:
            prepare(self.network)
            prepare(self.average)
        if config.learn == "style":
            learn_style_alone(self.network, config.style)
        open_to_change = [p for p in self.network.parameters() if p.requires_grad]
        decayed = [p for p in open_to_change if p.ndim > 1 and config.learn == "all"]
        plain = [p for p in open_to_change if p.ndim <= 1 or config.learn != "all"]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.rate,
            betas=(0.9, 0.98),
        )
        self.objective, self.optimizer = self.fabric.setup(
            Objective(self.network, settings.loss, config.compile and can_compile(self.fabric)), optimizer
        )
        self.average.to(self.fabric.device)
        own = sources(settings.data, config.style)
        self.sources = [source for source in (before.sources if before else []) if source not in own] + own
        audio_s = sum(len(take.audio) for take in learned) / SAMPLE_RATE
        self.steps = max(1, round(audio_s / (config.batch * config.window_frames / 30)))  # in an epoch
        self.step = 0
        self.history: list[dict[str, Any]] = []  # one line an epoch
        self._sums = torch.zeros(len(PARTS) + 2)  # of this epoch: the parts, their total, ticks

    @contextmanager
    def _first(self) -> Iterator[None]:
        """One process fills the cache, then the others read it."""
        with self.fabric.rank_zero_first():
            yield

    @property
    def epoch(self) -> int:
        return self.step // self.steps

    @property
    def last_step(self) -> int:
        return self.settings.train.epochs * self.steps

    def rate(self, step: int) -> float:
        """Warm-up, then half a cosine down to a hundredth."""
        config = self.settings.train
        if step < config.warm_up_steps:
            return config.rate * (step + 1) / config.warm_up_steps
        done = (step - config.warm_up_steps) / max(1, self.last_step - config.warm_up_steps)
        return config.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def train_step(self) -> float:
        """One step; its loss."""
        config, model, fabric = self.settings.train, self.network.config, self.fabric
        progress = self.step / max(1, self.last_step - 1)
        for network in (self.network, self.average):
            network.tau.fill_(model.tau_start + (model.tau - model.tau_start) * progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        torch.manual_seed((config.seed * 100_003 + self.step) * 1009 + fabric.global_rank)  # dropout
        self.network.train()
        drawn, every = self.draw(self.step, progress)
        batch = {name: torch.from_numpy(array) for name, array in vars(windows.stack(drawn, model)).items()}
        counts = count(batch["mask"][:, ::every])
        share = len(drawn) // fabric.world_size  # rows of this process
        width = min(share, max(1, config.micro * len(drawn) // config.batch))  # rows at once
        rows = range(fabric.global_rank * share, (fabric.global_rank + 1) * share, width)
        end = rows.stop
        values = torch.zeros(len(PARTS), device=fabric.device)
        for start in rows:
            part = fabric.to_device({name: array[start : min(start + width, end)] for name, array in batch.items()})
            with fabric.no_backward_sync(self.objective, enabled=start + width < end):
                total, parts = self.objective(part, counts, every)
                fabric.backward(total * fabric.world_size)  # gradients are averaged over the processes: we want sums
            values += parts
        fabric.clip_gradients(self.objective, self.optimizer, max_norm=config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(config.average, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - keep)
        values = torch.as_tensor(fabric.all_reduce(values, reduce_op="sum")).cpu()
        loss = float(values @ values.new_tensor([getattr(self.settings.loss, name) for name in PARTS]))
        self._sums += torch.cat([values, torch.tensor([loss, float(batch["mask"].shape[0] * batch["mask"].shape[1])])])
        self.step += 1
        return loss

    def close_epoch(self) -> dict[str, Any]:
        """Means of the epoch that just ended."""
        means = (self._sums / self.steps).tolist()
        line = {"epoch": self.epoch, "stride": windows.stride_at(self.step / self.last_step, self.settings.train)}
        line |= {name: round(value, 7) for name, value in zip((*PARTS, "total"), means, strict=False)}
        self.audio_hours = float(self._sums[-1]) / TICK_RATE / 3600
        self._sums.zero_()
        self.history.append(line)
        return line

    # -- checkpoints

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def save(self) -> None:
        """Whole or not at all; by the first process."""
        if not self.fabric.is_global_zero:
            return
        state = {
            "settings": self.settings.to_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "sums": self._sums,
            "sources": self.sources,
            "runs": self.runs,
            "trained": datetime.date.today().isoformat(),
        }
        with files.atomic(self.checkpoint) as temporary:
            torch.save(state, temporary)
        lines = "".join(json.dumps(line) + "\n" for line in self.history)
        files.write(self.out / "log.jsonl", lines.encode())

    def resume(self) -> None:
        """Raises ModelError if there is no checkpoint, CorpusError if it belongs to another run."""
        state = load_checkpoint(self.checkpoint)
        if state["settings"] != self.settings.to_dict():
            raise CorpusError(
                f"cannot resume {self.checkpoint}: it was made with other settings; repeat those or use a new folder"
            )
        self.step, self.history, self._sums = state["step"], state["history"], state["sums"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def predict(network: Network, session: data.Session, delay: int, block: int = 480) -> np.ndarray[Any, Any]:
    """Curves of a session's ticks, aligned with its own truth: (N, 52). The network's average mode."""
    network.eval()
    device = network.tau.device
    state = network.start(1)
    ticks = len(session) + delay
    mel = np.full((ticks, ROWS_PER_TICK, network.config.bands), MEL_SILENCE, dtype=np.float32)
    mel[: len(session)] = session.mel
    style = torch.tensor([network.config.styles.index(session.style)], device=device)
    wait = torch.tensor([delay], device=device)
    out = []
    for begin in range(0, ticks, block):
        piece = torch.from_numpy(mel[begin : begin + block])[None].to(device)
        updates = np.minimum((begin + np.arange(piece.shape[1])) // UPDATE_TICKS, len(session.emotion) - 1)
        held = min(max(0, begin - 1) // UPDATE_TICKS, len(session.emotion) - 1)
        rows = filled(network, torch.from_numpy(session.emotion[held : updates[-1] + 1])[None].to(device))
        slot = torch.from_numpy(updates - held)[None].to(device)
        weights, state = network(piece, rows, slot, style, wait, state)
        out.append(weights[0].cpu().numpy())
    return np.concatenate(out)[delay:]


def validate(network: Network, sessions: list[data.Session], delay: int = 6) -> dict[str, float]:
    """MAE over what was captured and r(jawOpen), by style, tick by tick."""
    report: dict[str, float] = {}
    for style in dict.fromkeys(session.style for session in sessions):
        own = [session for session in sessions if session.style == style]
        predicted = np.concatenate([predict(network, s, delay)[s.known] for s in own])
        truth = np.concatenate([s.curves[s.known].astype(np.float32) for s in own])
        shapes = own[0].captured
        error = np.abs(predicted - truth)
        report[f"mae_{style}"] = float(error[:, shapes].mean())
        for name, group in (("mouth", arkit.MOUTH), ("expression", arkit.EXPRESSION)):
            if shapes[group].any():
                report[f"mae_{name}_{style}"] = float(error[:, group[shapes[group]]].mean())
        for shape in ("jawOpen", "mouthPucker", "mouthLowerDownLeft"):
            index = arkit.INDEX[shape]
            report[f"r_{shape}_{style}"] = correlation(predicted[:, index], truth[:, index])
    return report


@contextmanager
def _asked_to_stop() -> Iterator[list[bool]]:
    """Ctrl-C and `kill` set a flag, which is looked at between steps; a second Ctrl-C is an interrupt as ever."""
    asked: list[bool] = []

    def note(number: int, frame: object) -> None:
        asked.append(True)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    settings: Settings,
    out: Path,
    resume: bool = False,
    parts: Parts | None = None,
    prepare: Prepare | None = None,
) -> Path:
    """Train a network; returns the checkpoint. One line of JSON an epoch stands in `out/log.jsonl`.

    Args:
        parts: takes to learn from and takes to validate on; None: as the data's own split says.
        prepare: changes the network before it learns.
    Raises:
        CorpusError: no data, or the folder holds another run. ModelError: no such checkpoint.
        KeyboardInterrupt: asked to stop; what was learned is saved, `resume` goes on.
    """
    files.folder(out)
    if not resume and (out / "checkpoint.pt").exists():
        raise CorpusError(f"{str(out)!r} holds a run already: go on with --resume, or choose another folder")
    cache = out.parent / "cache"
    learned, held_out = parts or (
        [take for name in settings.data for take in takes(name, part)] for part in ("train", "test")
    )
    if settings.train.style:
        learned, held_out = (
            [dataclasses.replace(take, style=settings.train.style) for take in part] for part in (learned, held_out)
        )
    trainer = Trainer(settings, learned, out, cache, prepare)
    if resume:
        trainer.resume()
    plain = dataclasses.replace(settings.augment, rounds=1)
    test = [
        session
        for take in held_out
        for session in data.build([take], plain, settings.train.seed, cache / "test")
    ]
    with _asked_to_stop() as asked, Reporter(trainer.fabric.is_global_zero, out, trainer.last_step) as report:
        report.memory(trainer.sessions, settings)
        saved = began = time.perf_counter()
        while trainer.step < trainer.last_step:
            loss = trainer.train_step()
            report.step(trainer.step, loss, trainer.rate(trainer.step))
            now = time.perf_counter()
            if trainer.step % trainer.steps == 0:
                line = trainer.close_epoch()
                if trainer.epoch % settings.train.validate_every == 0 or trainer.step == trainer.last_step:
                    line |= {name: round(value, 4) for name, value in validate(trainer.average, test).items()}
                trainer.save()
                report.epoch(line, now - began, trainer.audio_hours)
                saved = began = time.perf_counter()
            elif asked or now - saved > SAVE_EVERY_S:
                trainer.save()
                saved = time.perf_counter()
            if asked:
                report.say(f"stopped and saved at step {trainer.step} of {trainer.last_step}: go on with --resume")
                raise KeyboardInterrupt
    return trainer.checkpoint

