"""What a run tells while it goes: a progress bar, TensorBoard curves, one line of JSON an epoch.

One promise: it only tells; a run does the same steps whether anybody listens or not.

    with Reporter(True, Path("runs/first"), last_step) as report:
        report.step(7, loss, rate)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX import SummaryWriter

from duomorph.clock import TICK_RATE
from duomorph.train.config import Settings
from duomorph.train.data import Session
from duomorph.train.windows import FRAME_TICKS

_CURVE_STEPS: Final = 10  # between the points of TensorBoard's curves


class Reporter:
    """Talks in the first process, keeps silent in the others."""

    def __init__(self, talks: bool, out: Path, last_step: int) -> None:
        self._talks = talks
        self._curves = SummaryWriter(str(out / "tensorboard")) if talks else None
        bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*bar, disable=not (talks and sys.stderr.isatty()), transient=True)
        self._task = self._bar.add_task("training", total=last_step)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._curves:
            self._curves.close()

    def say(self, text: str) -> None:
        """A line on stderr, above the bar."""
        if self._talks:
            self._bar.print(text) if sys.stderr.isatty() else print(text, file=sys.stderr, flush=True)

    def memory(self, sessions: list[Session], settings: Settings) -> None:
        """What one emotion track a sequence saves against one window of functionals for each training window."""
        shared = sum(session.emotion.nbytes for session in sessions)
        stride = settings.train.stride * FRAME_TICKS
        updates = settings.model.updates + settings.train.window_frames * FRAME_TICKS * 10 // (3 * TICK_RATE)
        places = sum(max(1, len(session) // stride) for session in sessions)
        single = places * updates * settings.model.emotion_inputs * 4
        self.say(
            f"emotion: one track a sequence takes {shared / 1e6:.1f} MB; one extraction for each of the windows "
            f"{settings.train.stride} frame(s) apart would take {single / 1e6:.0f} MB ({1 - shared / single:.1%} saved)"
        )

    def step(self, step: int, loss: float, rate: float) -> None:
        """After each step."""
        self._bar.update(self._task, completed=step, description=f"loss {loss:.4f}")
        if self._curves and step % _CURVE_STEPS == 0:
            self._curves.add_scalar("loss/step", loss, step)
            self._curves.add_scalar("rate", rate, step)

    def epoch(self, line: dict[str, Any], seconds: float, audio_hours: float) -> None:
        """After each epoch: its means, how long it took, and audio-hours of windows trained on in an hour."""
        line = line | {"seconds": round(seconds, 1), "audio_hours_per_hour": round(audio_hours * 3600 / seconds, 1)}
        self.say(json.dumps(line))
        for name, value in line.items():
            if self._curves and isinstance(value, int | float):
                self._curves.add_scalar(f"epoch/{name}", value, line["epoch"])
