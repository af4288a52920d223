"""Pictures: any take can be drawn, without warnings, and matplotlib is asked for in one sentence."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph.clip import Clip
from duomorph.errors import FormatError, MissingExtra
from duomorph.plot import COLUMNS, _extremes, save_plot


@pytest.mark.parametrize(
    ("frames", "fps", "start"), [(90, 30, 0), (1, 60, 0), (0, 30, 0), (8000, 60, 0), (50, 25, Fraction(7, 2))]
)
def test_any_take_is_drawn(tmp_path: Path, frames: int, fps: int, start: Fraction) -> None:
    random = np.random.default_rng(frames)
    clip = Clip(random.random((frames, 52), dtype=np.float32), Fraction(fps), Fraction(start))
    samples = random.uniform(-0.5, 0.5, frames * 16000 // fps).astype(np.float32)
    path = tmp_path / "take.png"
    save_plot(clip, [samples], path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["take.png"]


def test_a_still_face_is_drawn(tmp_path: Path) -> None:
    save_plot(Clip(np.zeros((30, 52), np.float32), Fraction(30)), [np.zeros(16000, np.float32)], tmp_path / "still.png")


@given(st.lists(st.integers(0, 9000), max_size=12))
def test_the_wave_does_not_depend_on_the_blocks(sizes: list[int]) -> None:
    samples = np.random.default_rng(sum(sizes)).standard_normal(sum(sizes)).astype(np.float32)
    wave = _extremes(np.split(samples, np.cumsum(sizes)))
    assert wave.samples == len(samples)
    assert len(wave.low) == -(-len(samples) // wave.width) <= 2 * COLUMNS
    for k in range(0, len(wave.low), 97):
        column = samples[k * wave.width : (k + 1) * wave.width]
        assert (wave.low[k], wave.high[k]) == (column.min(), column.max())


def test_nothing_is_left_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no folder"):
        save_plot(Clip(np.zeros((3, 52), np.float32), Fraction(30)), [], tmp_path / "no" / "x.png")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_sentence_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"duomorph\[plot\]"):
        save_plot(Clip(np.zeros((3, 52), np.float32), Fraction(30)), [], tmp_path / "x.png")
