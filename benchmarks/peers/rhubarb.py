"""Rhubarb Lip Sync (MIT): mouth shapes A to H, X by recognised phones. It gives nine pictures, no curves.

The program is given as an argument or found as `rhubarb`; its recogniser is `pocketSphinx`, its default.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from timing import Absent, main


def prepare(sound: NDArray[np.float32], fps: int, program: str = "") -> Callable[[], object]:
    found = shutil.which(program or "rhubarb")
    if found is None:
        raise Absent("no program rhubarb: https://github.com/DanielSWolf/rhubarb-lip-sync/releases")
    return lambda: subprocess.run(
        [found, "--quiet", "--threads", "1", "--exportFormat", "json", sys.argv[1]], check=True, capture_output=True
    )


if __name__ == "__main__":
    main(prepare)
