"""Chance that can be asked again.

One promise: a draw depends on seed, event and number alone: not on when, how often or in which order it is asked.

    uniform(seed=7, event="blink", number=3)       # in (0, 1)
"""

from __future__ import annotations

import math
import zlib
from functools import cache
from typing import Final

_MASK: Final = (1 << 64) - 1


def uniform(seed: int, event: str, number: int) -> float:
    """Even in (0, 1). Source: Steele, Lea, Flood 2014, SplitMix64, twice over a counter."""
    return (_mixed(_mixed(_key(seed, event) + number * 0x9E3779B97F4A7C15)) >> 11) * 2.0**-53 + 2.0**-54


def waited(seed: int, event: str, number: int) -> float:
    """How long one waits for what comes at any moment alike, in means; at most 2.5."""
    return min(-math.log(uniform(seed, event, number)), 2.5)


@cache
def _key(seed: int, event: str) -> int:
    return _mixed(_mixed(seed) ^ zlib.crc32(event.encode()))


def _mixed(z: int) -> int:
    z = (z + 0x9E3779B97F4A7C15) & _MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)
