"""Windows over a signal: numpy's, to the bit, and no copy."""

from __future__ import annotations

import numpy as np
import pytest

from duomorph.sliding import sliding


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.bool_])
def test_they_are_those_of_numpy(kind: type[np.generic]) -> None:
    values = np.random.default_rng(0).integers(0, 2, 40).astype(kind)
    for part in (values, values[3:30]):
        windows = sliding(part, 7)
        np.testing.assert_array_equal(windows, np.lib.stride_tricks.sliding_window_view(part, 7))
        assert np.shares_memory(windows, values)


def test_a_signal_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="incompatible"):
        sliding(np.zeros(2), 4)
