"""Where sounds come from and curves go: folders, or URLs that fsspec knows (s3, gs, memory, ...).

One promise: what is written is there whole or not at all, at a URL as in a folder.

    for found in walk("s3://game/voices"):
        with fetched(found.place) as path:                     # a file of this machine
            ...
    store(path, "s3://game/curves/a.csv")
"""

from __future__ import annotations

import functools
import glob
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from duomorph.errors import AudioError, FormatError, MissingExtra, SettingError

CHANGES: Final = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created")  # of what fsspec says of a file
FOLDERS: Final = 16  # at URLs, of which the files are kept in mind
_WILD: Final = ("*", "?", "[")


@dataclass(frozen=True)
class Found:
    """A file: where it is, its name below the place that was searched, its bytes, and what changes when it does."""

    place: str
    name: str
    size: int
    stamp: str


def is_url(place: str) -> bool:
    return "://" in place


def below(place: str, name: str) -> str:
    """The place of `name`, with slashes, under the folder or URL `place`."""
    return f"{place.rstrip('/')}/{name}" if is_url(place) else str(Path(place, name))


def walk(place: str) -> Iterator[Found]:
    """The files of a folder and those below it, of a pattern with `*` and `**`, or the one file; hidden ones are not.

    Raises:
        SettingError: there is nothing of that name. MissingExtra: it is a URL and fsspec is not installed.
    """
    found = _walk_url(place) if is_url(place) else _walk_folder(place)
    nothing = True
    for one in found:
        nothing = False
        yield one
    if nothing and not (os.path.isdir(place) or is_url(place)):
        raise SettingError(f"{place!r} does not exist: expected a sound, a folder, a pattern or a URL; check the name")


def look(place: str) -> Found:
    """One file; of size 0 without a stamp where it is not there, so that reading it will say why."""
    try:
        if not is_url(place):
            return _of(place, os.path.basename(place))
        system, path = _system(place)
        return _of_url(place, place.rpartition("/")[2], system.info(path))
    except (OSError, ValueError):
        return Found(place, os.path.basename(place), 0, "")


def looker() -> Callable[[str], Found]:
    """`look` for many: a folder at a URL is asked once for all its files, not a time for each."""

    @functools.lru_cache(FOLDERS)
    def inside(folder: str) -> dict[str, Found]:
        system, path = _system(folder)
        system.invalidate_cache(path)
        try:
            names = ((str(info["name"]).rpartition("/")[2], info) for info in system.ls(path, detail=True))
            return {name: _of_url(f"{folder}/{name}", name, info) for name, info in names}
        except (OSError, ValueError):  # there is none, or it tells nobody
            return {}
        finally:
            system.invalidate_cache(path)  # once in memory is enough

    def found(place: str) -> Found:
        folder, _, name = place.rpartition("/")
        return (inside(folder).get(name) if is_url(place) else None) or look(place)

    return found


@contextmanager
def fetched(place: str) -> Iterator[Path]:
    """The file as one of this machine.

    Raises:
        AudioError: it cannot be brought here.
    """
    if not is_url(place):
        yield Path(place)
        return
    system, path = _system(place)
    with tempfile.TemporaryDirectory(prefix="duomorph-") as folder:
        local = Path(folder, place.rpartition("/")[2])
        try:
            system.get_file(path, str(local))
        except OSError as problem:
            reason = problem.strerror or problem
            raise AudioError(f"cannot fetch {place!r} ({reason}): expected a file; check the URL") from problem
        yield local


def store(local: Path, place: str) -> None:
    """Put a file at a URL. Raises FormatError."""
    system, path = _system(place)
    try:
        system.makedirs(system._parent(path), exist_ok=True)
        system.put_file(str(local), path)
    except OSError as problem:
        raise FormatError(f"cannot write {place!r} ({problem.strerror or problem}); check the URL") from problem


def remove(place: str) -> None:
    """Take a file away, if it is there."""
    if not is_url(place):
        Path(place).unlink(missing_ok=True)
        return
    system, path = _system(place)
    if system.exists(path):
        system.rm_file(path)


def _walk_folder(place: str) -> Iterator[Found]:
    if os.path.isdir(place):
        for root, folders, names in os.walk(place, onerror=_locked):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            for name in sorted(names):
                if not name.startswith("."):
                    path = os.path.join(root, name)
                    yield _of(path, os.path.relpath(path, place))
    elif any(sign in place for sign in _WILD) and not os.path.exists(place):
        root = os.path.dirname(place[: min(place.index(sign) for sign in _WILD if sign in place)])
        for path in sorted(glob.iglob(place, recursive=True)):
            if os.path.isfile(path):
                yield _of(path, os.path.relpath(path, root or "."))
    elif os.path.lexists(place):
        yield _of(place, os.path.basename(place))


def _locked(problem: OSError) -> None:
    raise SettingError(
        f"cannot look into {problem.filename!r} ({problem.strerror}): expected folders that may be read; open this one "
        "or name others"
    )


def _of(path: str, name: str) -> Found:
    try:
        known = os.stat(path)
    except OSError:  # a link to nothing, or gone by now: reading it will say so
        return Found(path, Path(name).as_posix(), 0, "")
    return Found(path, Path(name).as_posix(), known.st_size, f"{known.st_size} {known.st_mtime_ns}")


def _walk_url(place: str) -> Iterator[Found]:
    system, path = _system(place)
    system.invalidate_cache()
    wild = any(sign in path for sign in _WILD)
    if wild:
        base = path[: min(path.index(sign) for sign in _WILD if sign in path)].rpartition("/")[0]
        entries = iter(sorted(system.glob(path, detail=True).items()))
    elif system.isdir(path):
        base = path
        entries = (
            (info["name"], info) for _, _, names in system.walk(path, detail=True) for _, info in sorted(names.items())
        )
    elif system.exists(path):
        yield _of_url(place, path.rpartition("/")[2], system.info(path))
        return
    else:
        raise SettingError(f"{place!r} does not exist: expected a sound, a folder or a pattern; check the URL")
    for name, info in entries:
        relative = str(name).removeprefix(base).strip("/")
        if info["type"] == "file" and not any(part.startswith(".") for part in relative.split("/")):
            yield _of_url(system.unstrip_protocol(name), relative, info)


def _of_url(place: str, name: str, info: dict[str, Any]) -> Found:
    changed = next((info[key] for key in CHANGES if key in info), "")
    return Found(place, name, int(info.get("size") or 0), f"{info.get('size')} {changed}")


def _system(place: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it."""
    if importlib.util.find_spec("fsspec") is None:
        raise MissingExtra(f"{place!r} needs fsspec: install it with  pip install 'duomorph[cloud]'")
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(place)
    except ImportError as problem:
        raise MissingExtra(f"{place!r} needs more: {problem}") from None
    except ValueError as problem:
        raise SettingError(f"got {place!r}: expected a URL that fsspec knows ({problem})") from None
    return system, path
