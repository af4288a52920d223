"""JSON lines: the whole clip comes back, in blocks too, and with or without msgspec."""

from __future__ import annotations

import io
import json
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.errors import FormatError
from duomorph.formats import jsonl
from duomorph.formats.columns import CSV_ORDER


@pytest.fixture(params=["msgspec", "json"], autouse=True)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here runs with both readers."""
    if request.param == "msgspec":
        pytest.importorskip("msgspec", reason="needs the extra data: pip install msgspec")
    else:
        monkeypatch.setattr(jsonl, "_parser", lambda: jsonl._frame)


def full_clip(frames: int = 40, seed: int = 0) -> Clip:
    random = np.random.default_rng(seed)
    captured = random.random(52) < 0.7
    weights = random.random((frames, 52), dtype=np.float32) * captured
    angles = random.normal(0, 1, (frames, 9)).astype(np.float32)
    return Clip(weights, Fraction(30000, 1001), Fraction(-1, 7), angles, captured, 'a "phone" é', Fraction(40000, 7))


def same(one: Clip, other: Clip) -> None:
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.captured, other.captured)
    assert (one.angles is None) == (other.angles is None)
    if one.angles is not None and other.angles is not None:
        np.testing.assert_array_equal(one.angles, other.angles)
    for fact in ("fps", "start", "source", "timecode"):
        assert getattr(one, fact) == getattr(other, fact)


@pytest.mark.parametrize("frames", [0, 1, 40])
def test_everything_known_of_a_clip_comes_back(frames: int) -> None:
    clip = full_clip(frames)
    back = jsonl.decode(jsonl.encode(clip))
    same(back, clip)
    assert back.angles is not None
    assert back.angles.dtype == np.float32


@given(frames=st.integers(0, 30), seed=st.integers(0, 2**32), block=st.integers(1, 5000))
def test_any_block_size_gives_the_same(frames: int, seed: int, block: int) -> None:
    clip = full_clip(frames, seed)
    data = jsonl.encode(clip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "BLOCK", block)
        same(jsonl.decode(data), clip)
        header, blocks = jsonl.stream(io.BytesIO(data))
        parts = list(blocks)
    assert header.fps == clip.fps
    lines = np.concatenate([part.lines for part in parts]).tolist()
    assert lines == list(range(2, frames + 2))
    weights = np.concatenate([part.weights for part in parts])
    np.testing.assert_array_equal(weights.astype(np.float32), clip.weights)


def test_frames_may_come_without_a_header() -> None:
    """As KoeMorph writes them: Live Link CSV order, whole numbers where a shape rests, no space, CRLF, a last blank."""
    rows = [{"timestamp": k / 60, "blendshapes": [0] * 51 + [k / 100]} for k in range(30)]
    data = "\r\n".join(json.dumps(row, separators=(",", ":")) for row in rows).encode() + b"\r\n\r\n"
    clip = jsonl.decode(data)
    assert (clip.fps, clip.start, len(clip)) == (60, 0, 30)
    np.testing.assert_allclose(clip[CSV_ORDER[51]], np.arange(30) / 100, atol=1e-7)
    assert clip.captured.all()


def test_a_fault_stops_nothing_and_is_told_by_its_line() -> None:
    lines = jsonl.encode(full_clip(8)).splitlines(keepends=True)
    lines[2] = b"\n"  # empty lines are no fault
    lines[3] = b"oops\n"
    lines[4] = lines[4].replace(b'"blendshapes": [', b'"blendshapes": [0.5, ')
    lines[5] = lines[5].replace(b"], ", b", null], ")
    lines[6] = b'{"timestamp": 1e300, "blendshapes": []}\n'
    lines[7] = lines[7].split(b', "angles"')[0] + b"}\n"
    header, blocks = jsonl.stream(io.BytesIO(b"".join(lines)))
    (_, block) = list(blocks)
    assert header.angles == arkit.ANGLES
    assert block.lines.tolist() == [2, 9]
    assert [line for line, _ in block.faults] == [4, 5, 6, 7, 8]
    told = [fault for _, fault in block.faults]
    assert "no JSON object" in told[0]
    assert "53 blendshapes: expected 52" in told[1]
    assert "no frame" in told[2]
    assert "no frame" in told[3]
    assert "0 angles: expected 9" in told[4]
    with pytest.raises(FormatError, match="line 4 is no JSON object"):
        jsonl.decode(b"".join(lines))


def test_blocks_show_what_stands_there() -> None:
    rows = [{"timestamp": k / 30, "blendshapes": [0.25] * 52} for k in range(3)]
    rows[1]["blendshapes"] = [float("nan"), -0.5, 1.5] + [0.0] * 49
    _, blocks = jsonl.stream(io.BytesIO("\n".join(map(json.dumps, rows)).encode()))
    weights = np.concatenate([block.weights for block in blocks])
    assert np.isnan(weights[1, arkit.INDEX[CSV_ORDER[0]]])
    assert weights[1, arkit.INDEX[CSV_ORDER[1]]] == -0.5
    assert weights[1, arkit.INDEX[CSV_ORDER[2]]] == 1.5


def test_dropped_frames_are_bridged_angles_too() -> None:
    clip = full_clip(5)
    lines = jsonl.encode(clip).splitlines(keepends=True)
    back = jsonl.decode(b"".join(lines[:3] + lines[4:]))
    assert len(back) == 5
    assert back.angles is not None
    assert clip.angles is not None
    np.testing.assert_allclose(back.angles[2], (clip.angles[1] + clip.angles[3]) / 2, atol=1e-6)
    np.testing.assert_allclose(back.weights[2], (clip.weights[1] + clip.weights[3]) / 2, atol=1e-6)


@pytest.mark.parametrize("number", ["9" * 400, "1e999", "true", '"0.5"', "[0.5]", "-", "0x1"])
def test_what_is_no_number_is_refused(number: str) -> None:
    numbers = ", ".join([number] + ["0.0"] * 51)
    with pytest.raises(FormatError, match="expected"):
        jsonl.decode(f'{{"timestamp": 0.0, "blendshapes": [{numbers}]}}'.encode())


@pytest.mark.parametrize(
    "extra",
    [
        {"captured": "all"}, {"captured": ["jawOpen", "nose"]}, {"captured": [1]}, {"angles": ["HeadYaw"]},
        {"angles": 9}, {"source": 3}, {"timecode": "noon"}, {"timecode": "1e12"}, {"timecode": []},
    ],
)  # fmt: skip
def test_damaged_headers_are_refused(extra: dict[str, object]) -> None:
    data = json.dumps({"names": list(CSV_ORDER), "fps": "30", "start": "0", **extra}).encode()
    with pytest.raises(FormatError, match=r"line 1 has .*expected"):
        jsonl.decode(data)


def test_a_hole_of_years_takes_no_memory() -> None:
    clip = full_clip(3)
    lines = jsonl.encode(clip).splitlines(keepends=True)
    far = json.loads(lines[-1]) | {"timestamp": 9e7}
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="hole"):
            jsonl.decode(b"".join([*lines[:-1], json.dumps(far).encode()]))
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("number", [1e300, 101.0, float("nan"), float("-inf")])
def test_what_is_no_angle_is_refused(number: float) -> None:
    lines = jsonl.encode(full_clip(3)).splitlines(keepends=True)
    frame = json.loads(lines[2])
    frame["angles"][4] = number
    with pytest.raises(FormatError, match="expected"):
        jsonl.decode(b"".join([*lines[:2], json.dumps(frame).encode() + b"\n", *lines[3:]]))


@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_an_empty_file_is_no_take(data: bytes) -> None:
    with pytest.raises(FormatError, match="got an empty file"):
        jsonl.decode(data)
