"""Keep a live session as a take of a data set: the sound that was heard and the curves that were made of it.

One promise: the take is in the data set whole when the session ends, by Ctrl-C too, or it is not there at all.

    with Recorder("mytakes", speaker="anna", style="grid", fps=Fraction(60)) as take:
        for frame in Live(source, take=take.add):
            ...
    print(take.entry.id)

The sound goes to the disk as it comes; the curves stay in memory, 53 MB an hour at 60 frames a second.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.clock import SAMPLE_RATE, frame_count
from duomorph.dataset.manifest import Entry, Writer
from duomorph.errors import LiveError
from duomorph.wire import Frame

Float32 = NDArray[np.float32]


class Recorder:
    """Takes in what a session hears and makes; `add` is its `take`."""

    def __init__(self, folder: str | Path, speaker: str, style: str, fps: Fraction) -> None:
        """Make ready. Raises FormatError, CorpusError: the folder cannot be written, or is a damaged data set."""
        self._writer = Writer(folder)
        self._speaker, self._style, self._fps = speaker, style, fps
        self._scratch = tempfile.TemporaryDirectory(prefix="duomorph-")
        self._path = Path(self._scratch.name) / "take.flac"
        self._file = soundfile.SoundFile(self._path, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC")
        self._samples = 0
        self._numbers, self._rows = array("q"), bytearray()  # of the frames; packed, for there may be hours of them
        self.entry: Entry | None = None  # of the take, once it is in the data set

    def add(self, sound: Float32, frames: list[Frame]) -> None:
        """(S,) samples at 16 kHz, and the frames that they completed. Raises LiveError: the disk does not take them."""
        with _disk():
            self._file.write(sound.clip(-1, 1))
        self._samples += len(sound)
        for frame in frames:
            self._numbers.append(frame.number)
            self._rows += frame.weights.tobytes() + frame.angles.tobytes()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the take in the data set, unless something but Ctrl-C went wrong."""
        try:
            with _disk():
                self._file.close()
            if self._numbers and (kind is None or issubclass(kind, KeyboardInterrupt)):
                self._keep()
        finally:
            self._scratch.cleanup()

    def _keep(self) -> None:
        begun = datetime.now(UTC)
        poses = self._poses()
        weights, angles = poses[:, : arkit.COUNT], poses[:, arkit.COUNT :]
        with self._writer as out:
            self.entry = out.add(
                id=f"{begun:take-%Y%m%d-%H%M%S}-{begun.microsecond:06d}",
                sound=self._path,
                clip=Clip(weights, self._fps, angles=angles if angles.any() else None, source="duomorph live"),
                speaker=self._speaker,
                style=self._style,
                licence="",
            )

    def _poses(self) -> Float32:
        """(T, 61): a frame for every moment of the sound; those of skipped sound lie on the way between the others."""
        numbers = np.array(self._numbers)
        rows = np.frombuffer(self._rows, dtype=np.float32).reshape(-1, arkit.COUNT + len(arkit.ANGLES))
        wanted = np.arange(frame_count(self._samples, self._fps))
        if np.array_equal(numbers, wanted):
            return rows
        poses = np.empty((len(wanted), rows.shape[1]), dtype=np.float32)
        for column in range(rows.shape[1]):
            poses[:, column] = np.interp(wanted, numbers, rows[:, column])
        return poses


@contextmanager
def _disk() -> Iterator[None]:
    """What libsndfile says of the disk, as our error."""
    try:
        yield
    except soundfile.LibsndfileError as problem:
        where = tempfile.gettempdir()
        raise LiveError(f"cannot keep the sound of the take in {where!r} ({problem}): make room there") from None
