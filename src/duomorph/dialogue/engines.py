"""Who does the lines: this process, or several of this machine.

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
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final, Protocol

from duomorph.dialogue.work import Result, Task, Work, Worker
from duomorph.errors import BatchError, DuomorphError, SettingError
from duomorph.face import Face

AHEAD: Final = 2  # lines a worker has: one in work, one that waits
LIVES: Final = 3  # workers that a line may kill; or that end before they began
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
        """Raises BatchError: a worker cannot be started."""
        again = deque(itertools.islice(tasks, 1))  # to be given out first; later those of workers that died
        if not again:
            return
        deaths: Counter[int] = Counter()
        stillborn = 0
        with _pool() as pool:
            while True:
                pool += [_Process(work) for _ in range(self._jobs - len(pool))]
                for process in pool:
                    while len(process.has) < AHEAD and (task := again.popleft() if again else next(tasks, None)):
                        process.give(task)
                if not any(process.has for process in pool):
                    return
                for pipe in wait([process.pipe for process in pool]):
                    process = next(one for one in pool if one.pipe is pipe)
                    try:
                        said = process.pipe.recv()
                    except (EOFError, OSError):
                        pool.remove(process)
                        end, left = process.end(), [*process.has]
                        if not process.began:
                            stillborn += 1
                            if stillborn == LIVES:
                                raise BatchError(f"no worker could be started ({end}): try --jobs 0") from None
                        elif left and deaths[left[0].id] == LIVES - 1:
                            error = (
                                f"{left[0].source!r}: its worker died {LIVES} times ({end}): expected a line it can do"
                            )
                            yield Result(left.pop(0).id, "failed", error=error, tries=LIVES)
                        elif left:
                            deaths[left[0].id] += 1
                        again.extend(reversed(left))  # the guilty one last
                        continue
                    if said is None:
                        process.began, stillborn = True, 0
                    elif isinstance(said, DuomorphError):
                        raise said
                    else:
                        process.has.popleft()
                        yield said


class _Process:
    """A worker, from our side of its pipe. `has`: the lines it was given, the first of them in work."""

    def __init__(self, work: Work) -> None:
        self.has: deque[Task] = deque()
        self.began = False
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

    def ask_to_end(self) -> None:
        self.pipe.close()
        self._process.terminate()

    def end(self) -> str:
        """Wait for it; how it ended, in words."""
        self.pipe.close()
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        return f"signal {-code}" if code < 0 else f"code {code}"


@contextlib.contextmanager
def _pool() -> Iterator[list[_Process]]:
    """Workers that end with the block."""
    pool: list[_Process] = []
    try:
        yield pool
    finally:
        for process in pool:
            process.ask_to_end()
        for process in pool:
            process.end()


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
