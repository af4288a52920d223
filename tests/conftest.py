"""What tests share: the sample speech, the model, the corpus (or a reason to skip), and hypothesis profiles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import duomorph as dm
from duomorph import audio
from duomorph.clock import SAMPLE_RATE

WEB = Path(__file__).parent / "web"
_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("test", deadline=None, max_examples=40, suppress_health_check=_QUIET, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=3_000, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

LONGEST = ("test_train.py", "test_network.py")  # a file is one worker's: with these last, the others would wait for it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; all else stays in its order."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def sample() -> Path:
    """A few seconds of synthetic speech, 16 kHz mono flac."""
    return Path(__file__).parent.parent / "src" / "duomorph" / "assets" / "sample.flac"


@pytest.fixture(scope="session")
def speech(sample: Path) -> np.ndarray:
    """Three seconds of it, and a bit that is no whole frame."""
    return audio.read(sample)[: 3 * SAMPLE_RATE + 77]


@pytest.fixture(scope="session")
def face() -> dm.Face:
    """The model that ships."""
    return dm.load()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The training corpus; mark such a test with `corpus`."""
    folder = os.environ.get("DUOMORPH_CORPUS")
    if not folder:
        pytest.skip("needs the corpus: set DUOMORPH_CORPUS to its folder")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"needs the corpus: DUOMORPH_CORPUS is {folder!r}, which is no folder")
    return path


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The program ffmpeg."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("needs the program ffmpeg: install it to test m4a, mp4 and webm")
    return program


@pytest.fixture(scope="session")
def browser() -> tuple[str, str]:
    """Node and Chromium, with what they need from npm installed."""
    node, npm, chromium = (shutil.which(name) for name in ("node", "npm", "chromium"))
    if node is None or npm is None or chromium is None:
        pytest.skip("needs node 20, npm and chromium: on Debian 13  apt-get install nodejs npm chromium")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 20:
        pytest.skip(f"needs node 20: got {version.strip()}")
    needed = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    if not all((WEB / "node_modules" / name).is_dir() for name in needed):
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=WEB, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"npm ci in tests/web failed: {done.stderr.strip().splitlines()[-1]}")
    return node, chromium
