"""Everything that is wrong with a data set, by file and line.

One promise: the data set is streamed, never held; one damaged file hides no other.

    report = check("mydata")
    for problem in report.problems:
        print(problem)             # curves/take1.jsonl:7: fatal: the clock goes back, from 0.2 s to 0.1 s
    report.fatal                   # 3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, audio
from duomorph.clock import SAMPLE_RATE
from duomorph.dataset import manifest
from duomorph.dataset.lag import LONGEST_S, Hearing, Lag, Sessions, compare
from duomorph.dataset.manifest import Entry
from duomorph.errors import AudioError, CorpusError, FormatError
from duomorph.formats import jsonl
from duomorph.formats.columns import MAX_GAP

STILL: Final = 1e-3  # a shape that moves less is constant
OFF_GRID: Final = 0.25  # frames; a time stamp further from its frame is no longer it
LENGTH_S: Final = 0.1  # sound and curves may differ by this
QUIET: Final = 10 ** (-50 / 20)  # amplitude under which a hundredth of a second is silent, -50 dBFS
MUTE_SHARE: Final = 0.9  # silent for this share of its length, a clip teaches little
FULL: Final = 0.999  # amplitude from which a sample is at the end of the scale
RUN: Final = 3  # so many of them in a row are clipped

Float64 = NDArray[np.float64]
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one file.

    Attributes:
        file: relative to the data set. lines: ranges of its lines, from 1, both ends included; empty: the whole file.
        kind: a word to sort by. text: what was got. fatal: the clip cannot be used as it is.
    """

    file: str
    lines: Ranges
    kind: str
    text: str
    fatal: bool

    def __str__(self) -> str:
        where = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in self.lines[:8])
        more = f" and {len(self.lines) - 8} more places" if len(self.lines) > 8 else ""
        place = f"{self.file}:{where}{more}" if where else self.file
        return f"{place}: {'fatal' if self.fatal else 'warning'}: {self.text}"


