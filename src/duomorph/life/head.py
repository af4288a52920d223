"""What the head does: it sways, more while one speaks; it nods on stresses; in silence it breathes.

One promise: it moves about where it was put, never far, and slower than a voice: no jump, however the speech begins.

    head = Head(seed=7)
    yaw, pitch, roll = head.step(manner, moment)       # one tick: degrees, in the signs of `arkit.ANGLES`

Source: the head hardly rests in speech: Hadar et al. 1983, Language and Speech 26; nods go with stress: Graf et al.
2002, Face and Gesture Recognition; breath at rest, 12 to 20 a minute: Tobin et al. 1983, Chest 84.
"""

from __future__ import annotations

import math
from typing import Final

from duomorph.life.chance import uniform
from duomorph.life.manner import Manner
from duomorph.life.prosody import Moment

SWAY: Final = (("yaw", 167, 2.2), ("pitch", 143, 1.3), ("roll", 211, 1.1))  # ticks from turn to turn, degrees at most
STILL: Final = 0.5  # of the sway is left in silence
ROUSED_TICKS: Final = 40  # from still to moved, and back
NOD_TICKS: Final = (24, 36)  # 0.4 to 0.6 s
NOD_DEG: Final = (1.0, 2.8)  # by how strong the stress is
NOD_APART_TICKS: Final = 60  # from the start of one to the next
BREATH_TICKS: Final = (210, 290)  # 12.4 to 17.1 a minute
INHALE: Final = 0.4  # of a breath
BREATH_DEG: Final = 0.5  # the chin goes up by so much


class Head:
    """A tick at a time."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        self._tick = 0
        self._roused = 0.0
        self._stresses = 0
        self._nod, self._nod_ticks, self._nod_deg = NOD_APART_TICKS, 1, 0.0  # its age, length and size
        self._breaths, self._breath, self._breath_ticks = 0, 0, BREATH_TICKS[1]

    def step(self, manner: Manner, moment: Moment) -> tuple[float, float, float]:
        """One tick, at the size of a calm head."""
        self._tick += 1
        self._roused += ((1.0 if moment.speaking else 0.0) - self._roused) / ROUSED_TICKS
        size = STILL + (1 - STILL) * self._roused
        yaw, pitch, roll = (size * degrees * self._sway(axis, ticks) for axis, ticks, degrees in SWAY)
        return yaw, pitch + self._nodded(manner, moment) - (1 - self._roused) * self._breathed(), roll

    def _sway(self, axis: str, ticks: int) -> float:
        """From turn to turn, -1 to 1; it begins at rest."""
        number, within = divmod(self._tick, ticks)
        before, after = (2 * uniform(self._seed, axis, turn) - 1 if turn else 0.0 for turn in (number, number + 1))
        return before + (after - before) * (0.5 - 0.5 * math.cos(math.pi * within / ticks))

    def _nodded(self, manner: Manner, moment: Moment) -> float:
        self._nod += 1
        if moment.stress:
            self._stresses += 1
            if self._nod > NOD_APART_TICKS and uniform(self._seed, "nod", self._stresses) < manner.nods:
                least, most = NOD_TICKS
                self._nod_ticks = least + int(uniform(self._seed, "nod ticks", self._stresses) * (most - least + 1))
                self._nod_deg = NOD_DEG[0] + (NOD_DEG[1] - NOD_DEG[0]) * moment.stress
                self._nod = 0
        return self._nod_deg * math.sin(math.pi * min(1.0, self._nod / self._nod_ticks)) ** 2

    def _breathed(self) -> float:
        """0 to BREATH_DEG and back."""
        self._breath += 1
        if self._breath >= self._breath_ticks:
            least, most = BREATH_TICKS
            self._breaths, self._breath = self._breaths + 1, 0
            self._breath_ticks = least + int(uniform(self._seed, "breath", self._breaths) * (most - least + 1))
        share = self._breath / self._breath_ticks
        way = share / INHALE / 2 if share < INHALE else 0.5 + (share - INHALE) / (1 - INHALE) / 2
        return BREATH_DEG * (0.5 - 0.5 * math.cos(2 * math.pi * way))
