"""The promises of duomorph.egemaps: names, shapes, finite numbers, stream equals batch, constant state."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from duomorph import egemaps
from duomorph.errors import AudioError


def voice(seconds: float, f0: float = 120.0, seed: int = 0) -> NDArray[np.float32]:
    """A buzz with a wavering pitch, pauses and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    phase = np.cumsum(f0 * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / 16000
    tone = sum(np.sin(2 * np.pi * n * phase) / n for n in range(1, 25))
    gain = np.clip(np.sin(2 * np.pi * 1.3 * t) + 0.4, 0, None)
    return (0.1 * tone * gain + 0.002 * rng.standard_normal(len(t))).astype(np.float32)


def in_chunks(stream: egemaps.LldStream | egemaps.FunctionalTrack, audio: NDArray[np.float32], sizes: list[int]):
    rows, start = [], 0
    for size in sizes:
        rows.append(stream.feed(audio[start : start + size]))
        start += size
    return np.concatenate([*rows, stream.feed(audio[start:]), stream.finish()])


def test_names() -> None:
    assert len(egemaps.LLD_NAMES) == len(set(egemaps.LLD_NAMES)) == 25
    assert len(egemaps.FUNCTIONAL_NAMES) == len(set(egemaps.FUNCTIONAL_NAMES)) == 88


@pytest.mark.parametrize("size", [1, 160, 267, 16000])
def test_stream_equals_batch(size: int) -> None:
    audio = voice(2.0)[: 16000 if size == 1 else None]
    sizes = [size] * (len(audio) // size)
    np.testing.assert_array_equal(in_chunks(egemaps.LldStream(), audio, sizes), egemaps.lld(audio))
    track = egemaps.FunctionalTrack()
    np.testing.assert_array_equal(
        in_chunks(egemaps.FunctionalTrack(), audio, sizes), np.concatenate([track.feed(audio), track.finish()])
    )


def test_track_counts_and_starts_at_zero() -> None:
    track = egemaps.FunctionalTrack()
    first = track.feed(np.zeros(0, np.float32))
    assert first.shape == (1, 88)
    assert not first.any()
    assert len(track.feed(voice(0.3)[:4799])) == 0
    assert len(track.feed(voice(0.3)[:1])) == 1
    assert track.finish().shape == (0, 88)


@pytest.mark.parametrize("kind", ["silence", "dc", "clipping", "noise", "impulse", "huge"])
def test_always_finite(kind: str) -> None:
    n = 24000
    audio = {
        "silence": np.zeros(n),
        "dc": np.full(n, 0.5),
        "clipping": np.sign(np.sin(np.arange(n) * 0.07)) * 3.0,
        "noise": np.random.default_rng(1).uniform(-1, 1, n),
        "impulse": (np.arange(n) == 9000) * 1.0,
        "huge": np.sin(np.arange(n) * 0.05) * 1e30,
    }[kind].astype(np.float32)
    assert np.isfinite(egemaps.lld(audio)).all()
    assert np.isfinite(egemaps.extract(audio)).all()
    assert np.isfinite(egemaps.FunctionalTrack().feed(audio)).all()


@pytest.mark.parametrize(
    "bad",
    [np.zeros(10), np.zeros((2, 10), np.float32), np.array([0.0, np.nan], np.float32), np.full(3, np.inf, np.float32)],
)
def test_refuses_what_is_not_sound(bad: NDArray[np.floating]) -> None:
    with pytest.raises(AudioError, match="expected"):
        egemaps.LldStream().feed(bad)
    with pytest.raises(AudioError, match="expected"):
        egemaps.FunctionalTrack().feed(bad)


def test_too_short_for_a_frame() -> None:
    assert egemaps.lld(np.zeros(959, np.float32)).shape == (0, 25)
    assert not egemaps.extract(np.zeros(0, np.float32)).any()
