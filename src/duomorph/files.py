"""Files out: whole or not at all. Settings in: never more than a megabyte.

One promise: after an error or Ctrl-C the folder looks as before; a reader never meets half a file.

    write("take.csv", data)
    with atomic("take.png") as temporary:     # for libraries that want a path
        figure.savefig(temporary)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from duomorph.errors import FormatError

MOST_TEXT: Final = 1 << 20  # bytes
_TEMPORARY: Final = re.compile(r"\..*\.[0-9a-f]{12}\.part(\.\w+)?")


def write(path: str | Path, data: bytes) -> None:
    """Put `data` at `path`, replacing what was there.

    Raises:
        FormatError: the folder is missing, or the path cannot be written.
    """
    with atomic(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A fresh file beside `path`, with its suffix, that takes its place, and the permissions of what stood there, when
    the block ends without an error.

    Raises:
        FormatError: the folder is missing, or the path cannot be written.
    """
    target = writable(path)
    temporary = target.with_name(f".{target.stem[:64]}.{os.urandom(6).hex()}.part{target.suffix}")
    try:
        temporary.touch(mode=0o666, exist_ok=False)  # less the umask, as any new file
        mode = (target if target.exists() else temporary).stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some libraries put a private file in its place
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as problem:
        raise _refused(path, problem) from None
    finally:
        if os.path.lexists(temporary):  # not yet in place: an error, or the user gave up
            temporary.unlink()


def text(path: str | Path) -> str:
    """A file of settings. Raises OSError or ValueError: it cannot be read, is longer than a MiB, or is no UTF-8."""
    with open(path, "rb") as file:
        data = file.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise ValueError("more than a megabyte")
    return data.decode("utf-8")


def leftovers(folder: str | Path) -> Iterator[Path]:
    """What `atomic` left under `folder` when its process was killed."""
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names if _TEMPORARY.fullmatch(name))


def writable(path: str | Path) -> Path:
    """The real place of `path`, checked before long work begins: its folder is there, it is no folder itself.

    Raises:
        FormatError: it is not so.
    """
    try:
        target = Path(path).resolve()  # behind a link, write where the link points
        if target.is_dir():
            raise FormatError(f"cannot write {str(path)!r}: it is a folder, expected a file; add a file name")
        if not target.parent.is_dir():
            folder = str(Path(path).parent)
            raise FormatError(f"cannot write {str(path)!r}: there is no folder {folder!r}; create it or choose another")
        if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
            raise FormatError(f"cannot write {str(path)!r}: it is protected or no regular file; choose another name")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise FormatError(f"cannot write {str(path)!r}: its folder is read-only; choose another")
    except (OSError, ValueError, RuntimeError) as problem:  # a name too long, with a NUL, or links in a circle
        raise _refused(path, problem) from None
    return target


def folder(path: str | Path) -> Path:
    """`path` as a folder, created with its parents if it is not there.

    Raises:
        FormatError: a file stands there, or it cannot be created.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as problem:
        raise _refused(path, problem) from None
    return Path(path)


def _refused(path: str | Path, problem: Exception) -> FormatError:
    reason = getattr(problem, "strerror", None) or problem
    return FormatError(f"cannot write {str(path)!r}: {reason}; choose another place")
