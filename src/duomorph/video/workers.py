"""Processes that look for faces, in turns; each runs worker.py.

One promise: records come in the order of the blocks, the same ones from any number of processes, and after an error
nothing of what was asked before is answered later.

    with Workers(Path("face_landmarker.task"), 4) as workers:
        for records in workers.run(blocks): ...      # blocks: lists of pictures; records: (n,) RECORD
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph.errors import CorpusError, MissingExtra, ModelError, SettingError
from duomorph.video.film import Picture

PAGE: Final = "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker"
NOWHERE: Final = "http://127.0.0.1:9"  # nobody listens at the discard port

Block = list[Picture | None]


class Workers:
    """Processes with MediaPipe loaded, while the context lasts.

    Args:
        landmarker: MediaPipe's face_landmarker.task; by default the file named by DUOMORPH_LANDMARKER.
        processes: how many.
    Raises:
        ModelError: the landmarker is missing or damaged.
        MissingExtra: MediaPipe is not installed.
        SettingError: less than one process.
    """

    def __init__(self, landmarker: Path | None, processes: int) -> None:
        if processes < 1:
            raise SettingError(f"got {processes} processes: expected at least 1")
        self.model = _model(landmarker)
        self._workers = [_Worker(self.model) for _ in range(processes)]

    def __enter__(self) -> Workers:
        with ExitStack() as stack:
            stack.callback(self.stop)
            for worker in self._workers:
                worker.start()
            for worker in self._workers:
                worker.ready()
            stack.pop_all()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes, whatever they are at; `run` starts them anew."""
        for worker in self._workers:
            worker.stop()

    def run(self, blocks: Iterator[Block]) -> Generator[NDArray[np.void]]:
        """Records of every block, in order. Raises CorpusError if a process ends."""
        busy: deque[_Worker] = deque()
        turns = cycle(self._workers)
        try:
            for block in blocks:
                if len(busy) == len(self._workers):
                    records = busy[0].answer()
                    busy.popleft()
                    yield records
                busy.append(next(turns))
                busy[-1].ask(block)
            while busy:
                records = busy[0].answer()
                busy.popleft()
                yield records
        finally:
            if busy:  # an error or Ctrl-C: what they would still answer belongs to no later video
                self.stop()


class _Worker:
    """A process of worker.py; it starts anew when it is asked after a stop."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Let it load MediaPipe."""
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
        kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "duomorph.video.worker", str(self._model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | proxies,
        )

    def ready(self) -> None:
        """Wait until it has."""
        kind, _, text = str(self.answer()).partition(": ")
        text = " ".join(text.split())[:160]
        if kind == "import":
            raise MissingExtra(f"video needs MediaPipe, which cannot be loaded ({text}): see docs/video.md")
        if kind == "model":
            raise ModelError(f"the face landmarker cannot be used ({text}): get a fresh one from {PAGE}")

    def stop(self) -> None:
        """End it, whatever it is at."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(BrokenPipeError):  # it may not have read all
            process.stdin.close()

    def ask(self, block: Block) -> None:
        """Send pictures; it must not be at work on others."""
        if self._process is None:
            self.start()
            self.ready()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            pickle.dump(block, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def answer(self) -> Any:
        """What it makes of them."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._gone() from None

    def _gone(self) -> CorpusError:
        assert self._process is not None
        return CorpusError(
            f"the process that looks for faces ended (code {self._process.wait()}): expected it to live; "
            "free memory or take fewer processes"
        )


def _model(landmarker: Path | None) -> Path:
    """The model file that was named, or a word on where to get it."""
    if importlib.util.find_spec("mediapipe") is None:
        raise MissingExtra("video needs mediapipe: install it with  pip install 'duomorph[video]'")
    named = landmarker or os.environ.get("DUOMORPH_LANDMARKER")
    if not named:
        raise ModelError(f"no face landmarker: get face_landmarker.task from {PAGE} and set DUOMORPH_LANDMARKER to it")
    if not Path(named).is_file():
        raise ModelError(f"no face landmarker at {str(named)!r}: expected face_landmarker.task; get it from {PAGE}")
    return Path(named)
