"""A night that goes wrong: killed, stopped, out of room. What is done is whole, and --resume does the rest."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lines import batch, begun, states, tree, voices

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills processes as Linux does")


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> tuple[Path, dict[str, bytes]]:
    """Sounds, and what an undisturbed run makes of them."""
    folder = tmp_path_factory.mktemp("game")
    voices(folder / "voices", sample, 40, seconds=0.7)
    code, _, err = batch(folder / "voices", "-o", folder / "calm", "--jobs", "2", "--format", "csv,jsonl")
    assert (code, err) == (0, "")
    calm = tree(folder / "calm")
    assert len(calm) == 80
    return folder / "voices", calm


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def made(out: Path) -> int:
    return len(list(out.rglob("*.jsonl")))


def until(process: subprocess.Popen[str], out: Path, lines: int) -> None:
    """Wait for so many lines."""
    end = time.monotonic() + 60
    while made(out) < lines and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)


def gone(pids: list[int]) -> bool:
    """Have they ended, within ten seconds?"""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def finish(out: Path, sounds: Path, calm: dict[str, bytes]) -> None:
    """--resume does what is not done, touches nothing else, and ends where an undisturbed run does."""
    known = states(out / "duomorph.sqlite")
    done = [name for name, state in known.items() if state == "done"]
    times = {name: (out / f"{name}.csv").stat().st_mtime_ns for name in done}
    for name in done:  # whole before the ledger says so
        assert (out / f"{name}.csv").read_bytes() == calm[f"{name}.csv"]
        assert (out / f"{name}.jsonl").read_bytes() == calm[f"{name}.jsonl"]
    code, said, err = batch(sounds, "-o", out, "--jobs", "2", "--format", "csv,jsonl", "--resume")
    assert (code, err) == (0, "")
    assert f"{40 - len(done)} done, {len(done)} unchanged" in said
    assert tree(out) == calm
    assert times == {name: (out / f"{name}.csv").stat().st_mtime_ns for name in done}


@pytest.mark.parametrize("moment", range(int(os.environ.get("DUOMORPH_KILLS", 3))))
def test_kill_nine(game: tuple[Path, dict[str, bytes]], tmp_path: Path, moment: int) -> None:
    sounds, calm = game
    process = begun(sounds, "-o", tmp_path / "curves", "--jobs", "2", "--format", "csv,jsonl")
    until(process, tmp_path / "curves", random.Random(moment).randint(0, 36))
    time.sleep(random.Random(moment).random() * 0.1)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert gone(workers)
    finish(tmp_path / "curves", sounds, calm)


def test_killed_workers_are_replaced(game: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    sounds, calm = game
    process = begun(sounds, "-o", tmp_path / "curves", "--jobs", "2", "--format", "csv,jsonl")
    for lines in (5, 15, 25):
        until(process, tmp_path / "curves", lines)
        command = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(process.pid)}
        os.kill(max(pid for pid, line in command.items() if b"spawn_main" in line), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "40 done" in out
    assert tree(tmp_path / "curves") == calm


def test_control_c(game: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    sounds, calm = game
    process = begun(sounds, "-o", tmp_path / "curves", "--jobs", "2", "--format", "csv,jsonl")
    until(process, tmp_path / "curves", 8)
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "--resume does the rest" in err
    assert err.count("\n") == 1
    assert gone(workers)
    assert set(tree(tmp_path / "curves")) <= set(calm)  # nothing that was being written is left
    finish(tmp_path / "curves", sounds, calm)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]).returncode:
        pytest.skip("needs a user who may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(game: tuple[Path, dict[str, bytes]], small: Path) -> None:
    sounds, calm = game
    (small / "ballast").write_bytes(bytes(1_000_000))
    code, _, err = batch(sounds, "-o", small / "curves", "--jobs", "2", "--format", "csv,jsonl")
    assert code == 1
    assert err.startswith("duomorph: ")
    assert err.count("\n") == 1
    assert "No space left" in err or "full" in err
    assert "--resume" in err
    (small / "ballast").unlink()
    base = sqlite3.connect(small / "curves" / "duomorph.sqlite")
    assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base.close()
    known = states(small / "curves" / "duomorph.sqlite")
    assert set(known.values()) <= {"done", "todo"}  # no line is to blame
    assert set(tree(small / "curves")) <= set(calm)
    finish(small / "curves", sounds, calm)


def test_no_room_for_the_ledger(game: tuple[Path, dict[str, bytes]], small: Path) -> None:
    sounds, _ = game
    (small / "ballast").write_bytes(bytes(2_096_000 - 20_000))
    code, _, err = batch(sounds, "-o", small / "curves", "--jobs", "2")
    assert code == 1
    assert err.count("\n") == 1
    assert "ledger" in err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where not even root may create files")
def test_unwritable(game: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    sounds, _ = game
    code, _, err = batch(sounds, "-o", "/proc/curves", "--jobs", "1")
    assert code == 1
    assert err.startswith("duomorph: cannot write '/proc/curves'")
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "de").write_text("a file where a folder should be")
    few = tmp_path / "few"
    shutil.copytree(sounds / "de" / "intro", few / "de")
    code, _, err = batch(few, "-o", tmp_path / "curves", "--jobs", "1", "--format", "csv")
    assert code == 1
    assert "20 of 20 lines failed" in err
    assert set(states(tmp_path / "curves" / "duomorph.sqlite").values()) == {"failed"}
    (tmp_path / "curves" / "de").unlink()
    code, out, _ = batch(few, "-o", tmp_path / "curves", "--jobs", "1", "--resume")
    assert code == 0
    assert "20 done" in out
