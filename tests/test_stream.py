"""The stream with the shipped weights: any chunking, exact frames, causal to the sample, both rates one face."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import duomorph as dm
from duomorph import clock
from duomorph.errors import AudioError, ModelError, SettingError
from duomorph.shaping import Life, Shaping

RATES = [24, 25, "29.97", 30, 50, 60, 120]


def streamed(stream: dm.Stream, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    parts, at = [], 0
    for size in [*sizes, len(samples)]:
        parts.append(stream.feed(samples[at : at + size]))
        at += size
    return np.concatenate([*parts, stream.finish()])


@given(
    st.lists(st.integers(0, 9000), max_size=12),
    st.sampled_from(RATES),
    st.sampled_from([0, 17, 33, 100, 200]),
)
@settings(max_examples=12)
def test_any_chunking_is_animate(
    face: dm.Face, speech: np.ndarray, sizes: list[int], fps: int | str, delay_ms: float
) -> None:
    whole = face.animate(speech, fps=fps, delay_ms=delay_ms).weights
    parts = streamed(face.stream(fps=fps, delay_ms=delay_ms), speech, sizes)
    assert parts.shape == whole.shape
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_live_chunks_are_animate(face: dm.Face, speech: np.ndarray) -> None:
    stream = face.stream(fps=60, delay_ms=33)
    first = streamed(stream, speech, [267] * (len(speech) // 267))
    np.testing.assert_allclose(first, face.animate(speech, fps=60, delay_ms=33).weights, atol=1e-5)
    stream.reset()
    np.testing.assert_allclose(streamed(stream, speech, []), first, atol=1e-5)


@pytest.mark.parametrize("size", [128, 267, 5000])
def test_catching_up_changes_nothing(face: dm.Face, speech: np.ndarray, size: int) -> None:
    """To the bit; and it leaves the frames less to wait for."""
    stream, other = face.stream(fps=60, delay_ms=17), face.stream(fps=60, delay_ms=17)
    plain, listened = [], []
    hear = other._emotion.feed
    other._emotion.feed = lambda sound: listened.append(between) or hear(sound)
    for begin in range(0, len(speech), size):
        plain.append(stream.feed(speech[begin : begin + size]))
        between = False
        frames = other.feed(speech[begin : begin + size])
        between = True
        for _ in range(begin // size % 3):  # not at all, once, again
            other.catch_up()
            if begin // size % 2:
                other.feed(speech[:0])
        np.testing.assert_array_equal(frames, plain[-1])
    assert any(listened) or size > 267
    np.testing.assert_array_equal(other.finish(), stream.finish())


def test_no_frame_waits_for_the_voice_features(face: dm.Face, speech: np.ndarray) -> None:
    stream = face.stream(fps=60, delay_ms=17)
    hear, frames = stream._emotion.feed, 0
    for begin in range(0, len(speech), 100):
        stream.catch_up()
        stream._emotion.feed = None  # type: ignore[assignment]
        frames += len(stream.feed(speech[begin : begin + 100]))
        stream._emotion.feed = hear  # type: ignore[method-assign]
    assert frames == len(speech) * 60 // 16000 + 1 - stream.delay


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("samples", [1, 160, 16000, 16001, 47648])
def test_every_frame_is_there(face: dm.Face, fps: int | str, samples: int) -> None:
    clip = face.animate(np.zeros(samples, np.float32), fps=fps)
    assert len(clip) == clock.frame_count(samples, clip.fps)
    assert clip.weights.dtype == np.float32
    assert np.isfinite(clip.weights).all()
    assert (clip.weights >= 0).all()
    assert (clip.weights <= 1).all()


@pytest.mark.parametrize(("fps", "delay_ms"), [(60, 0), (60, 33), (30, 100), (50, 50), ("29.97", 17)])
def test_latency_is_exact_to_the_sample(face: dm.Face, speech: np.ndarray, fps: int | str, delay_ms: float) -> None:
    """A changed sample moves nothing before it less the look-ahead, and moves what comes right after."""
    stream = face.stream(fps=fps, delay_ms=delay_ms)
    base = streamed(stream, speech, [])
    for sample in (20_000, 20_001, 31_111):
        changed = speech.copy()
        changed[sample:] += 0.9 * np.sign(np.sin(np.arange(len(speech) - sample)))
        stream.reset()
        moved = np.abs(streamed(stream, changed, []) - base).max(axis=1) > 0
        first = int(np.argmax(moved))
        # frame k needs the sound up to k / fps + look-ahead, to the nearest sample of the tick it waits for
        place = Fraction(first * clock.TICK_RATE) / stream.fps
        last_tick = -(-place.numerator // place.denominator) + stream.delay
        assert clock.end_sample(last_tick, clock.TICK_RATE) > sample
        assert Fraction(first) / stream.fps + stream.lookahead_s >= Fraction(2 * sample - 1, 2 * clock.SAMPLE_RATE)
        before = clock.end_sample(last_tick - 3, clock.TICK_RATE)
        assert before <= sample, "it reacts within three ticks of hearing"


def test_a_frame_comes_with_the_sample_that_completes_it(face: dm.Face, speech: np.ndarray) -> None:
    for fps, delay_ms in ((60, 33), (30, 17), (30, 100)):
        stream = face.stream(fps=fps, delay_ms=delay_ms)
        heard = 0
        for k in range(4):
            need = clock.end_sample(k * 60 // fps + stream.delay, clock.TICK_RATE)
            assert len(stream.feed(speech[heard : need - 1])) == 0
            assert len(stream.feed(speech[need - 1 : need])) == 1
            heard = need
        assert stream.latency_s >= float(stream.lookahead_s) == stream.delay / 60


def test_first_frame_within_a_tenth_of_a_second(face: dm.Face, speech: np.ndarray) -> None:
    assert len(face.stream(fps=30, delay_ms=33).feed(speech[:1600])) > 0


@pytest.mark.parametrize("delay_ms", [0, 17, 100])
def test_even_frames_of_60_are_the_frames_of_30(face: dm.Face, speech: np.ndarray, delay_ms: float) -> None:
    slow, fast = (face.animate(speech, fps=fps, delay_ms=delay_ms).weights for fps in (30, 60))
    np.testing.assert_allclose(fast[::2], slow, atol=1e-5)


def test_rates_in_between_are_interpolated(face: dm.Face, speech: np.ndarray) -> None:
    ticks, frames = face.animate(speech, fps=60).weights, face.animate(speech, fps=50).weights
    place = np.arange(len(frames) - 2) * 1.2
    left = place.astype(int)
    share = (place - left)[:, None]
    np.testing.assert_allclose(frames[:-2], ticks[left] * (1 - share) + ticks[left + 1] * share, atol=1e-5)


def test_state_does_not_grow(face: dm.Face, speech: np.ndarray) -> None:
    stream = face.stream(fps=60, delay_ms=100)
    sizes = []
    for _ in range(20):
        stream.feed(speech)
        sizes.append(sum(v.nbytes for v in stream._state.now.values()) + stream._updates.nbytes + stream._poses.nbytes)
    assert max(sizes[5:]) <= max(sizes[:5])


def test_from_frame_to_frame_the_state_stays_where_it_is(face: dm.Face, speech: np.ndarray) -> None:
    stream = face.stream(fps=60, delay_ms=17)

    def places() -> list[int]:
        return [array.ctypes.data for arrays in stream._state._sets for array in arrays.values()]

    stream.feed(speech[:8000])
    before, known = places(), stream._state.now["state_front"].copy()
    assert len(set(before)) == 2 * len(stream._state.now)
    for begin in range(8000, len(speech), 267):
        stream.feed(speech[begin : begin + 267])
    assert places() == before
    assert (stream._state.now["state_front"] != known).any()


@pytest.mark.parametrize("seconds", [0.3, 4])
def test_silence_is_a_closed_still_mouth(face: dm.Face, seconds: float) -> None:
    for style in face.styles:
        clip = face.animate(np.zeros(round(16000 * seconds), np.float32), fps=60, style=style)
        assert clip["jawOpen"].max() < 0.08
        assert np.ptp(clip["jawOpen"]) < 0.03


def test_an_hour_has_every_frame_and_no_more_state(face: dm.Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clockwork of an hour, with the network and the emotion features left out for speed."""
    stream = face.stream(fps=60, delay_ms=100)
    monkeypatch.setattr(stream._emotion, "feed", lambda samples: np.zeros((0, 264), np.float32))
    monkeypatch.setattr(type(stream._engine), "step", lambda self, mel, *rest: np.zeros((len(mel), 52), np.float32))
    stream._updates = np.zeros((20_000, 264), np.float32)
    frames = sum(len(stream.feed(np.zeros(160_000, np.float32))) for _ in range(360))
    assert frames + len(stream.finish()) == 3600 * 60
    assert len(stream._poses) <= 20