@dataclass
class Report:
    """What a check found. `lags`: of each clip that has one, by id."""

    problems: list[Problem] = field(default_factory=list)
    clips: int = 0
    frames: int = 0
    seconds: float = 0.0
    lags: dict[str, Lag] = field(default_factory=dict)

    @property
    def fatal(self) -> int:
        """How many problems are fatal."""
        return sum(problem.fatal for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """All of it, for a JSON file."""
        return {
            "clips": self.clips,
            "frames": self.frames,
            "hours": round(self.seconds / 3600, 4),
            "fatal": self.fatal,
            "warnings": len(self.problems) - self.fatal,
            "problems": [vars(problem) for problem in self.problems],
            "lags": {id: vars(lag) for id, lag in self.lags.items()},
        }


def check(folder: str | Path, sounds: bool = True, show: Callable[[str], None] | None = None) -> Report:
    """Read a data set to its end and list what is wrong.

    Args:
        sounds: also decode the sound: silence, clipping, its true length, the lag of the face.
        show: called with a word on how far it is.
    Raises:
        CorpusError: there is no data set.
    """
    folder = Path(folder)
    report = Report()
    sessions = Sessions()
    still: dict[str, NDArray[np.bool_]] = {}  # by style, the shapes that were captured and have not moved
    seen: dict[str, int] = {}  # ids and checksums of curves -> line
    curves_of: dict[str, str] = {}
    told: set[Problem] = set()
    for line, text in manifest.lines(folder):
        try:
            entry = manifest.parse(text)
        except CorpusError as problem:
            report.problems.append(Problem(manifest.NAME, ((line, line),), "manifest", str(problem), True))
            continue
        for kind, message, fatal in _entry(entry, seen):
            report.problems.append(Problem(manifest.NAME, ((line, line),), kind, message, fatal))
        seen.setdefault(entry.id, line)
        seen.setdefault(entry.checksum["curves"], line)
        curves_of[entry.id] = entry.curves
        clip = _Clip(folder, entry)
        clip.check_curves()
        moved = still.setdefault(entry.style, np.zeros(arkit.COUNT, dtype=bool))
        np.logical_or(moved, clip.moved | ~clip.captured, out=moved)
        duration: float | None = entry.duration_s
        if sounds:
            duration = clip.check_sound()
            trace = compare(clip.hearing.energy(), *clip.jaw()) if duration is not None else None
            if trace is not None:
                sessions.add(entry, trace)
        if duration is not None:
            clip.check_length(duration)
        fresh = [problem for problem in clip.problems if problem not in told]  # two styles may share a sound
        told.update(fresh)
        report.problems += fresh
        report.clips += 1
        report.frames += clip.rows
        report.seconds += duration or 0.0
        if show is not None:
            show(f"{report.clips} clips, {report.frames} frames, {len(report.problems)} problems")
    if not seen and not report.problems:
        text = "the data set holds no clip: expected one at least; import takes"
        report.problems.append(Problem(manifest.NAME, (), "manifest", text, True))
    for style, moved in still.items():
        if dead := [name for name, moves in zip(arkit.NAMES, moved, strict=True) if not moves]:
            text = f"the style {style!r} captured but never moved {', '.join(dead)}: expected captured shapes to move"
            report.problems.append(Problem(manifest.NAME, (), "dead", text, False))
    report.lags = sessions.lags()
    for id, lag in report.lags.items():
        if lag.out_of_sync:
            late = "late" if lag.ms > 0 else "early"
            text = f"the face is {abs(lag.ms):.0f} ± {lag.error_ms:.0f} ms {late}, confidence {lag.confidence:.3f}"
            text += ": expected it in sync, see  data fix-lag"
            report.problems.append(Problem(curves_of[id], (), "lag", text, False))
    return report


def _entry(entry: Entry, seen: dict[str, int]) -> Iterator[tuple[str, str, bool]]:
    """What a line of the manifest shows by itself."""
    if entry.id in seen:
        yield "twice", f"the clip {entry.id!r} is there twice: expected it once, as on line {seen[entry.id]}", True
    elif (curves := entry.checksum["curves"]) in seen:
        yield "copy", f"the clip {entry.id!r} has the curves of line {seen[curves]}: expected its own", False
    for name in ("speaker", "style", "licence"):
        if not getattr(entry, name):
            yield name, f"the clip {entry.id!r} names no {name}: expected one", False


class _Clip:
    """One clip while it is read. State: extremes and counts, the jaw, what is wrong so far."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        self._folder, self._entry = folder, entry
        self.problems: list[Problem] = []
        self.captured = np.array([name in entry.captured for name in arkit.NAMES])
        self.moved = np.zeros(arkit.COUNT, dtype=bool)
        self.rows = 0
        self.hearing = Hearing()
        self._first = self._end = 0.0  # s, of the first frame and after the last
        self._jaws: list[tuple[Float64, Float64]] = []

    def _tell(self, file: str, kind: str, text: str, fatal: bool = True, lines: Ranges = ()) -> None:
        self.problems.append(Problem(file, lines, kind, text, fatal))

    def _whole(self, file: str, kind: str) -> bool:
        """Is the file there, with the checksum of the manifest?"""
        try:
            found = manifest.sha256(self._folder / file)
        except CorpusError as problem:
            self._tell(file, "missing", str(problem))
            return False
        if found != self._entry.checksum[kind]:
            self._tell(file, "checksum", f"the checksum is {found[:12]}…: expected {self._entry.checksum[kind][:12]}…")
        return True

    def check_curves(self) -> None:
        """Stream the curves."""
        file = self._entry.curves
        if not self._whole(file, "curves"):
            return
        try:
            with (self._folder / file).open("rb") as source:
                header, blocks = jsonl.stream(source)
                if header.fps not in (None, self._entry.fps):
                    text = f"the header says {header.fps} fps: expected {self._entry.fps}, as the manifest"
                    self._tell(file, "fps", text, lines=((1, 1),))
                if (header.captured != self.captured).any():
                    text = "the header says that other shapes were captured: expected those of the manifest"
                    self._tell(file, "captured", text, lines=((1, 1),))
                self._check_blocks(file, header.start, blocks)
        except (FormatError, OSError) as problem:
            self._tell(file, "damaged", str(problem))
        if self.rows != self._entry.frames:
            self._tell(file, "count", f"it has {self.rows} frames: expected {self._entry.frames}")
        if self.rows > 1 and not (self.moved & self.captured).any():
            self._tell(file, "still", "no captured shape moves: expected a face", fatal=False)

    def _check_blocks(self, file: str, start: Fraction | None, blocks: Iterator[jsonl.Block]) -> None:
        fps = float(self._entry.fps)
        lows, highs = np.full(arkit.COUNT, np.inf), np.full(arkit.COUNT, -np.inf)
        found: dict[tuple[str, bool, str], tuple[str, list[int]]] = {}  # -> what the first line is, all lines
        last = None
        jaw = arkit.INDEX["jawOpen"]
        for block in blocks:
            for line, fault in block.faults:
                found.setdefault(("line", True, fault), (f"the line {fault}", []))[1].append(line)
            if not len(block.lines):
                continue
            if last is None:
                self._first = float(start) if start is not None else float(block.times[0])
            for kind, fatal, line, text in chain(_values(block), _clock(block, last, self._first, fps)):
                found.setdefault((kind, fatal, ""), (text, []))[1].append(line)
            last = float(block.times[-1])
            lows = np.fmin(lows, block.weights.min(axis=0))  # without NaN
            highs = np.fmax(highs, block.weights.max(axis=0))
            if self.rows < LONGEST_S * fps:
                self._jaws.append((block.weights[:, jaw].copy(), block.times))
            self.rows += len(block.lines)
        if last is not None:
            self._end = last + 1 / fps
            self.moved = highs - lows > STILL
        for (kind, fatal, _), (text, lines) in found.items():
            self._tell(file, kind, text, fatal, _ranges(lines))

    def jaw(self) -> tuple[Float64, Float64]:
        """The jaw and its times, for the lag; nothing where it was not measured or its clock is wrong."""
        if not self.captured[arkit.INDEX["jawOpen"]] or not self._jaws:
            return np.zeros(0), np.zeros(0)
        jaw, times = (np.concatenate(part) for part in zip(*self._jaws, strict=True))
        good = bool(np.isfinite(jaw).all() and (np.diff(times) > 0).all())
        return (jaw, times) if good else (np.zeros(0), np.zeros(0))

    def check_sound(self) -> float | None:
        """Stream the sound; its length in seconds, None if it cannot be read."""
        file = self._entry.audio
        if not self._whole(file, "audio"):
            return None
        samples = loud = clipped = 0
        first_clip = 0
        rest = np.zeros(0, np.float32)
        hundredth = SAMPLE_RATE // 100
        try:
            for block in audio.blocks(self._folder / file):
                self.hearing.feed(block)
                at = _clipped(block)
                first_clip = samples + int(at[0]) if len(at) and not clipped else first_clip
                clipped += len(at)
                samples += len(block)
                rest = np.concatenate([rest, block])
                pieces = rest[: len(rest) // hundredth * hundredth].reshape(-1, hundredth)
                loud += int((np.sqrt((pieces**2).mean(axis=1)) > QUIET).sum())
                rest = rest[pieces.size :]
        except AudioError as problem:
            self._tell(file, "damaged", str(problem))
            return None
        quiet = 1 - loud * hundredth / samples
        if not loud:
            self._tell(file, "silence", "it is silent: expected speech")
        elif quiet > MUTE_SHARE:
            self._tell(file, "silence", f"it is silent for {quiet:.0%} of its length: expected speech", fatal=False)
        if clipped:
            text = f"it is clipped in {clipped} places, first at {first_clip / SAMPLE_RATE:.2f} s: expected headroom"
            self._tell(file, "clipping", text, fatal=False)
        return samples / SAMPLE_RATE

    def check_length(self, duration: float) -> None:
        """Do sound and curves end together?"""
        if abs(duration - self._entry.duration_s) > 1e-3:
            text = f"it lasts {duration:.3f} s: expected {self._entry.duration_s:.3f} s, as the manifest says"
            self._tell(self._entry.audio, "length", text)
        if self.rows and abs(self._end - duration) > LENGTH_S:
            text = f"the curves end at {self._end:.3f} s: expected {duration:.3f} s, as the sound"
            self._tell(self._entry.curves, "length", text, fatal=False)


def _values(block: jsonl.Block) -> Iterator[tuple[str, bool, int, str]]:
    """Weights that are no numbers from 0 to 1, one for each line."""
    good = (block.weights >= 0) & (block.weights <= 1)  # False for NaN
    if good.all():
        return
    for row in np.flatnonzero(~good.all(axis=1)):
        shape = int(np.argmin(good[row]))
        value = block.weights[row, shape]
        kind = "outside" if np.isfinite(value) else "NaN"
        yield kind, True, int(block.lines[row]), f"{arkit.NAMES[shape]} is {value:.6g}: expected 0 to 1"


def _clock(block: jsonl.Block, last: float | None, first: float, fps: float) -> Iterator[tuple[str, bool, int, str]]:
    """Time stamps that go back, leave frames out or stand between frames."""
    times = block.times if last is None else np.concatenate([[last], block.times])
    steps = np.diff(times) * fps
    offset = 1 if last is None else 0  # block row of steps[0]
    for k in np.flatnonzero((steps <= OFF_GRID) | (steps > 2 - OFF_GRID)):
        line, step = int(block.lines[k + offset]), times[k + 1] - times[k]
        if steps[k] <= OFF_GRID:
            text = f"the clock goes from {times[k]:.6g} s to {times[k + 1]:.6g} s: expected it to rise"
            yield "clock", True, line, text
        else:
            text = f"{round(steps[k]) - 1} frames are missing before {times[k + 1]:.6g} s"
            yield "gap", bool(step > MAX_GAP), line, text
    places = (block.times - first) * fps
    for k in np.flatnonzero(np.abs(places - np.rint(places)) > OFF_GRID):
        text = f"the time {block.times[k]:.6g} s is none of a frame: expected whole frames from {first:.6g} s"
        yield "grid", False, int(block.lines[k]), text


def _clipped(block: NDArray[np.float32]) -> NDArray[np.intp]:
    """Places where `RUN` samples in a row, or more, are at the end of the scale."""
    full = np.concatenate([np.abs(block) >= FULL, np.zeros(RUN, dtype=bool)])
    at = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(full, RUN).all(axis=1))
    return at[np.diff(at, prepend=-RUN) > 1]


def _ranges(lines: list[int]) -> Ranges:
    """Rising lines as ranges: [3, 4, 5, 9] -> ((3, 5), (9, 9))."""
    found: list[tuple[int, int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1] = (found[-1][0], line)
        else:
            found.append((line, line))
    return tuple(found)
