"""`duomorph batch`: a whole game's dialogue, overnight.

One promise: stopped in whatever way, the same command with --resume does the rest.

    duomorph batch voices/ -o curves/
    duomorph batch --manifest lines.csv -o curves/ --format csv,glb --jobs 8 --report
    duomorph batch voices/ -o curves/ --since-changed
    duomorph batch s3://game/voices -o s3://game/curves --ledger game.sqlite --engine ray
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duomorph.cli import (
    FORMATS,
    SCENES,
    Verbs,
    _add_delay,
    _add_model,
    _add_shaping,
    _add_stage,
    _Progress,
    _shaping,
    _stage,
)
from duomorph.errors import SettingError

if TYPE_CHECKING:
    from duomorph.dialogue import Ledger
    from duomorph.dialogue.engines import Engine

SHORT: Final = {"csv": "livelink", "json": "a2f"}  # by suffix, as for single files
LOGGED_S: Final = 300.0
NAMED: Final = 20  # failures told on the screen
LEDGER: Final = "duomorph.sqlite"


class _Night(_Progress):
    """The same; and a line now and then where no terminal is, for whoever reads the log in the morning."""

    def __init__(self) -> None:
        super().__init__()
        self._next = time.monotonic() + LOGGED_S

    def show(self, text: str) -> None:
        super().show(text)
        if text and not self._live and time.monotonic() >= self._next:
            self._next = time.monotonic() + LOGGED_S
            print(f"duomorph: {text}", file=sys.stderr, flush=True)


def add_batch(verbs: Verbs) -> None:
    """Thousands of sound files to curve files."""
    verb = verbs.add_parser("batch", help="a whole game's dialogue, overnight", allow_abbrev=False)
    sources = "folder, sound, quoted pattern ('voices/**/*.wav') or URL (s3://, gs://, ...)"
    verb.add_argument("sources", metavar="SRC", nargs="*", help=sources)
    verb.add_argument("-o", "--output", metavar="OUT", required=True, help="folder or URL; its tree is that of SRC")
    verb.add_argument("--manifest", metavar="FILE", help="table of lines, .csv or .parquet; see docs/scale.md")
    formats = f"one or several of csv, json, {', '.join((*FORMATS, *SCENES))} (csv)"
    verb.add_argument("--format", metavar="A,B", default="csv", help=formats)
    verb.add_argument("--fps", default="30", help="frames a second, 24 to 120; 29.97 and 30000/1001 too (default 30)")
    verb.add_argument("--style", metavar="NAME", help="whose way of speaking; see duomorph info")
    _add_delay(verb)
    _add_model(verb)
    verb.add_argument("--jobs", type=int, metavar="N", help="processes (as many as cores); 0: this one does it")
    engine = "local; or ray, this machine's Ray cluster; or ray://HOST:10001, another's (local); see docs/scale.md"
    verb.add_argument("--engine", metavar="WHO", default="local", help=engine)
    keep = verb.add_mutually_exclusive_group()
    keep.add_argument("--resume", action="store_true", help="leave what is done, by size and time of the sounds")
    keep.add_argument("--since-changed", action="store_true", help="the same, by what is in the sounds")
    verb.add_argument("--report", action="store_true", help="print it and write a page; without SRC of what is done")
    verb.add_argument("--ledger", metavar="FILE", type=Path, help=f"what is done (OUT/{LEDGER}); if OUT is a URL")
    _add_shaping(verb)
    _add_stage(verb)
    verb.set_defaults(run=_batch)


def _batch(arguments: argparse.Namespace) -> int:
    from duomorph import files
    from duomorph.dialogue import Ledger, places

    if not (arguments.sources or arguments.manifest or arguments.report):
        raise SettingError("nothing to do: expected SRC, --manifest or --report; see duomorph batch --help")
    if arguments.ledger is None:
        if places.is_url(arguments.output):
            raise SettingError(f"got OUT {arguments.output!r}: expected --ledger FILE with it, on this machine's disk")
        arguments.ledger = Path(arguments.output, LEDGER)
    if not (arguments.sources or arguments.manifest):
        if not arguments.ledger.is_file():
            raise SettingError(f"there is no ledger {str(arguments.ledger)!r}: expected one; run it with SRC first")
        with Ledger(arguments.ledger) as ledger:
            return _report(ledger, arguments.ledger)
    files.folder(arguments.ledger.parent)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from fractions import Fraction

    import duomorph
    from duomorph import batch, clock
    from duomorph.dialogue import Here, Ledger, Work, listed, run, sources

    fps: Fraction = clock.frame_rate(arguments.fps)
    clock.delay_ticks(arguments.delay_ms)  # before the slow part
    options = batch.Options(fps, arguments.delay_ms, arguments.style, False, _shaping(arguments), _stage(arguments))
    formats = tuple(SHORT.get(name, name) for name in arguments.format.split(","))
    work = Work(arguments.output, formats, options, arguments.model)
    engine = _engine(arguments)
    if engine and any(place.startswith("memory://") for place in (*arguments.sources, arguments.output)):
        raise SettingError("memory:// is this process's own: expected --jobs 0 with it")
    lines = itertools.chain(
        listed(arguments.sources), sources.manifest(arguments.manifest) if arguments.manifest else ()
    )
    keep = "times" if arguments.resume else "bytes" if arguments.since_changed else ""
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(arguments.ledger))
        face = duomorph.load(arguments.model)
        try:
            with _Night() as progress:
                outcome = run(lines, work, ledger, engine or Here(face), face, keep, progress.show)
        except KeyboardInterrupt:
            done = ledger.tally().get("done", 0)
            print(f"duomorph: stopped, {done} lines are done; --resume does the rest", file=sys.stderr)
            return 130
        for number, (error,) in enumerate(ledger.rows("error", "state = 'failed'")):
            if number == NAMED:
                print(f"duomorph: and {outcome.failed - NAMED} more; see --report", file=sys.stderr)
                break
            print(f"duomorph: {error}", file=sys.stderr)
        print(outcome)
        if arguments.report:
            _report(ledger, arguments.ledger)
    if outcome.failed:
        print(f"duomorph: {outcome.failed} of {outcome.lines} lines failed", file=sys.stderr)
    return 1 if outcome.failed else 0


def _engine(arguments: argparse.Namespace) -> Engine | None:
    """Who is to do it; None for this process. Raises SettingError, MissingExtra."""
    from duomorph.dialogue import Local, Ray

    who, jobs = arguments.engine, arguments.jobs
    if who == "local":
        return None if jobs == 0 else Local(_cores() if jobs is None else jobs)
    if who == "ray" or who.startswith("ray://"):
        return Ray(None if who == "ray" else who, jobs)
    raise SettingError(f"got --engine {who!r}: expected local, ray or ray://HOST:10001")


def _report(ledger: Ledger, path: Path) -> int:
    from duomorph.dialogue import report

    seen = report.look(ledger)
    page = path.with_suffix(".html")
    report.write(page, seen)
    print(report.text(seen))
    print(page)
    return 0


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
