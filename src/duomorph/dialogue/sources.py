"""The lines of a game: what is said, by what name its curves go, and what is asked for it alone.

One promise: lines come one by one, so a list of any length takes no memory; names stand in the tree of the sounds.

    for line in listed(["voices/"]):                    # also a sound, a pattern, a URL
        print(line.source, line.name)                   # voices/de/intro/0001.wav  de/intro/0001
    for line in manifest("lines.csv"): ...              # source, and as wanted name, group, style, emotion, fps, gain

A group is what is compared with others in the report, such as a language; without a word of it the first folder.
"""

from __future__ import annotations

import csv
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from duomorph import audio
from duomorph.dialogue import places
from duomorph.errors import MissingExtra, SettingError

SOUNDS: Final = frozenset(audio.NATIVE) - {".raw"} | {".m4a", ".aac", ".wma", ".mp4", ".mov", ".mkv", ".webm"}
COLUMNS: Final = ("source", "name", "group", "style", "emotion", "fps", "gain")


@dataclass(frozen=True)
class Own:
    """What one line has for itself; None is what all have. `gain` in dB, on its sound."""

    style: str | None = None
    emotion: str | None = None
    fps: str | None = None
    gain: float = 0.0


PLAIN: Final = Own()


@dataclass(frozen=True)
class Line:
    """One sound. `name`: its place below OUT, with slashes, without a suffix; `stamp` changes when the file does."""

    source: str
    name: str
    group: str
    size: int
    stamp: str
    own: Own = PLAIN


def listed(sources: Sequence[str]) -> Iterator[Line]:
    """The sounds of folders, patterns and URLs, in the order of their names; single files stand below what they share.

    Raises:
        SettingError: one of them is not there.
    """
    single = {source for source in sources if not places.is_url(source) and os.path.isfile(source)}
    shared = os.path.commonpath([os.path.dirname(os.path.abspath(source)) for source in single]) if single else ""
    for source in sources:
        if source in single:
            found = places.look(source)
            yield _line(found, os.path.relpath(os.path.abspath(source), shared))
            continue
        for found in places.walk(source):
            if PurePosixPath(found.name).suffix.lower() in SOUNDS:
                yield _line(found, found.name)


def manifest(path: str | Path) -> Iterator[Line]:
    """The lines of a table, .csv or .parquet, here or at a URL; files in it are told from its folder.

    Raises:
        SettingError: it cannot be read, lacks `source`, or a row holds what is no setting. AudioError: nor be fetched.
    """
    table = str(path)
    folder = table.rpartition("/")[0] if places.is_url(table) else str(Path(table).parent)
    look = places.looker()
    with places.fetched(table) as local:
        for number, row in enumerate(_rows(local), 2):
            yield _row(f"line {number} of {table!r}", row, folder, look)


def _row(where: str, row: Mapping[str, Any], folder: str, look: Callable[[str], places.Found]) -> Line:
    told = {key: str(value).strip() for key, value in row.items() if key is not None and value is not None}
    told = {key: value for key, value in told.items() if value}
    source = told.get("source")
    if source is None:
        raise SettingError(f"{where} has no source: expected the columns {', '.join(COLUMNS)}")
    try:
        gain = float(told.get("gain", 0))
        if not -60 <= gain <= 60:
            raise ValueError
    except ValueError:
        raise SettingError(f"{where} has the gain {told['gain']!r}: expected -60 to 60 dB") from None
    place = source if places.is_url(source) or os.path.isabs(source) else places.below(folder, source)
    emotion = told.get("emotion")
    if emotion is not None and "=" not in emotion:  # a file
        emotion = places.below(folder, emotion)
    own = Own(told.get("style"), emotion, told.get("fps"), gain)
    name = told["name"] + ".x" if "name" in told else source.partition("://")[2] or source
    return _line(look(place), name, told.get("group"), own)


def _line(found: places.Found, name: str, group: str | None = None, own: Own = PLAIN) -> Line:
    parts = [part for part in PurePosixPath(Path(name).as_posix()).parts if part not in ("/", "..", ".")]
    if os.path.isabs(name):
        parts = [part.replace(":", "").strip("\\") for part in parts]  # C:\ of Windows
    below = PurePosixPath(*parts).with_suffix("") if parts else PurePosixPath("line")
    try:
        f"{found.place}{below}".encode()
    except UnicodeEncodeError:  # no ledger could hold it
        raise SettingError(f"the name of {found.place!r} is no text: expected UTF-8; rename it") from None
    return Line(found.place, str(below), group or (parts[0] if len(parts) > 1 else ""), found.size, found.stamp, own)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if path.suffix.lower() == ".parquet":
            yield from _parquet(path)
            return
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, strict=True)
            _known(table.fieldnames or (), path)
            yield from table
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise SettingError(f"cannot read the manifest {str(path)!r} ({reason}): expected .csv or .parquet") from None


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra(f"{str(path)!r} needs pyarrow: install it with  pip install 'duomorph[cloud]'")
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path) as file:
            _known(file.schema_arrow.names, path)
            for batch in file.iter_batches(4096):
                yield from batch.to_pylist()
    except ArrowException as problem:
        raise SettingError(f"cannot read the manifest {str(path)!r} ({problem}): expected .parquet") from None


def _known(columns: Sequence[str], path: Path) -> None:
    unknown = [column for column in columns if column not in COLUMNS]
    if "source" not in columns or unknown:
        got = f"the column {unknown[0]!r}" if unknown else "no column source"
        raise SettingError(f"{str(path)!r} has {got}: expected {', '.join(COLUMNS)}; rename or leave it out")
