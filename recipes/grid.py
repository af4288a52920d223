"""GRID, one talker, as a data set of two styles: `grid` as MediaPipe sees the face, `grid_restored` with its range.

One promise: both styles share their sounds, and what restores a clip was not fitted on the clips held out.

    DUOMORPH_CORPUS=corpus python recipes/grid.py -o mydata               # talker s1, labels as they are there
    python recipes/grid.py -o mydata --videos grid/s2 --talker s2 --landmarker face_landmarker.task

The corpus holds the lip landmarks that MediaPipe found; videos are captured here, which takes a while (extra `video`).
GRID's own page: https://zenodo.org/records/3625687 (CC BY 4.0; Cooke, Barker, Cunningham, Shao 2006).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duomorph import corpus, restore
from duomorph.clip import Clip
from duomorph.dataset import split
from duomorph.dataset.manifest import Writer
from duomorph.errors import CorpusError, DuomorphError

HOLD = 10  # of videos, every tenth is left out of the fit


@dataclass(frozen=True)
class Take:
    """A clip with its sound and lips; one that is held out is not fitted on."""

    name: str
    sound: Path
    clip: Clip
    lips: restore.Lips
    held: bool


def from_corpus() -> Iterator[Take]:
    """Talker s1 as it lies in the corpus, by name."""
    with np.load(corpus.root() / corpus.SOURCES["grid_s1"].folder / "faces.npz") as faces:
        clips = [str(name) for name in faces["clip"]]
        marks = faces["lips_u16"]
        index, head = faces["lips_index"], faces["head"]
        width, height = map(int, faces["size"])
    row = {name: k for k, name in enumerate(clips)}
    held = corpus.held_out()["grid_s1"]
    takes = corpus.load("grid_s1", "train") + corpus.load("grid_s1", "test")
    for take in sorted(takes, key=lambda take: take.name):
        seen = marks[row[take.name]] / np.float32(65535)
        seen[..., 2] -= 0.5  # stored as z + 0.5
        lips = restore.Lips(seen, index, head[row[take.name]], (width, height))
        clip = Clip(take.weights, take.fps, captured=take.captured, source="MediaPipe FaceLandmarker, IMAGE mode")
        yield Take(take.name, take.path, clip, lips, take.name in held)


def from_videos(folder: Path, landmarker: Path | None, processes: int) -> Iterator[Take]:
    """The videos of a folder, captured."""
    from duomorph.video import LIPS, Capturer

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mpg", ".mp4", ".mov"))
    if not paths:
        raise CorpusError(f"{str(folder)!r} has no video: expected .mpg, .mp4 or .mov files; name their folder")
    with Capturer(landmarker, processes) as capturer:
        for number, path in enumerate(paths):
            print(f"{number + 1}/{len(paths)} {path.name}", file=sys.stderr)
            seen = capturer.capture(path)
            if seen.missed.any():
                print(f"left out: {path}: no face in {seen.missed.sum()} frames", file=sys.stderr)
                continue
            lips = restore.Lips(seen.lips, np.array(LIPS), seen.head, seen.size)
            yield Take(path.stem, path, seen.clip, lips, number % HOLD == HOLD - 1)


def ids(take: Take, talker: str) -> tuple[str, str]:
    """What the two styles of a take are called; talkers share sentences, and so names."""
    return f"{talker}_{take.name}", f"{talker}_{take.name}.restored"


def main() -> None:
    """Write the data set; what it holds already stays."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("-o", "--output", metavar="DATASET", type=Path, required=True)
    parser.add_argument("--videos", metavar="FOLDER", type=Path, help="a talker's videos, instead of the corpus")
    parser.add_argument("--talker", default="s1", help="who speaks (default s1)")
    parser.add_argument("--landmarker", metavar="FILE", type=Path, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    source = corpus.SOURCES["grid_s1"]
    credit = source.credit.replace("talker s1", f"talker {options.talker}")
    found = from_videos(options.videos, options.landmarker, options.processes) if options.videos else from_corpus()
    takes = list(found)
    speaker = restore.fit((take.lips, take.clip.fps) for take in takes if not take.held)
    with Writer(options.output) as out:
        for take in takes:
            wide = restore.restore(take.clip, take.lips, speaker)
            raw_id, wide_id = ids(take, options.talker)
            for id, style, clip in ((raw_id, "grid", take.clip), (wide_id, "grid_restored", wide)):
                if id not in out:
                    out.add(
                        id=id,
                        sound=take.sound,
                        clip=clip,
                        speaker=f"grid_{options.talker}",
                        session=f"grid_{options.talker}",
                        style=style,
                        licence=source.licence,
                        source=credit + clip.source.removeprefix(take.clip.source),
                    )
    held = [id for take in takes if take.held for id in ids(take, options.talker)]
    split.hold_out(options.output, held)
    print(f"{len(takes)} clips in two styles, {len(held) // 2} of them held out (split.json)")


if __name__ == "__main__":
    try:
        main()
    except DuomorphError as problem:
        sys.exit(f"grid.py: {problem}")
