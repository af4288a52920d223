"""FACEGOOD as a data set: a studio solve of one Mandarin speaker, 27 ARKit shapes of mouth and jaw at 30 fps.

One promise: the curves are those that Duomorph trains on; its fold of the rig's two extra shapes is used, not copied.

    DUOMORPH_CORPUS=corpus python recipes/facegood.py -o mydata

The training takes' own page: https://github.com/FACEGOOD/FACEGOOD-Audio2Face (MIT).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from duomorph import corpus
from duomorph.clip import Clip
from duomorph.dataset import split
from duomorph.dataset.manifest import Writer
from duomorph.errors import DuomorphError


def main() -> None:
    """Write the data set; what it holds already stays."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("-o", "--output", metavar="DATASET", type=Path, required=True)
    options = parser.parse_args()
    source = corpus.SOURCES["facegood"]
    tests = corpus.load("facegood", "test")
    takes = tests + corpus.load("facegood", "train")
    with Writer(options.output) as out:
        for take in sorted(takes, key=lambda take: take.name):
            if take.name not in out:
                out.add(
                    id=take.name,
                    sound=take.path,
                    clip=Clip(take.weights, take.fps, captured=take.captured),
                    speaker="facegood",
                    session=take.recording,
                    style=take.style,
                    licence=source.licence,
                    source=source.credit,
                )
    split.hold_out(options.output, [take.name for take in tests])
    print(f"{len(takes)} takes, {len(tests)} of them held out (split.json)")


if __name__ == "__main__":
    try:
        main()
    except DuomorphError as problem:
        sys.exit(f"facegood.py: {problem}")