def test_streams_share_a_model_and_nothing_else(face: dm.Face, speech: np.ndarray) -> None:
    alone = streamed(face.stream(fps=30), speech, [4000] * 12)
    one, other = face.stream(fps=30), face.stream(fps=60)
    parts = []
    for begin in range(0, len(speech), 4000):
        parts.append(one.feed(speech[begin : begin + 4000]))
        other.feed(speech[::-1][begin : begin + 4000].copy())
    np.testing.assert_array_equal(np.concatenate([*parts, one.finish()]), alone)


def test_bad_calls_are_refused(face: dm.Face) -> None:
    with pytest.raises(SettingError, match="expected one of"):
        face.stream(style="nobody")
    with pytest.raises(SettingError, match="24 to 120"):
        face.stream(fps=10)
    with pytest.raises(SettingError, match="0 to 200"):
        face.stream(delay_ms="x")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="Shaping"):
        face.stream(shaping=None)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="threads"):
        dm.load(threads=0)
    stream = face.stream()
    for bad in (np.zeros(3), np.zeros((3, 2), np.float32), [0.0], None):
        with pytest.raises(AudioError, match="expected"):
            stream.feed(bad)  # type: ignore[arg-type]
    for absurd in (np.nan, np.inf, 1e25):
        with pytest.raises(AudioError, match="NaN"):
            stream.feed(np.array([absurd], np.float32))
    assert np.isfinite(stream.feed(np.zeros(1600, np.float32))).all(), "the stream lives on"
    stream.reset()
    assert stream.finish().shape == (0, 52)
    with pytest.raises(AudioError, match="reset"):
        stream.feed(np.zeros(3, np.float32))


