"""Training and test data: takes of real audio with a real face, and the committed split.

One promise: what is held out is never trained on, and the list of it lies beside this file.

    takes = load("grid_s1", "test")          # needs the folder named by DUOMORPH_CORPUS
    takes[0].audio, takes[0].curves_at(times)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, audio
from duomorph.errors import CorpusError

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Take:
    """One recording: a sound file and the curves captured with it.

    Attributes:
        path: of the sound.
        recording: takes of one recording session share it: its camera, its label habits.
        weights: (T, 52) float32; shapes outside `captured` are zero.
        captured: (52,) bool, the shapes that the capture measured.
        fps: of the capture.
        start: time of its first frame in the sound, in seconds.
        span: first and last sample of the file that are the take's sound; None: all of it.
    """

    name: str
    style: str
    recording: str
    path: Path
    weights: Float32
    captured: NDArray[np.bool_]
    fps: Fraction
    start: Fraction = Fraction(0)
    span: tuple[int, int] | None = None

    @cached_property
    def audio(self) -> Float32:
        """(S,) at 16 kHz, read when first asked for."""
        return audio.read(self.path)[slice(*self.span) if self.span else slice(None)]

    @property
    def end_s(self) -> float:
        """Time of the last captured frame."""
        return float(self.start + (len(self.weights) - 1) / self.fps)

    def curves_at(self, times: NDArray[np.float64]) -> Float32:
        """Captured curves at `times` in seconds, interpolated linearly: (n,) -> (n, 52)."""
        position = np.clip((times - float(self.start)) * float(self.fps), 0, len(self.weights) - 1)
        left = np.clip(position.astype(np.intp), 0, max(0, len(self.weights) - 2))
        share = (position - left).astype(np.float32)[:, None]
        right = np.minimum(left + 1, len(self.weights) - 1)
        curves: Float32 = self.weights[left] * (1 - share) + self.weights[right] * share
        return curves

    def known_at(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of `times` lie between the first and the last captured frame: (n,) -> (n,)."""
        return (times >= float(self.start)) & (times <= self.end_s)


@dataclass(frozen=True)
class Source:
    """A corpus: where it lies, how it is read, what may be done with it."""

    folder: str
    style: str
    licence: str
    credit: str
    read: Callable[[Path], Iterator[Take]]


def root() -> Path:
    """The corpus folder. Raises CorpusError if DUOMORPH_CORPUS does not name one."""
    folder = os.environ.get("DUOMORPH_CORPUS")
    if not folder or not Path(folder).is_dir():
        raise CorpusError(
            f"no corpus: got DUOMORPH_CORPUS={folder!r}, expected a folder with grid_s1/, facegood/; set it"
        )
    return Path(folder)


def _place(weights: Float32, names: list[str]) -> tuple[Float32, NDArray[np.bool_]]:
    """Columns by name into the 52: (T, n) -> (T, 52), and which of them were captured."""
    placed = np.zeros((len(weights), arkit.COUNT), dtype=np.float32)
    captured = np.zeros(arkit.COUNT, dtype=bool)
    for column, name in enumerate(names):
        if name in arkit.INDEX:  # MediaPipe's "_neutral" is no shape
            placed[:, arkit.INDEX[name]] = weights[:, column]
            captured[arkit.INDEX[name]] = True
    return placed, captured


def _read_grid(folder: Path) -> Iterator[Take]:
    with np.load(folder / "faces.npz") as faces:
        names = [str(name) for name in faces["shape"]]
        weights = faces["weights"].astype(np.float32)  # (clips, 75, 52)
        clips = [str(clip) for clip in faces["clip"]]
        fps = Fraction(float(faces["fps"]))
    for clip, curves in zip(clips, weights, strict=True):
        placed, captured = _place(curves, names)
        yield Take(clip, "grid", "grid_s1", folder / "audio" / f"{clip}.opus", placed, captured, fps)


# The rig rounds the lips with two shapes that ARKit lacks. jawOpen is left as it was captured (docs/log.md).
_FACEGOOD_FOLD: Final = {
    "mouth_oh_c": {"mouthFunnel": 0.5, "mouthPucker": 0.5},
    "mouth_oo_c": {"mouthFunnel": 0.2, "mouthPucker": 0.8},
}


def _read_facegood(folder: Path) -> Iterator[Take]:
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as solve:
            placed, captured = _place(solve["weights"], [str(name) for name in solve["shape"]])
            extra = dict(zip((str(name) for name in solve["extra_shape"]), solve["extra"].T, strict=True))
            fps = Fraction(float(solve["fps"]))
        for shape, shares in _FACEGOOD_FOLD.items():
            for name, share in shares.items():
                placed[:, arkit.INDEX[name]] += share * extra[shape]
        sound = folder / "audio" / f"{path.stem}.flac"
        recording = path.stem.rpartition("_")[0]  # 1114_3_15: day, session, take
        yield Take(path.stem, "facegood", recording, sound, np.clip(placed, 0, 1), captured, fps)


SOURCES: Final[dict[str, Source]] = {
    "grid_s1": Source(
        "grid_s1",
        "grid",
        "CC BY 4.0",
        "GRID audiovisual sentence corpus, talker s1: Cooke, Barker, Cunningham, Shao 2006; curves by MediaPipe "
        "FaceLandmarker (Apache-2.0)",
        _read_grid,
    ),
    "facegood": Source(
        "facegood",
        "facegood",
        "MIT",
        "FACEGOOD-Audio2Face training takes, one Mandarin speaker, studio solve mapped to 27 ARKit shapes",
        _read_facegood,
    ),
}


@cache
def held_out() -> dict[str, Any]:
    """Names of the held-out takes of each corpus, from the committed list."""
    listed: dict[str, Any] = json.loads(resources.files(__package__).joinpath("split.json").read_text())
    return listed


def load(name: str, part: str) -> list[Take]:
    """The takes of a corpus in one part of the split.

    Args:
        name: a key of `SOURCES`. part: "train" or "test".
    Raises:
        CorpusError: the corpus is absent, unknown or damaged.
    """
    if name not in SOURCES:
        raise CorpusError(f"corpus {name!r} is unknown: expected {', '.join(SOURCES)} or the folder of a data set")
    source = SOURCES[name]
    folder = root() / source.folder
    if not folder.is_dir():
        raise CorpusError(f"corpus {name!r} is absent: got no folder {folder}; put it there or choose another")
    test = set(held_out()[name])
    try:
        takes = [take for take in source.read(folder) if (take.name in test) == (part == "test")]
    except (OSError, KeyError, ValueError) as problem:
        raise CorpusError(f"corpus {name!r} in {folder} cannot be read ({problem}): copy it there again") from None
    if not takes:
        raise CorpusError(f"corpus {name!r} in {folder} holds nothing for {part!r}: copy it there again")
    return takes
