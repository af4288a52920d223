"""Frame rates: exact times, nothing beyond the neighbours, nothing folded down, the device's clock obeyed."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import arkit, formats
from duomorph.clip import Clip
from duomorph.errors import SettingError

RATES = [Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(50), Fraction(60), Fraction(120)]


def clip(curve: np.ndarray, fps: Fraction | int = 60) -> Clip:
    weights = np.zeros((len(curve), arkit.COUNT), np.float32)
    weights[:, arkit.INDEX["jawOpen"]] = curve
    return Clip(weights, Fraction(fps))


def noise(frames: int, fps: Fraction, seed: int = 0) -> Clip:
    random = np.random.default_rng(seed)
    angles = random.uniform(-1, 1, (frames, 9)).astype(np.float32)
    return Clip(random.random((frames, 52), dtype=np.float32), fps, Fraction(1, 3), angles=angles)


def tremor(hertz: float, frames: int = 1200) -> Clip:
    return clip(0.5 + 0.4 * np.sin(2 * np.pi * hertz * np.arange(frames) / 60 + 0.3))


def height(curve: np.ndarray) -> float:
    """Of a sine at 30 fps, as a part of `tremor`'s."""
    return float(np.sqrt(2) * curve[60:-60].std() / 0.4)


@given(st.sampled_from(RATES), st.sampled_from(RATES), st.integers(0, 200))
def test_frames_stand_on_the_new_grid_and_fill_the_take(old: Fraction, new: Fraction, frames: int) -> None:
    taken = noise(frames, old)
    drawn = taken.resampled(new)
    assert (drawn.fps, drawn.start) == (new, taken.start)
    assert (len(drawn) - 1) / new < frames / old <= len(drawn) / new
    assert drawn.weights.dtype == drawn.angles.dtype == np.float32
    if frames:
        assert (drawn.weights.min(0) >= taken.weights.min(0)).all()
        assert (drawn.weights.max(0) <= taken.weights.max(0)).all()


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("fps", [30, Fraction(30_000, 1001)])
def test_upwards_keeps_every_frame_and_down_again_gives_the_clip_back(fps: Fraction | int, factor: int) -> None:
    taken = noise(301, Fraction(fps))
    up = taken.resampled(taken.fps * factor)
    np.testing.assert_array_equal(up.weights[::factor], taken.weights)
    np.testing.assert_array_equal(up.angles[::factor], taken.angles)
    back = up.resampled(fps)
    np.testing.assert_array_equal(back.weights, taken.weights)
    np.testing.assert_array_equal(back.angles, taken.angles)


def test_the_same_rate_changes_nothing() -> None:
    taken = replace(noise(50, Fraction(30)), beyond=np.zeros((50, 52), np.float32), source="x")
    assert taken.resampled(30).weights is taken.weights
    assert taken.resampled("30") == taken


@pytest.mark.parametrize("new", [24, 25, 30, 50, 100, 120])
def test_a_step_does_not_overshoot(new: int) -> None:
    curve = clip(np.r_[np.full(61, 0.2), np.full(60, 0.9)]).resampled(new)["jawOpen"]
    assert (np.diff(curve) >= -1e-7).all()
    assert (curve.min(), curve.max()) == (np.float32(0.2), np.float32(0.9))
    assert ((curve > 0.2) & (curve < 0.9)).sum() <= max(2, new // 25)  # no slower than it must be


@pytest.mark.parametrize(("hertz", "least", "most"), [(2, 0.999, 1.001), (8, 0.998, 1.002), (12, 0.98, 1.0),
                                                       (18, 0, 0.01), (22, 0, 0.01), (28, 0, 0.01)])  # fmt: skip
def test_what_30_fps_cannot_show_is_not_folded_down(hertz: float, least: float, most: float) -> None:
    assert least <= height(tremor(hertz).resampled(30)["jawOpen"]) <= most
    assert height(tremor(hertz)["jawOpen"][::2]) > 0.99  # a filter is needed: decimation keeps all of it


@pytest.mark.parametrize("hertz", [1, 5, 10])
def test_slow_motion_keeps_its_values(hertz: float) -> None:
    taken = tremor(hertz)
    np.testing.assert_allclose(taken.resampled(30)["jawOpen"][20:-20], taken["jawOpen"][::2][20:-20], atol=5e-4)
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * hertz * np.arange(1000) / 50 + 0.3)
    drawn = taken.resampled(50)["jawOpen"]
    np.testing.assert_allclose(drawn[20:-20], wave[20:-20], atol=0.01 if hertz < 10 else 0.08)  # peaks between frames


def test_lip_closures_survive() -> None:
    """A closure of 100 ms, wherever it falls between the frames."""
    seconds = np.arange(180) / 60
    middles = np.linspace(1, 1.1, 50)
    shapes = [np.where(np.abs(seconds - m) < 0.05, np.cos(np.pi * (seconds - m) / 0.1) ** 2, 0) for m in middles]
    kept = [clip(shape).resampled(30)["jawOpen"].max() for shape in shapes]
    assert np.mean(kept) > 0.87
    assert np.min(kept) > 0.73


@pytest.mark.alone
def test_an_hour_has_no_drift_and_takes_seconds() -> None:
    hour = clip(np.arange(216_000) / 216_000)
    began = time.perf_counter()
    drawn = hour.resampled("29.97")
    assert time.perf_counter() - began < 20  # 1 s on a quiet core
    assert (drawn.fps, len(drawn)) == (Fraction(30_000, 1001), 107_893)
    np.testing.assert_allclose(drawn["jawOpen"][:-1], drawn.times[:-1] / 3600, atol=1e-6)  # the last frame is held
    assert drawn.times[-1] == pytest.approx(107_892 * 1001 / 30_000, abs=1e-9)


def test_the_devices_clock_is_obeyed() -> None:
    """A phone 1 in a thousand fast that dropped frames: after 100 s its curves still stand where they were seen."""
    stamps = np.arange(3000) / 30 * 0.999
    taken = replace(clip(stamps / 100, 30), stamps=np.where(np.arange(3000) % 50 == 7, np.nan, stamps))
    for rate in (30, 60):
        drawn = taken.resampled(rate)
        assert drawn.stamps is None
        assert len(drawn) == -(-int(1e6 * (stamps[-1] + 1 / 30)) * rate // 10**6)
        np.testing.assert_allclose(drawn["jawOpen"][:-2], drawn.times[:-2] / 100, atol=5e-5)  # drift would be 1e-3


@pytest.mark.corpus
def test_a_real_take_loses_little(corpus: Path) -> None:
    """Every second frame of an iPhone's take, brought back to 30 fps, against the frames that were left out."""
    taken = replace(formats.read(corpus / "fixtures" / "livelink_rom_iphone.csv"), stamps=None)
    half = replace(taken, weights=taken.weights[::2], angles=taken.angles[::2], fps=Fraction(30))
    drawn = half.resampled(60).weights[: len(taken)]
    lines = np.stack([np.interp(np.arange(len(taken)), np.arange(0, len(taken), 2), c) for c in half.weights.T], 1)
    error, straight = (np.sqrt(((curves - taken.weights) ** 2).mean()) for curves in (drawn, lines))
    assert error < 0.85 * straight


def test_a_rate_out_of_range() -> None:
    for fps in (10, "fast", 500, None):
        with pytest.raises(SettingError, match="24 to 120"):
            noise(3, Fraction(30)).resampled(fps)
