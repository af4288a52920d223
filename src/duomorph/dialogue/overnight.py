"""A run: what is listed is brought up to date.

One promise: the ledger says at any moment what is done; a run that ends early says why, and what to do.

    outcome = run(listed(["voices/"]), Work("curves/"), ledger, Local(2), keep="times", show=print)
    outcome.failed
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from duomorph import files
from duomorph.dialogue import places
from duomorph.dialogue.engines import Engine
from duomorph.dialogue.ledger import Ledger
from duomorph.dialogue.sources import Line, Own
from duomorph.dialogue.work import Work
from duomorph.errors import BatchError
from duomorph.face import Face

SHOWN_S = 0.2  # between two lines of progress
COUNTED = 1000  # lines, while they are listed


@dataclass
class Outcome:
    """Lines, in all and by what became of them: done now, found done, failed; and of those done now the seconds of
    sound and of the run."""

    lines: int
    kept: int
    done: int = 0
    failed: int = 0
    heard_s: float = 0.0
    took_s: float = 0.0

    @property
    def speed(self) -> float:
        """Times real time."""
        return self.heard_s / self.took_s if self.took_s else 0.0

    def __str__(self) -> str:
        return (
            f"{self.lines} lines: {self.done} done, {self.kept} unchanged, {self.failed} failed; "
            f"{self.heard_s / 3600:.3g} h of sound in {_clock(self.took_s)}, {self.speed:.3g} x real time"
        )


def run(
    lines: Iterable[Line],
    work: Work,
    ledger: Ledger,
    engine: Engine,
    face: Face,
    keep: str = "",
    show: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Do what of `lines` is not done.

    Args:
        face: of `work.model`, to know its weights and styles. keep: what counts as done, see `Ledger.plan`.
        show: hears how far it is, several times a second.
    Raises:
        SettingError, MissingExtra: in the list; FormatError: OUT cannot be written; nothing has been done.
        BatchError: it cannot go on.
    """
    work = replace(work, weights=face.info().weights_sha256)
    local = not places.is_url(work.out)

    @functools.lru_cache(1024)
    def settings(own: Own) -> str:
        asked = work.asked(own)
        face.stream(asked.fps, asked.delay_ms, asked.style, asked.shaping)  # which checks them
        return work.settings(own)

    def there(name: str) -> bool:
        return not local or all(map(os.path.isfile, work.targets(name)))

    def counted() -> Iterator[Line]:
        for number, line in enumerate(lines):
            if number % COUNTED == 0:
                show(f"{number} lines listed")
            yield line

    if local:
        files.writable(files.folder(work.out) / ".duomorph")  # or every line would fail, after its work
    ledger.plan(counted(), settings, keep, there)
    show("waiting for workers")
    if local:
        sweep(work.out)
    tally = ledger.tally()
    before = tally.get("done", 0)
    outcome = Outcome(sum(tally.values()), before)
    began = shown = time.monotonic()
    full = ""
    results = engine.run(work, ledger.tasks())
    try:
        for result in results:
            outcome.took_s = time.monotonic() - began
            if result.state == "full":
                full = result.error or ""
                break
            ledger.record(result)
            outcome.done += result.state == "done"
            outcome.kept += result.state == "same"
            outcome.failed += result.state == "failed"
            outcome.heard_s += result.heard_s
            if outcome.took_s + began - shown >= SHOWN_S:
                shown = outcome.took_s + began
                show(_so_far(outcome, before))
    finally:
        results.close()
        if local:
            sweep(work.out)
        ledger.flush()
        ledger.worked(time.monotonic() - began)
    if full:
        raise BatchError(f"stopped after {outcome.done} lines: {full}; then go on with --resume")
    return outcome


def sweep(out: str) -> None:
    """Take away what was being written in `out` when a process was killed."""
    for path in files.leftovers(out):
        path.unlink(missing_ok=True)


def _so_far(outcome: Outcome, before: int) -> str:
    now = outcome.done + outcome.failed + outcome.kept - before
    left = outcome.lines - before - now
    wait = _clock(outcome.took_s * left / now)
    failed = f", {outcome.failed} failed" if outcome.failed else ""
    return (
        f"{before + now}/{outcome.lines} lines{failed}, {outcome.heard_s / 3600:.2f} h of sound, "
        f"{outcome.speed:.1f} x real time, {wait} left"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"
