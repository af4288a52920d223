"""Windows that slide over a running signal.

One promise: a view, no copy, at the cost of making an array; numpy's own function takes ten times that, which a live
frame, with its short signals, feels.

    sliding(np.arange(5.0), 3)      # (3, 3): 0 1 2, 1 2 3, 2 3 4
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=np.generic)


def sliding(values: NDArray[Kind], length: int) -> NDArray[Kind]:
    """(n,) contiguous -> (n - length + 1, length), to be read only."""
    step = values.strides[0]
    return np.ndarray((len(values) - length + 1, length), values.dtype, values.data, 0, (step, step))
