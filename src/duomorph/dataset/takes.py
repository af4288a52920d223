"""Recordings to train and test on, from a corpus by its name or from a data set's folder.

One promise: what a split holds out is never handed out for training.

    takes("grid_s1", "train")           # of DUOMORPH_CORPUS
    takes("mydata", "test")             # a folder with manifest.jsonl and, from `duomorph data split`, split.json
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from duomorph import arkit, corpus, formats
from duomorph.clock import SAMPLE_RATE
from duomorph.corpus import Take
from duomorph.dataset import manifest, split
from duomorph.errors import CorpusError


class Source(TypedDict):
    """Where training data came from, for the model's provenance."""

    name: str
    style: str
    licence: str
    credit: str
    hours: float


def is_dataset(name: str) -> bool:
    """Whether `name` means a data set's folder and not a corpus."""
    return name not in corpus.SOURCES and (Path(name) / manifest.NAME).exists()


def takes(name: str, part: str) -> list[Take]:
    """The recordings of one part of the split; a data set that was never split is all for training.

    Args:
        name: a key of `corpus.SOURCES`, or a folder with a manifest. part: "train" or "test".
    Raises:
        CorpusError: the corpus or data set is absent, unknown or damaged.
    """
    if not is_dataset(name):
        if name not in corpus.SOURCES and ("/" in name or "\\" in name or Path(name).is_dir()):
            raise CorpusError(f"{name!r} is no data set: expected a folder with {manifest.NAME}; import takes first")
        return corpus.load(name, part)
    folder = Path(name)
    held_out = split.held_out(folder)
    return [_take(folder, entry) for entry in manifest.read(folder) if (entry.id in held_out) == (part == "test")]


def _take(folder: Path, entry: manifest.Entry) -> Take:
    clip = formats.read(folder / entry.curves)
    captured = np.array([shape in entry.captured for shape in arkit.NAMES])
    recording = entry.session or entry.speaker or entry.style
    return Take(entry.id, entry.style, recording, folder / entry.audio, clip.weights, captured, clip.fps, clip.start)


def sources(names: Sequence[str], part: str = "train") -> list[Source]:
    """Style, licence, credit and hours of each."""
    out: list[Source] = []
    for name in names:
        own = takes(name, part)
        for style in dict.fromkeys(take.style for take in own):
            hours = sum(len(take.audio) for take in own if take.style == style) / SAMPLE_RATE / 3600
            if is_dataset(name):
                entries = [entry for entry in manifest.read(name) if entry.style == style]
                licence, credit = ("; ".join(sorted({*words} - {""})) for words in (
                    (entry.licence for entry in entries), (entry.source for entry in entries)
                ))  # fmt: skip
            else:
                licence, credit = corpus.SOURCES[name].licence, corpus.SOURCES[name].credit
            title = name if not is_dataset(name) else Path(name).resolve().name
            out.append(Source(name=title, style=style, licence=licence, credit=credit, hours=round(hours, 3)))
    return out
