"""Blinks.

One promise: a lid that begins to close closes fully, for 33 ms at least, so that 30 frames a second show it.

    blinks = Blinks(seed=7)
    closed = blinks.step(manner, ended=False)      # one tick: 0 open to 1 closed

They come at any moment alike, but not within a second of each other, more often where a phrase has ended, and now and
then as a pair.

Source: rate: Bentivoglio et al. 1997, Movement Disorders 12 (17 a minute at rest, 26 in conversation), Doughty 2001,
Optometry and Vision Science 78 (8 to 21 in primary gaze, 10.5 to 32.5 in conversation); course: VanderWerf et al. 2003,
Journal of Neurophysiology 89 (a quick way down, a slow way up); ends of phrases: Nakano & Kitazawa 2010, Experimental
Brain Research 205.
"""

from __future__ import annotations

from typing import Final

from duomorph.clock import TICK_RATE
from duomorph.life.chance import uniform, waited
from duomorph.life.manner import Manner

CLOSE_TICKS: Final = (4, 6)  # least and most: 67 to 100 ms
SHUT_TICKS: Final = (2, 3)
OPEN_TICKS: Final = (8, 13)  # 133 to 217 ms
APART_TICKS: Final = TICK_RATE  # from the end of one to the next,
NEAR_TICKS: Final = 30  # or so many, where a phrase ends
PAIR_TICKS: Final = (6, 14)  # between the two of a pair
AFTER_TICKS: Final = (0, 18)  # from where the end of a phrase is known to its blink


class Blinks:
    """Both lids; a tick at a time."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        self._number = 0  # of the next blink
        self._phrases = 0
        self._age = 0  # ticks since the last one began,
        self._course = (0, 0, 0)  # which closes, is shut and opens for so many
        self._waited = 0.0  # means
        self._called: int | None = None  # the age at which the next comes all the same

    def step(self, manner: Manner, ended: bool) -> float:
        """One tick; `ended`: a phrase ended, it is known now."""
        self._age += 1
        over = self._age - sum(self._course)
        if over > APART_TICKS:
            self._waited += 1 / (manner.blink_s * TICK_RATE)
        if ended:
            self._phrases += 1
            if over > NEAR_TICKS and uniform(self._seed, "phrase blinks", self._phrases) < manner.phrase_blinks:
                self._called = self._age + self._between("phrase waits", self._phrases, AFTER_TICKS)
        if self._age == self._called or self._waited > waited(self._seed, "blink", self._number):
            self._begin(manner)
        return self._closed()

    def _begin(self, manner: Manner) -> None:
        self._number += 1
        self._age, self._waited, self._called = 0, 0.0, None
        self._course = (
            self._between("closing", self._number, CLOSE_TICKS),
            self._between("shut", self._number, SHUT_TICKS),
            self._between("opening", self._number, OPEN_TICKS),
        )
        if uniform(self._seed, "pair", self._number) < manner.pairs:
            self._called = sum(self._course) + self._between("pair waits", self._number, PAIR_TICKS)

    def _between(self, event: str, number: int, ends: tuple[int, int]) -> int:
        least, most = ends
        return least + int(uniform(self._seed, event, number) * (most - least + 1))

    def _closed(self) -> float:
        closing, shut, opening = self._course
        if self._age < closing:
            share = (self._age + 1) / (closing + 1)
        elif self._age < closing + shut:
            return 1.0
        else:
            share = max(0.0, 1 - (self._age - closing - shut + 1) / (opening + 1))
        return share * share * (3 - 2 * share)
