"""A night's dialogue: what a batch costs over the plain pipeline, what a second worker gains, and much that is bad.

    python benchmarks/dialogue.py speed --json benchmarks/results/dialogue.json     # two minutes, on a quiet machine
    python benchmarks/dialogue.py bad                                                # 5,000 good lines, 1,000 bad ones
    DUOMORPH_KILLS=10 python -m pytest tests/test_dialogue_crash.py                  # kill -9 at ten moments

Times are of the lines alone, from the first result to the last, best of `--rounds` that take turns; the second that a
process needs to start is not in them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

import duomorph
from duomorph import audio, batch, files
from duomorph.dialogue import Ledger, Local, Work, listed, run
from duomorph.dialogue.engines import Engine
from duomorph.dialogue.work import Result
from duomorph.shaping import SHIPPED

SAMPLE = Path(duomorph.__file__).parent / "assets" / "sample.flac"


def lines(folder: Path, count: int, seconds: float) -> Path:
    """So many lines of speech."""
    speech = audio.read(SAMPLE)
    needed = int(16_000 * seconds)
    speech = np.tile(speech, 2 + needed // len(speech))
    for k in range(count):
        path = folder / f"{k % 50:02}" / f"{k:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        begin = 7919 * k % (len(speech) - needed)
        soundfile.write(path, speech[begin : begin + needed], 16_000)
    return folder


class Timed:
    """An engine, and when its results came."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.moments: list[float] = []

    def run(self, work: Work, tasks):  # type: ignore[no-untyped-def]
        for result in self._engine.run(work, tasks):
            self.moments.append(time.perf_counter())
            yield result

    def seconds(self, apart: int) -> float:
        """A line, between the `apart`-th result and the `apart`-th before the last."""
        inner = self.moments[apart:-apart]
        return (inner[-1] - inner[0]) / (len(inner) - 1)


def plain(face: duomorph.Face, voices: Path, out: Path) -> float:
    """Seconds a line of `duomorph animate`, in one process."""
    moments: list[float] = []
    jobs = batch.plan(sorted(voices.rglob("*.wav")), f"{out}/")
    batch.animate(face, jobs, batch.Options(Fraction(30)), lambda text: moments.append(time.perf_counter()), str)
    return (moments[-1] - moments[0]) / (len(moments) - 1)


def batched(face: duomorph.Face, voices: Path, out: Path, jobs: int) -> float:
    out.mkdir()
    engine = Timed(Local(jobs))
    with Ledger(out / "duomorph.sqlite") as ledger:
        work = Work(str(out), options=batch.Options(Fraction(30), shaping=SHIPPED))
        assert run(listed([str(voices)]), work, ledger, engine, face).failed == 0
    return engine.seconds(2 * jobs)


def speed(folder: Path, count: int, rounds: int) -> dict[str, float]:
    face = duomorph.load()
    voices = lines(folder / "voices", count, 10.0)
    ways = {
        "plain": lambda out: plain(face, voices, out),
        "one": lambda out: batched(face, voices, out, 1),
        "two": lambda out: batched(face, voices, out, 2),
    }
    best: dict[str, float] = {}
    for turn, (name, way) in itertools.product(range(rounds), ways.items()):
        seconds = way(folder / f"{name}{turn}")
        print(f"{name:6} {seconds:.4f} s a line of 10 s", flush=True)
        best[name] = min(seconds, best.get(name, seconds))
    print(f"overhead over the plain pipeline {best['one'] / best['plain'] - 1:+.1%}, at most 10 %")
    print(f"two workers {best['one'] / best['two']:.2f} times one, at least 1.8")
    hours = 1000 * 3600 / 10 * best["one"] / 3600
    print(f"1,000 hours of sound: {hours:.1f} hours of one core")
    return {
        **{f"{name}_s": seconds for name, seconds in best.items()},
        "overhead": best["one"] / best["plain"] - 1, "two_over_one": best["one"] / best["two"],
        "core_hours_of_1000": hours, "listed_s": listing(folder / "long"),
    }  # fmt: skip


def listing(folder: Path, count: int = 20_000) -> float:
    """Seconds to list and ledger so many lines, and to record what became of them."""

    class Instant:
        def run(self, work, tasks):  # type: ignore[no-untyped-def]
            for task in tasks:
                yield Result(task.id, "done", "0" * 64)

    for k in range(count):
        path = folder / f"{k % 50:02}" / f"{k:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    begin = time.perf_counter()
    with Ledger(folder / "duomorph.sqlite") as ledger:
        run(listed([str(folder)]), Work(str(folder / "out")), ledger, Instant(), duomorph.load())
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} lines listed and ledgered in {seconds:.1f} s; peak of this process so far {peak:.0f} MB")
    return seconds


def bad(folder: Path, good: int, spoilt: int, jobs: int) -> dict[str, float]:
    """Lines of 0.3 s, and among them copies cut, emptied, overwritten or of another kind."""
    voices = lines(folder / "voices", good, 0.3)
    dice = random.Random(0)
    whole = sorted(voices.rglob("*.wav"))
    for k in range(spoilt):
        data = bytearray(dice.choice(whole).read_bytes())
        spoil = (
            lambda data: data[: dice.randrange(44)],
            lambda data: data[: dice.randrange(44, len(data) - 100)],
            lambda data: dice.randbytes(len(data)),
            lambda data: data[:22] + b"\0\0" + data[24:],
            lambda data: b"",
        )[k % 5]
        (voices / f"{k % 50:02}" / f"bad{k:06}.wav").write_bytes(spoil(data))
    out = folder / "curves"
    out.mkdir()
    begin = time.perf_counter()
    with Ledger(out / "duomorph.sqlite") as ledger:
        outcome = run(listed([str(voices)]), Work(str(out)), ledger, Local(jobs), duomorph.load())
        reasons = [str(error) for (error,) in ledger.rows("error", "state = 'failed'")]
        names = [str(name) for (name,) in ledger.rows("name", "state = 'failed'")]
    print(f"{outcome}  ({time.perf_counter() - begin:.0f} s)")
    assert (outcome.done, outcome.failed) == (good, spoilt)
    assert all("bad" in name for name in names)
    assert all(reason and "\n" not in reason for reason in reasons)
    assert len(list(out.rglob("*.csv"))) == good
    return {"good": good, "bad": spoilt, "seconds": outcome.took_s}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("speed", "bad"))
    parser.add_argument("--lines", type=int, default=60, help="of 10 s (60)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--good", type=int, default=5_000)
    parser.add_argument("--bad", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dialogue-"))
    try:
        if arguments.what == "speed":
            result = speed(folder, arguments.lines, arguments.rounds)
        else:
            result = bad(folder, arguments.good, arguments.bad, arguments.jobs)
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        files.write(arguments.json, (json.dumps(result, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
