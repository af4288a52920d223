"""Curve files: what is written reads back, by us and by a stranger; exact names, order, stamps and bytes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import arkit, formats
from duomorph.clip import Clip
from duomorph.errors import AudioError, FormatError
from duomorph.formats import a2f, beat, jsonl, livelink, nim, npz, plain
from duomorph.formats.columns import CSV_ORDER
from duomorph.formats.rate import frames, timed
from test_readme import example

RATES = [Fraction(rate) for rate in (24, 25, 30, 37, 48, 50, 59, 60, 100, 120)] + [
    Fraction(24000, 1001),
    Fraction(30000, 1001),
    Fraction(60000, 1001),
    Fraction(59, 2),
]


@st.composite
def clips(draw: st.DrawFn, least: int = 0) -> Clip:
    length = draw(st.integers(least, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = random.random((length, 52), dtype=np.float32)
    kind = draw(st.integers(0, 2))
    if kind == 1:
        weights = np.round(weights).astype(np.float32)  # exactly 0 and 1
    if kind == 2:
        weights *= np.float32(1e-8)
    start = Fraction(draw(st.integers(0, 10**7)), draw(st.sampled_from([1, 3, 60, 16000])))
    return Clip(weights, draw(st.sampled_from(RATES)), start)


@st.composite
def captures(draw: st.DrawFn, least: int = 0) -> Clip:
    """Clips that know everything a clip may know."""
    clip = draw(clips(least))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    captured = random.random(52) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    captured[arkit.INDEX["jawOpen"]] = True
    clip.weights[:, ~captured] = 0
    angles = random.uniform(-3, 3, (len(clip), 9)).astype(np.float32) if draw(st.booleans()) and len(clip) else None
    wall = draw(st.none() | st.fractions(0, 86_399, max_denominator=60_000))
    stamps = beyond = None
    if len(clip) > 2 and draw(st.booleans()):
        stamps = np.arange(len(clip)) * 0.0333
        stamps[1] = np.nan
    if draw(st.booleans()) and len(clip):
        beyond = np.where(clip.weights == 1, np.float32(0.0033), np.float32(0))
    return replace(clip, angles=angles, captured=captured, source="Ünit", timecode=wall, stamps=stamps, beyond=beyond)


def same(one: Clip, other: Clip, *fields: str) -> None:
    """Every field that both clips are asked to share, to the last bit."""
    for field in fields:
        ours, theirs = getattr(one, field), getattr(other, field)
        if isinstance(ours, np.ndarray) and theirs is not None:
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(theirs, ours, err_msg=field)
        else:
            assert ours is theirs or ours == theirs, field


EVERYTHING = [field.name for field in fields(Clip)]


def same_rate(clip: Clip) -> Fraction:
    return clip.fps if len(clip) > 1 else Fraction(30)  # one row alone names no rate


@given(captures())
def test_live_link_round_trip(clip: Clip) -> None:
    clip = replace(clip, stamps=None)
    data = livelink.encode(clip)
    back = livelink.decode(data)
    np.testing.assert_allclose(back.weights, clip.weights, rtol=0, atol=1e-9)
    assert (back.fps, back.start) == (same_rate(clip), 0)
    assert (back.angles is None) == (clip.angles is None)
    if clip.angles is not None and back.angles is not None:
        np.testing.assert_allclose(back.angles, clip.angles, rtol=0, atol=1e-9)
    assert livelink.encode(back) == data  # the same file, wall clock and all


@given(captures(least=20))
def test_a_devices_uneven_clock_is_written_back(clip: Clip) -> None:
    """134 parts in a million fast, jitter of a thousandth, two frames dropped, values a little above 1."""
    ticks = np.arange(len(clip)) * 2000 * (1 - 134e-6) + np.random.default_rng(len(clip)).integers(-1, 2, len(clip))
    stamps = np.round(ticks - ticks[0]) / 60_000
    stamps[[5, 9]] = np.nan
    wall = Fraction(round((clip.timecode or 0) * 60_000), 60_000)
    data = livelink.encode(replace(clip, fps=Fraction(30), stamps=stamps, timecode=wall))
    back = livelink.decode(data)
    assert back.fps == 30
    same(replace(clip, stamps=stamps, timecode=wall), back, "stamps", "timecode")
    assert len(data.splitlines()) == len(clip) - 2 + 1
    assert livelink.encode(back) == data


@given(clips())
def test_jsonl_round_trip(clip: Clip) -> None:
    data = jsonl.encode(clip)
    back = jsonl.decode(data)
    np.testing.assert_array_equal(back.weights, clip.weights)
    assert (back.fps, back.start) == (clip.fps, clip.start)
    assert data == jsonl.encode(clip)


@given(clips(least=1))
def test_headerless_jsonl_keeps_the_rate(clip: Clip) -> None:
    lines = jsonl.encode(clip).split(b"\n", 1)[1]
    back = jsonl.decode(lines)
    np.testing.assert_array_equal(back.weights, clip.weights)
    assert back.fps == same_rate(clip)
    assert abs(back.start - clip.start) < Fraction(1, 10**5) or not len(clip)


@given(captures())
def test_npz_keeps_everything(clip: Clip) -> None:
    data = npz.encode(clip)
    same(clip, npz.decode(data), *EVERYTHING)
    assert data == npz.encode(clip)


@given(captures())
def test_plain_csv_round_trip(clip: Clip) -> None:
    data = plain.encode(clip)
    back = plain.decode(data)
    same(clip, back, "weights", "captured", "angles")
    assert back.fps == same_rate(clip)
    assert abs(back.start - clip.start) < Fraction(1, 10**5) or not len(clip)
    assert data == plain.encode(clip)


@given(captures())
def test_nim_csv_round_trip(clip: Clip) -> None:
    data = nim.encode(clip)
    back = nim.decode(data)
    same(clip, back, "weights")
    assert back.captured.all()
    assert back.fps == same_rate(clip)
    assert abs(back.start - clip.start) < Fraction(1, 10**5) or not len(clip)


@given(captures())
def test_beat_round_trip(clip: Clip) -> None:
    back = beat.decode(beat.encode(clip))
    spoken = arkit.INDEX["tongueOut"] != np.arange(52)
    np.testing.assert_array_equal(back.weights, clip.weights * spoken)
    np.testing.assert_array_equal(back.captured, spoken)
    assert back.fps == same_rate(clip)


@given(captures())
def test_audio2face_round_trip(clip: Clip) -> None:
    back = a2f.decode(a2f.encode(clip))
    same(clip, back, "weights", "fps")
    assert (back.start, back.source) == (0, "Audio2Face")


def test_npz_is_plain_numpy(tmp_path: Path) -> None:
    clip = Clip(np.random.default_rng(0).random((7, 52), dtype=np.float32), Fraction(30000, 1001), Fraction(1, 3))
    clip.save(tmp_path / "take.npz")
    with np.load(tmp_path / "take.npz", allow_pickle=False) as take:
        assert list(take["names"]) == list(arkit.NAMES)
        np.testing.assert_array_equal(take["weights"], clip.weights)
        assert take["fps"].tolist() == [30000, 1001]
        assert take["start"].tolist() == [1, 3]


def test_csv_is_the_apps_own_layout() -> None:
    weights = np.zeros((3, 52), np.float32)
    weights[:, arkit.INDEX["jawLeft"]] = 0.25
    weights[:, arkit.INDEX["mouthRight"]] = 1.0
    text = livelink.encode(Clip(weights, Fraction(30))).decode("ascii")
    assert text.endswith("\n")
    assert "\r" not in text
    header, *rows = [line.split(",") for line in text.splitlines()]
    assert len(header) == 63
    assert header[:3] == ["Timecode", "BlendshapeCount", "EyeBlinkLeft"]
    assert header.index("JawRight") + 1 == header.index("JawLeft")
    assert header.index("MouthRight") + 1 == header.index("MouthLeft")
    assert header[-9:] == list(arkit.ANGLES)
    assert [row[0] for row in rows] == ["00:00:00:00.000", "00:00:00:02.000", "00:00:00:04.000"]
    assert rows[0][1] == "61"
    assert rows[0][header.index("JawLeft")] == "0.2500000000"
    assert rows[0][header.index("MouthRight")] == "1.0000000000"
    assert rows[0].count("0.0000000000") == 59


def test_time_codes_do_not_drift() -> None:
    hour = Fraction(3600)
    assert livelink.timecode(hour) == "01:00:00:00.000"
    assert livelink.timecode(hour - Fraction(1, 30)) == "00:59:59:58.000"
    assert livelink.timecode(Fraction(100 * 1001, 30000)) == "00:00:03:20.200"
    assert livelink.timecode(24 * hour + Fraction(1, 60)) == "00:00:00:01.000"


def test_reads_what_phones_write() -> None:
    """Older header, wall clock across midnight, a dropped frame, values a little above 1, CRLF, a BOM."""
    header = ["Timecode", "BlendShapeCount", *(n[0].upper() + n[1:] for n in CSV_ORDER), *arkit.ANGLES]
    stamps = ["23:59:59:56.652", "23:59:59:58.651", "00:00:00:00.653", "00:00:00:04.650", "00:00:00:06.651"]
    jaw = [0.1, 0.2, 0.3, 0.5, 1.02]
    rows = [
        [stamp, "61", *("%.10f" % (value if name == "jawOpen" else 0) for name in CSV_ORDER), *["-0.5"] * 9]
        for stamp, value in zip(stamps, jaw, strict=True)
    ]
    text = "\r\n".join(",".join(row) for row in [header, *rows])
    clip = livelink.decode(b"\xef\xbb\xbf" + text.encode())
    assert clip.fps == 30
    np.testing.assert_allclose(clip["jawOpen"], [0.1, 0.2, 0.3, 0.4, 0.5, 1.0], atol=1e-6)


@pytest.mark.parametrize(("base", "fps"), [(24, 24), (25, 25), (30, 30), (60, 24), (60, 25), (60, 30), (60, 60)])
def test_how_far_time_codes_count(base: int, fps: int) -> None:
    times = [Fraction(k, fps) + Fraction(1, 3) for k in range(6 * fps)]
    codes = [(int(t), int(t % 1 * base), int(t % 1 * base % 1 * 1000)) for t in times]
    row = ",".join(["61", *["0.5"] * 61])
    lines = [f"00:00:{second:02}:{frame:02}.{part:03},{row}" for second, frame, part in codes]
    clip = livelink.decode("\n".join([",".join(livelink.HEADER), *lines]).encode())
    assert (clip.fps, len(clip)) == (fps, len(times))
    assert clip.timecode == pytest.approx(1 / 3, abs=1e-4)


def cells(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.splitlines()]


@pytest.mark.corpus
def test_a_real_phones_recording_is_written_back_equal(corpus: Path, tmp_path: Path) -> None:
    """134 s: every row, every time code and every value of all 61 columns, as text; the older header becomes the newer.

    Its clock is 0.13 per thousand fast, three frames are dropped, and one value stands above 1.
    """
    path = corpus / "fixtures" / "livelink_rom_iphone.csv"
    clip = formats.read(path)
    assert (clip.fps, len(clip), clip.source) == (30, 4033, "Live Link Face")
    assert livelink.timecode(clip.timecode) == "13:13:04:31.652"
    clip.save(tmp_path / "back.csv")
    there, back = cells(path.read_text()), cells((tmp_path / "back.csv").read_text())
    assert back[1:] == there[1:]
    assert [name.lower() for name in back[0]] == [name.lower() for name in there[0]]
    assert len(there) == 4031
    clip.save(tmp_path / "take.npz")
    same(clip, formats.read(tmp_path / "take.npz"), *EVERYTHING)


@pytest.mark.corpus
def test_a_real_phones_recording_reads_right(corpus: Path) -> None:
    path = corpus / "fixtures" / "livelink_rom_iphone.csv"
    clip = formats.read(path)
    header, *rows = cells(path.read_text())
    seen = ~np.isnan(clip.stamps)
    assert (seen.sum(), np.diff(clip.stamps[seen][:100]).std() < 1e-4) == (4030, True)
    steps = np.diff(clip.stamps)
    assert steps[~np.isnan(steps)].std() < 1e-4  # seconds, of frames that follow each other
    np.testing.assert_allclose(np.diff(clip.times), 1 / 30, atol=1e-9)
    values = np.array([row[2:] for row in rows], dtype=np.float64)
    for name in arkit.NAMES:
        column = values[:, header.index(name[0].upper() + name[1:]) - 2]
        np.testing.assert_allclose(clip[name][seen], column.clip(0, 1), rtol=0, atol=1e-7)
    np.testing.assert_allclose(clip.angles[seen], values[:, -9:], rtol=0, atol=1e-7)
    assert clip.angles.min() < -0.6 < 0.55 < clip.angles.max()


def waves() -> Clip:
    """90 frames, every shape another slow sine."""
    times = np.arange(90)[:, None] / 30
    index = np.arange(52)
    weights = 0.5 + 0.5 * np.sin(2 * np.pi * (0.3 + 0.02 * index) * times + index)
    return Clip(weights.astype(np.float32), Fraction(30))


def drawn(track: Any, name: str, times: np.ndarray) -> np.ndarray:
    """openfacefx's curve of that name at `times`; it keeps four decimals, and with epsilon 0 every keyframe."""
    keys = next(channel for channel in track.channels if channel.name == name).keys
    return np.interp(times, [key.time for key in keys], [key.value for key in keys])