def test_models_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        dm.load(tmp_path / "absent.onnx")
    for name, data in (("empty.onnx", b""), ("text.onnx", b"hello" * 100)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match="lacks its weights: expected"):
            dm.load(tmp_path / name)
        (tmp_path / name).with_suffix(".safetensors").write_bytes(data)
        with pytest.raises(ModelError, match="expected a file written by"):
            dm.load(tmp_path / name)
    shipped = Path(dm.load().info().path)
    copy = tmp_path / shipped.name
    copy.write_bytes(shipped.read_bytes())
    weights = bytearray(shipped.with_suffix(".safetensors").read_bytes())
    weights[-1] ^= 1
    copy.with_suffix(".safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match="does not belong to"):
        dm.load(copy)
    renamed = copy.with_name("mine.onnx")
    renamed.write_bytes(copy.read_bytes())  # the graph finds the weights, by the name inside
    with pytest.raises(ModelError, match=r"lacks its weights: expected 'mine\.safetensors'"):
        dm.load(renamed)


def test_what_info_says(face: dm.Face) -> None:
    info = face.info()
    assert info.balance(30) == pytest.approx(80.9, abs=0.05)
    assert info.macs_per_tick <= 6e6
    assert info.megabytes <= 8.2
    assert {"grid", "facegood"} <= set(face.styles)
    assert sum(source.hours for source in info.provenance.sources) > 0.5


def test_parts_follow_each_other(face: dm.Face, speech: np.ndarray, tmp_path: Path) -> None:
    """A file of 45 s is read in several blocks; a part says where in the clip it stands."""
    sound = np.resize(speech, 45 * 16_000)
    soundfile.write(tmp_path / "long.wav", sound, 16_000, "FLOAT")
    clip = face.animate(sound, fps="29.97", shaping=Shaping(life=Life("calm")))
    assert clip.angles is not None
    parts = list(face.parts(tmp_path / "long.wav", fps="29.97", shaping=Shaping(life=Life("calm"))))
    assert max(map(len, parts)) < 13 * 30
    done = 0
    for part in parts:
        assert part.start == done / clip.fps
        np.testing.assert_array_equal(part.weights, clip.weights[done : done + len(part)])
        np.testing.assert_array_equal(part.angles, clip.angles[done : done + len(part)])  # type: ignore[arg-type]
        done += len(part)
    assert done == len(clip)
