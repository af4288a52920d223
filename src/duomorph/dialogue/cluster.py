"""Who does the lines: the machines of a Ray cluster.

One promise: the worker is that of one machine, so the curves are the same bytes; a node that dies costs its lines a new
beginning, no more.

    for result in Ray().run(work, tasks): ...                        # the cluster that this machine belongs to
    for result in Ray("ray://10.0.0.1:10001").run(work, tasks): ...

Sounds, OUT and the model must have the same name on every node: a shared disk, or URLs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from urllib.parse import urlsplit

from duomorph.dialogue.engines import PATIENCE_S, Died, Heard, hand_out
from duomorph.dialogue.work import Result, Task, Work, Worker
from duomorph.errors import BatchError, DuomorphError, MissingExtra, SettingError


class Ray:
    """A worker for every core that a cluster has, or `jobs` of them, then also on nodes that are yet to come."""

    def __init__(self, address: str | None = None, jobs: int | None = None) -> None:
        """`address`: of its head, ray://HOST:10001; None for that in RAY_ADDRESS, or this machine's own.

        Raises:
            SettingError: fewer than one job. MissingExtra: ray is not installed.
        """
        if jobs is not None and jobs < 1:
            raise SettingError(f"got {jobs} jobs: expected at least 1 with a cluster")
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("a Ray cluster needs ray: install it with  pip install 'duomorph[ray]'")
        self._address = address or os.environ.get("RAY_ADDRESS") or "auto"
        self._jobs = jobs

    def run(self, work: Work, tasks: Iterator[Task]) -> Generator[Result]:
        """Raises BatchError: there is no cluster at the address, or no worker can be started."""
        import ray

        try:
            _knock(self._address)
            with warnings.catch_warnings(action="ignore"):  # of what Ray means to change
                ray.init(self._address, log_to_driver=False, logging_level="error")
        except (ImportError, OSError, RuntimeError, ValueError) as problem:
            where = "here" if self._address == "auto" else f"at {self._address}"
            raise BatchError(
                f"no Ray cluster {where} ({_said(problem)}): expected one; begin it with  ray start --head"
            ) from None
        try:
            jobs = self._jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
            yield from hand_out(lambda: _Actor(work), _listen, jobs, tasks)
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Is anybody there? Ray itself would ask for ten minutes. Raises OSError."""
    where = urlsplit(address if "://" in address else f"//{address}")
    if where.port is not None:
        socket.create_connection((where.hostname or "", where.port), PATIENCE_S).close()


class _Remote:
    """A worker, on its node. Ray gives an actor with one core one thread."""

    def begin(self, work: Work, folder: str) -> DuomorphError | None:
        with contextlib.suppress(FileNotFoundError):  # where URLs are all that nodes share
            os.chdir(folder)
        try:
            self._worker = Worker(work)
        except DuomorphError as problem:
            return problem
        return None

    def do(self, task: Task) -> Result:
        return self._worker.do(task)


class _Actor:
    """A worker, from our side; it may have to wait for a free core before it begins."""

    def __init__(self, work: Work) -> None:
        import ray

        self.began = False
        self.has: deque[Task] = deque()
        self.actor = ray.remote(num_cpus=1)(_Remote).remote()
        self.due = deque([self.actor.begin.remote(work, os.getcwd())])  # what it is to say, in this order

    def give(self, task: Task) -> None:
        self.has.append(task)
        self.due.append(self.actor.do.remote(task))

    def stop(self) -> None:
        import ray

        for due in list(self.due)[1:]:
            ray.cancel(due)

    def end(self) -> str:
        """Let it bring its line to an end, so that no half file stays, and take it down."""
        import ray

        if self.began and self.due:
            ray.wait([self.due[0]], timeout=PATIENCE_S)
        ray.kill(self.actor)
        if self.due:
            ray.wait([self.due[0]], timeout=PATIENCE_S)  # until it is gone: what it was writing is swept up next
        return "stopped"


def _listen(pool: Sequence[_Actor]) -> Iterator[tuple[_Actor, Heard]]:
    import ray

    by_due = {actor.due[0]: actor for actor in pool if actor.due}
    for due in ray.wait([*by_due])[0]:
        actor = by_due[due]
        try:
            said = ray.get(due)
        except ray.exceptions.RayError as problem:
            ray.kill(actor.actor)
            yield actor, Died(_said(problem))
        else:
            actor.due.popleft()
            yield actor, said


def _said(problem: Exception) -> str:
    """What Ray has to say, in one line that fits."""
    return " ".join(str(problem).split())[:120]