def test_a_stranger_reads_our_live_link_csv(tmp_path: Path) -> None:
    """openfacefx takes the base of the time code as fps."""
    from openfacefx.importers_csv import read_csv

    clip = waves()
    clip.save(tmp_path / "take.csv")
    track, warnings = read_csv(str(tmp_path / "take.csv"), fps=60.0, epsilon=0.0)
    assert not warnings
    for name in arkit.NAMES:
        np.testing.assert_allclose(drawn(track, name[0].upper() + name[1:], clip.times), clip[name], atol=1e-4)


def test_a_stranger_reads_our_audio2face_json(tmp_path: Path) -> None:
    from openfacefx.export_a2f import read_a2f

    clip = waves()
    clip.save(tmp_path / "take.json")
    track, warnings = read_a2f(str(tmp_path / "take.json"), epsilon=0.0)
    assert (warnings, track.fps) == ([], 30.0)
    for name in arkit.NAMES:
        np.testing.assert_allclose(drawn(track, name, clip.times), clip[name], atol=1e-4)


def test_we_read_a_strangers_audio2face_json(tmp_path: Path) -> None:
    from openfacefx.curves import Channel, FaceTrack, Keyframe
    from openfacefx.export_a2f import write_a2f

    ramp = [Keyframe(0.0, 0.0), Keyframe(1.0, 1.0)]
    track = FaceTrack(fps=60.0, channels=[Channel("jawOpen", ramp), Channel("viseme", ramp)], target_set=None)
    write_a2f(track, str(tmp_path / "take.json"))
    clip = formats.read(tmp_path / "take.json")
    assert (clip.fps, len(clip), clip.source) == (60, 61, "Audio2Face, 1 other pose left out")
    np.testing.assert_allclose(clip["jawOpen"], np.arange(61) / 60, atol=1e-4)
    assert [arkit.NAMES[shape] for shape in np.flatnonzero(clip.captured)] == ["jawOpen"]


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["livelink", "a2f"])
def test_a_stranger_reads_the_real_recording_as_we_do(corpus: Path, tmp_path: Path, name: str) -> None:
    """From the phone's own file by its time codes, from the Audio2Face file that we make of it by frames."""
    from openfacefx.export_a2f import read_a2f
    from openfacefx.importers_csv import read_csv

    path = corpus / "fixtures" / "livelink_rom_iphone.csv"
    clip = formats.read(path)
    if name == "livelink":
        track, warnings = read_csv(str(path), fps=60.0, epsilon=0.0)
        clamped = {warning.split("'")[1] for warning in warnings}
        assert clamped - set(arkit.ANGLES) == {"EyeLookInRight"}  # the angles, and the one value above 1
        seen = ~np.isnan(clip.stamps)
        first = float(clip.timecode)
        for shape in arkit.NAMES:
            theirs = drawn(track, shape[0].upper() + shape[1:], first + clip.stamps[seen])
            np.testing.assert_allclose(theirs, clip[shape][seen], atol=2e-4)
        return
    clip.save(tmp_path / "take.json")
    track, warnings = read_a2f(str(tmp_path / "take.json"), epsilon=0.0)
    assert not warnings
    for shape in arkit.NAMES:
        np.testing.assert_allclose(drawn(track, shape, np.arange(len(clip)) / 30), clip[shape], atol=1e-4)


