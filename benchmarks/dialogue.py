"""A night's dialogue, measured: what a batch costs over the plain pipeline, what a second worker gains, a long list,
much that is bad, kill -9, and two nodes of a Ray cluster of which one dies.

    python benchmarks/dialogue.py speed     # 3 minutes, on a quiet machine of two cores
    python benchmarks/dialogue.py list      # 20,000 lines: seconds and memory
    python benchmarks/dialogue.py bad       # 1,000 bad lines among 5,000 good ones
    python benchmarks/dialogue.py kill      # ten moments
    python benchmarks/dialogue.py ray       # pip install 'duomorph[ray]'

Each puts its figures into its part of benchmarks/results/dialogue.json. Times are of the lines alone, from one of the
first results to one of the last; the second that a process needs to start is not in them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

import duomorph
from duomorph import audio, batch, files
from duomorph.dialogue import Ledger, Local, Work, listed, run
from duomorph.dialogue.engines import Engine
from duomorph.footprint import ONE_THREAD, PEAK, alone
from duomorph.shaping import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = Path(duomorph.__file__).parent / "assets" / "sample.flac"
LINE_S = 10.0
PATIENCE_S = 300.0


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


def tree(folder: Path) -> dict[str, bytes]:
    """What stands in a folder, but for ledgers."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".sqlite" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


class Timed:
    """An engine, and when its results came: by the clock, and by what this process had worked until then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.moments: list[tuple[float, float]] = []

    def run(self, work: Work, tasks):  # type: ignore[no-untyped-def]
        for result in self._engine.run(work, tasks):
            self.moments.append((time.perf_counter(), time.process_time()))
            yield result

    def seconds(self, apart: int) -> np.ndarray:
        """A line, both ways, between the `apart`-th result and the `apart`-th before the last."""
        inner = np.array(self.moments[apart:-apart])
        return (inner[-1] - inner[0]) / (len(inner) - 1)


def plain(voices: Path, out: Path, processes: int) -> float:
    """Seconds a line of `duomorph animate`, by so many processes that know nothing of each other; each does all."""
    spawn = multiprocessing.get_context("spawn")
    together, told = spawn.Barrier(processes), spawn.Queue()
    os.environ.update(ONE_THREAD)
    crew = [spawn.Process(target=_plain, args=(voices, out / str(k), together, told)) for k in range(processes)]
    for process in crew:
        process.start()
    slowest = max(told.get() for _ in crew)
    for process in crew:
        process.join()
    return slowest / processes


def _plain(voices: Path, out: Path, together, told) -> None:  # type: ignore[no-untyped-def]
    out.mkdir(parents=True)
    face = duomorph.load()
    jobs = batch.plan(sorted(voices.rglob("*.wav")), f"{out}/")
    moments: list[float] = []

    def written(text: str) -> None:
        if not moments:
            together.wait()
        moments.append(time.perf_counter())

    batch.animate(face, jobs, batch.Options(Fraction(30)), written, str)
    told.put((moments[-1] - moments[0]) / (len(moments) - 1))


def batched(voices: list[Path], out: Path, jobs: int) -> np.ndarray:
    """Seconds a line, and those of them that the process works that hands out."""
    out.mkdir()
    engine = Timed(Local(jobs))
    with Ledger(out / "duomorph.sqlite") as ledger:
        work = Work(str(out), options=batch.Options(Fraction(30), shaping=SHIPPED))
        assert run(listed(list(map(str, voices))), work, ledger, engine, duomorph.load()).failed == 0
    return engine.seconds(2 * jobs)


def speed(folder: Path, count: int, rounds: int) -> dict[str, object]:
    """One process and two, plain and batched, in turns; two plain ones are what this machine can give."""
    load = os.getloadavg()[0]
    some = lines(folder / "a", count, LINE_S)
    more = lines(folder / "b" / "more", count, LINE_S).parent
    handing: list[float] = []

    def batch_two(out: Path) -> float:
        seconds, own = batched([some, more], out, 2)
        handing.append(own)
        return seconds

    ways: dict[str, Callable[[Path], float]] = {
        "plain_one": lambda out: plain(some, out, 1),
        "batch_one": lambda out: batched([some], out, 1)[0],
        "plain_two": lambda out: plain(some, out, 2),
        "batch_two": batch_two,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, way in ways.items():
            took[name].append(way(folder / f"{name}{turn}"))
            print(f"{name:10} {took[name][-1]:.4f} s a line of {LINE_S:g} s", flush=True)
            shutil.rmtree(folder / f"{name}{turn}")
    best = {name: min(seconds) for name, seconds in took.items()}

    def gain(way: str) -> float:
        return best[f"{way}_one"] / best[f"{way}_two"]

    turns = [one / two for one, two in zip(took["batch_one"], took["batch_two"], strict=True)]
    result = {
        **{f"{name}_s": seconds for name, seconds in best.items()},
        "overhead": best["batch_one"] / best["plain_one"] - 1,
        "two_over_one": gain("batch"), "two_over_one_median": statistics.median(turns),
        "control_two_over_one": gain("plain"), "handing_out_s": min(handing),
        "core_hours_of_1000": 1000 * best["batch_one"] / LINE_S, "lines": count, "rounds": rounds, "load_before": load,
    }  # fmt: skip
    print(f"overhead over the plain pipeline {result['overhead']:+.1%}, at most 10 %")
    print(f"two workers {gain('batch'):.2f} times one, at least 1.8; two plain processes {gain('plain'):.2f}")
    return result


LIST = f"""{PEAK}
import json, time
import duomorph
from duomorph.dialogue import Ledger, Work, listed, run
from duomorph.dialogue.work import Result

