"""The manifest of a data set: one clip a line, and the only way to add one.

One promise: a clip is in the manifest when its sound and its curves lie whole in the folder; the manifest itself is
written whole or not at all, also when the work stops half-way, so that it can go on.

    with Writer("mydata") as out:
        out.add(id="take1", sound=Path("take1.wav"), clip=clip, speaker="anna", style="studio", licence="CC BY 4.0")
    for entry in read("mydata"):
        print(entry.id, entry.duration_s)
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import TracebackType, UnionType
from typing import Any, Final, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from duomorph import arkit, audio, files
from duomorph.clip import Clip
from duomorph.clock import MAX_FPS, MIN_FPS, SAMPLE_RATE, frame_rate
from duomorph.errors import AudioError, CorpusError, FormatError, SettingError
from duomorph.formats import jsonl

NAME: Final = "manifest.jsonl"
ID: Final = re.compile(r"\w[\w.+=@-]{0,99}")  # also a file name on every system
SAVED: Final = 10  # clips, or a tenth of them, after which the manifest is written
_SUM: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One clip of a data set.

    Attributes:
        id: its name, unique in the data set.
        audio, curves: paths relative to the folder, with forward slashes.
        speaker, session, style: who speaks; takes of one session share camera and habits; whose way of moving.
        fps: of the curves.
        captured: the shapes that were really measured, in the order of `arkit.NAMES`.
        licence: under which the clip may be used; empty where nobody said.
        duration_s: of the sound, to a microsecond.
        frames: rows of the curves.
        checksum: SHA-256 of the two files, under "audio" and "curves".
        source: what captured the curves, or where they come from.
        note: what was done to the clip since it came in.
    """

    id: str
    audio: str
    curves: str
    speaker: str
    session: str
    style: str
    fps: Fraction
    captured: tuple[str, ...]
    licence: str
    duration_s: float
    frames: int
    checksum: dict[str, str]
    source: str = ""
    note: str = ""


def read(folder: str | Path) -> Iterator[Entry]:
    """The clips of a data set, line by line.

    Raises:
        CorpusError: no data set, or a line of its manifest is damaged.
    """
    for number, line in lines(folder):
        try:
            yield parse(line)
        except CorpusError as problem:
            raise CorpusError(f"{str(Path(folder) / NAME)!r}, line {number}: {problem}") from None


def lines(folder: str | Path) -> Iterator[tuple[int, str]]:
    """The manifest's lines with their numbers, blank ones left out. Raises CorpusError if there is no manifest."""
    path = Path(folder) / NAME
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        reason = getattr(problem, "strerror", None) or problem
        raise CorpusError(f"{str(folder)!r} is no data set ({NAME}: {reason}): expected one; import takes") from None


def parse(line: str) -> Entry:
    """One line of a manifest. Raises CorpusError, without file and line, if it is damaged."""
    try:
        facts: Any = json.loads(line)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise CorpusError("this is no JSON object: expected one clip a line; the manifest is cut or foreign")
    unknown = set(facts) - {field.name for field in fields(Entry)}
    if unknown:
        raise CorpusError(f"got the field {min(unknown)!r:.60}: expected those of a clip; remove it")
    facts = {"source": "", "note": "", **facts}
    sums = facts.get("checksum")
    names = arkit.NAMES if facts.get("captured") == "all" else facts.get("captured")
    _must(isinstance(facts.get("id"), str) and ID.fullmatch(facts["id"]), "id", facts, "a name as take_1")
    for key in ("speaker", "session", "style", "licence", "source", "note"):
        _must(isinstance(facts.get(key), str), key, facts, "text")
    for key in ("audio", "curves"):
        _must(isinstance(facts.get(key), str) and _inside(facts[key]), key, facts, "a path inside the folder")
        _must(isinstance(sums, dict) and _SUM.fullmatch(str(sums.get(key))), "checksum", facts, f"SHA-256 of {key}")
    _must(isinstance(names, list | tuple) and all(name in arkit.NAMES for name in names), "captured", facts, "shapes")
    _must(_is_count(facts.get("duration_s"), int | float), "duration_s", facts, "seconds")
    _must(_is_count(facts.get("frames"), int), "frames", facts, "how many")
    try:
        fps = frame_rate(facts.get("fps", ""))
    except SettingError as problem:
        raise CorpusError(str(problem)) from None
    return Entry(**{**facts, "fps": fps, "captured": tuple(names), "duration_s": float(facts["duration_s"])})


def write(folder: str | Path, entries: Iterable[Entry]) -> None:
    """Put a manifest in place, whole or not at all. Raises FormatError if it cannot be written."""
    # backslashreplace: bytes of a folder's name that are no text become \udcff, which JSON reads
    with files.atomic(Path(folder) / NAME) as new, new.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for entry in entries:
            file.write(line_of(entry) + "\n")


def line_of(entry: Entry) -> str:
    """The line that `parse` reads."""
    facts: dict[str, Any] = {field.name: getattr(entry, field.name) for field in fields(entry)}
    facts["fps"] = str(entry.fps)
    facts["captured"] = "all" if entry.captured == arkit.NAMES else list(entry.captured)
    if not entry.note:
        del facts["note"]
    return json.dumps(facts, ensure_ascii=False)


