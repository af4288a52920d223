"""Log-mel: against a plain reading of the definition; causal; any chunking; level does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import audio, clock
from duomorph.mel import MelConfig, MelStream, filterbank, log_mel


@pytest.fixture(scope="module")
def speech(sample: object) -> np.ndarray:
    return audio.read(sample)[:32000]  # type: ignore[arg-type]


def by_the_book(samples: np.ndarray) -> np.ndarray:
    """Row by row in float64, as the specification words it."""
    config = MelConfig()
    rows = 2 * (clock.index_at(len(samples), clock.TICK_RATE) + 1)
    padded = np.concatenate([np.zeros(1000), samples.astype(np.float64)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    level, powers, out = config.level_start, [1e-10] * 5, []
    for m in range(-1, rows - 1):
        end = clock.end_sample(m, clock.ROW_RATE) + 1000
        power = np.abs(np.fft.rfft(padded[end - 400 : end] * hann, 512)) ** 2 @ filterbank(config).astype(np.float64)
        power = np.maximum(power, 1e-10)
        powers.append(power.mean())
        level = max(np.log(np.mean(powers[-6:])), level - config.level_fall / 120, config.level_floor)
        out.append(np.maximum(np.log(power) - level, -config.depth))
    return np.array(out).reshape(-1, 2, 80)


def test_the_definition(speech: np.ndarray) -> None:
    ours = log_mel(speech)
    assert ours.dtype == np.float32
    assert ours.shape == (121, 2, 80)
    np.testing.assert_allclose(ours, by_the_book(speech), atol=2e-3)


def test_filters_are_triangles_over_the_band() -> None:
    bank = filterbank(MelConfig())
    hz = np.arange(257) * 16000 / 512
    assert bank.shape == (257, 80)
    assert not bank[(hz < 50) | (hz > 7600)].any()
    assert (bank.sum(axis=0) > 0).all()
    assert bank.max() <= 1


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_any_chunking_is_the_batch(speech: np.ndarray, sizes: list[int]) -> None:
    stream, parts, at = MelStream(), [], 0
    for size in [*sizes, len(speech)]:
        parts.append(stream.feed(speech[at : at + size]))
        at += size
    np.testing.assert_allclose(np.concatenate(parts), log_mel(speech), atol=1e-5)
    stream.reset()
    np.testing.assert_allclose(stream.feed(speech), log_mel(speech), atol=1e-5)


@given(st.integers(100, 31999))
def test_nothing_before_a_changed_sample_moves(speech: np.ndarray, sample: int) -> None:
    changed = speech.copy()
    changed[sample] += 0.5
    moved = np.abs(log_mel(changed) - log_mel(speech)).max(axis=2).ravel() > 0
    first = int(np.argmax(moved)) - 1  # row 0 of the array is row -1
    assert clock.end_sample(first, clock.ROW_RATE) > sample
    assert clock.end_sample(first - 2, clock.ROW_RATE) <= sample  # the Hann window is all but zero at its end


def test_a_whisper_and_a_shout_look_alike(speech: np.ndarray) -> None:
    loud, quiet = log_mel(speech), log_mel(speech * 10 ** (-30 / 20))
    settled = slice(60, None)
    assert np.abs(loud[settled] - quiet[settled]).mean() < 0.1


def test_silence_is_the_floor() -> None:
    assert (log_mel(np.zeros(16000, np.float32)) == -MelConfig().depth).all()


def test_state_does_not_grow() -> None:
    stream = MelStream()
    sizes = set()
    for _ in range(200):
        stream.feed(np.zeros(16000, np.float32))
        sizes.add(stream._tail.size + stream._powers.size)
    assert max(sizes) < 1000
