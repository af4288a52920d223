"""A clip: face curves over time, and what is known about them.

One promise: frame k of a clip stands at exactly `start + k / fps` seconds.

    clip["jawOpen"]                # (T,) float32; any spelling that `arkit.canonical` knows
    clip.save("take.csv")          # format by suffix, or by name; see duomorph.formats
    clip.resampled(60)             # see duomorph.retime
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit


@dataclass(frozen=True)
class Clip:
    """Curves of one take.

    Attributes:
        weights: (T, 52) float32 in [0, 1], in the order of `arkit.NAMES`.
        fps: frames per second, exact.
        start: time of frame 0 in seconds of its audio.
        angles: (T, 9) float32 in radians, signed, in the order of `arkit.ANGLES`; None where nothing was captured.
        captured: (52,) bool, the shapes that were really measured; the others stand at zero.
        source: what captured or made it, in a few words; may be empty.
        timecode: wall clock of frame 0, in seconds since midnight; None where it is not known.
        stamps: (T,) float64, where the clock of the device was not even: its seconds from frame 0 to each frame, NaN
            where it dropped the frame and we bridge it; None where the frames stand as the promise says.
        beyond: (T, 52) float32, what the device wrote above 1 or below 0, less what `weights` keeps of it; None where
            it wrote nothing of the kind. `stamps` and `beyond` let a take be written back as it was.
    """

    weights: NDArray[np.float32]
    fps: Fraction
    start: Fraction = Fraction(0)
    angles: NDArray[np.float32] | None = None
    captured: NDArray[np.bool_] = field(default_factory=lambda: np.ones(arkit.COUNT, dtype=bool))
    source: str = ""
    timecode: Fraction | None = None
    stamps: NDArray[np.float64] | None = None
    beyond: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, shape: str) -> NDArray[np.float32]:
        """One curve, (T,). Raises KeyError if `shape` is not one of the 52 names."""
        curve: NDArray[np.float32] = self.weights[:, arkit.INDEX[arkit.canonical(str(shape)) or shape]]
        return curve

    def __contains__(self, shape: object) -> bool:
        return isinstance(shape, str) and arkit.canonical(shape) is not None

    @property
    def times(self) -> NDArray[np.float64]:
        """(T,) frame times in seconds."""
        return np.array([float(self.start + k / self.fps) for k in range(len(self))])

    def save(self, path: str | Path, format: str | None = None) -> None:
        """Write the clip, whole or not at all; the format follows the suffix or its name.

        Raises:
            FormatError: unknown format, a clip that is none, or the file cannot be written.
        """
        import_module("duomorph.formats").write(self, path, format)  # a floor above: fetched by name when it is called

    def resampled(self, fps: int | float | str | Fraction) -> Clip:
        """The same take at another frame rate, without aliasing or overshoot; see `duomorph.retime`.

        Raises:
            SettingError: not a number from 24 to 120.
        """
        clip: Clip = import_module("duomorph.retime").resampled(self, fps)
        return clip


def joined(parts: Iterable[Clip]) -> Clip:
    """The clip that these parts, at least one, are when each follows the other; they have no `stamps` nor `beyond`."""
    first, weights, angles = None, bytearray(), bytearray()  # which grow where they are
    for part in parts:
        first = part if first is None else first
        weights += np.asarray(part.weights, np.float32).tobytes()
        if part.angles is not None:
            angles += np.asarray(part.angles, np.float32).tobytes()
    assert first is not None
    turns = np.frombuffer(angles, np.float32).reshape(-1, len(arkit.ANGLES)) if first.angles is not None else None
    return replace(first, weights=np.frombuffer(weights, np.float32).reshape(-1, arkit.COUNT), angles=turns)
