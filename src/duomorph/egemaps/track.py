"""The pitch path: one candidate, or no voice, for each frame, by dynamic programming with a fixed look-ahead.

One promise: the decision of frame t is final once frame t + LAG is known, and does not change with the chunks.

    path = PitchPath()
    f0 = path.feed(hz, voicing)        # (n,) Hz of the frames decided now, 0 = unvoiced
    f0 = path.finish()                 # the rest

Source: the smoothing of Eyben's "Real-time Speech and Music Classification" (2016), with the published weights of
eGeMAPSv02 for local voicing, threshold, range and jumps. The form of each cost is ours, fitted to the reference's
output (docs/egemaps.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from duomorph.egemaps.frames import Array
from duomorph.egemaps.pitch import COUNT

LAG: Final = 15  # frames of look-ahead
_STATES: Final = COUNT + 1  # the last state is "no voice"
_VOICED: Final = 0.7  # voicing from which a frame counts as voiced
_THRESHOLD: Final = 4.0  # against voice under it, and against silence over it
_BEST: Final = 2.0  # times 1 - voicing of the frame's best candidate: against voice
_LOCAL: Final = 15.0  # times what a candidate lacks to the best one
_LOW: Final = 0.8  # against candidates under 100 Hz
_HIGH: Final = 0.4  # and over 300 Hz
_JUMP: Final = 6.0  # per octave
_SWITCH: Final = 4.0  # voiced <-> unvoiced
_NEVER: Final = 1e6


class PitchPath:
    """Viterbi over at most six candidates and silence."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the start of a sound."""
        self._cost = np.zeros(_STATES)
        self._octave = np.zeros(COUNT)
        self._back = np.zeros((0, _STATES), np.intp)  # of undecided frames: for each state the best one before it
        self._hz = np.zeros((0, _STATES))  # of undecided frames: F0 of each state
        self._started = False

    def feed(self, hz: Array, voicing: Array) -> Array:
        """Candidates of new frames, (n, 6) each -> F0 of the frames that are now decided."""
        count = len(hz)
        if not count:
            return np.zeros(0)
        there = hz > 0.0
        best = voicing.max(axis=1)
        cost = _BEST * (1.0 - best[:, None]) + _LOCAL * (best[:, None] - voicing) + _THRESHOLD * (voicing < _VOICED)
        cost += _LOW * np.maximum(1.0 - hz / 100.0, 0.0) + _HIGH * np.maximum(1.0 - 300.0 / np.maximum(hz, 1.0), 0.0)
        local = np.empty((count, _STATES))
        local[:, :COUNT] = np.where(there, cost, _NEVER)
        local[:, COUNT] = _THRESHOLD * (best >= _VOICED)
        octave = np.log2(np.where(there, hz, 1.0))
        before = np.concatenate([self._octave[None], octave[:-1]])
        move = np.full((count, _STATES, _STATES), _SWITCH)  # to, from
        move[:, :COUNT, :COUNT] = _JUMP * np.abs(octave[:, :, None] - before[:, None, :])
        move[:, COUNT, COUNT] = 0.0
        if not self._started:
            move[0] = 0.0
            self._started = True
        move += local[:, :, None]
        self._octave = octave[-1]
        costs = np.empty((count, _STATES))
        total = self._cost
        for step, after in zip(move, costs, strict=True):
            step += total
            total = np.minimum.reduce(step, axis=1, out=after)
            total -= total[COUNT]  # each frame, so that the bits do not depend on the chunks
        self._cost = costs[-1].copy()
        back = np.concatenate([self._back, move.argmin(axis=2)])
        known = np.concatenate([self._hz, np.concatenate([hz, np.zeros((count, 1))], axis=1)])
        decided = max(len(back) - LAG, 0)
        self._back, self._hz = back[decided:], known[decided:]
        # From the best state of each frame, `LAG` frames back; places in `back`, its rows one behind the other.
        before = (back + _STATES * np.arange(-1, len(back) - 1)[:, None]).ravel()
        place = _STATES * np.arange(LAG, len(back)) + costs[count - decided :].argmin(axis=1)
        for _ in range(LAG):
            place = before[place]
        f0: Array = known.ravel()[place]
        return f0

    def finish(self) -> Array:
        """F0 of the frames not yet decided; the path is then done (`reset` starts another)."""
        state = int(self._cost.argmin())
        decided = []
        for back, hz in zip(self._back[::-1].tolist(), self._hz[::-1].tolist(), strict=True):
            decided.append(hz[state])
            state = back[state]
        self._back, self._hz = self._back[:0], self._hz[:0]
        return np.array(decided[::-1])