class Instant:
    def run(self, work, tasks):
        for task in tasks:
            yield Result(task.id, "done", "0" * 64, heard_s=10.0)

folder = Path(sys.argv[1])
face = duomorph.load()
begin = time.perf_counter()
with Ledger(folder / "duomorph.sqlite") as ledger:
    outcome = run(listed([str(folder / "voices")]), Work(str(folder / "curves")), ledger, Instant(), face)
    assert ledger.tally() == {{"done": outcome.lines}}
seconds = time.perf_counter() - begin
print(json.dumps({{"lines": outcome.lines, "seconds": seconds, "peak_mb": peak_mb()}}))
"""


def listing(folder: Path, count: int) -> dict[str, object]:
    """So many lines listed and ledgered, and what became of each recorded."""
    for k in range(count):
        path = folder / "voices" / f"{k // 1000:03}" / f"{k:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    result: dict[str, object] = json.loads(alone(LIST, str(folder)))
    return result


def bad(folder: Path, good: int, spoilt: int, jobs: int) -> dict[str, object]:
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
    done = command(voices, "-o", folder / "curves", "--jobs", jobs)
    said = done.communicate()[1]
    *reasons, summary = said.splitlines()
    assert done.returncode == 1
    assert summary == f"duomorph: {spoilt} of {good + spoilt} lines failed"
    base = sqlite3.connect(folder / "curves" / "duomorph.sqlite")
    failed = base.execute("SELECT name, error FROM lines WHERE state = 'failed'").fetchall()
    (kept,) = base.execute("SELECT count(*) FROM lines WHERE state = 'done'").fetchone()
    (seconds,) = base.execute("SELECT worked_s FROM runs").fetchone()
    base.close()
    assert all("bad" in name and error and "\n" not in error for name, error in failed)
    assert (kept, len(failed), len(tree(folder / "curves"))) == (good, spoilt, good)
    return {"good_done": kept, "bad_failed": len(failed), "exit_code": 1, "lines_on_screen": len(reasons) + 1,
            "seconds": seconds}  # fmt: skip


def kill(moments: int) -> dict[str, object]:
    """The test of it, at so many moments."""
    test = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_dialogue_crash.py", "-k", "kill_nine"]
    environment = {**os.environ, "DUOMORPH_KILLS": str(moments)}
    done = subprocess.run(test, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    return {"moments": moments, "byte_identical_and_no_orphans": int(passed[1])}


def command(*arguments: object) -> subprocess.Popen[str]:
    """`duomorph batch`, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "duomorph", "batch", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


