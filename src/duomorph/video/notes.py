"""What a long capture has done so far, in a file, so that it can go on after an interruption.

One promise: only whole blocks count, of the same video, model and way of working.

    with Notes(Path("talk.part"), about) as notes:     # about: a line that says what they are of
        notes.earlier                                  # (n,) RECORD
        notes.add(records)
    notes.remove()
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import files
from duomorph.errors import FormatError
from duomorph.video.face import RECORD

BLOCK: Final = 16  # pictures that share a crop, and that a worker gets at once


class Notes:
    """Records in a file behind a line of text. Raises FormatError if it cannot be written."""

    def __init__(self, path: Path, about: str) -> None:
        self._path = files.writable(path)
        head = about.encode() + b"\n"
        self.earlier: NDArray[np.void] = np.zeros(0, RECORD)
        try:
            self._file = self._path.open("r+b" if self._path.exists() else "w+b")
            data = self._file.read()
            if data.startswith(head):
                whole = (len(data) - len(head)) // RECORD.itemsize // BLOCK * BLOCK
                self.earlier = np.frombuffer(data[len(head) : len(head) + whole * RECORD.itemsize], RECORD)
            self._file.seek(0)
            self._file.write(head)
            self._file.seek(self.earlier.nbytes, os.SEEK_CUR)
            self._file.truncate()
        except OSError as problem:
            raise self._refused(problem) from None

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *problem: object) -> None:
        self._file.close()

    def add(self, records: NDArray[np.void]) -> None:
        """Note a block."""
        try:
            self._file.write(records.tobytes())
            self._file.flush()
        except OSError as problem:
            raise self._refused(problem) from None

    def remove(self) -> None:
        """All is done."""
        self._path.unlink(missing_ok=True)

    def _refused(self, problem: OSError) -> FormatError:
        return FormatError(f"cannot write {str(self._path)!r}: {problem.strerror}; choose another place")