def test_reading_takes_a_few_times_the_memory_of_the_file() -> None:
    random = np.random.default_rng(0)
    clip = Clip(random.random((3000, 52), dtype=np.float32), Fraction(60), angles=random.random((3000, 9), np.float32))
    data = livelink.encode(clip)
    tracemalloc.start()
    try:
        livelink.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize("angles", [False, True])
@pytest.mark.parametrize("fps", [Fraction(60), Fraction(30000, 1001)])
def test_parts_make_the_file_of_the_whole(tmp_path: Path, name: str, angles: bool, fps: Fraction) -> None:
    random = np.random.default_rng(0)
    turns = random.random((90, 9), np.float32) if angles else None
    clip = Clip(random.random((90, 52), np.float32), fps, Fraction(1, 7), angles=turns)

    def parts() -> Iterator[Clip]:
        for begin, end in ((0, 0), (0, 1), (1, 40), (40, 40), (40, 90)):
            of_turns = None if turns is None else turns[begin:end]
            yield Clip(clip.weights[begin:end], fps, clip.start + begin / fps, angles=of_turns)

    path = tmp_path / f"take{formats.FORMATS[name].suffix}"
    assert formats.write_parts(parts(), path, name) == 90
    assert path.read_bytes() == formats.FORMATS[name].encode(clip)


