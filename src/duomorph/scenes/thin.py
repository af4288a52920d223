"""Fewer keyframes: what straight lines between the others tell anyway is left out.

One promise: a curve through the keys that are kept is nowhere further than the tolerance from the frames given.

    keys = kept(weights, weights, 0.01)           # (T,), all curves have their keys at the same frames
    keys = kept(weights, weights, 0.01, apart=True)     # (T, C), each has its own
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def kept(
    values: NDArray[np.floating],
    written: NDArray[np.floating | np.unsignedinteger],
    tolerance: float,
    apart: bool = False,
    unit: float = 1.0,
) -> NDArray[np.bool_]:
    """Which frames are keys; the first and the last are.

    Args:
        values: (T, C), what is to be met.
        written: (T, C), what a key says, in `unit`: `values` as rounded by the file, by less than the tolerance.
        tolerance: 0 keeps every frame.
    Returns:
        (T,) bool, or with `apart` (T, C).
    """
    frames, curves = values.shape
    keys = np.zeros((frames, curves), dtype=bool)
    keys[:1] = keys[-1:] = True
    if tolerance <= 0:
        keys[:] = True
    else:
        _walk(values, written, unit, tolerance, apart, keys)
    return keys if apart else np.asarray(keys.any(1))


def _walk(
    values: NDArray[np.floating],
    written: NDArray[np.floating | np.unsignedinteger],
    unit: float,
    tolerance: float,
    apart: bool,
    keys: NDArray[np.bool_],
) -> None:
    """From each key a cone of slopes that pass all frames since within the tolerance; a frame whose own slope is
    outside makes the one before it a key."""
    frames, curves = values.shape
    start = unit * written[:1].sum(0, dtype=np.float64)
    begun = np.zeros(curves)
    low, high = np.full(curves, -np.inf), np.full(curves, np.inf)
    for k in range(1, frames):
        span = k - begun
        value, says = values[k].astype(np.float64), unit * written[k]
        slope = (says - start) / span
        out = (slope < low) | (slope > high)
        if out.any():
            if not apart:
                out[:] = True
            keys[k - 1, out] = True
            start[out], begun[out] = unit * written[k - 1, out], k - 1
            low[out], high[out] = -np.inf, np.inf
            span = k - begun
        low = np.maximum(low, (value - tolerance - start) / span)
        high = np.minimum(high, (value + tolerance - start) / span)
