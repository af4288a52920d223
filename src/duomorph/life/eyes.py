"""Where the eyes look: at the listener, away and back, and never quite still.

One promise: every move is a saccade, as quick as human ones of its size are.

    eyes = Eyes(seed=7)
    right, down = eyes.step(manner, speaking=True)     # one tick: degrees, to the subject's right and down

Source: how far, which way and for how long: Lee, Badler, Badler 2002, "Eyes Alive", ACM Transactions on Graphics 21;
none farther than 15 degrees: Bahill, Adler, Stark 1975, Investigative Ophthalmology 14; duration: 25 ms and 2.4 ms a
degree (Lee et al.; Collewijn et al. 1988, Journal of Physiology 404); small ones: Martinez-Conde et al. 2004, Nature
Reviews Neuroscience 5 (under a degree, one or two a second).
"""

from __future__ import annotations

import math
from typing import Final

from duomorph.clock import TICK_RATE
from duomorph.life.chance import uniform, waited
from duomorph.life.manner import Manner

# Seconds with the listener and away from him, means at 30 frames a second, who talks and who listens.
STAY_S: Final = {True: (93.9 / 30, 27.8 / 30), False: (237.5 / 30, 13.0 / 30)}
# Share of directions, each 45 degrees wide, from the subject's right by way of up.
WAYS: Final = (0.1554, 0.0646, 0.1769, 0.0744, 0.1680, 0.0789, 0.2038, 0.0780)
LAST_S, PER_DEGREE_S = 0.025, 0.0024  # of a saccade
LEAST_S: Final = 0.25  # from one to the next
SMALL_S: Final = 0.6  # mean wait for a small one, beyond the least
SMALL_DEG: Final = (0.2, 0.5)  # how far it goes from what is looked at
NEAR_DEG: Final = 1.0  # so near to the listener's eyes all is the listener


class Eyes:
    """Both eyes, which look far ahead, so alike; a tick at a time."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        self._looks = self._smalls = 0  # numbers of the next ones
        self._away = False
        self._waited = self._waited_small = 0.0  # means
        self._spot = (0.0, 0.0)  # what is looked at; small ones go about it
        self._from = self._to = (0.0, 0.0)
        self._age = 0  # ticks since the last saccade began

    def step(self, manner: Manner, speaking: bool) -> tuple[float, float]:
        """One tick."""
        self._age += 1
        stay_s = STAY_S[speaking][self._away] * (1.0 if self._away else manner.stay)
        self._waited += 1 / (stay_s * TICK_RATE)
        if self._age > LEAST_S * TICK_RATE:
            self._waited_small += 1 / (SMALL_S * TICK_RATE)
            if self._waited > waited(self._seed, "look", self._looks):
                self._look(manner)
            elif self._waited_small > waited(self._seed, "small", self._smalls):
                self._smalls += 1
                self._go(_beside(self._spot, uniform(self._seed, "small way", self._smalls), self._small_deg()))
        return self._place()

    def _look(self, manner: Manner) -> None:
        """Away, or back to the listener."""
        self._looks, self._waited, self._away = self._looks + 1, 0.0, not self._away
        draw = uniform(self._seed, "look far", self._looks)
        way = uniform(self._seed, "look way", self._looks)
        if not self._away:
            self._spot = _beside((0.0, 0.0), way, NEAR_DEG * math.sqrt(draw))
        else:
            far = -6.9 * math.log(15 * draw / 15.7)  # Lee et al., equation 1
            self._spot = _beside((0.0, 0.0), _bent(way), min(max(far, 2 * NEAR_DEG), manner.look_deg))
        self._go(self._spot)

    def _small_deg(self) -> float:
        least, most = SMALL_DEG
        return least + (most - least) * uniform(self._seed, "small far", self._smalls)

    def _go(self, to: tuple[float, float]) -> None:
        self._from, self._to, self._age, self._waited_small = self._to, to, 0, 0.0

    def _place(self) -> tuple[float, float]:
        (x, y), (to_x, to_y) = self._from, self._to
        last_s = LAST_S + PER_DEGREE_S * math.hypot(to_x - x, to_y - y)
        share = 0.5 - 0.5 * math.cos(math.pi * min(1.0, self._age / (last_s * TICK_RATE)))
        return x + share * (to_x - x), y + share * (to_y - y)


def _bent(way: float) -> float:
    """An even draw as one of Lee's directions, in turns."""
    for number, share in enumerate(WAYS):
        if way < share:
            return (number - 0.5 + way / share) / len(WAYS)
        way -= share
    return 0.0


def _beside(spot: tuple[float, float], turns: float, degrees: float) -> tuple[float, float]:
    x, y = spot
    return x + degrees * math.cos(2 * math.pi * turns), y - degrees * math.sin(2 * math.pi * turns)
