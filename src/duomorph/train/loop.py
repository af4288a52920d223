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
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from lightning_fabric import Fabric

from duomorph import files, memory
from duomorph.clock import SAMPLE_RATE, TICK_RATE
from duomorph.corpus import Take
from duomorph.dataset.takes import sources, takes
from duomorph.errors import CorpusError, SettingError
from duomorph.model.export import fill
from duomorph.model.network import Network
from duomorph.train import data, windows
from duomorph.train.beginning import (
    Beginning,
    learn_part_alone,
    learn_style_alone,
    load_checkpoint,
    set_emotion_directions,
    set_resting_face,
    set_statistics,
)
from duomorph.train.config import Settings, TrainConfig
from duomorph.train.losses import PARTS, count
from duomorph.train.objective import ALONE, Objective
from duomorph.train.report import Reporter
from duomorph.train.validate import validate

Prepare = Callable[[Network], None]
Parts = tuple[list[Take], list[Take]]  # to learn from, and held out

SAVE_EVERY_S: Final = 300  # within an epoch


def make_fabric(config: TrainConfig) -> Fabric:
    """The devices there are; all processes that torchrun has started."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # what it found is no news
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator="auto",
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
    )
    fabric.launch()
    return fabric


def can_compile(fabric: Fabric) -> bool:
    """On a CPU torch's compiler needs one for C++."""
    return fabric.device.type != "cpu" or any(map(shutil.which, ("g++", "clang++", "c++")))


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by itself: where it only pretends to, float32 is ten times as fast."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("amx_bf16", "avx512_bf16", "avx10_2", "bf16"))


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
        windows.check(settings, learned)
        self.settings, self.out = settings, out
        self.network = Network(settings.model)
        self.runs: list[str] = []  # the settings of this run and of those it goes on from
        if before:
            before.give(self.network)
            self.runs += before.runs
        files.folder(out)  # all that is asked for is there: now the slow part
        with self._first():
            self.sessions = data.build(self.takes, settings.augment, config.seed, cache)
            short = [take for take in self.takes if take.end_s * TICK_RATE < windows.ALONE_TICKS]
            rounds = dataclasses.replace(settings.augment, rounds=min(config.alone_rounds, settings.augment.rounds))
            alone = short and config.alone > 0
            self.alone = data.build(short, rounds, config.seed, cache, alone=True) if alone else []
        if self.fabric.device.type == "cpu":
            memory.keep()
        self.draw = windows.Sampler(self.sessions, self.alone, settings)
        hidden = dataclasses.replace(settings, train=dataclasses.replace(config, start=config.start and "previous run"))
        self.runs.append(json.dumps(hidden.to_dict()))
        if config.learn == "emotion" or not before:
            set_statistics(self.network, self.sessions)
            set_emotion_directions(self.network, *self.draw.everything())
        if not before:
            set_resting_face(self.network, self.takes)
        self.average = Network(settings.model)
        self.average.load_state_dict(self.network.state_dict())
        if prepare:
            prepare(self.network)
            prepare(self.average)
        if config.learn == "style":
            learn_style_alone(self.network, config.style)
        if config.learn in (*ALONE, "back"):
            learn_part_alone(self.network, config.learn)
        compiled = config.compile and can_compile(self.fabric)
        bf16 = config.precision == "bf16" and has_bf16(self.fabric.device)
        objective = Objective(self.network, settings.loss, compiled, bf16, config.learn)
        self.learned = objective.runs
        open_to_change = [p for p in objective.parameters() if p.requires_grad]
        streams = [p for p in open_to_change if p is self.network.streams]
        others = [p for p in open_to_change if p is not self.network.streams]
        decayed = [p for p in others if p.ndim > 1 and config.learn != "style"]
        plain = [p for p in others if p.ndim <= 1 or config.learn == "style"]
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "times": 1.0, "weight_decay": config.decay},
                {"params": plain, "times": 1.0, "weight_decay": 0.0},
                {"params": streams, "times": config.streams_rate, "weight_decay": config.decay / config.streams_rate},
            ],
            lr=config.rate,
            betas=(0.9, 0.98),
        )
        self.objective, self.optimizer = self.fabric.setup(objective, optimizer)
        self.average.to(self.fabric.device)
        own = sources(settings.data, learned)
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
            group["lr"] = self.rate(self.step) * group["times"]
        torch.manual_seed((config.seed * 100_003 + self.step) * 1009 + fabric.global_rank)  # dropout
        self.network.train()
        if config.learn == "back":
            self.network.mel.front.eval()  # what stands still drops nothing: the others learn from all it says
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
            "network": self.learned.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "sums": self._sums,
            "sources": [dataclasses.asdict(source) for source in self.sources],
            "runs": self.runs,
            "trained": datetime.date.today().isoformat(),
        }
        with files.atomic(self.checkpoint) as temporary:
            torch.save(state, temporary)
        lines = "".join(json.dumps(line) + "\n" for line in self.history)
        files.write(self.out / "log.jsonl", lines.encode())

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises CorpusError if it belongs to another run."""
        if state["settings"] != self.settings.to_dict():
            raise CorpusError(
                f"cannot resume {self.checkpoint}: it was made with other settings; repeat those or use a new folder"
            )
        self.step, self.history, self._sums = state["step"], state["history"], state["sums"]
        fill(self.learned, state["network"])
        fill(self.average, state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


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
    if not resume and (out / "checkpoint.pt").exists():
        raise CorpusError(f"{str(out)!r} holds a run already: go on with --resume, or choose another folder")
    stored = load_checkpoint(out / "checkpoint.pt") if resume else None
    cache = out.parent / "cache"
    learned, held_out = parts or (
        [take for name in settings.data for take in takes(name, part)] for part in ("train", "test")
    )
    if settings.train.style:
        learned, held_out = (
            [dataclasses.replace(take, style=settings.train.style) for take in part] for part in (learned, held_out)
        )
    if not learned:
        names = ", ".join(settings.data)
        raise CorpusError(f"got nothing to learn from in {names}: expected clips that are not held out; import some")
    trainer = Trainer(settings, learned, out, cache, prepare)
    if stored:
        trainer.resume(stored)
    plain = dataclasses.replace(settings.augment, rounds=1)
    test = data.build(held_out, plain, settings.train.seed, cache / "test", alone=True)
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
