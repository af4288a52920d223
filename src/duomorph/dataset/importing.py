"""Takes as capture tools leave them become clips of a data set.

One promise: of everything found it is told what it was taken for, or why it was left out, and one bad take stops no
other.

    with Writer("mydata") as out:
        for outcome in bring(find([Path("takes")]), out, Labels(style="studio"), capture):
            print(outcome)         # takes/MySlate_1: Live Link Face take -> MySlate_1

A take is a curve file and a sound that share a name, in one folder or with the sound in a folder `audio` beside it; or
a video alone. Three tools have habits of their own: Live Link Face (`<take>_iPhone.mov` with `_iPhone.csv`, or with
`_cal` and `_raw` after it; take.json), KoeMorph v2 (a folder of audio.wav, blendshapes.jsonl, metadata.json) and BEAT
(the speaker in the file's name).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from duomorph import audio, formats
from duomorph.clip import Clip
from duomorph.clock import SAMPLE_RATE, end_sample
from duomorph.dataset import manifest, restoring
from duomorph.dataset.manifest import ID, Writer
from duomorph.dataset.restoring import Lips
from duomorph.errors import CorpusError, DuomorphError

FILMS: Final = (".mov", ".mp4", ".m4v", ".mpg", ".mpeg", ".avi", ".mkv", ".webm")
SOUNDS: Final = (*(suffix for suffix in audio.NATIVE if suffix != ".raw"), ".m4a", ".aac")
CURVES: Final = (".jsonl", ".json", ".csv", ".npz")  # the first that reads is taken
BESIDE: Final = ("audio", "wav", "wave", "sound")  # folders in which sounds may lie
KIND_BYTES: Final = 1 << 16  # of a curve file, that tell its format
LEAST_S: Final = 1.0  # shorter pieces between frames without a face are left out
ABOUT: Final = ("metadata.json", "timecode.json", "take.json", "frame_log.csv")
_PHONE: Final = re.compile(r"(?P<take>.+)_iPhone(?:_(?P<kind>cal|raw|neutral))?", re.IGNORECASE)
_BEAT: Final = re.compile(r"\d+_(?P<speaker>[a-z]+)(_\d+)+")


@dataclass(frozen=True)
class Labels:
    """What the user says of all takes; empty where the takes shall tell."""

    style: str = ""
    speaker: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Found:
    """A take.

    Attributes:
        place: what to call it when talking to the user. kind: what it was taken for. id: its name in the data set.
        sound: its sound file, or the video. curves: files that may hold its curves, the best first; none for a video.
    """

    place: Path
    kind: str
    id: str
    sound: Path
    curves: tuple[Path, ...]
    speaker: str
    session: str


@dataclass(frozen=True)
class Outcome:
    """What became of a place: the ids it was brought in under, or the reason why not.

    `failed`: it was recognised and could not be read.
    """

    place: Path
    kind: str
    ids: tuple[str, ...] = ()
    why: str = ""
    failed: bool = False

    def __str__(self) -> str:
        if self.ids:
            return f"{self.place}: {self.kind} -> {', '.join(self.ids)}{f' ({self.why})' if self.why else ''}"
        kind = f"{self.kind}, " if self.kind else ""
        return f"{self.place}: {kind}{'failed' if self.failed else 'left out'}: {self.why}"


class Captured(Protocol):
    """The curves of a video, (T,) the frames in which no face was found, and the lips; see duomorph.video."""

    @property
    def clip(self) -> Clip: ...

    @property
    def missed(self) -> NDArray[np.bool_]: ...

    @property
    def lips(self) -> NDArray[np.float32]: ...

    @property
    def head(self) -> NDArray[np.float32]: ...

    @property
    def size(self) -> tuple[int, int]: ...


def find(sources: Iterable[Path]) -> Iterator[Found | Outcome]:
    """Takes in folders, searched to their bottom, and in single files, in the order of their names.

    Raises:
        CorpusError: a source does not exist or cannot be opened.
    """
    for source in sources:
        try:
            is_folder, is_file = source.is_dir(), source.is_file()
        except OSError as problem:  # a name too long, or behind a locked folder
            raise CorpusError(f"{str(source)!r} cannot be opened ({problem.strerror}): expected takes") from None
        if is_folder:
            yield from _folder(source, source)
        elif is_file:
            yield from _takes(source.parent, source.parent, only=source)
        else:
            raise CorpusError(f"{str(source)!r} does not exist: expected a folder of takes or a file; check the name")


def bring(
    found: Iterable[Found | Outcome],
    out: Writer,
    labels: Labels,
    capture: Callable[[Path], Captured],
    resume: bool = False,
) -> Iterator[Outcome]:
    """Put takes into a data set, one by one.

    Args:
        capture: makes curves of a video.
        resume: pass over takes that the data set holds already; without it they fail.
    """
    names: set[str] = set()
    for take in found:
        if isinstance(take, Outcome):
            yield take
            continue
        if take.id in names:
            why = f"another take is called {take.id!r} too: expected each name once; rename one"
            yield Outcome(take.place, take.kind, why=why, failed=True)
            continue
        names.add(take.id)
        if resume and (take.id in out or f"{take.id}.1" in out):
            yield Outcome(take.place, take.kind, why="in the data set already")
            continue
        try:
            yield _bring(take, out, labels, capture)
        except DuomorphError as problem:
            yield Outcome(take.place, take.kind, why=str(problem), failed=True)


def _bring(take: Found, out: Writer, labels: Labels, capture: Callable[[Path], Captured]) -> Outcome:
    lips: list[Lips | None]
    if not take.curves:
        captured = capture(take.sound)
        stretches, lost = _stretches(captured.clip, captured.missed)
        pieces = [_piece(captured.clip, frames) for frames in stretches]
        lips = [Lips(captured.lips[frames], captured.head[frames], captured.size) for frames in stretches]
    else:
        pieces, lips, lost = [_first_readable(take.curves)], [None], 0.0
    if not pieces:
        return Outcome(take.place, take.kind, why=f"no face for {LEAST_S:g} s on end", failed=True)
    speaker = labels.speaker or take.speaker
    sound: Path | NDArray[np.float32] = take.sound
    samples = audio.read(take.sound) if lost else np.zeros(0, np.float32)
    ids: list[str] = []
    try:
        for number, (clip, seen) in enumerate(zip(pieces, lips, strict=True), 1):
            id = take.id
            if lost:
                id = f"{take.id}.{number}"
                end = end_sample(len(clip), clip.fps)
                first = max(0, round(clip.start * SAMPLE_RATE))
                sound = samples[first : first + end]
                if not len(sound):
                    continue
                clip = replace(clip, start=clip.start - Fraction(first, SAMPLE_RATE))
            out.add(
                id=id,
                sound=sound,
                clip=clip,
                speaker=speaker,
                session=take.session,
                style=labels.style or speaker,
                licence=labels.licence,
                source=clip.source or take.kind,
            )
            ids.append(id)
            if seen is not None:
                restoring.keep(out.folder, id, seen)
    except BaseException:  # Ctrl-C too: a take is in as a whole or not at all, for --resume asks no more of it
        out.discard(ids)
        raise
    return Outcome(take.place, take.kind, tuple(ids), f"{lost:.1f} s without a face left out" if lost else "")


def _first_readable(paths: tuple[Path, ...]) -> Clip:
    """The clip in the first file that holds one; else what is wrong with the first.

    Beside sound the capture device's clock counts: an uneven one is evened out by its own time stamps.
    """
    problems = []
    for path in paths:
        try:
            clip = formats.read(path)
            return clip if clip.stamps is None else clip.resampled(clip.fps)
        except DuomorphError as problem:
            problems.append(problem)
    raise problems[0]


def _stretches(clip: Clip, missed: NDArray[np.bool_]) -> tuple[list[slice], float]:
    """The frames of a clip in which there is a face, where they are enough on end; and how many seconds are lost."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], missed, [True]]).astype(np.int8)))
    kept = [slice(a, b) for a, b in edges.reshape(-1, 2).tolist() if (b - a) / clip.fps >= LEAST_S]
    return kept, float((len(clip) - sum(frames.stop - frames.start for frames in kept)) / clip.fps)


