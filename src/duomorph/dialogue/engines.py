"""Who does the lines: this process, or several of this machine; those of others are in `cluster`.

One promise: no more lines are taken than workers are about to begin, so a list of any length needs the same memory; and
a line that kills its worker costs nobody else.

    for result in Local(jobs=2).run(work, tasks): ...
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final, Protocol, TypeAlias, TypeVar, cast

from duomorph.dialogue.work import Result, Task, Work, Worker
from duomorph.errors import BatchError, DuomorphError, SettingError
from duomorph.face import Face

AHEAD: Final = 2  # lines a worker has: one in work, one that waits
LIVES: Final = 3  # workers that a line may kill; and of each place, that may end before they began
PATIENCE_S: Final = 5.0  # with a worker that is to end
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Engine(Protocol):
    """Whoever does tasks, in any order; closing the iterator stops it."""

    def run(self, work: Work, tasks: Iterator[Task]) -> Generator[Result]: ...


class Here:
    """This process: nothing goes on at the same time, and memory:// is the caller's own."""

    def __init__(self, face: Face | None = None) -> None:
        self._face = face

    def run(self, work: Work, tasks: Iterator[Task]) -> Generator[Result]:
        worker = Worker(work, self._face)
        for task in tasks:
            yield worker.do(task)


class Local:
    """So many processes, each with a model and one thread."""

    def __init__(self, jobs: int) -> None:
        """Raises SettingError: fewer than one."""
        if jobs < 1:
            raise SettingError(f"got {jobs} jobs: expected at least 1; 0 on the command line is this process")
        self._jobs = jobs

    def run(self, work: Work, tasks: Iterator[Task]) -> Generator[Result]:
        """Raises BatchError: no worker can be started."""
        return hand_out(lambda: _Process(work), _listen, self._jobs, tasks)


@dataclass(frozen=True)
class Died:
    """What is heard of a worker that ended: how, in words."""

    end: str


class Hand(Protocol):
    """A worker, from our side. `began`: its model is loaded; `has`: lines it was given, the first of them in work."""

    began: bool
    has: deque[Task]

    def give(self, task: Task) -> None: ...

    def stop(self) -> None:
        """Ask it to end."""

    def end(self) -> str:
        """Wait for it; how it ended."""


Heard: TypeAlias = Result | DuomorphError | Died | None  # None: it began
H = TypeVar("H", bound=Hand)


def hand_out(
    start: Callable[[], H], listen: Callable[[Sequence[H]], Iterable[tuple[H, Heard]]], jobs: int, tasks: Iterator[Task]
) -> Generator[Result]:
    """Do tasks by so many workers; one that dies is replaced, and its lines are given to others.

    Args:
        listen: waits until one of them says something.
    Raises:
        BatchError: no worker can be started.
    """
    waiting = deque(itertools.islice(tasks, 1))
    deaths: Counter[int] = Counter()
    stillborn = 0
    pool: list[H] = []
    try:
        while waiting or any(hand.has for hand in pool):
            pool += [start() for _ in range(jobs - len(pool))]
            for hand, said in listen(pool):
                if said is None:
                    hand.began, stillborn = True, 0
                elif isinstance(said, Result):
                    hand.has.popleft()
                    yield said
                elif isinstance(said, DuomorphError):
                    raise said
                else:
                    pool.remove(hand)
                    left = [*hand.has]
                    stillborn += not hand.began
                    if stillborn == LIVES * jobs:
                        raise BatchError(f"no worker could be started ({said.end}): expected {jobs}; try fewer --jobs")
                    if left:
                        deaths[left[0].id] += 1
                    if left and deaths[left[0].id] == LIVES:
                        why = f"its worker died {LIVES} times ({said.end}): expected a line it can do"
                        yield Result(left[0].id, "failed", error=f"{left[0].source!r}: {why}", tries=LIVES)
                        del left[0]
                    waiting.extend(reversed(left))  # the guilty one last
            for hand in pool:
                while hand.began and len(hand.has) < AHEAD and waiting:
                    hand.give(waiting.popleft())
                    if not waiting:
                        waiting.extend(itertools.islice(tasks, 1))
    finally:
        for hand in pool:
            hand.stop()
        for hand in pool:
            hand.end()


class _Process:
    """A worker of this machine, at the other end of a pipe."""

    def __init__(self, work: Work) -> None:
        self.began = False
        self.has: deque[Task] = deque()
        spawn = multiprocessing.get_context("spawn")  # no lock or thread of ours goes along
        self.pipe, theirs = spawn.Pipe()
        self._process: SpawnProcess = spawn.Process(target=_work, args=(work, theirs), daemon=True)
        with _alone():
            self._process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        self.has.append(task)
        with contextlib.suppress(OSError):  # it died: the next look at its pipe says so
            self.pipe.send(task)

    def stop(self) -> None:
        self._process.terminate()

    def end(self) -> str:
        self.pipe.close()
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        return f"signal {-code}" if code < 0 else f"code {code}"


def _listen(pool: Sequence[_Process]) -> Iterator[tuple[_Process, Heard]]:
    by_pipe = {process.pipe: process for process in pool}
    for pipe in wait([*by_pipe]):
        process = by_pipe[cast("Connection", pipe)]
        try:
            yield process, process.pipe.recv()
        except (EOFError, OSError):
            yield process, Died(process.end())


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """What is started in here has one thread for its sums, and does not hear Ctrl-C from its first moment."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    main = threading.current_thread() is threading.main_thread()  # another may not change signals
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, heard)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(work: Work, pipe: Connection) -> None:
    """A worker's life: it ends with its pipe, so also when the other side was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who hands out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no half file
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # nor is it for ffmpeg
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            worker = Worker(work)
        except DuomorphError as problem:
            pipe.send(problem)
            return
        pipe.send(None)
        while True:
            pipe.send(worker.do(pipe.recv()))
