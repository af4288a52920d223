"""openSMILE's eGeMAPSv02 functionals over the last 20 s, every 300 ms, each window anew: what a sliding window costs.

`pip install opensmile` is for whoever runs this: audEERING's research licence forbids products, and we never use it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from timing import Absent, main

WINDOW_S, UPDATE_S = 20, 0.3


def prepare(sound: NDArray[np.float32], fps: int) -> Callable[[], object]:
    try:
        import opensmile
    except ImportError as problem:
        raise Absent(f"it needs {problem.name}: pip install opensmile") from None
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1)
    ends = np.arange(UPDATE_S, len(sound) / 16_000 + 1e-9, UPDATE_S)

    def work() -> object:
        return [
            smile.process_signal(sound[max(0, round((end - WINDOW_S) * 16_000)) : round(end * 16_000)], 16_000)
            for end in ends
        ]

    return work


if __name__ == "__main__":
    main(prepare)
