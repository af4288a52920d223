"""The emotion track: 88 eGeMAPS functionals over 20 s, in three windows, every 300 ms.

One promise: update u stands at exactly 0.3 u s, hears nothing later, and is computed from descriptors kept once.

    track = EmotionTrack()
    updates = track.feed(samples)      # (S,) -> (u, 264): [now, -300 ms, -600 ms]

Windows that end before the clip began are filled with `neutral`, the mean of the training data (part of the
weights); so is update 0, when nothing has been heard.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.egemaps import FUNCTIONAL_NAMES, FunctionalTrack

Float32 = NDArray[np.float32]

FUNCTIONALS: Final = len(FUNCTIONAL_NAMES)  # 88
WINDOWS: Final = 3  # now, one and two updates ago
UPDATE_S: Final = Fraction(3, 10)


class EmotionTrack:
    """Samples in, updates of 3 x 88 functionals out, one every 300 ms."""

    latency_s: Final = 0.0  # an update comes with its instant; what the descriptors lag is not heard yet in it

    def __init__(self, neutral: Float32 | None = None) -> None:
        """`neutral`: (88,) what a window that heard nothing holds; zeros if not given."""
        self._neutral = np.zeros(FUNCTIONALS, dtype=np.float32) if neutral is None else neutral
        self._track = FunctionalTrack(UPDATE_S)
        self.reset()

    def reset(self) -> None:
        """Back to the start of a clip."""
        self._track.reset()
        self._before = np.tile(self._neutral, (WINDOWS - 1, 1))  # (2, 88) the updates before the next, oldest first
        self._started = False

    def feed(self, samples: Float32) -> Float32:
        """(S,) samples at 16 kHz -> (u, 264) float32, the updates whose instant is reached now."""
        rows = self._track.feed(samples)  # (u, 88)
        if len(rows) and not self._started:
            rows[0] = self._neutral  # at instant 0 nothing has been heard
            self._started = True
        known = np.concatenate([self._before, rows])  # (2 + u, 88)
        self._before = known[len(known) - WINDOWS + 1 :]
        count = len(rows)
        return np.concatenate([known[back : back + count] for back in (2, 1, 0)], axis=1)

    def finish(self) -> Float32:
        """No update waits for later audio: (0, 264)."""
        return np.zeros((0, WINDOWS * FUNCTIONALS), dtype=np.float32)