class Node:
    """`ray start`, with one core."""

    def __init__(self, *arguments: object) -> None:
        program = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block"]
        start = [*program, "--num-cpus=1", "--object-store-memory=80000000", *map(str, arguments)]
        quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        self._process = subprocess.Popen(
            start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=quiet
        )

    def raylet(self) -> int | None:
        """The process that is the node; its workers are children of it."""
        return next((pid for pid in children(self._process.pid) if "raylet/raylet" in told(pid)), None)

    def works(self) -> bool:
        raylet = self.raylet()
        return raylet is not None and any("_Remote" in told(pid) for pid in children(raylet))

    def stop(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def told(pid: int) -> str:
    """How a process was called."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, Node]]:
    """The address of a Ray cluster of two nodes with a core each, and the node that is not its head."""
    import ray

    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, client = free.getsockname()[1], other.getsockname()[1]
    address = f"127.0.0.1:{port}"
    folder = tempfile.mkdtemp(prefix="ray-")  # short, for the names of sockets
    nodes = [Node("--head", f"--port={port}", f"--ray-client-server-port={client}", f"--temp-dir={folder}",
                  "--include-dashboard=false")]  # fmt: skip
    try:
        until(lambda: nodes[0].raylet() is not None)
        nodes.append(Node(f"--address={address}"))
        until(lambda: nodes[1].raylet() is not None)
        before, os.environ["RAY_ADDRESS"] = os.environ.get("RAY_ADDRESS"), address
        try:
            ray.init(address, log_to_driver=False, logging_level="error")
            until(lambda: ray.cluster_resources().get("CPU") == 2)
            ray.shutdown()
            yield address, nodes[1]
        finally:
            del os.environ["RAY_ADDRESS"]
            if before is not None:
                os.environ["RAY_ADDRESS"] = before
    finally:
        for node in reversed(nodes):
            node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def on_ray(folder: Path, count: int, seconds: float) -> dict[str, object]:
    """So many lines by two processes, by two nodes, and by two nodes of which one is killed in the middle."""
    voices = lines(folder / "voices", count, seconds)

    def finished(process: subprocess.Popen[str], out: Path) -> float:
        """Its seconds of work, once it is seen that all is done and nothing else is there."""
        said, err = process.communicate(timeout=5 * PATIENCE_S)
        assert (process.returncode, err) == (0, ""), err
        assert f"{count} lines: {count} done, 0 unchanged, 0 failed" in said
        base = sqlite3.connect(out / "duomorph.sqlite")
        assert base.execute("SELECT state, count(*) FROM lines GROUP BY state").fetchall() == [("done", count)]
        (took,) = base.execute("SELECT worked_s FROM runs").fetchone()
        base.close()
        return float(took)

    result: dict[str, object] = {"lines": count, "line_s": seconds}
    result["local_s"] = finished(command(voices, "-o", folder / "local", "--jobs", 2), folder / "local")
    calm = tree(folder / "local")
    with cluster() as (_, node):
        both = command(voices, "-o", folder / "both", "--engine", "ray")
        until(lambda: node.works() or both.poll() is not None)
        result["two_nodes_s"] = finished(both, folder / "both")
        assert tree(folder / "both") == calm
        result["byte_identical"] = True

        one = command(voices, "-o", folder / "one", "--engine", "ray")
        until(lambda: (node.works() and len(tree(folder / "one")) >= count // 3) or one.poll() is not None)
        raylet = node.raylet()
        assert raylet
        assert one.poll() is None
        os.kill(raylet, signal.SIGKILL)
        result["killed_after_lines"] = len(tree(folder / "one"))
        result["one_node_killed_s"] = finished(one, folder / "one")
        assert tree(folder / "one") == calm
        result["killed_byte_identical"] = True
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "list", "bad", "kill", "ray"))
    parser.add_argument("--lines", type=int, help="30 of 10 s; 20,000 in a list; 40 on Ray")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--good", type=int, default=5_000)
    parser.add_argument("--bad", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "dialogue.json")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dialogue-"))
    ways: dict[str, Callable[[], dict[str, object]]] = {
        "speed": lambda: speed(folder, asked.lines or 30, asked.rounds),
        "list": lambda: listing(folder, asked.lines or 20_000),
        "bad": lambda: bad(folder, asked.good, asked.bad, asked.jobs),
        "kill": lambda: kill(asked.kills),
        "ray": lambda: on_ray(folder, asked.lines or 40, 1.0),
    }
    try:
        result = ways[asked.what]()
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result, indent=2))
    known = json.loads(asked.json.read_text()) if asked.json.is_file() else {}
    files.write(asked.json, (json.dumps({**known, asked.what: result}, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
