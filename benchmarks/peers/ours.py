"""Duomorph: the whole pipeline, sound to curves; with `emotion` its emotion stream alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from timing import main

import duomorph
from duomorph.emotion import EmotionTrack


def prepare(sound: NDArray[np.float32], fps: int, part: str = "all") -> Callable[[], object]:
    if part == "emotion":
        return lambda: EmotionTrack().feed(sound)
    face = duomorph.load()
    return lambda: face.animate(sound, fps=fps)


if __name__ == "__main__":
    main(prepare)