@pytest.mark.parametrize("name", ["livelink", "nim", "plain", "jsonl"])
def test_writing_parts_takes_the_memory_of_one(tmp_path: Path, name: str) -> None:
    def parts(count: int) -> Iterator[Clip]:
        for number in range(count):
            yield Clip(np.full((300, 52), 0.5, np.float32), Fraction(60), Fraction(5 * number))

    peaks = []
    for count in (2, 2, 12):  # the first fills caches
        tracemalloc.start()
        formats.write_parts(parts(count), tmp_path / f"take{formats.FORMATS[name].suffix}", name)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 20_000


def test_a_part_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def parts() -> Iterator[Clip]:
        yield waves()
        raise AudioError("cut short")

    for name in ("take.csv", "take.npz"):
        with pytest.raises(AudioError, match="cut short"):
            formats.write_parts(parts(), tmp_path / name)
    bad = replace(waves(), weights=np.full((3, 52), np.nan, np.float32))
    with pytest.raises(FormatError, match="expected finite"):
        formats.write_parts([waves(), bad], tmp_path / "take.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["livelink", "nim", "plain", "a2f", "beat", "jsonl"])
def test_writing_takes_little_more_memory_than_the_file(name: str) -> None:
    clip = Clip(np.random.default_rng(0).random((3000, 52), dtype=np.float32), Fraction(60))
    encode = formats.FORMATS[name].encode
    tracemalloc.start()
    try:
        size = len(encode(clip))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.3 * size


def test_audio2face_layout() -> None:
    whole = json.loads(a2f.encode(Clip(np.full((2, 52), 0.25, np.float32), Fraction(30000, 1001))))
    assert list(whole) == ["exportFps", "trackPath", "numPoses", "numFrames", "facsNames", "weightMat", "joints",
                           "rotations", "translations"]  # fmt: skip
    assert (whole["numPoses"], whole["numFrames"], whole["exportFps"]) == (52, 2, 30000 / 1001)
    assert whole["facsNames"] == list(arkit.NAMES)
    assert whole["weightMat"] == [[0.25] * 52] * 2


def test_68_poses_are_ours_and_sixteen_of_the_tongue() -> None:
    parts = ["TipUp", "TipDown", "TipLeft", "TipRight", "RollUp", "RollDown", "RollLeft", "RollRight", "Up", "Down",
             "Left", "Right", "In", "Stretch", "Wide", "Narrow"]  # fmt: skip
    names = [*sorted(arkit.NAMES), *(f"tongue{part}" for part in parts)]
    row = [k / 100 for k in range(68)]
    clip = a2f.decode(json.dumps({"exportFps": 30, "facsNames": names, "weightMat": [row, row]}).encode())
    assert (clip.source, clip.captured.all()) == ("Audio2Face, 16 other poses left out", True)
    assert clip["jawOpen"][0] == np.float32(row[names.index("jawOpen")])
    assert clip["tongueOut"][0] == np.float32(row[names.index("tongueOut")])


def test_46_poses_are_muscles() -> None:
    names = list(a2f.FACS)
    assert len(names) == 46

    def read(**poses: float) -> Clip:
        row = [poses.get(name, 0.0) for name in names]
        return a2f.decode(json.dumps({"exportFps": 60, "facsNames": names, "weightMat": [row]}).encode())

    clip = read(jawDrop=0.5, jawDropLipTowards=0.25, browLowerL=1.0, innerBrowRaiserR=1.0, eyesLookLeft=0.75)
    expected = {"jawOpen": 0.75, "mouthClose": 0.25, "browDownLeft": 1.0, "browInnerUp": 0.5,
                "eyeLookOutLeft": 0.75, "eyeLookInRight": 0.75}  # fmt: skip
    assert {name: clip[name][0] for name in arkit.NAMES if clip[name][0]} == expected
    assert clip.source == "Audio2Face"
    assert [arkit.NAMES[shape] for shape in np.flatnonzero(~clip.captured)] == ["tongueOut"]


def test_nim_csv_as_pandas_writes_it() -> None:
    """Row numbers in front, a name that is none of ours, times as floats come out of a service."""
    names = [f"blendShapes.{name[0].upper()}{name[1:]}" for name in arkit.NAMES] + ["blendShapes.TongueTipUp"]
    rows = [f"{k},{np.float32(k / 30)!s},{','.join([str(k / 10)] * 53)}" for k in range(5)]
    clip = nim.decode("\n".join([",timeCode," + ",".join(names), *rows]).encode())
    assert (clip.fps, len(clip), clip.start) == (30, 5, 0)
    np.testing.assert_allclose(clip["jawOpen"], [0, 0.1, 0.2, 0.3, 0.4], atol=1e-7)


def test_nim_csv_layout() -> None:
    header, row, *_ = nim.encode(waves()).decode().splitlines()
    names = header.split(",")
    assert names[:2] == ["timeCode", "blendShapes.EyeBlinkLeft"]
    assert [arkit.canonical(name.removeprefix("blendShapes.")) for name in names[1:]] == list(arkit.NAMES)
    assert len(row.split(",")) == 53


def test_plain_csv_of_anyone() -> None:
    clip = plain.decode(b"speaker,JAW_OPEN , mouthSmile_L,Time\nbob,0.5,0.25,1.00\nbob,1.5,-0.1,1.04\n")
    assert (clip.fps, clip.start) == (25, 1)
    np.testing.assert_array_equal(clip["jawOpen"], [0.5, 1.0])
    np.testing.assert_array_equal(clip["mouthSmileLeft"], [0.25, 0.0])
    assert clip.captured.sum() == 2


def test_plain_csv_layout() -> None:
    header, first, second, *_ = plain.encode(waves()).decode().splitlines()
    assert header.split(",") == ["time", *arkit.NAMES]
    assert first.startswith("0.0,0.5,")
    assert second.startswith("0.03333333333333333,")


def test_beat_layout() -> None:
    whole = json.loads(beat.encode(replace(waves(), fps=Fraction(60))))
    assert len(whole["names"]) == 51
    assert whole["names"] == sorted(whole["names"])
    assert "tongueOut" not in whole["names"]
    assert whole["frames"][1].keys() == {"weights", "time", "rotation"}
    assert whole["frames"][1]["time"] == 1 / 60
    assert len(whole["frames"][1]["weights"]) == 51


def test_beat_as_beat_writes_it() -> None:
    """60 fps, times rounded to a tenth of a millisecond, one frame dropped."""
    frames = [
        {"weights": [0.01 * k] * 51, "time": round(k / 60, 4), "rotation": [0.1, 0.2, 0.3]} for k in range(40) if k != 7
    ]
    clip = beat.decode(json.dumps({"names": list(beat.ORDER), "frames": frames}).encode())
    assert (clip.fps, len(clip), clip.source) == (60, 40, "BEAT")
    np.testing.assert_allclose(clip["jawOpen"], np.arange(40) / 100, atol=1e-6)
    assert not clip.captured[arkit.INDEX["tongueOut"]]


@pytest.mark.corpus
def test_a_solve_of_some_shapes_under_other_keys(corpus: Path) -> None:
    path = next(iter(sorted((corpus / "facegood").glob("*.npz"))))
    clip = formats.read(path)
    with np.load(path) as solve:
        names = [str(name) for name in solve["shape"]]
        np.testing.assert_array_equal(clip["jawOpen"], solve["weights"][:, names.index("jawOpen")].clip(0, 1))
    assert clip.fps == 30
    assert {arkit.NAMES[shape] for shape in np.flatnonzero(clip.captured)} == set(names)


def test_old_archives_read() -> None:
    """As the first release wrote them."""
    weights = np.random.default_rng(0).random((3, 52), dtype=np.float32)
    clip = npz.decode(archive(weights=weights, names=NAMES, fps=np.array([30, 1]), start=np.array([1, 3])))
    same(Clip(weights, Fraction(30), Fraction(1, 3)), clip, *EVERYTHING)


def test_examples_of_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip = waves()
    clip.save("take.csv")
    example("duomorph.formats")
    assert len(formats.read("take.npz")) == len(formats.read("take.csv", "plain")) == 90
    example("duomorph.clip", clip=clip)
    assert example("duomorph.formats.livelink", clip=clip)["data"].startswith(b"Timecode,")
    example("duomorph.retime", clip=clip)
    assert formats.read("take.csv").fps == Fraction(30_000, 1001)
    table_of = {"data": plain.encode(clip)}
    assert len(example("duomorph.formats.table", **table_of)["clip"]) == 90
    names = list(arkit.NAMES)
    assert example("duomorph.formats.document", data=a2f.encode(clip), names=names)["values"].shape == (90, 52)


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_the_header_decides_among_those_that_share_a_suffix(tmp_path: Path, name: str) -> None:
    clip = waves()
    path = tmp_path / f"take{formats.FORMATS[name].suffix}"
    clip.save(path, name)
    assert formats.recognised(path.read_bytes(), path.suffix) == name
    back = formats.read(path)
    assert (back.fps, len(back)) == (30, 90)
    np.testing.assert_allclose(back["jawOpen"], clip["jawOpen"], rtol=0, atol=1e-9)


def test_a_name_makes_up_for_a_suffix(tmp_path: Path) -> None:
    waves().save(tmp_path / "take.txt", "plain")
    assert len(formats.read(tmp_path / "take.txt", "plain")) == 90
    with pytest.raises(FormatError, match=r"'\.txt', expected one of"):
        formats.read(tmp_path / "take.txt")
    with pytest.raises(FormatError, match="expected them to agree"):
        waves().save(tmp_path / "take.npz", "plain")
    for call in (formats.read, waves().save):
        with pytest.raises(FormatError, match="expected one of livelink"):
            call(tmp_path / "take.txt", "fbx")
    assert [path.name for path in tmp_path.iterdir()] == ["take.txt"]


def test_jsonl_order_is_that_of_the_data_sets() -> None:
    weights = np.zeros((1, 52), np.float32)
    weights[0, arkit.INDEX["jawLeft"]] = 0.5
    header, line = map(json.loads, jsonl.encode(Clip(weights, Fraction(60))).splitlines())
    assert header == {"names": list(CSV_ORDER), "fps": "60", "start": "0"}
    assert line["timestamp"] == 0
    assert line["blendshapes"].index(0.5) == CSV_ORDER.index("jawLeft") == arkit.INDEX["jawRight"]


def test_jsonl_names_may_come_in_any_order_and_spelling() -> None:
    names = sorted((name.removesuffix("Left") + "_L" if name.endswith("Left") else name) for name in arkit.NAMES)
    values = [round(k / 100, 2) for k in range(52)]
    lines = [{"names": names, "fps": 25}, {"timestamp": 0.4, "blendshapes": values}]
    clip = jsonl.decode("\n".join(map(json.dumps, lines)).encode())
    assert (clip.fps, clip.start) == (25, Fraction(2, 5))
    assert clip["jawOpen"][0] == np.float32(values[names.index("jawOpen")])
    assert clip["browDownLeft"][0] == np.float32(values[names.index("browDown_L")])


@given(
    rate=st.sampled_from(RATES),
    count=st.integers(20, 200),
    start=st.integers(0, 10**6),
    decimals=st.integers(3, 6),
)
def test_rounded_stamps_mean_their_rate(rate: Fraction, count: int, start: int, decimals: int) -> None:
    unit = Fraction(1, 10**decimals)
    times = [round((Fraction(start, 1000) + k / rate) / unit) * unit for k in range(count)]
    found, numbers = frames(times, unit)
    assert numbers == list(range(count))
    assert abs(found - rate) <= rate * Fraction(1, 10 ** (decimals - 1)) * 30 / count


@pytest.mark.parametrize("rate", [24, 25, 30, 60])
def test_few_rounded_stamps_mean_a_whole_rate_where_they_can(rate: int) -> None:
    for decimals in (3, 4, 6):
        for count in (3, 4, 5, 8, 13, 40, 200):
            fps, numbers, start = timed([f"{k / rate:.{decimals}f}" for k in range(count)])
            assert (fps, numbers, start) == (rate, list(range(count)), 0)
    assert timed([f"{k / 60:.2f}" for k in range(100)])[0] == 60


def test_few_time_codes_tell_broadcast_rates() -> None:
    for rate in (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)):
        for count in (2, 3, 10):
            assert livelink.decode(livelink.encode(Clip(np.zeros((count, 52), np.float32), rate))).fps == rate


