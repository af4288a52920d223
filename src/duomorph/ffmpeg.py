"""The program ffmpeg at the other end of a pipe.

One promise: whoever leaves the block early, by an error or Ctrl-C, leaves no process behind; what the program complains
about never blocks it.

    with Ffmpeg(["-i", "file:talk.m4a", "-f", "f32le", "pipe:1"]) as program:
        while data := program.out.read(4096): ...
        code = program.wait()          # and why, in a few words: program.said(path)
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

LONGEST: Final = 120  # letters of a complaint that are repeated
CUT: Final = ("prematurely", "partial file", "truncat", "orrupt")  # its words about a file that was cut


class Ffmpeg:
    """One run; `out` is what it writes to its pipe:1, `into` what it reads from its pipe:0."""

    def __init__(self, arguments: Sequence[str], feed: bool = False) -> None:
        """`feed`: it reads from us and writes a file, else it reads a file and writes to us."""
        self._command = ["ffmpeg", *([] if feed else ["-nostdin"]), "-v", "error", *arguments]
        self._feed = feed
        self.lines: list[str] = []

    def __enter__(self) -> Ffmpeg:
        self._complaints = tempfile.TemporaryFile()  # a pipe that nobody reads could fill and stop it
        into, out = (subprocess.PIPE, subprocess.DEVNULL) if self._feed else (subprocess.DEVNULL, subprocess.PIPE)
        try:
            self._process = subprocess.Popen(self._command, stdin=into, stdout=out, stderr=self._complaints)
        except BaseException:
            self._complaints.close()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()
        self._complaints.close()

    @property
    def out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def into(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def wait(self) -> int:
        """Its exit code, when it has ended; what it said is in `lines` then."""
        if self._feed:
            with contextlib.suppress(BrokenPipeError):  # it gave up before; its code tells
                self.into.close()
        code = self._process.wait()
        self._complaints.seek(0)
        self.lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return code

    def said(self, path: Path) -> str:
        """Its last complaint, without our file's name."""
        return last(self.lines, path)

    @property
    def found_cut(self) -> bool:
        """It went on over a file that seems to be cut short."""
        return any(word in line for line in self.lines for word in CUT)


def there(program: str = "ffmpeg") -> bool:
    """Is it installed?"""
    return shutil.which(program) is not None


def last(lines: Sequence[str], path: Path) -> str:
    """The last of its complaints, without the name of our file."""
    if not lines:
        return "no reason given"
    return lines[-1].split("] ")[-1].removeprefix(f"file:{path}: ").rstrip(".")[:LONGEST]
