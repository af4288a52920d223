"""Memory as long work wants it from the C library.

One promise: nothing is computed otherwise; where the C library is not glibc, nothing is done at all.

    steady()        # hours of live work: before the model is loaded
    keep()          # training on a CPU: before its first step

Loading a model frees a block of many megabytes, after which glibc keeps all blocks up to that size on its heap, where
those that live for a step and those that live for a session fragment it: 10 to 40 MB in the first minutes. A training
step on a CPU is the other way round: its arrays are large and come again, and glibc gives each back to the system, so
that half of the step goes into asking for the same pages anew.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1  # malloc.h
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_MMAP_MAX: Final = -4
_BYTES: Final = 1 << 20  # larger blocks go back to the system at once; a step of the network needs none


def steady() -> None:
    """Fix the size from which a block has pages of its own."""
    _set({_MMAP_THRESHOLD: _BYTES})


def keep() -> None:
    """Keep what is freed for what is asked for next."""
    _set({_TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 1 << 28, _MMAP_MAX: 0})


def _set(options: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)
