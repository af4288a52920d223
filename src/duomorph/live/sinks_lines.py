"""Frames as JSON lines, in a file or a pipe.

One promise: a full pipe or disk drops whole lines; it never stops the voice.

    sink = LinesSink("jsonl://-", "-", Fraction(60))
    sink.send(frame)
    sink.close()                       # what is still waiting is written, for a second at most
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from fractions import Fraction
from typing import Final

from duomorph import files
from duomorph.errors import LiveError
from duomorph.wire import Frame, lines

MOST_WAITING: Final = 256  # lines, some seconds; then frames are dropped
CLOSE_S: Final = 1.0
_STDOUT: Final = 1


class LinesSink:
    """A thread of its own writes, for even a file can make one wait."""

    def __init__(self, name: str, path: str, fps: Fraction) -> None:
        """`path` is a file, which is written anew from the first frame on, or - for standard output.

        Raises:
            FormatError: the path cannot be written. LiveError: it cannot be opened.
        """
        self.name, self.dropped = name, 0
        self._file, self._path = _STDOUT, None if path == "-" else files.writable(path)
        if self._path:
            self._is_new = not self._path.exists()
            try:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            except OSError as problem:
                raise LiveError(f"{name}: cannot be opened ({problem.strerror}): check the path") from None
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._header = lines.header(fps)  # until it has gone out, with the first frame
        self._lock = threading.Lock()  # both threads count
        self._open = True
        self._writer = threading.Thread(target=self._write, name="duomorph lines", daemon=True)
        self._writer.start()

    def send(self, frame: Frame) -> None:
        line = lines.encode(frame)
        with self._lock:
            try:
                if self._open:
                    self._waiting.put_nowait(self._header + line)
                    self._header = b""
                    return
            except queue.Full:
                pass
            self.dropped += 1

    def close(self) -> None:
        with self._lock:
            was_open, self._open = self._open, False
        if was_open:
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=CLOSE_S)
        self._writer.join(CLOSE_S)
        if self._writer.is_alive():  # a blocked pipe: its thread ends when it is read, or with the program
            self._give_up()
            self._waiting.put(None)

    def _write(self) -> None:
        line = self._waiting.get()
        began = line is not None  # else what was there stays: perhaps another sink could not be opened
        try:
            if began and self._path:
                os.ftruncate(self._file, 0)
            while line is not None:
                while line:
                    line = line[os.write(self._file, line) :]
                line = self._waiting.get()
        except OSError:  # the reader has gone, or the disk is full: that is for good
            with self._lock:
                self._open = False
                self.dropped += 1
            self._give_up()
        if self._path:
            os.close(self._file)
            if self._is_new and not began:
                self._path.unlink(missing_ok=True)

    def _give_up(self) -> None:
        with self._lock, contextlib.suppress(queue.Empty):
            while True:
                self.dropped += self._waiting.get_nowait() is not None
