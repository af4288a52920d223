"""Sounds as a game has them, and the batch as a process of its own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from duomorph import audio

LANGUAGES = ("de", "en")


def voices(folder: Path, sample: Path, count: int, seconds: float = 0.3) -> Path:
    """So many lines of speech, in a folder a language."""
    samples = audio.read(sample)
    for k in range(count):
        path = folder / LANGUAGES[k % 2] / "intro" / f"{k:04}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        begin = 997 * k % 30_000
        soundfile.write(path, samples[begin : begin + int(16_000 * seconds)], 16_000)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """What stands in a folder, but for the ledger and the page."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("duomorph."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def states(ledger: Path) -> dict[str, str]:
    base = sqlite3.connect(ledger)
    found = dict(base.execute("SELECT name, state FROM lines").fetchall())
    base.close()
    return found


def begun(*arguments: str | Path) -> subprocess.Popen[str]:
    """`duomorph batch` in a session of its own, so that a signal to its group is what Ctrl-C sends."""
    command = [sys.executable, "-W", "error", "-m", "duomorph", "batch", *map(str, arguments)]
    pipe = subprocess.PIPE
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True, env=environment)


def batch(*arguments: str | Path) -> tuple[int, str, str]:
    """Run it to its end: exit code, what it printed, what it complained of."""
    process = begun(*arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def noise(seconds: float, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, int(16_000 * seconds)).astype(np.float32)
