"""Memory that stays where it is, for processes that run for hours.

One promise: nothing is computed otherwise; where the C library is not glibc, nothing is done at all.

    steady()        # before the model is loaded

Loading a model frees a block of many megabytes, after which glibc keeps all blocks up to that size on its heap, where
those that live for a step and those that live for a session fragment it: 10 to 40 MB in the first minutes.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_MMAP_THRESHOLD: Final = -3  # malloc.h
_BYTES: Final = 1 << 20  # larger blocks go back to the system at once; a step of the network needs none


def steady() -> None:
    """Fix the size from which a block has pages of its own."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _BYTES)