def _piece(clip: Clip, frames: slice) -> Clip:
    angles = None if clip.angles is None else clip.angles[frames]
    start = clip.start + frames.start / clip.fps
    return replace(clip, weights=clip.weights[frames], angles=angles, start=start)


def _folder(folder: Path, root: Path) -> Iterator[Found | Outcome]:
    try:
        if (folder / manifest.NAME).exists():
            yield Outcome(folder, "", why="a data set already")
            return
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as problem:
        yield Outcome(folder, "", why=f"cannot be opened ({problem.strerror})", failed=True)
        return
    yield from _takes(folder, root)
    for path in inside:
        beside = path.name.lower() in BESIDE and any(any(folder.glob(f"*{suffix}")) for suffix in CURVES)
        if not beside and not path.name.startswith("."):
            yield from _folder(path, root)


def _takes(folder: Path, root: Path, only: Path | None = None) -> Iterator[Found | Outcome]:
    """The takes of one folder; of one file in it if `only` is given."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError:  # told by the caller
        return
    names = {path.name: path for path in paths}
    if only is None and {"audio.wav", "blendshapes.jsonl", "metadata.json"} <= set(names):
        id = _facts(names["metadata.json"]).get("recording_id")
        yield Found(
            folder, "KoeMorph v2 folder", _id(str(id or folder.name)), names["audio.wav"],
            (names["blendshapes.jsonl"],), _person(folder, root), folder.resolve().parent.name,
        )  # fmt: skip
        return
    about = _facts(names["take.json"]) if "take.json" in names else {}
    groups: dict[str, list[Path]] = {}
    for path in paths:
        if path.suffix.lower() in (*SOUNDS, *FILMS, *CURVES) and path.name not in ABOUT:
            phone = _PHONE.fullmatch(path.stem)
            groups.setdefault(phone["take"] if phone else path.stem, []).append(path)
    for stem, group in groups.items():
        if only is None or only in group:
            yield _take(stem, group, folder, root, about)


def _take(stem: str, group: list[Path], folder: Path, root: Path, about: dict[str, Any]) -> Found | Outcome:
    """Files that share a name as a take, or why they are none."""
    variants = {path: (match["kind"] or "").lower() for path in group if (match := _PHONE.fullmatch(path.stem))}
    usable = [path for path in group if path.suffix.lower() in CURVES and variants.get(path) != "neutral"]
    curves = sorted(usable, key=lambda p: (variants.get(p, "") == "raw", variants.get(p, ""), _rank(p)))
    sounds = [path for path in group if path.suffix.lower() in SOUNDS]
    films = [path for path in group if path.suffix.lower() in FILMS]
    for beside in BESIDE:
        if curves and not sounds and not films:
            sounds = [p for p in sorted((folder / beside).glob("*")) if p.stem == stem and p.suffix.lower() in SOUNDS]
    if not curves and not films:
        return Outcome(group[0], "", why="a sound without curves of the same name")
    if not sounds and not films:
        return Outcome(group[0], "", why="curves without a sound of the same name")
    beat = _BEAT.fullmatch(stem) if curves and curves[0].suffix.lower() == ".json" else None
    return Found(
        place=folder / stem,
        kind=_kind(curves[0]) if curves else "video",
        id=_id("_".join((*folder.relative_to(root).parts, stem))),
        sound=(sounds or films)[0],
        curves=tuple(curves),
        speaker=str(about.get("subject") or (beat["speaker"] if beat else _person(folder, root))),
        session=str(about.get("slate") or folder.resolve().name),
    )


def _rank(path: Path) -> int:
    return CURVES.index(path.suffix.lower())


def _kind(curves: Path) -> str:
    """What a take is called, by its curve file."""
    try:
        with curves.open("rb") as file:
            start = file.read(KIND_BYTES)
    except OSError:  # told when it is read
        start = b""
    name = formats.recognised(start, curves.suffix.lower())
    if name == "jsonl" and b'"names"' not in start.partition(b"\n")[0]:
        name = "koemorph"
    return {
        "livelink": "Live Link Face take",
        "nim": "Audio2Face NIM CSV with sound",
        "plain": "CSV with sound",
        "a2f": "Audio2Face JSON with sound",
        "beat": "BEAT take",
        "jsonl": "JSON lines with sound",
        "koemorph": "KoeMorph v1 pair",
        "npz": "numpy archive with sound",
    }[name]


def _facts(path: Path) -> dict[str, Any]:
    """A small JSON object that tells about a take; nothing if it is none."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _person(folder: Path, root: Path) -> str:
    """Who speaks, where nobody says: the upper of two folders in the source, else the source."""
    parts = folder.relative_to(root).parts
    return parts[0] if len(parts) > 1 else root.resolve().name


def _id(text: str) -> str:
    """A name that may be an id: what may not stand in one becomes _."""
    name = re.sub(r"[^\w.+=@-]", "_", text)[:100].lstrip(".+=@-")
    return name if ID.fullmatch(name) else f"take_{name}"[:100]
