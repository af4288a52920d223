"""The promises of duomorph.egemaps: names, shapes, finite numbers, stream equals batch, causality, constant state."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from duomorph import egemaps
from duomorph.egemaps.frames import HOP, LONG, LONG_FFT
from duomorph.egemaps.pitch import enhance
from duomorph.egemaps.voice import harmonics
from duomorph.errors import AudioError


def voice(seconds: float, f0: float = 120.0, seed: int = 0) -> NDArray[np.float32]:
    """A buzz with a wavering pitch, pauses and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    phase = np.cumsum(f0 * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / 16000
    tone = sum(np.sin(2 * np.pi * n * phase) / n for n in range(1, 25))
    gain = np.clip(np.sin(2 * np.pi * 1.3 * t) + 0.4, 0, None)
    return (0.1 * tone * gain + 0.002 * rng.standard_normal(len(t))).astype(np.float32)


VOICE = voice(2.5)
ROWS = egemaps.lld(VOICE)
TRACK = egemaps.FunctionalTrack().feed(VOICE)


def in_chunks(
    stream: egemaps.LldStream | egemaps.FunctionalTrack, audio: NDArray[np.float32], sizes: list[int]
) -> NDArray[np.float32]:
    rows, start = [], 0
    for size in sizes:
        rows.append(stream.feed(audio[start : start + size]))
        start += size
    return np.concatenate([*rows, stream.feed(audio[start:]), stream.finish()])


def test_names() -> None:
    assert len(egemaps.LLD_NAMES) == len(set(egemaps.LLD_NAMES)) == 25
    assert len(egemaps.FUNCTIONAL_NAMES) == len(set(egemaps.FUNCTIONAL_NAMES)) == 88
    assert egemaps.FUNCTIONAL_NAMES[62] == "slopeV0-500_sma3nz_amean"
    assert egemaps.FUNCTIONAL_NAMES[-1] == "equivalentSoundLevel_dBp"


@settings(deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(0, 6000), max_size=40))
def test_any_chunking_gives_the_same_bits(sizes: list[int]) -> None:
    np.testing.assert_array_equal(in_chunks(egemaps.LldStream(), VOICE, sizes), ROWS)
    np.testing.assert_array_equal(in_chunks(egemaps.FunctionalTrack(), VOICE, sizes), TRACK)


