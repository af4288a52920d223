"""How far the mouth may move: wide while somebody speaks, at rest while nobody does.

One promise: it waits for nothing that the network does not wait for.

    gate = Gate(delay=6)
    openness = gate.feed(speech)       # (n,) of `Hearing` -> (n,) in [0, 1] for the curves of the ticks that are due
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.sliding import sliding

Float64 = NDArray[np.float64]

RISE_TICKS: Final = 2  # the mouth is set free so fast,
HOLD_TICKS: Final = 2  # stays free so long after the last tick of speech,
FADE_TICKS: Final = 3  # and closes so fast


class Gate:
    """Speech in; out, how far the mouth may move, 0 to 1, at the ticks that a network with `delay` gives."""

    latency_s: Final = 0.0

    def __init__(self, delay: int) -> None:
        """`delay`: ticks that the network listens past a curve; so far ahead the mouth is set free before a word."""
        free = np.ones(delay + 1 + HOLD_TICKS)
        free[:RISE_TICKS] = np.arange(1, RISE_TICKS + 1) / (RISE_TICKS + 1)
        fade = np.arange(FADE_TICKS, 0, -1) / (FADE_TICKS + 1)
        self._kernel = np.concatenate([free, fade])  # by ticks since one of speech was heard
        self.reset()

    def reset(self) -> None:
        """Back to the start of a clip: silence before it."""
        self._speech = np.zeros(len(self._kernel) - 1)

    def feed(self, speech: NDArray[np.bool_]) -> Float64:
        """The most that any tick of speech within reach allows, (n,) -> (n,)."""
        known = np.concatenate([self._speech, speech])
        self._speech = known[len(speech) :]
        if not len(speech):
            return np.zeros(0)
        reach = sliding(known, len(self._kernel))  # (n, taps), oldest first
        openness: Float64 = (reach * self._kernel[::-1]).max(axis=1)
        return openness
