"""Sound in: exact length for any rate and any cut, every format, and an error of ours for the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from damage import KINDS, damaged, tone
from duomorph import audio, mp3
from duomorph.errors import AudioError
from duomorph.footprint import PEAK, alone


def due(frames: int, rate: int) -> int:
    return (2 * frames * 16000 + rate) // (2 * rate)


@given(
    rate=st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 7919]),
    cuts=st.lists(st.integers(0, 5000), min_size=1, max_size=12),
)
def test_any_chunking_gives_the_same_samples(rate: int, cuts: list[int]) -> None:
    total = sum(cuts)
    sound = np.random.default_rng(total).standard_normal(total).astype(np.float32)
    once = audio.Resampler(rate)
    whole = np.concatenate([once.feed(sound), once.finish()])
    pieces = audio.Resampler(rate)
    edges = np.cumsum([0, *cuts])
    parts = [pieces.feed(sound[a:b]) for a, b in pairwise(edges)]
    chunked = np.concatenate([*parts, pieces.finish()])
    assert len(whole) == due(total, rate)
    np.testing.assert_array_equal(chunked, whole)
    assert not len(once.finish())
    with pytest.raises(AudioError, match="finished"):
        once.feed(sound)
    once.reset()
    np.testing.assert_array_equal(np.concatenate([once.feed(sound), once.finish()]), whole)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("suffix", "subtype", "rate", "tolerance"),
    [
        (".wav", "PCM_16", 44100, 1e-3),
        (".wav", "PCM_24", 96000, 1e-3),
        (".wav", "FLOAT", 16000, 1e-6),
        (".wav", "PCM_U8", 8000, 2e-2),
        (".flac", "PCM_16", 22050, 1e-3),
        (".ogg", "VORBIS", 44100, 0.1),
        (".opus", "OPUS", 48000, 0.1),
        (".mp3", "MPEG_LAYER_III", 44100, 0.02),  # libsndfile takes the encoder's delay off
    ],
)
def test_formats(tmp_path: Path, suffix: str, subtype: str, rate: int, tolerance: float, channels: int) -> None:
    if suffix == ".mp3" and channels > 2:
        pytest.skip("mp3 has at most two channels")
    path = tmp_path / f"tone{suffix}"
    container = "OGG" if suffix == ".opus" else None
    soundfile.write(path, tone(rate, 0.7, channels), rate, format=container, subtype=subtype)
    info = soundfile.info(path)
    samples = audio.read(path)
    assert samples.dtype == np.float32
    assert len(samples) == due(info.frames, info.samplerate)
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(path, 0.05))), samples)
    expected = tone(16000, 0.7, channels).mean(axis=1)
    inner = slice(1000, -1000)
    np.testing.assert_allclose(samples[inner], expected[inner], atol=tolerance)


def variable_mp3(path: Path) -> bytes:
    """3 s of silence, 2 s of noise, at a variable bit rate; the whole file, its first frame the VBR header."""
    sound = np.concatenate([np.zeros(3 * 44100), np.random.default_rng(0).uniform(-0.5, 0.5, 2 * 44100)])
    soundfile.write(path, sound, 44100, bitrate_mode="VARIABLE", compression_level=0.2)
    return path.read_bytes()


@pytest.mark.parametrize("begin", ["silence", "noise"])
def test_mp3_without_a_length_is_heard_to_its_end(tmp_path: Path, begin: str) -> None:
    data = variable_mp3(tmp_path / "whole.mp3")
    counted = mp3.count(data)
    assert counted is not None
    assert counted.promised == counted.frames
    frame = mp3.frame_at(data, counted.start)
    assert frame is not None
    bare = data[counted.start + frame.length :]
    if begin == "noise":
        at = [0]
        while (frame := mp3.frame_at(bare, at[-1])) is not None:
            at.append(at[-1] + frame.length)
        middle = at[len(at) * 7 // 10]
        bare = bare[middle:] + bare[:middle]
    for name, front in (("bare.mp3", b""), ("tagged.mp3", b"ID3\4\0\0\0\0\2\0" + bytes(256)), ("named.wav", b"")):
        (tmp_path / name).write_bytes(front + bare)
        assert abs(len(audio.read(tmp_path / name)) - counted.frames * 1152 * 16000 / 44100) < 1152


def test_joined_mp3s_are_heard_to_their_end(tmp_path: Path) -> None:
    data = variable_mp3(tmp_path / "one.mp3")
    (tmp_path / "two.mp3").write_bytes(data + data)
    assert len(audio.read(tmp_path / "two.mp3")) == pytest.approx(2 * len(audio.read(tmp_path / "one.mp3")), abs=2000)


def test_misnamed_sound_is_still_sound(tmp_path: Path, ffmpeg: str) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(44100, 1.0), 44100)
    subprocess.run([ffmpeg, "-v", "error", "-i", str(tmp_path / "tone.wav"), str(tmp_path / "tone.m4a")], check=True)
    (tmp_path / "tone.m4a").rename(tmp_path / "phone.mp3")
    assert abs(len(audio.read(tmp_path / "phone.mp3")) - 16000) < 2000


def test_a_film_without_sound_is_refused(tmp_path: Path, ffmpeg: str) -> None:
    path = tmp_path / "silent.mp4"
    subprocess.run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=d=0.2", "-an", str(path)], check=True)
    with pytest.raises(AudioError, match="no sound track"):
        audio.read(path)


@pytest.mark.parametrize("suffix", ["m4a", "mp4", "webm", "mka"])
def test_other_containers_through_ffmpeg(tmp_path: Path, ffmpeg: str, suffix: str) -> None:
    source, path = tmp_path / "tone.wav", tmp_path / f"tone.{suffix}"
    soundfile.write(source, tone(44100, 1.0, 2), 44100)
    subprocess.run([ffmpeg, "-v", "error", "-i", str(source), str(path)], check=True)
    samples = audio.read(path)
    assert abs(len(samples) - 16000) < 2000  # codecs pad
    assert 0.2 < np.abs(samples).max() < 1
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(path, 0.05))), samples)


@pytest.mark.parametrize("suffix", ["m4a", "webm"])
def test_cut_containers_are_refused(tmp_path: Path, ffmpeg: str, suffix: str) -> None:
    source, path = tmp_path / "tone.wav", tmp_path / f"tone.{suffix}"
    soundfile.write(source, np.random.default_rng(0).uniform(-0.3, 0.3, 48000), 16000)
    subprocess.run([ffmpeg, "-v", "error", "-i", str(source), str(path)], check=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(AudioError):
        audio.read(path)


def test_without_ffmpeg_the_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "talk.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"for \.m4a files install the program ffmpeg"):
        audio.read(path)


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="file names are text here")
@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac"])
def test_names_that_are_no_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / os.fsdecode(b"b\xe9" + suffix.encode())
    soundfile.write(tmp_path / f"a{suffix}", np.zeros(16000), 16000)
    (tmp_path / f"a{suffix}").rename(path)
    assert len(audio.read(path)) >= 16000


def test_leaving_early_ends_ffmpeg(tmp_path: Path, ffmpeg: str) -> None:
    source, path = tmp_path / "tone.wav", tmp_path / "tone.mka"
    soundfile.write(source, tone(16000, 30.0), 16000)
    subprocess.run([ffmpeg, "-v", "error", "-i", str(source), "-c:a", "flac", str(path)], check=True)
    blocks = audio.blocks(path, 0.1)
    assert len(next(blocks)) == 1600
    del blocks  # no ResourceWarning: pytest turns those into errors


def test_a_hundredth_of_a_second_is_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(160), 16000)
    assert audio.read(tmp_path / "short.wav").shape == (160,)


def test_an_hour_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_U8") as file:
        for _ in range(60):
            file.write(np.zeros(8000 * 60, np.float32))
    tracemalloc.start()
    total = sum(len(block) for block in audio.blocks(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 3600 * 16000
    assert peak < 8e6


@pytest.mark.corpus
def test_the_corpus_reads_exactly(corpus: Path) -> None:
    paths = sorted((corpus / "grid_s1" / "audio").glob("*.opus"))[:5]
    paths += sorted((corpus / "facegood" / "audio").glob("*.flac"))[:1]
    assert paths
    for path in paths:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels) == (16000, 1)
        np.testing.assert_array_equal(audio.read(path), soundfile.read(path, dtype="float32")[0])


@pytest.mark.corpus
@pytest.mark.usefixtures("ffmpeg")
def test_streams_that_libsndfile_refuses_are_read_by_ffmpeg(corpus: Path) -> None:
    paths = sorted((corpus / "noise").glob("*.opus"))
    refused = 0
    for path in paths:
        try:
            soundfile.read(path)
        except soundfile.LibsndfileError:
            refused += 1
            assert len(audio.read(path)) > 16000
    assert refused, "none of them is refused any more: then this path can go"


def test_channels_that_cancel_each_other_are_refused(tmp_path: Path) -> None:
    one = tone(16000, 0.7, 1).reshape(-1, 1)
    for name, other in (("wired_wrong", -one), ("half_of_it", -0.5 * one), ("silent", 0 * one)):
        soundfile.write(tmp_path / f"{name}.wav", np.hstack([one, other]), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"the 2 channels of .* cancel each other"):
        audio.read(tmp_path / "wired_wrong.wav")
    for name in ("half_of_it", "silent"):
        assert np.abs(audio.read(tmp_path / f"{name}.wav")).max() > 0.1
    soundfile.write(tmp_path / "nothing.wav", np.zeros((800, 2)), 16000)
    assert not audio.read(tmp_path / "nothing.wav").any()
    with pytest.raises(AudioError, match="the 2 channels of the array cancel each other"):
        audio.prepare(np.hstack([one, -one]), 16000)
    assert np.abs(audio.prepare(np.hstack([one, -0.5 * one]), 16000)).max() > 0.1
    long = np.tile(np.hstack([one, one]), (40, 1))
    for kind, scale in ((np.float16, 1.0), (np.float64, 1e-25), (np.int16, 32767)):  # a sum would run over, or under
        assert len(audio.prepare((scale * long).astype(kind), 16000)) == 40 * len(one)
    with pytest.raises(AudioError, match="inf"):
        audio.prepare(np.full(100, 1e39), 16000)


@pytest.mark.parametrize("suffix", ["m4a", "webm", "mka"])
def test_channels_of_containers_count_as_those_of_wav(tmp_path: Path, ffmpeg: str, suffix: str) -> None:
    one = tone(48000, 1.0, 1).reshape(-1, 1)
    for name, other in (("wired_wrong", -one), ("stereo", np.roll(one, 900, axis=0) / 2)):
        soundfile.write(tmp_path / f"{name}.wav", np.hstack([one, other]), 48000, subtype="FLOAT")
        sound = ["-i", str(tmp_path / f"{name}.wav"), str(tmp_path / f"{name}.{suffix}")]
        subprocess.run([ffmpeg, "-v", "error", *sound], check=True)
    wav, other = (audio.read(tmp_path / f"stereo.{kind}")[4000:12000] for kind in ("wav", suffix))
    assert np.std(other) == pytest.approx(np.std(wav), rel=0.02)
    with pytest.raises(AudioError, match=r"the channels of .* cancel each other"):
        audio.read(tmp_path / f"wired_wrong.{suffix}")


def test_arrays() -> None:
    stereo = tone(44100, 0.5, 2)
    mono = audio.prepare(stereo.mean(axis=1), 44100)
    assert mono.dtype == np.float32
    assert mono.shape == (8000,)
    np.testing.assert_allclose(audio.prepare(stereo, 44100), mono, atol=1e-6)
    integers = (stereo * 32767).astype(np.int16)
    np.testing.assert_allclose(audio.prepare(integers, 44100), mono, atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(0), 16000),
        (np.zeros((2, 16000)), 16000),  # channels first
        (np.zeros((10, 2, 2)), 16000),
        (np.zeros((10, 0)), 16000),
        (np.zeros(10, np.int64), 16000),
        (np.zeros(10, np.complex64), 16000),
        (np.array(["a"]), 16000),
        (np.array([0.0, np.nan]), 44100),
        (np.array([[np.inf, -np.inf]]), 44100),
        (np.array([1e300]), 44100),
        (np.zeros(10), 0),
        (np.zeros(10), float("nan")),
        (np.zeros(10), "16000"),
    ],
)
def test_wrong_arrays_are_refused(samples: np.ndarray, rate: float) -> None:
    with pytest.raises(AudioError, match="expected"):
        audio.prepare(samples, rate)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = damaged(tmp_path_factory.mktemp("bad"))
    assert sorted(paths) == sorted(KINDS)
    return paths


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused(bad: dict[str, Path], kind: str) -> None:
    with pytest.raises(AudioError, match="expected") as caught:
        audio.read(bad[kind])
    assert "\n" not in str(caught.value)
    assert bad[kind].name in str(caught.value)


@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's own peak")
def test_a_long_mp3_is_counted_in_little_memory(tmp_path: Path) -> None:
    """What is mapped counts as memory of the process: an hour at 320 kbit/s would be 144 MB."""
    path = tmp_path / "long.mp3"
    path.write_bytes((b"\xff\xfb\xe0\x44" + bytes(1040)) * 60_000)  # 63 MB of silence
    code = f"""
import mmap
from duomorph import mp3
{PEAK}
with open({str(path)!r}, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
    before = peak_mb()
    frames = mp3.count(data).frames
print(frames, peak_mb() - before)
"""
    frames, grown = alone(code).split()
    assert int(frames) == 60_000
    assert float(grown) < 15
