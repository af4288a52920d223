"""Range restoration of a data set's video captures: a second style beside the first.

One promise: clips as they were captured stay; what restores a clip was not fitted on clips that are held out.

    added = restore_all("mydata")       # ["take1.restored", ...] in style "anna_restored"

Lip landmarks lie beside the curves, in lips/<id>.npz, since `duomorph data import` captured the video.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import files, formats, restore
from duomorph.dataset import manifest, split
from duomorph.dataset.manifest import Entry
from duomorph.errors import CorpusError
from duomorph.video import LIPS

SUFFIX: Final = "restored"
ENOUGH_S: Final = 60  # of a speaker; from half of it one gain in ten is off by 60 % (docs/restoration.md)


@dataclass(frozen=True)
class Lips:
    """What `duomorph.video` saw of the lips in T frames: landmarks (T, 40, 3), heads (T, 4, 4), the pictures' size."""

    marks: NDArray[np.float32]
    head: NDArray[np.float32]
    size: tuple[int, int]


def keep(folder: Path, id: str, lips: Lips) -> None:
    """Put the lips of a clip beside its curves, whole or not at all. Raises FormatError if they cannot be written."""
    files.folder(folder / "lips")
    out = io.BytesIO()
    np.savez_compressed(out, marks=lips.marks, head=lips.head, size=np.array(lips.size))
    files.write(folder / "lips" / f"{id}.npz", out.getvalue())


def _lips(folder: Path, entry: Entry) -> restore.Lips | None:
    path = folder / "lips" / f"{entry.id}.npz"
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            width, height = stored["size"].tolist()
            return restore.Lips(stored["marks"], np.array(LIPS), stored["head"], (width, height))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise CorpusError(f"cannot read {str(path)!r} ({problem}): expected lips; capture the video again") from None


def restore_all(folder: str | Path, tell: Callable[[str], None] = lambda text: None) -> list[str]:
    """Add a restored copy of each captured video; the ids that were added. What is restored already stays.

    Each speaker is fitted on all of his clips that are not held out.

    Args:
        tell: hears of speakers who were fitted on little.
    Raises:
        CorpusError: no data set, no captured video in it, or damaged lips.
    """
    folder = Path(folder)
    seen = {entry.id: (entry, lips) for entry in manifest.read(folder) if (lips := _lips(folder, entry)) is not None}
    if not seen:
        raise CorpusError(f"{str(folder)!r} has no captured video: expected lips/<clip>.npz; import videos first")
    held = split.held_out(folder)

    def spoken_by(speaker: str) -> Iterator[tuple[Entry, restore.Lips]]:
        return (both for both in seen.values() if both[0].speaker == speaker)

    added = []
    with manifest.Writer(folder) as out:
        for speaker in dict.fromkeys(entry.speaker for entry, _ in seen.values()):
            known = [(lips, entry.fps) for entry, lips in spoken_by(speaker) if entry.id not in held]
            fitted = restore.fit(known)
            seconds = sum(len(lips.marks) / float(fps) for lips, fps in known)
            if seconds < ENOUGH_S:
                tell(f"speaker {speaker!r} is fitted on {seconds:.0f} s, which is rough: expected {ENOUGH_S}; add some")
            for entry, lips in spoken_by(speaker):
                id = f"{entry.id}.{SUFFIX}"
                if id in out:
                    continue
                clip = restore.restore(formats.read(folder / entry.curves), lips, fitted)
                out.add(
                    id=id,
                    sound=folder / entry.audio,
                    clip=clip,
                    speaker=entry.speaker,
                    session=entry.session,
                    style=f"{entry.style}_{SUFFIX}",
                    licence=entry.licence,
                )
                added.append(id)
    restored = {f"{id}.{SUFFIX}" for id in held if id in seen}
    if not restored <= held:
        split.hold_out(folder, restored)
    return added
