"""The benchmarks that others run: who is not there is skipped in a sentence, operations are counted as they happen."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from duomorph import bench
from duomorph.emotion import EmotionTrack
from duomorph.mel import MelStream

pytestmark = pytest.mark.alone

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def peer(name: str, *arguments: object, path: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "peers" / f"{name}.py"), *map(str, arguments)]
    environment = os.environ | ({} if path is None else {"PATH": path})
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "speech.wav", bench.speech(1, None), 16_000)
    return tmp_path / "speech.wav"


def test_who_is_not_there_says_so(second: Path, tmp_path: Path) -> None:
    for done in (peer("koemorph", second, 30, tmp_path), peer("rhubarb", second, 60, path=str(tmp_path))):
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1
        assert "https://github.com/" in done.stderr


@pytest.mark.parametrize("part", ["all", "emotion"])
def test_ours_is_measured(second: Path, part: str) -> None:
    done = peer("ours", second, 60, part)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["runs"] == 3
    assert 0 < result["cpu_rtf"] < 1
    assert 20 < result["peak_mb"] < 200


def test_operations_are_counted_and_change_nothing() -> None:
    pytest.importorskip("torch")
    tool = runpy.run_path(str(BENCHMARKS / "operations.py"))
    sound = bench.speech(2, None)
    mel, emotion = MelStream().feed(sound), EmotionTrack().feed(sound)
    with tool["numpy_counts"]():
        counted = tool["counted"](sound)
        np.testing.assert_array_equal(tool["plain"](MelStream().feed(counted)), mel)
        np.testing.assert_array_equal(tool["plain"](EmotionTrack().feed(counted)), emotion)
    assert type(np.zeros(1)) is np.ndarray
    found = tool["features"](sound)
    least = 2 * (2 * 257 * 80 + 2.5 * 512 * 9)  # of the two rows of a tick: filters and transform
    assert least < found["mel"] < 1.1 * least
    assert 4 * 0.6 * 2.5 * 512 * 9 < found["voice features"] < 2e6  # a hundred frames a second, FFTs of 512 and 1024


def test_a_product_of_matrices_counts_two_a_multiply_add() -> None:
    torch = pytest.importorskip("torch")
    tool = runpy.run_path(str(BENCHMARKS / "operations.py"))
    with tool["numpy_counts"](), tool["TorchCounts"]():
        tool["named"]("numpy", lambda: np.ones((3, 4), np.float32) @ np.ones((4, 5), np.float32))()
        tool["named"]("torch", lambda: (torch.ones(3, 4) @ torch.ones(4, 5)).relu())()
    assert tool["done"]["numpy"] == 2 * 3 * 4 * 5
    assert tool["done"]["torch"] == 2 * 3 * 4 * 5 + 3 * 5
    reference = sum(tool["network"](1, 1).values())
    assert 6e6 < reference < 2 * 4.1e6
