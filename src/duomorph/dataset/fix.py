"""Curves that come late or early are moved to their sound.

One promise: all clips are moved or none: the new curves lie beside the old ones until the manifest, replaced in one
step, names them.

    for move in fix("mydata"):                 # measures and tells, changes nothing
        print(move.id, move.lag, move.moves)
    fix("mydata", apply=True)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from duomorph import audio, files
from duomorph.dataset import manifest
from duomorph.dataset.lag import Hearing, Lag, Sessions, compare
from duomorph.dataset.manifest import Entry
from duomorph.formats import jsonl, read


@dataclass(frozen=True)
class Move:
    """A clip and its lag; None where there is too little to measure."""

    id: str
    lag: Lag | None

    @property
    def verdict(self) -> str:
        """What to make of the lag."""
        if self.lag is None:
            return "too little to measure"
        if not self.lag.clear:
            return "not clear"
        return "to move" if self.lag.out_of_sync else "in sync"

    @property
    def moves(self) -> bool:
        """Whether the curves are to be moved."""
        return self.verdict == "to move"


def fix(folder: str | Path, apply: bool = False, show: Callable[[str], None] | None = None) -> list[Move]:
    """Measure every clip's lag; if `apply`, move the start of the curves by it where that is clear.

    Args:
        show: called with a word on how far it is.
    Raises:
        CorpusError, AudioError, FormatError: a clip is damaged (see `duomorph.dataset.check`), or cannot be written.
    """
    folder = Path(folder)
    entries = list(manifest.read(folder))
    sessions = Sessions()
    for done, entry in enumerate(entries, 1):
        clip = read(folder / entry.curves)
        hearing = Hearing()
        for block in audio.blocks(folder / entry.audio):
            hearing.feed(block)
        trace = compare(hearing.energy(), clip["jawOpen"], clip.times) if "jawOpen" in entry.captured else None
        if trace is not None:
            sessions.add(entry, trace)
        if show is not None:
            show(f"{done} of {len(entries)} clips")
    lags = sessions.lags()
    moves = [Move(entry.id, lags.get(entry.id)) for entry in entries]
    if apply and any(move.moves for move in moves):
        _apply(folder, entries, {move.id: move.lag for move in moves if move.moves and move.lag is not None})
    return moves


def _apply(folder: Path, entries: list[Entry], lags: dict[str, Lag]) -> None:
    moved: list[Entry] = []
    superfluous: list[Path] = []  # the new curves until the manifest is in place, then the old ones
    try:
        for entry in entries:
            if entry.id not in lags:
                moved.append(entry)
                continue
            path = folder / _next_name(entry.curves)
            superfluous.append(path)
            moved.append(_move(folder, entry, lags[entry.id], path))
        manifest.write(folder, moved)
        superfluous = [folder / entry.curves for entry in entries if entry.id in lags]
    finally:
        for path in superfluous:
            path.unlink(missing_ok=True)


def _move(folder: Path, entry: Entry, lag: Lag, path: Path) -> Entry:
    clip = read(folder / entry.curves)
    files.write(path, jsonl.encode(replace(clip, start=clip.start - Fraction(str(lag.ms)) / 1000)))
    note = f"curves moved by {-lag.ms:+.1f} ms, the measured lag (confidence {lag.confidence:.3f})"
    return replace(
        entry,
        curves=path.relative_to(folder).as_posix(),
        checksum={**entry.checksum, "curves": manifest.sha256(path)},
        note=f"{entry.note}; {note}" if entry.note else note,
    )


def _next_name(curves: str) -> str:
    """Another name for the next version: curves/a.jsonl, curves/a~1.jsonl, curves/a~2.jsonl, ...; no id holds a ~."""
    stem, version = re.fullmatch(r"(.*?)(?:~(\d+))?\.\w+", curves, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{stem}~{int(version or 0) + 1}.jsonl"
