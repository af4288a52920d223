"""Damaged files: whatever the bytes, they are taken or refused with an error of ours. `make fuzz` tries many more."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from duomorph import arkit
from readers import CURVES, SOUNDS, read_curves, read_sound, sound


@st.composite
def damage(draw: st.DrawFn, data: bytes, head: int) -> bytes:
    """Some bytes changed, mostly in the head; perhaps cut, perhaps with something behind."""
    out = bytearray(data)
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, min(head, len(out)) - 1) | st.integers(0, len(out) - 1))
        out[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        if not out:
            break
    kept = draw(st.just(len(out)) | st.integers(0, len(out)))
    return bytes(out[:kept]) + draw(st.just(b"") | st.binary(max_size=20))


@pytest.mark.parametrize("suffix", SOUNDS)
@given(choices=st.data())
def test_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, choices: st.DataObject) -> None:
    monkeypatch.setenv("PATH", "")  # no ffmpeg: it is slow to start and not ours to test
    path = tmp_path / f"fuzzed.{suffix}"
    path.write_bytes(choices.draw(damage(sound(suffix), 128)))
    read_sound(path)


@pytest.mark.parametrize("name", sorted(CURVES))
@given(choices=st.data())
def test_curves(name: str, choices: st.DataObject) -> None:
    read_curves(name, choices.draw(damage(CURVES[name], 2000)))


CELLS = st.sampled_from(
    ["0", "0.5", "1.02", "-0.1", "nan", "inf", "1e400", "9" * 400, "1e-400", "", " ", "x", '"', "true", "null", "[]",
     "{}", "1/30", "00:00:00:00.000", "00:00:00:02", "99:99:99:99.999999", "1e9", "-1e9", "61", "٣", "0x1", "1_0"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["Timecode", "BlendshapeCount", "time", "timeCode", "jawOpen", "JawOpen", "jaw_open", "mouthSmile_L", "tongueOut",
     "blendShapes.JawOpen", "blendShapes.", "HeadYaw", "names", "frames", "weights", "rotation", "fps", "exportFps",
     "facsNames", "weightMat", "jawDrop", "timestamp", "blendshapes", "captured", "angles", "start", "", "_L"]
)  # fmt: skip


@pytest.mark.parametrize("name", ["livelink", "nim", "plain"])
@given(header=st.lists(WORDS, max_size=8), rows=st.lists(st.lists(CELLS, max_size=8), max_size=6))
def test_tables_of_odd_cells(name: str, header: list[str], rows: list[list[str]]) -> None:
    text = "\n".join(",".join(row) for row in [header, *(row[: len(header)] for row in rows)])
    read_curves(name, text.encode())
    whole = CURVES[name].splitlines()[0].decode()  # a true header above them
    width = whole.count(",") + 1
    table = "\n".join(",".join((row * width)[:width] or ["0"] * width) for row in rows)
    read_curves(name, f"{whole}\n{table}".encode())


@st.composite
def documents(draw: st.DrawFn) -> str:
    """JSON in the shape of ours, with odd things in it."""
    value = draw(
        st.recursive(
            CELLS | WORDS.map(lambda word: f'"{word}"'),
            lambda inner: (
                st.lists(inner, max_size=4).map(lambda cells: f"[{','.join(cells)}]")
                | st.dictionaries(WORDS, inner, max_size=5).map(
                    lambda pairs: "{" + ",".join(f'"{key}":{cell}' for key, cell in pairs.items()) + "}"
                )
            ),
            max_leaves=20,
        )
    )
    return str(value)


PLACES = (b'"jawOpen"', b"30.0", b'"weights": [', b'"time": ', b'"names": [', b'"blendshapes": [', b'"30"')


@pytest.mark.parametrize("name", ["a2f", "beat", "jsonl"])
@given(text=documents(), key=WORDS, place=st.sampled_from(PLACES))
def test_documents_of_odd_things(name: str, text: str, key: str, place: bytes) -> None:
    read_curves(name, text.encode())
    read_curves(name, CURVES[name].replace(place, f'"{key}": {text}'.encode(), 1))
    read_curves(name, CURVES[name].replace(place, place + text.encode(), 1))


@given(
    facts=st.dictionaries(
        st.sampled_from(["names", "shape", "start", "captured", "source", "angles", "timecode", "stamps", "beyond"]),
        arrays.arrays(
            arrays.scalar_dtypes() | arrays.unicode_string_dtypes(max_len=20),
            arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
        ),
    ),
    fps=st.sampled_from([np.array([30, 1]), np.array(25.0), np.array(np.nan), np.array([30, 0]), np.array("30")]),
    weights=arrays.arrays(
        arrays.floating_dtypes(), st.tuples(st.integers(0, 3), st.sampled_from([52, 2])), elements={"allow_nan": True}
    ),
)
def test_archives_of_odd_arrays(facts: dict[str, np.ndarray], fps: np.ndarray, weights: np.ndarray) -> None:
    out = io.BytesIO()
    names = np.array(arkit.NAMES[: weights.shape[1]])
    np.savez(out, weights=weights, fps=fps, **{"names": names, **facts})
    read_curves("npz", out.getvalue())
