"""Live: sound of any rate and pace in, every frame at its moment out, whatever stalls."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

import duomorph as dm
from duomorph import arkit, audio, mel
from duomorph.clock import delay_ticks, end_sample, frame_count
from duomorph.errors import AudioError, SettingError
from duomorph.live import Blocks, File, Live, Paced, Pipe, microphone, sources
from duomorph.live.microphone import Device, Microphone, Ring
from duomorph.live.resample import LiveResampler
from duomorph.live.sources import NOTHING
from duomorph.live.voice import Voice
from duomorph.shaping import RAW, SHIPPED
from duomorph.wire import Command, Frame

pytestmark = pytest.mark.alone

JAW = arkit.INDEX["jawOpen"]


def cut(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (samples[at : at + size] for at in range(0, len(samples), size))


def weights(frames: list[Frame]) -> np.ndarray:
    return np.stack([frame.weights for frame in frames])


# the filter


@given(st.lists(st.integers(0, 700), min_size=1, max_size=20), st.sampled_from([8000, 22050, 24000, 44100, 48000]))
def test_resampled_in_any_chunks(sizes: list[int], rate: int) -> None:
    sound = np.random.default_rng(1).normal(size=sum(sizes)).astype(np.float32)
    resampler, at, parts = LiveResampler(rate), 0, []
    for size in sizes:
        parts.append(resampler.feed(sound[at : at + size]))
        at += size
    resampler.reset()
    np.testing.assert_array_equal(np.concatenate(parts), resampler.feed(sound))
    assert sum(map(len, parts)) == -(-len(sound) * 16000 // rate)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_the_filter_lets_speech_through_and_nothing_alias(rate: int) -> None:
    time_s = np.arange(rate // 2) / rate

    def gain_db(hz: float) -> float:
        tone = np.sqrt(2) * np.sin(2 * np.pi * hz * time_s)
        return 10 * np.log10(np.square(LiveResampler(rate).feed(tone.astype(np.float32))[500:]).mean())

    assert max(abs(gain_db(hz)) for hz in range(50, 7300, 290)) < 0.05
    assert max(gain_db(hz) for hz in range(8000, rate // 2, 173)) < -50


@pytest.mark.parametrize("rate", [44100, 48000])
def test_the_filters_delay_is_what_it_says(rate: int) -> None:
    """An impulse is out, at the centre of its energy, so much later; and the first of it at once."""
    resampler = LiveResampler(rate)
    assert 0.0001 < resampler.delay_s < 0.0005
    found = []
    for at in range(1000, 1000 + 160):  # every phase of the filter
        sound = np.zeros(3000, np.float32)
        sound[at] = 1
        resampler.reset()
        energy = np.square(resampler.feed(sound))
        found.append(np.arange(len(energy)) @ energy / energy.sum() / 16000 - at / rate)
    assert np.mean(found) == pytest.approx(resampler.delay_s, abs=1e-5)
    changed = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    base = LiveResampler(rate).feed(changed)
    changed[1000:] += 1
    moved = np.flatnonzero(LiveResampler(rate).feed(changed) != base)[0]
    assert moved == -(-1000 * 16000 // rate), "it waits for nothing and foresees nothing"


def test_features_hardly_tell_it_from_the_offline_filter(speech: np.ndarray) -> None:
    wide = soxr.resample(speech, 16000, 48000).astype(np.float32)
    offline, live = audio.prepare(wide, 48000), LiveResampler(48000).feed(wide)
    error = np.abs(mel.log_mel(offline) - mel.log_mel(live[: len(offline)]))
    assert error.mean() < 0.03, "nepers"
    assert error[..., -3:].mean() < 0.1, "at the edge of the band"


@pytest.mark.parametrize("rate", [0, -1, 7999, 300_000, 44100.5, None])
def test_no_such_rate(rate: object) -> None:
    with pytest.raises(AudioError, match="expected a whole number"):
        LiveResampler(rate)  # type: ignore[arg-type]


# sources


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=40))
def test_a_ring_gives_what_was_written_or_says_what_it_lost(steps: list[tuple[int, bool]]) -> None:
    ring, written, got = Ring(40, 1), 0, []
    for size, read in steps:
        ring.write(np.arange(written, written + size, dtype=np.float32)[:, None])
        written += size
        if read:
            got.append(ring.read()[0][:, 0])
    got.append(ring.read()[0][:, 0])
    numbers = np.concatenate(got)
    assert (np.diff(numbers) > 0).all()
    assert len(numbers) + ring.lost == written
    assert not written or numbers[-1] == written - 1 or not len(got[-1])


class Stream:
    """A sound card's, as far as it matters here."""

    active = True

    def close(self, ignore_errors: bool) -> None:
        self.active = False


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """Sound cards that can be plugged in and out; two of one name, as Windows has them once for each sound system."""
    there = [Device(number, "USB", system, 1, 16000, 0.0, False) for number, system in ((1, "MME"), (2, "WASAPI"))]
    monkeypatch.setattr(microphone, "devices", lambda: list(there))
    monkeypatch.setattr(microphone, "_rate", lambda device: device.rate)
    monkeypatch.setattr(microphone, "_refresh", lambda: None)
    monkeypatch.setattr(Microphone, "_open", lambda self: Stream())
    return there


