"""What tests share: the sample speech, the model, the corpus (or a reason to skip), and hypothesis profiles."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import duomorph as dm
from duomorph import audio
from duomorph.clock import SAMPLE_RATE

_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("test", deadline=None, max_examples=40, suppress_health_check=_QUIET, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=3_000, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


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