class Writer:
    """Adds clips to a data set, which may exist already: what it holds stays."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = files.folder(folder)
        for name in ("audio", "curves"):
            files.folder(self.folder / name)
        self._entries = {entry.id: entry for entry in read(folder)} if (self.folder / NAME).exists() else {}
        self._sounds = {entry.checksum["audio"]: entry.audio for entry in self._entries.values()}
        self._unsaved = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the manifest: after an error or Ctrl-C too, for every clip in it is whole."""
        if self._unsaved or not (self.folder / NAME).exists():
            self._save()

    def _save(self) -> None:
        write(self.folder, self._entries.values())
        self._unsaved = 0

    def __contains__(self, id: str) -> bool:
        return id in self._entries

    def add(
        self,
        *,
        id: str,
        sound: Path | NDArray[np.float32],
        clip: Clip,
        speaker: str,
        style: str,
        licence: str,
        session: str = "",
        source: str = "",
    ) -> Entry:
        """Take a clip in. A sound that the data set holds already, for another style, is stored once.

        Args:
            sound: a file, copied as it is where libsndfile reads it and as FLAC otherwise; or (S,) float32 at 16 kHz.
            source: where it comes from; what the clip itself says if this is empty.
        Returns:
            its line in the manifest.
        Raises:
            AudioError: the sound cannot be read to its end. FormatError: a file cannot be written.
            CorpusError: the id is there already or no file name, a text is none, or the clip is empty.
        """
        facts = {"speaker": speaker, "session": session, "style": style, "licence": licence, "source": source}
        for key in facts:
            _must(isinstance(facts[key], str), key, facts, "text")
        if not ID.fullmatch(id):
            raise CorpusError(f"got the id {id!r:.60}: expected letters, digits and _.+=@- only; rename it")
        if id in self._entries:
            raise CorpusError(f"the clip {id!r} is there twice: expected another id; rename it or resume")
        if not MIN_FPS <= clip.fps <= MAX_FPS:
            told = "expected 24 to 120; resample it"
            raise FormatError(f"the clip {id!r} has {float(clip.fps):g} frames a second: {told}")
        if not len(clip):
            raise CorpusError(f"the clip {id!r} has 0 frames: expected at least one; leave it out")
        shape = clip.weights.shape
        if shape[1:] != (arkit.COUNT,) or not ((clip.weights >= 0) & (clip.weights <= 1)).all():  # NaN too
            told = f"expected (frames, {arkit.COUNT}) in [0, 1]"
            raise FormatError(f"the clip {id!r} has weights of shape {shape} or out of range: {told}; mend it")
        curves = f"curves/{id}.jsonl"
        stored, samples = self._take_sound(id, sound)
        files.write(self.folder / curves, jsonl.encode(clip))
        entry = Entry(
            id=id,
            audio=stored,
            curves=curves,
            speaker=speaker,
            session=session,
            style=style,
            fps=clip.fps,
            captured=tuple(name for name, seen in zip(arkit.NAMES, clip.captured, strict=True) if seen),
            licence=licence,
            duration_s=round(samples / SAMPLE_RATE, 6),
            frames=len(clip),
            checksum={"audio": sha256(self.folder / stored), "curves": sha256(self.folder / curves)},
            source=source or clip.source,
        )
        self._sounds[entry.checksum["audio"]] = stored
        self._entries[id] = entry
        self._unsaved += 1
        if self._unsaved >= max(SAVED, len(self._entries) // SAVED):  # a power cut costs no hours, nor does saving
            self._save()
        return entry

    def discard(self, ids: Iterable[str]) -> None:
        """Take clips out of the manifest again. Their files stay, to be written over."""
        for id in ids:
            del self._entries[id]
            self._unsaved += 1

    def _take_sound(self, id: str, sound: Path | NDArray[np.float32]) -> tuple[str, int]:
        """Store a sound; its path in the folder and its length in samples at 16 kHz."""
        if isinstance(sound, Path) and _libsndfile_reads(sound):
            samples = sum(map(len, audio.blocks(sound)))  # to its end: nothing damaged comes in
            known = self._sounds.get(sha256(sound))
            if known is not None:
                return known, samples
            path = f"audio/{id}{sound.suffix.lower()}"
            with files.atomic(self.folder / path) as temporary:
                shutil.copyfile(sound, temporary)
            return path, samples
        blocks = audio.blocks(sound) if isinstance(sound, Path) else iter([audio.prepare(sound, SAMPLE_RATE)])
        path, samples = f"audio/{id}.flac", 0
        with (
            files.atomic(self.folder / path) as temporary,
            soundfile.SoundFile(temporary, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as file,
        ):
            for block in blocks:
                file.write(block)
                samples += len(block)
        known = self._sounds.get(sha256(self.folder / path))
        if known is not None:
            (self.folder / path).unlink()
            return known, samples
        return path, samples


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal. Raises CorpusError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as problem:  # ValueError: letters that the file system cannot spell
        reason = getattr(problem, "strerror", None) or problem
        raise CorpusError(f"cannot read {str(path)!r} ({reason}): expected a file; put it back") from None


def _libsndfile_reads(path: Path) -> bool:
    if path.suffix.lower() not in audio.NATIVE:
        return False
    try:
        soundfile.info(audio.native(path))
    except (soundfile.LibsndfileError, TypeError) as problem:
        if not path.is_file():
            raise AudioError(f"{str(path)!r} is no file: expected a sound file; check the name") from problem
        return False  # audio.blocks finds a way, or the reason
    return True


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts and "\0" not in path


def _is_count(value: object, kind: type | UnionType) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and 0 < value < math.inf  # type: ignore[operator]


def _must(holds: object, key: str, facts: dict[str, Any], expected: str) -> None:
    if not holds:
        raise CorpusError(f"got {key} {facts.get(key)!r:.60}: expected {expected}; mend it")