@pytest.mark.parametrize("name", ["livelink", "nim", "plain", "a2f", "beat", "jsonl", "npz"])
def test_percent_are_no_weights(name: str) -> None:
    data = formats.FORMATS[name].encode(Clip(np.full((3, 52), 50, np.float32), Fraction(30)))
    with pytest.raises(FormatError, match="a weight is 50: expected 0 to 1"):
        formats.FORMATS[name].decode(data)


@pytest.mark.parametrize("save", ["csv", "jsonl", "npz"])
def test_files(tmp_path: Path, save: str) -> None:
    clip = Clip(np.full((5, 52), 0.5, np.float32), Fraction(60))
    path = tmp_path / f"take.{save}"
    clip.save(path)
    assert formats.read(path).fps == 60
    np.testing.assert_array_equal(formats.read(path).weights, clip.weights)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("line", ["from duomorph import Clip", "from duomorph.clip import Clip"])
def test_a_clip_of_ones_own_is_saved(tmp_path: Path, line: str) -> None:
    """In a fresh interpreter, where nobody has imported the formats."""
    code = f"import sys, numpy; {line}; Clip(numpy.zeros((3, 52), 'f'), 30).save(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "take.csv")], check=True)
    assert len(formats.read(tmp_path / "take.csv")) == 3