def test_sound_that_was_overwritten_is_counted(cards: list[Device]) -> None:
    """A microphone whose reader was away for longer than it remembers: its clock is right all the same."""
    with closing(Microphone("2")) as source:
        total = 0
        for size in [16000] * 7 + [300]:
            source._ring.write(np.ones((size, 1), np.float32))
            total += size
        block = source.read(0)
        assert block is not None
        assert len(block.samples) == total
        assert 0 < source.idle_s == (block.samples == 0).sum() / 16000


def test_the_same_device_comes_back(cards: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "LOST_S", 0.05)
    said: list[str] = []
    with closing(Microphone("2", tell=said.append)) as source:
        end = time.monotonic() + 20
        while len(said) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert " is lost" in said[0]
        assert said[1].endswith(" is back")
        assert source._device.system == "WASAPI"


def test_a_file_takes_its_time_and_late_blocks_come_together() -> None:
    sound = np.arange(4000, dtype=np.float32)
    source = Paced([sound[:1234], sound[1234:]])
    began, parts = time.monotonic(), []
    while (block := source.read(0.02)) is not None:
        assert len(block.samples) == 0 or block.at is not None
        parts.append(block.samples)
        if sum(map(len, parts)) == 1280:
            time.sleep(0.1)
            parts.append(source.read(0).samples)  # type: ignore[union-attr]
            assert len(parts[-1]) >= 0.09 * 16000
    assert 0.25 <= time.monotonic() - began < 2
    np.testing.assert_array_equal(np.concatenate(parts), sound)


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


@pytest.fixture
def pipe() -> Iterator[tuple[int, Callable[[bytes], None]]]:
    """The end to read from, and what writes or, given nothing, closes the other."""
    out, into = os.pipe()
    open_ = [into]

    def write(data: bytes) -> None:
        if data:
            os.write(into, data)
        elif open_:
            os.close(open_.pop())

    yield out, write
    write(b"")
    time.sleep(0.05)  # its reader ends
    os.close(out)


def drained(source: Pipe) -> np.ndarray:
    parts = []
    while (block := source.read(0.02)) is not None:
        parts.append(block.samples)
    return np.concatenate(parts)


def test_a_pipe_faster_than_speech(pipe: tuple[int, Callable[[bytes], None]], speech: np.ndarray) -> None:
    descriptor, write = pipe
    writer = threading.Thread(target=lambda: (write(pcm(speech[:16000])), write(b"")))
    writer.start()
    began = time.monotonic()
    sound = drained(Pipe(descriptor))
    writer.join()
    assert time.monotonic() - began > 0.95, "it is spoken as fast as one speaks"
    np.testing.assert_array_equal(sound, np.frombuffer(pcm(speech[:16000]), "<i2") / np.float32(32768))


