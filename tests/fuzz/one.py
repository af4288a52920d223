"""One reader under atheris, guided by the coverage of our own code: what it reads is taken or refused by our error.

    python tests/fuzz/one.py livelink FOLDER -max_total_time=60       # FOLDER: what it found; libFuzzer's options

A crash is any other exception, a broken promise of the clip, 10 s for one input (-timeout) or too much memory. Targets:
the names of the formats, and sound.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))
with atheris.instrument_imports(include=["duomorph", "numpy.lib"]):  # numpy reads the headers of archives
    import readers


def main() -> None:
    target, folder = sys.argv[1], Path(sys.argv[2])
    sounds = target == "sound"
    seeds = list(map(readers.sound, readers.SOUNDS)) if sounds else [readers.CURVES[target], readers.LEAST[target]]
    for number, seed in enumerate(seeds):
        (folder / f"seed{number}").write_bytes(seed)
    if sounds:
        os.environ["PATH"] = ""  # no ffmpeg: it is slow to start and not ours to test
        path = Path(tempfile.mkdtemp()) / "fuzzed.wav"

        def read(data: bytes) -> None:
            path.write_bytes(data)
            readers.read_sound(path)
    else:

        def read(data: bytes) -> None:
            readers.read_curves(target, data)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], read)
    atheris.Fuzz()


main()
