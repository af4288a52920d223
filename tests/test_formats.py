"""Curve files: what is written reads back, by us and by a stranger; exact names, order, stamps and bytes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import arkit, formats
from duomorph.clip import Clip
from duomorph.errors import FormatError
from duomorph.formats import jsonl, livelink, npz
from duomorph.formats.columns import CSV_ORDER
from duomorph.formats.rate import frames

RATES = [Fraction(rate) for rate in (24, 25, 30, 37, 48, 50, 59, 60, 100, 120)] + [
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


def same_rate(clip: Clip) -> Fraction:
    return clip.fps if len(clip) > 1 else Fraction(30)  # one row alone names no rate


@given(clips())
def test_csv_round_trip(clip: Clip) -> None:
    data = livelink.encode(clip)
    back = livelink.decode(data)
    np.testing.assert_allclose(back.weights, clip.weights, rtol=0, atol=1e-9)
    assert (back.fps, back.start) == (same_rate(clip), 0)
    assert data == livelink.encode(clip)


@given(clips())
def test_jsonl_round_trip(clip: Clip) -> None:
    data = jsonl.encode(clip)
    back = jsonl.decode(data)
    np.testing.assert_array_equal(back.weights, clip.weights)
    assert (back.fps, back.start) == (clip.fps, clip.start)
    assert data == jsonl.encode(clip)


@given(clips())
def test_headerless_jsonl_keeps_the_rate(clip: Clip) -> None:
    lines = jsonl.encode(clip).split(b"\n", 1)[1]
    back = jsonl.decode(lines)
    np.testing.assert_array_equal(back.weights, clip.weights)
    assert back.fps == same_rate(clip)
    assert abs(back.start - clip.start) < Fraction(1, 10**5) or not len(clip)


@given(clips())
def test_npz_round_trip(clip: Clip) -> None:
    data = npz.encode(clip)
    back = npz.decode(data)
    np.testing.assert_array_equal(back.weights, clip.weights)
    assert back.weights.dtype == np.float32
    assert (back.fps, back.start) == (clip.fps, clip.start)
    assert data == npz.encode(clip)


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


@pytest.mark.corpus
def test_reads_a_real_phones_recording(corpus: Path) -> None:
    path = corpus / "fixtures" / "livelink_rom_iphone.csv"
    clip = formats.read(path)
    assert clip.fps == 30
    assert len(clip) == 4033  # 4030 rows, three frames dropped by the phone
    rows = [line.split(",") for line in path.read_text().splitlines()]
    for shape, column in (("jawOpen", "JawOpen"), ("mouthLeft", "MouthLeft"), ("tongueOut", "TongueOut")):
        place = rows[0].index(column)
        assert clip[shape][0] == pytest.approx(float(rows[1][place]), abs=1e-7)
        assert clip[shape][-1] == pytest.approx(float(rows[-1][place]), abs=1e-7)
        assert clip[shape].max() == pytest.approx(max(float(row[place]) for row in rows[1:]), abs=1e-7)


def test_a_stranger_reads_our_csv(tmp_path: Path) -> None:
    """openfacefx keeps four decimals and takes the base of the time code as fps; epsilon 0 thins no keyframe out."""
    from openfacefx.importers_csv import read_csv

    times = np.arange(90) / 30
    weights = np.zeros((90, 52), np.float32)
    for index in range(52):
        weights[:, index] = 0.5 + 0.5 * np.sin(2 * np.pi * (0.3 + 0.02 * index) * times + index)
    Clip(weights, Fraction(30)).save(tmp_path / "take.csv")
    track, warnings = read_csv(str(tmp_path / "take.csv"), fps=60.0, epsilon=0.0)
    assert not warnings
    seen = {channel.name: channel for channel in track.channels}
    for name in arkit.NAMES:
        keys = seen[name[0].upper() + name[1:]].keys
        drawn = np.interp(times, [key.time for key in keys], [key.value for key in keys])
        np.testing.assert_allclose(drawn, weights[:, arkit.INDEX[name]], atol=1e-4)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_writing_takes_little_more_memory_than_the_file(suffix: str) -> None:
    clip = Clip(np.random.default_rng(0).random((3000, 52), dtype=np.float32), Fraction(60))
    encode, _ = formats.FORMATS[suffix]
    tracemalloc.start()
    try:
        size = len(encode(clip))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.3 * size


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


def frame(time: object = 0.0, count: int = 52, value: object = 0.0) -> bytes:
    return json.dumps({"timestamp": time, "blendshapes": [value] * count}).encode() + b"\n"


def header(**facts: object) -> bytes:
    return json.dumps({"names": list(CSV_ORDER), **facts}).encode() + b"\n" + frame()


HUGE = ("1e6000000", "1e-6000000", "1e400", "9" * 3000, "1/" + "9" * 3000, "1e", "/", "1/0", "nan", None, [], {})
BAD_HEADERS = [{"fps": fps} for fps in HUGE if fps is not None]  # without fps the stamps tell it
BAD_HEADERS += [{"fps": "30", "start": start} for start in (*HUGE, 1e9, "-1e9", float("inf"), 10**400)]
GOOD_CSV = livelink.encode(Clip(np.zeros((3, 52), np.float32), Fraction(30)))
NAMES = np.array(arkit.NAMES)


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
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
        (".npz", archive(weights=np.zeros((2, 52), np.float32))),
        (".npz", archive(weights=np.zeros((2, 51), np.float32), names=NAMES, fps=np.array([30, 1]))),
        (".npz", archive(weights=np.zeros((2, 52), np.float32), names=NAMES, fps=np.array([30, 0]))),
        (".npz", archive(weights=np.zeros((2, 52), np.float32), names=NAMES, fps=np.array([9, 1]))),
        (".npz", archive(weights=np.full((2, 52), np.nan), names=NAMES, fps=np.array([30, 1]))),
        (".npz", archive(weights=np.zeros((2, 52)), names=np.array([None] * 52), fps=np.array([30, 1]))),
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