def test_a_pipe_that_pauses_is_silent_and_cut_samples_are_whole(pipe: tuple[int, Callable[[bytes], None]]) -> None:
    descriptor, write = pipe
    source = Pipe(descriptor, channels=2)
    sound = np.tile(np.array([[8192, 16384]], "<i2"), (1600, 1)).tobytes()  # mean 0.375
    write(sound[:3001])
    timer = threading.Timer(0.3, lambda: (write(sound[3001:]), write(b"")))
    timer.start()
    heard = drained(source)
    timer.join()
    assert set(np.unique(heard)) == {0.0, 0.375}
    assert (heard == 0.375).sum() == 1600, "all of it, none torn apart"
    assert source.idle_s == pytest.approx((heard == 0).sum() / 16000)
    assert 0.1 < source.idle_s < 2


def test_what_a_pipe_holds_is_forgotten(pipe: tuple[int, Callable[[bytes], None]]) -> None:
    descriptor, write = pipe
    source = Pipe(descriptor)
    write(pcm(np.full(16000, 0.5)) + b"\x11")  # and half a sample
    assert source.read(0.02) is not None
    time.sleep(0.1)
    source.discard()
    time.sleep(0.1)
    write(b"\x11" + pcm(np.full(1600, 0.25)))
    write(b"")
    heard = drained(source)
    assert not (heard > 0.45).any()
    assert (np.abs(heard - 0.25) < 1e-3).sum() == 1600


def test_a_writer_that_is_ahead_waits(pipe: tuple[int, Callable[[bytes], None]]) -> None:
    descriptor, write = pipe
    source = Pipe(descriptor)
    done = threading.Event()

    def much() -> None:
        for _ in range(20):
            write(bytes(32_000))
        done.set()

    writer = threading.Thread(target=much, daemon=True)
    writer.start()
    assert not done.wait(0.5)
    assert len(source._bytes) <= 2 * 32_000 + (1 << 14)
    while not done.is_set():
        source.discard()
        time.sleep(0.01)
    writer.join()
    source.close()


@pytest.mark.skipif(not sources.POLLS, reason="nobody can tell here whether a read would wait")
def test_a_closed_pipe_leaves_the_sound_to_the_next(pipe: tuple[int, Callable[[bytes], None]]) -> None:
    descriptor, write = pipe
    before = set(threading.enumerate())
    Pipe(descriptor).close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
    source = Pipe(descriptor)
    write(pcm(np.full(8000, 0.5)))
    write(b"")
    assert (drained(source) > 0.45).sum() == 8000


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(3, np.int32), np.zeros((2, 2, 2)), np.zeros((2, 16000)), np.array([np.nan]), np.zeros((3, 0)),
        np.array(["a"]),
    ],
)  # fmt: skip
def test_blocks_that_are_none(bad: np.ndarray) -> None:
    with pytest.raises(AudioError, match="expected"):
        Blocks([bad]).read(0)


def test_what_is_no_source(tmp_path: Path, face: dm.Face) -> None:
    with pytest.raises(AudioError, match="expected"):
        Live(tmp_path / "missing.wav", face=face)
    with pytest.raises(SettingError, match="expected a file"):
        Live(7, face=face)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="Hz"):
        Live([NOTHING], rate=50, face=face)
    with pytest.raises(SettingError, match="channels"):
        Pipe(0, channels=0)
    for rate in (0, -1):
        with pytest.raises(SettingError, match="Hz"):
            Pipe(0, rate)
    with pytest.raises(SettingError, match="Command"):
        Live([NOTHING], face=face).command("silence")  # type: ignore[arg-type]


# the voice