@pytest.mark.parametrize("size", [1, 160, 267])
def test_even_chunks_give_the_same_bits(size: int) -> None:
    sizes = [size] * (len(VOICE) // size)
    np.testing.assert_array_equal(in_chunks(egemaps.LldStream(), VOICE, sizes), ROWS)
    np.testing.assert_array_equal(in_chunks(egemaps.FunctionalTrack(), VOICE, sizes), TRACK)


def test_frames_do_not_see_each_other() -> None:
    """Rows are searched for peaks one behind the other, and for harmonics only as far as the farthest needs."""
    rng = np.random.default_rng(0)
    spectra = rng.random((60, LONG_FFT // 2 + 1)).astype(np.float32)
    spectra[::7, :20] = spectra[3::7, -20:] = 0.0  # rows whose first or last peak lies farther in
    spectra[::11] = 0.0
    spectra[:, ::512] *= rng.integers(0, 3, (60, 2))  # and rows that end in a peak
    f0, formants = rng.uniform(55, 400, 60), np.sort(rng.uniform(0, 4000, (60, 3)))
    np.testing.assert_array_equal(enhance(spectra), np.concatenate([enhance(row[None]) for row in spectra]))
    alone = [harmonics(spectra[k : k + 1], f0[k : k + 1], formants[k : k + 1]) for k in range(60)]
    np.testing.assert_array_equal(harmonics(spectra, f0, formants), np.concatenate(alone))


def test_reset_starts_anew() -> None:
    stream, track = egemaps.LldStream(), egemaps.FunctionalTrack()
    stream.feed(VOICE[5000:20000])
    track.feed(VOICE[5000:20000])
    stream.reset()
    track.reset()
    np.testing.assert_array_equal(in_chunks(stream, VOICE, []), ROWS)
    np.testing.assert_array_equal(track.feed(VOICE), TRACK)


def test_stated_latency_is_the_measured_one() -> None:
    stream, out, worst = egemaps.LldStream(), 0, 0
    for start in range(0, len(VOICE), 40):
        rows = len(stream.feed(VOICE[start : start + 40]))
        for _ in range(rows):
            worst = max(worst, min(start + 40, len(VOICE)) - out * HOP)
            out += 1
    assert worst / 16000 == pytest.approx(stream.latency_s, abs=40 / 16000)


@pytest.mark.parametrize("at", [12345, 20000, 31111])
def test_no_row_hears_the_future(at: int) -> None:
    """A change at sample n moves nothing that is complete before it."""
    changed = VOICE.copy()
    changed[at:] += 0.3 * np.random.default_rng(at).standard_normal(len(VOICE) - at).astype(np.float32)
    sure = int(at / HOP - egemaps.LldStream.latency_s * 100)
    np.testing.assert_array_equal(egemaps.lld(changed)[:sure], ROWS[:sure])
    updates = at // 4800 + 1
    np.testing.assert_array_equal(egemaps.FunctionalTrack().feed(changed)[:updates], TRACK[:updates])


def test_track_counts_and_starts_at_zero() -> None:
    track = egemaps.FunctionalTrack()
    first = track.feed(np.zeros(0, np.float32))
    assert first.shape == (1, 88)
    assert not first.any()
    assert len(track.feed(VOICE[:4799])) == 0
    assert len(track.feed(VOICE[4799:4800])) == 1
    assert track.finish().shape == (0, 88)
    assert len(egemaps.FunctionalTrack().feed(np.zeros(16000 * 3, np.float32))) == 11


def test_row_is_the_functionals_of_what_is_known() -> None:
    rows = egemaps.contours(VOICE)
    known = (8 * 4800 - LONG) // HOP + 1
    known = known // 5 * 5 - 16
    np.testing.assert_allclose(TRACK[8], egemaps.functionals(rows[:known]), rtol=1e-6, atol=1e-6)


def test_window_forgets() -> None:
    """After the window has passed, it does not matter what came before it."""
    late = voice(4.0, seed=3)
    kinds = [np.concatenate([voice(4.0, f0, seed=1), late]) for f0 in (90.0, 250.0)]
    a, b = (egemaps.FunctionalTrack(Fraction(3, 10), 2).feed(kind)[-1] for kind in kinds)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_state_is_small_and_constant() -> None:
    track, sizes = egemaps.FunctionalTrack(), []
    for _ in range(3):
        for _ in range(4):
            track.feed(np.tile(VOICE, 4))
        sizes.append(len(pickle.dumps(track)))
    assert max(sizes) < 1_000_000
    assert max(sizes[1:]) - min(sizes[1:]) < 20_000  # a few frames more or less wait for their pitch


@pytest.mark.parametrize("kind", ["silence", "dc", "clipping", "noise", "impulse", "huge", "tiny"])
def test_always_finite(kind: str) -> None:
    n = 24000
    audio = {
        "silence": np.zeros(n),
        "dc": np.full(n, 0.5),
        "clipping": np.sign(np.sin(np.arange(n) * 0.07)) * 3.0,
        "noise": np.random.default_rng(1).uniform(-1, 1, n),
        "impulse": (np.arange(n) == 9000) * 1.0,
        "huge": np.sin(np.arange(n) * 0.05) * 1e30,
        "tiny": np.sin(np.arange(n) * 0.05) * 1e-38,
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
        egemaps.LldStream().feed(bad)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="expected"):
        egemaps.FunctionalTrack().feed(bad)  # type: ignore[arg-type]


def test_too_short_for_a_frame() -> None:
    assert egemaps.lld(np.zeros(959, np.float32)).shape == (0, 25)
    assert egemaps.lld(np.zeros(960, np.float32)).shape == (1, 25)
    assert not egemaps.extract(np.zeros(0, np.float32)).any()
