"""What life hears of a voice: that it speaks, that a phrase has ended, that a syllable is stressed.

One promise: levels alone, against the voice's own, so no gain matters.

    prosody = Prosody()
    moment = prosody.step(level=-23.0, speech=True)    # one tick of `Hearing`
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from duomorph.clock import TICK_RATE

PAUSE_TICKS: Final = 12  # 0.2 s without speech end a phrase,
PHRASE_TICKS: Final = 30  # which had half a second of it
MEAN_S: Final = 2.0  # of speech, over which its level is averaged
STRESS_DB: Final = (4.0, 10.0)  # over the mean, where a stress begins and where it is full


@dataclass(frozen=True)
class Moment:
    """One tick of a voice.

    Attributes:
        speaking: somebody does, or pauses shortly. ended: a phrase did, it is known now.
        stress: how strong the syllable is whose loudest moment was the tick before, 0 to 1; 0 at all other moments.
    """

    speaking: bool
    ended: bool
    stress: float


class Prosody:
    """A tick at a time."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._spoken = 0  # ticks of speech in this phrase
        self._pause = PAUSE_TICKS
        self._mean = math.nan  # level of speech, dB
        self._before, self._rising = -math.inf, False

    def step(self, level: float, speech: bool) -> Moment:
        """One tick: its level in dB, and whether it is speech."""
        stress = 0.0
        if speech:
            self._spoken, self._pause = self._spoken + 1, 0
            if math.isnan(self._mean):
                self._mean = level
            if self._rising and level < self._before:
                least, most = STRESS_DB
                stress = min(max((self._before - self._mean - least) / (most - least), 0.0), 1.0)
            self._mean += (level - self._mean) / (MEAN_S * TICK_RATE)
        else:
            self._pause += 1
        ended = self._pause == PAUSE_TICKS and self._spoken >= PHRASE_TICKS
        if self._pause >= PAUSE_TICKS:
            self._spoken = 0
        self._rising = level > self._before or (self._rising and level == self._before)
        self._before = level
        return Moment(self._pause < PAUSE_TICKS, ended, stress)
