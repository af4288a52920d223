"""Files out: whole or not at all, whatever interrupts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from duomorph import files
from duomorph.errors import FormatError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    files.write(path, b"one")
    files.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["take.csv"]


def test_new_files_are_as_readable_as_any(tmp_path: Path) -> None:
    files.write(tmp_path / "ours", b"")
    (tmp_path / "any").touch()
    with files.atomic(tmp_path / "swapped") as temporary:
        temporary.unlink()
        temporary.touch(mode=0o600)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    files.write(path, b"one")
    path.chmod(0o640)
    files.write(path, b"two")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_an_interruption_leaves_what_was_there(tmp_path: Path, problem: type[BaseException]) -> None:
    path = tmp_path / "take.csv"
    path.write_bytes(b"before")

    def interrupted() -> None:
        with files.atomic(path) as temporary:
            temporary.write_bytes(b"half")
            raise problem

    with pytest.raises(FormatError if problem is OSError else problem):
        interrupted()
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["take.csv"]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FormatError, match="No space left on device"):
        files.write(tmp_path / "take.csv", b"data")
    assert not names(tmp_path)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(b"old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    files.write(tmp_path / "link.csv", b"new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"new"


PLACES = ["", "no/such/take.csv", "file/take.csv", "x" * 300 + ".csv", "a\0b.csv", "loop/x.csv"]


@pytest.mark.parametrize("place", PLACES)
def test_impossible_places(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = names(tmp_path)
    with pytest.raises(FormatError, match="cannot write") as caught:
        files.write(tmp_path / place, b"data")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == before


def test_devices_are_left_alone() -> None:
    with pytest.raises(FormatError, match="no regular file"):
        files.write("/dev/null", b"data")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_protected_places(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    (tmp_path / "kept.csv").touch(mode=0o400)
    for place in ("closed/take.csv", "kept.csv"):
        with pytest.raises(FormatError, match="cannot write"):
            files.write(tmp_path / place, b"data")


def test_folders_are_made(tmp_path: Path) -> None:
    assert files.folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for place in ("file", "file/b"):
        with pytest.raises(FormatError, match="cannot write"):
            files.folder(tmp_path / place)
