"""The voice features of a sound file as a CSV, for `duomorph egemaps`.

One promise: the numbers are those of `egemaps.lld` and `egemaps.extract`, and the sound is read block by block.

    descriptors(Path("talk.wav"), "talk.csv")    # 25 columns behind the time, a row every 10 ms; constant memory
    functionals(Path("talk.wav"), "talk.csv")    # 88 columns, one row

Functionals are percentiles and counts over the whole utterance, so their contours are kept: 14 kB a second of sound,
52 MB an hour, twice that while they are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import audio, egemaps, files
from duomorph.egemaps.stream import ContourStream, check_samples

BLOCK_SECONDS: Final = 1.0


def descriptors(source: Path, target: str | Path) -> None:
    """Write the 25 low-level descriptors, row t at t / 100 s.

    Raises:
        AudioError: the sound cannot be read. FormatError: the CSV cannot be written. Neither leaves a file.
    """
    with files.atomic(target) as temporary, temporary.open("w", encoding="ascii", newline="\n") as out:
        out.write(",".join(["time", *egemaps.LLD_NAMES]) + "\n")
        number = 0
        for rows in _rows(source):
            for row in rows.tolist():
                out.write(",".join([f"{number / 100:.2f}", *(f"{value:.9g}" for value in row)]) + "\n")
                number += 1


def functionals(source: Path, target: str | Path) -> None:
    """Write the 88 functionals of the whole sound. Raises as `descriptors` does."""
    stream = ContourStream()
    parts = [stream.feed(check_samples(block)) for block in audio.blocks(source, BLOCK_SECONDS)]
    contours = np.concatenate([*parts, stream.finish()])
    parts.clear()
    row = egemaps.functionals(contours)
    lines = (egemaps.FUNCTIONAL_NAMES, (f"{value:.9g}" for value in row.tolist()))
    files.write(target, "".join(",".join(cells) + "\n" for cells in lines).encode("ascii"))


def _rows(source: Path) -> Iterator[NDArray[np.float32]]:
    """(n, 25) rows, as they become final."""
    stream = egemaps.LldStream()
    for block in audio.blocks(source, BLOCK_SECONDS):
        yield stream.feed(block)
    yield stream.finish()
