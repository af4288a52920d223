"""Recordings to train and test on, from a corpus by its name or from a data set's folder.

One promise: what a split holds out is never handed out for training.

    takes("grid_s1", "train")           # of DUOMORPH_CORPUS
    takes("mydata", "test")             # a folder with manifest.jsonl and, from `duomorph data split`, split.json
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from duomorph import arkit, corpus, formats
from duomorph.clock import SAMPLE_RATE
from duomorph.corpus import Take
from duomorph.dataset import manifest, split
from duomorph.errors import CorpusError
from duomorph.model.card import TrainingSource

SESSION_S: Final = 60


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
    recording = "/".join(filter(None, (entry.speaker, entry.session))) or entry.style
    return Take(entry.id, entry.style, recording, folder / entry.audio, clip.weights, captured, clip.fps, clip.start)


def sessions(takes: Iterable[Take]) -> list[list[Take]]:
    """Takes of one recording in groups of about a minute, in their order; a long take is a group of its own."""
    open_groups: dict[tuple[str, str, bytes], list[Take]] = {}
    lengths: dict[tuple[str, str, bytes], float] = {}
    groups = []
    for take in takes:
        of, seconds = (take.style, take.recording, take.captured.tobytes()), len(take.audio) / SAMPLE_RATE
        if of not in open_groups or lengths[of] + seconds > SESSION_S:
            open_groups[of], lengths[of] = [], 0.0
            groups.append(open_groups[of])
        open_groups[of].append(take)
        lengths[of] += seconds
    return groups


def cut(take: Take, start_s: float, stop_s: float) -> Take:
    """A stretch of a take, as a take of its own."""
    first, last = (max(0, round((at - float(take.start)) * float(take.fps))) for at in (start_s, stop_s))
    begin, end = (round(at * SAMPLE_RATE) for at in (start_s, stop_s))
    start = take.start + first / take.fps - Fraction(begin, SAMPLE_RATE)
    before = take.span[0] if take.span else 0
    weights, span = take.weights[first:last], (before + begin, before + end)
    return replace(take, name=f"{take.name}@{start_s:g}", weights=weights, start=start, span=span)


def parts(takes: list[Take], share: float = 0.2) -> tuple[list[Take], list[Take]]:
    """Training and test takes where nobody has split them: every so many-th, or the end of each if there are few."""
    every = round(1 / share)
    if len(takes) >= 2 * every:
        return [take for k, take in enumerate(takes) if k % every], takes[::every]
    ends = [len(take.audio) / SAMPLE_RATE for take in takes]
    learned = [cut(take, 0.0, end * (1 - share)) for take, end in zip(takes, ends, strict=True)]
    return learned, [cut(take, end * (1 - share), end) for take, end in zip(takes, ends, strict=True)]


def sources(names: Sequence[str], learned: Sequence[Take]) -> list[TrainingSource]:
    """Style, licence, credit and hours of what a model learns from each corpus or data set."""
    out = []
    for name in names:
        if is_dataset(name):
            folder = Path(name)
            entries = list(manifest.read(name))
            licences, credits = ({getattr(entry, key) for entry in entries} - {""} for key in ("licence", "source"))
            licence, credit, title = "; ".join(sorted(licences)), "; ".join(sorted(credits)), folder.resolve().name
        else:
            source = corpus.SOURCES[name]
            folder, licence, credit, title = corpus.root() / source.folder, source.licence, source.credit, name
        own = [take for take in learned if take.path.is_relative_to(folder)]
        for style in dict.fromkeys(take.style for take in own):
            hours = sum(len(take.audio) for take in own if take.style == style) / SAMPLE_RATE / 3600
            out.append(TrainingSource(title, style, licence, credit, round(hours, 3)))
    return out