def test_a_voice_is_the_stream(face: dm.Face, speech: np.ndarray) -> None:
    voice = Voice(face, 60, 33)
    frames = [frame for block in cut(speech, 128) for frame in voice.feed(block)] + voice.finish()
    whole = face.animate(speech, fps=60, delay_ms=33, shaping=SHIPPED)
    assert [frame.number for frame in frames] == list(range(len(whole)))
    np.testing.assert_allclose(weights(frames), whole.weights, atol=1e-5)
    assert frames[30].time_s == 0.5
    assert not frames[0].angles.any()


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize("delay_ms", [17, 100])
@pytest.mark.parametrize("command", ["silence", "reset"])
def test_a_cut_closes_the_mouth_within_a_tenth_of_a_second(
    face: dm.Face, speech: np.ndarray, fps: int, delay_ms: float, command: str
) -> None:
    """Nine frames of 100 ms after the cut, in the middle of an open vowel, and a mouth that opens again after it."""
    curve = face.animate(speech, fps=fps, delay_ms=delay_ms)["jawOpen"]
    open_ = int(np.argmax(curve))
    at = end_sample(open_, fps) + delay_ticks(delay_ms) * 16000 // 60
    voice = Voice(face, fps, delay_ms)
    before = voice.feed(speech[:at])
    assert before[-1].weights[JAW] > 0.15
    getattr(voice, command)()
    after = voice.feed(np.zeros(16000, np.float32)) + voice.feed(speech)
    assert [frame.number for frame in after] == list(range(before[-1].number + 1, after[-1].number + 1))
    jaws = weights(after)[:, JAW]
    closed = -(-fps // 10)
    assert jaws[closed - 1 : round(0.9 * fps)].max() < 0.08
    assert jaws[round(1.2 * fps) :].max() > 0.15, "new speech opens it"


def test_reset_forgets(face: dm.Face, speech: np.ndarray) -> None:
    speech = speech[: len(speech) // 800 * 800]  # a restart on a sample; else the two begin a fraction of one apart
    voice, kept, fresh = (Voice(face, 60, 17, shaping=RAW) for _ in range(3))
    for one in (voice, kept):
        one.feed(speech)
    voice.reset()
    silence = np.zeros(800, np.float32)
    for one in (voice, kept, fresh):
        one.feed(silence)
    again, still, first = (weights(one.feed(speech))[-30:] for one in (voice, kept, fresh))
    np.testing.assert_allclose(again, first, atol=1e-6)
    assert np.abs(still - first).max() > 1e-3


@given(
    st.lists(st.tuples(st.sampled_from(["feed", "silence", "reset", "skip"]), st.integers(0, 3000)), max_size=9),
    st.sampled_from([30, 60, "29.97"]),
    st.sampled_from([0, 33]),
)
@settings(max_examples=25)
def test_whatever_happens_the_clock_goes_on(
    face: dm.Face, speech: np.ndarray, steps: list[tuple[str, int]], fps: int | str, delay_ms: float
) -> None:
    voice = Voice(face, fps, delay_ms)
    numbers: list[int] = []
    for what, size in steps:
        if what == "feed":
            numbers += [frame.number for frame in voice.feed(speech[:size])]
        elif what == "skip":
            voice.skip(size)
        else:
            getattr(voice, what)()
    numbers += [frame.number for frame in voice.feed(speech[:1600]) + voice.finish()]
    assert numbers == sorted(set(numbers))
    count = frame_count(voice.heard, voice.fps)
    assert numbers[-1] == count - 1
    if "skip" not in [what for what, _ in steps]:
        assert numbers == list(range(count))


@pytest.mark.parametrize("fps", [25, 120, "29.97", "33.333"])
@pytest.mark.parametrize("delay_ms", [0, 17])
def test_a_reset_loses_no_frame_and_takes_no_time(face: dm.Face, fps: int | str, delay_ms: float) -> None:
    """Frames at these rates seldom stand on a sample; a stream that is started anew has ticks of its own."""
    voice = Voice(face, fps, delay_ms, shaping=RAW)
    numbers: list[int] = []
    for size in range(1, 2000, 111):
        numbers += [frame.number for frame in voice.feed(np.zeros(size, np.float32))]
        voice.reset()
    numbers += [frame.number for frame in voice.finish()]
    assert numbers == list(range(frame_count(voice.heard, voice.fps)))


def test_a_reset_hears_no_more_than_a_frame_again(face: dm.Face, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Voice(face, "33.333", shaping=RAW)
    voice.skip(100_000)
    again: list[int] = []
    feed = voice.stream.feed
    monkeypatch.setattr(voice.stream, "feed", lambda sound: (again.append(len(sound)), feed(sound))[1])
    voice.reset()
    assert sum(again) <= 16000 / voice.fps + 1


# sessions


@pytest.mark.parametrize(("fps", "size"), [(60, 128), (30, 128), (30, 5000), (50, 333), (60, 1)])
def test_blocks_as_they_come_are_animate(face: dm.Face, speech: np.ndarray, fps: int, size: int) -> None:
    speech = speech[:8000] if size == 1 else speech
    frames = list(dm.live(cut(speech, size), fps, face=face, delay_ms=33))
    whole = face.animate(speech, fps=fps, delay_ms=33, shaping=SHIPPED)
    assert [frame.number for frame in frames] == list(range(len(whole)))
    np.testing.assert_allclose(weights(frames), whole.weights, atol=1e-5)


def test_the_package_is_the_function(face: dm.Face, speech: np.ndarray) -> None:
    import duomorph.live.sinks  # which puts the package where the function would be

    assert duomorph.live.sinks.open_sink
    stereo = np.stack([speech, speech], axis=1)[:8000]
    assert len(list(dm.live((stereo * 32767).astype(np.int16), face=face))) == 30
    assert len(list(dm.live(stereo[:4800], rate=48000, face=face))) == 6


@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_last_sample_that_a_frame_needs_is_the_one_stated(face: dm.Face, speech: np.ndarray, rate: int) -> None:
    """Through the whole session, to the sample."""
    sound = soxr.resample(speech[:20000], 16000, rate).astype(np.float32)
    step = rate // 16000

    def frame_30(changed_from: int | None) -> np.ndarray:
        changed = sound.copy()
        if changed_from is not None:
            changed[changed_from:] = 0.9
        session = Live(cut(changed, 100), 60, face=face, delay_ms=17, shaping=RAW, rate=rate)
        return next(frame for frame in session if frame.number == 30).weights

    base = frame_30(None)
    last = end_sample(31, 60) - 1  # 30/60 s and a tick, at 16 kHz
    assert not np.array_equal(frame_30(last * step), base)
    assert np.array_equal(frame_30((last + 1) * step), base)
    latency = Live(Paced([sound], rate), 60, face=face, delay_ms=17).latency()
    assert latency.lookahead_s == pytest.approx((last + 1) / 16000 - 30 / 60, abs=1 / 16000)
    assert latency.filters_s == pytest.approx(LiveResampler(rate).delay_s)
    assert latency.total_s < 0.033 - 0.004, "profile live, with 4 ms left for computing"


def test_a_file_in_real_time(face: dm.Face, sample: Path) -> None:
    session = dm.live(sample, face=face)
    source = session.source
    late, began = [], time.monotonic()
    for frame in session:
        assert source.began is not None  # type: ignore[attr-defined]
        assert frame.heard is not None
        today = time.time() - time.monotonic()
        assert frame.heard - today == pytest.approx(source.began + frame.time_s, abs=0.002)  # type: ignore[attr-defined]
        late.append(time.monotonic() - source.began - frame.time_s)  # type: ignore[attr-defined]
        if frame.number >= 90:
            session.stop()
    assert time.monotonic() - began > 1.5
    assert min(late) > 1 / 60, "never before its sound was heard"
    if np.median(late) > 0.05:
        pytest.skip(f"needs a machine that keeps time: frames were {1e3 * np.median(late):.0f} ms late")
    assert session.stats.dropped < 10


def test_a_stall_costs_frames_and_no_lag(face: dm.Face, speech: np.ndarray) -> None:
    session = Live(Paced([np.resize(speech, 16000 * 4)]), 60, face=face)
    late, numbers = {}, []
    for frame in session:
        numbers.append(frame.number)
        late[frame.number] = session.stats.late_s
        if frame.number == 60:
            time.sleep(0.5)
    assert numbers == sorted(set(numbers))
    assert session.stats.frames + session.stats.dropped == 240
    assert session.stats.dropped >= 20, "half a second less what may be late"
    assert numbers[-1] == 239
    if (lag := np.median([late[number] for number in numbers if number >= 150])) > 0.04:
        pytest.skip(f"needs a machine that keeps time: {1e3 * lag:.0f} ms behind")


def test_sound_that_cannot_be_heard_in_time_is_skipped(face: dm.Face, speech: np.ndarray) -> None:
    heard: list[np.ndarray] = []
    session = Live(Paced([np.resize(speech, 16000 * 5)]), 60, face=face, take=lambda sound, frames: heard.append(sound))
    numbers = []
    for frame in session:
        numbers.append(frame.number)
        if frame.number == 30:
            time.sleep(2.5)
    assert 2.0 < session.stats.skipped_s < 4.5
    assert numbers[-1] == 299
    assert numbers == sorted(set(numbers))
    assert sum(map(len, heard)) == 16000 * 5, "a recording has all of it"


def test_commands_from_another_thread(face: dm.Face, speech: np.ndarray) -> None:
    curve = face.animate(speech, fps=60, delay_ms=17)["jawOpen"]
    loud = int(np.argmax(curve))
    sound = np.concatenate([speech[: end_sample(loud + 3, 60)], np.zeros(16000, np.float32)])
    session = Live(cut(sound, 128), 60, face=face)
    frames = []
    for frame in session:
        frames.append(frame)
        if frame.number == loud:
            thread = threading.Thread(target=session.command, args=(Command.SILENCE,))
            thread.start()
            thread.join()
    jaws = weights(frames)[:, JAW]
    assert jaws[loud] > 0.15
    assert jaws[loud + 6 :].max() < 0.08


def test_many_commands_are_one(face: dm.Face, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that repeats itself costs nobody anything."""
    session = Live(cut(speech, 1600), 60, face=face)
    resets: list[int] = []
    monkeypatch.setattr(session._voice, "reset", lambda: resets.append(1))
    for _ in range(500):
        session.command(Command.RESET)
        session.command(Command.SILENCE)
    assert len(list(session)) == frame_count(len(speech), session.fps)
    assert len(resets) == 1


def test_close_ends_it(face: dm.Face, sample: Path) -> None:
    with Live(File(sample), face=face) as session:
        numbers = []
        for frame in session:
            numbers.append(frame.number)
            if frame.number >= 5:
                session.close()
    assert len(numbers) < 30


def test_asyncio(face: dm.Face, speech: np.ndarray, sample: Path) -> None:
    """Blocks that arrive, files that are played, several at once, one given up."""
    expected = face.animate(speech, fps=60, delay_ms=17, shaping=SHIPPED).weights

    async def arriving() -> AsyncIterator[np.ndarray]:
        for block in cut(speech, 800):
            await asyncio.sleep(0)
            yield block

    async def gather(source: object) -> np.ndarray:
        return weights([frame async for frame in dm.live(source, face=face)])  # type: ignore[arg-type]

    async def given_up() -> int:
        count = 0
        async for _ in dm.live(sample, face=face):
            count += 1
            if count == 10:
                break
        return count

    async def all_of_them() -> list[object]:
        return await asyncio.gather(gather(arriving()), gather(list(cut(speech, 800))), gather(speech), given_up())

    *curves, count = asyncio.run(all_of_them())
    assert count == 10
    for got in curves:
        np.testing.assert_allclose(got, expected, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["stop", "close"])
def test_asyncio_ends_when_told(face: dm.Face, how: str) -> None:
    """As `for` does: not only when the sound ends, which may be never."""

    async def endless() -> AsyncIterator[np.ndarray]:
        while True:
            await asyncio.sleep(0)
            yield np.zeros(800, np.float32)

    async def run() -> list[int]:
        session, numbers = dm.live(endless(), face=face), []
        async for frame in session:
            numbers.append(frame.number)
            if len(numbers) == 5:
                getattr(session, how)()
        return numbers

    numbers = asyncio.run(asyncio.wait_for(run(), 20))
    assert numbers == list(range(len(numbers)))
    assert 5 <= len(numbers) < 12


def test_threads_share_a_face_and_nothing_else(face: dm.Face, speech: np.ndarray) -> None:
    """Byte for byte what they give one after the other."""
    voices = [np.roll(speech, 3000 * number)[:12000] for number in range(6)]

    def run(number: int) -> bytes:
        return weights(list(dm.live(cut(voices[number], 200 + number), 30, face=face))).tobytes()

    alone = [run(number) for number in range(6)]
    together: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda n=n: together.update({n: run(n)})) for n in range(6)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(6)] == alone
    assert len(set(alone)) == 6


def test_a_session_knows_its_rate(face: dm.Face) -> None:
    assert Live([NOTHING], "29.97", face=face).fps == Fraction(30000, 1001)
    assert list(Live([NOTHING, NOTHING], face=face)) == []