@pytest.mark.parametrize(
    "weights", [np.zeros((5, 51), np.float32), np.zeros(52, np.float32), np.full((2, 52), np.nan, np.float32)]
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "npz"])
def test_no_nonsense_is_written(tmp_path: Path, suffix: str, weights: np.ndarray) -> None:
    with pytest.raises(FormatError, match="expected finite"):
        Clip(weights, Fraction(30)).save(tmp_path / f"take.{suffix}")
    assert not list(tmp_path.iterdir())


def test_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected one of"):
        Clip(np.zeros((1, 52), np.float32), Fraction(30)).save(tmp_path / "take.mov")
    with pytest.raises(FormatError, match="expected one of"):
        formats.read(tmp_path / "take.mov")


def archive(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def foreign_member() -> bytes:
    """An archive whose fps is no array: numpy hands it out as bytes."""
    out = io.BytesIO(archive(weights=np.zeros((2, 52), np.float32), names=NAMES))
    with zipfile.ZipFile(out, "a") as file:
        file.writestr("fps.npy", "30")
    return out.getvalue()


def frame(time: object = 0.0, count: int = 52, value: object = 0.0) -> bytes:
    return json.dumps({"timestamp": time, "blendshapes": [value] * count}).encode() + b"\n"


def header(**facts: object) -> bytes:
    return json.dumps({"names": list(CSV_ORDER), **facts}).encode() + b"\n" + frame()


HUGE = ("1e6000000", "1e-6000000", "1e400", "9" * 3000, "1/" + "9" * 3000, "1e", "/", "1/0", "nan", None, [], {})
BAD_HEADERS = [{"fps": fps} for fps in HUGE if fps is not None]  # without fps the stamps tell it
BAD_HEADERS += [{"fps": "30", "start": start} for start in (*HUGE, 1e9, "-1e9", float("inf"), 10**400)]
GOOD_CSV = livelink.encode(Clip(np.zeros((3, 52), np.float32), Fraction(30)))
NAMES = np.array(arkit.NAMES)
BAD_EXTRAS: list[dict[str, np.ndarray]] = [
    {"angles": np.zeros((2, 8))}, {"angles": np.full((2, 9), np.nan)}, {"angles": np.full((2, 9), 1e30)},
    {"captured": np.ones(51, bool)}, {"captured": np.ones(52)}, {"beyond": np.full((2, 52), 3.0)},
    {"stamps": np.zeros(2)}, {"stamps": np.array([0.0, np.nan])}, {"stamps": np.array([0.0, np.inf])},
    {"timecode": np.array([1, 0])}, {"timecode": np.array("noon")},
]  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".csv", b"time\n0\n"),
        (".csv", b"time,jawOpen\n0,\n"),
        (".csv", b"time,jawOpen\n0\n"),
        (".csv", b"time,jawOpen\nnow,0.5\n"),
        (".csv", b"time,jawOpen\n1e99,0.5\n"),
        (".csv", b"time,jawOpen\n0,inf\n"),
        (".csv", b"time,seconds,jawOpen\n0,0,0.5\n"),
        (".csv", b"frame,jawOpen\n0,0.5\n"),
        (".csv", b"time,jawOpen\n0,0.5\n0.033,0.5\n0.066,0.5\n0.033,0.5\n"),
        (".csv", b"timeCode,blendShapes.JawOpen\n0,wide\n"),
        (".csv", b"timeCode,blendShapes.Jaw\n0,0.5\n"),
        (".csv", GOOD_CSV.replace(b",0.0000000000\n", b",1000.0\n")),
        (".csv", GOOD_CSV.replace(b",0.0000000000\n", b",nan\n")),
        (".json", b""),
        (".json", b"[1]"),
        (".json", b"{" * 100_000),
        (".json", b"{}"),
        (".json", b'{"names": ["jawOpen"], "frames": [{"weights": [0.5]}]}'),
        (".json", b'{"names": ["jawOpen"], "frames": [{"weights": [0.5], "time": true}]}'),
        (".json", b'{"names": ["jawOpen"], "frames": [{"weights": [0.5, 0.5], "time": 0}]}'),
        (".json", b'{"names": ["jawOpen"], "frames": [0.5]}'),
        (".json", b'{"names": "jawOpen", "frames": []}'),
        (".json", b'{"facsNames": ["jawOpen"], "weightMat": [[0.5]]}'),
        (".json", b'{"exportFps": 500, "facsNames": ["jawOpen"], "weightMat": [[0.5]]}'),
        (".json", b'{"exportFps": [30], "facsNames": ["jawOpen"], "weightMat": [[0.5]]}'),
        (".json", b'{"exportFps": 30, "facsNames": ["jawOpen"], "weightMat": [[NaN]]}'),
        (".json", b'{"exportFps": 30, "facsNames": ["jawOpen"], "weightMat": [["0.5"]]}'),
        (".json", b'{"exportFps": 30, "facsNames": ["jawOpen"], "weightMat": [[1' + b"0" * 400 + b"]]}"),
        (".json", b'{"exportFps": 30, "facsNames": ["jawOpen"], "weightMat": [0.5]}'),
        (".json", b'{"exportFps": 30, "facsNames": ["jawOpen"], "weightMat": {"0": 0.5}}'),
        (".json", b'{"exportFps": 30, "facsNames": ["open"], "weightMat": [[0.5]]}'),
        (".json", b'{"exportFps": 30, "facsNames": ["jawDrop", "jawDrop"], "weightMat": [[0.5, 0.5]]}'),
        (".json", b'{"exportFps": 30, "facsNames": [7], "weightMat": [[0.5]]}'),
        (".csv", b""),
        (".csv", b"\xff\xfe\x00"),
        (".csv", b"just a letter\n"),
        (".csv", GOOD_CSV[:-40]),
        (".csv", GOOD_CSV.replace(b"JawOpen", b"JawApen")),
        (".csv", GOOD_CSV.replace(b"JawOpen", b"JawLeft")),
        (".csv", GOOD_CSV.replace(b"BlendshapeCount,", b"").replace(b",61,", b",")),
        (".csv", b"Timecode\n00:00:00:00.000\n"),
        (".csv", GOOD_CSV.replace(b"00:00:00:02.000", b"two")),
        (".csv", GOOD_CSV.replace(b"00:00:00:02.000", b"00:00:00:04.000")),
        (".csv", GOOD_CSV.replace(b"00:00:00:04.000", b"00:20:00:04.000")),
        (".csv", GOOD_CSV.replace(b"0.0000000000", b"nan", 1)),
        (".csv", GOOD_CSV.replace(b"0.0000000000", b"open", 1)),
        (".jsonl", b"[1, 2]\n"),
        (".jsonl", b"{"),
        (".jsonl", frame(count=51)),
        (".jsonl", frame(time="now")),
        (".jsonl", frame(time=float("nan"))),
        (".jsonl", frame(value="x")),
        (".jsonl", frame(value=float("inf"))),
        (".jsonl", frame(0.0) + frame(0.0)),
        (".jsonl", frame(0.0) + frame(10.0)),
        (".jsonl", b'{"names": ["jawOpen"], "fps": "30"}\n'),
        (".jsonl", b'{"names": 3}\n'),
        (".jsonl", json.dumps({"names": list(CSV_ORDER), "fps": "1000"}).encode()),
        *((".jsonl", header(**bad)) for bad in BAD_HEADERS),
        (".npz", b""),
        (".npz", b"PK\x03\x04 not really"),
        (".npz", foreign_member()),
        (".npz", archive(weights=np.zeros((2, 52), np.float32))),
        (".npz", archive(weights=np.zeros((2, 51), np.float32), names=NAMES, fps=np.array([30, 1]))),
        (".npz", archive(weights=np.zeros((2, 52), np.float32), names=NAMES, fps=np.array([30, 0]))),
        (".npz", archive(weights=np.zeros((2, 52), np.float32), names=NAMES, fps=np.array([9, 1]))),
        (".npz", archive(weights=np.full((2, 52), np.nan), names=NAMES, fps=np.array([30, 1]))),
        (".npz", archive(weights=np.zeros((2, 52)), names=np.array([None] * 52), fps=np.array([30, 1]))),
        (".npz", archive(weights=np.zeros((2, 52)), names=NAMES, fps=np.array(np.nan))),
        *((".npz", archive(weights=np.zeros((2, 52)), names=NAMES, fps=np.array(30.0), **bad)) for bad in BAD_EXTRAS),
    ],
)
def test_damaged_curve_files_are_refused(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"take{suffix}"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="expected") as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_a_file_without_tongue_is_an_old_one() -> None:
    weights = np.random.default_rng(1).random((4, 52), dtype=np.float32)
    rows = livelink.encode(Clip(weights, Fraction(30))).decode().splitlines()
    place = rows[0].split(",").index("TongueOut")
    lines = [",".join(cell for k, cell in enumerate(row.split(",")) if k != place) for row in rows]
    clip = livelink.decode("\n".join(lines).encode())
    assert not clip["tongueOut"].any()
    np.testing.assert_allclose(clip["jawOpen"], weights[:, arkit.INDEX["jawOpen"]], atol=1e-9)


@pytest.mark.parametrize("path", ["no.csv", ".", "no/where.npz"])
def test_missing_curve_files(tmp_path: Path, path: str) -> None:
    with pytest.raises(FormatError, match="expected"):
        formats.read(tmp_path / path)
