"""Damaged files: whatever the bytes, they are taken or refused with an error of ours. `make fuzz` tries many more."""

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from duomorph import arkit, audio, formats
from duomorph.clip import Clip
from duomorph.errors import AudioError, FormatError
from duomorph.formats import FORMATS


def sound(suffix: str) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1600).astype(np.float32)
    soundfile.write(out, noise, 16000, format=suffix.upper())
    return out.getvalue()


RANDOM = np.random.default_rng(0)
ANGLES = RANDOM.uniform(-1, 1, (3, 9)).astype(np.float32)
TAKE = Clip(RANDOM.random((3, 52), dtype=np.float32), Fraction(30), angles=ANGLES, timecode=Fraction(1, 3))
CURVES = {name: codec.encode(TAKE) for name, codec in FORMATS.items()}
SOUNDS = {suffix: sound(suffix) for suffix in ("wav", "flac", "ogg", "mp3", "aiff")}


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


@pytest.mark.parametrize("suffix", sorted(SOUNDS))
@given(choices=st.data())
def test_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, choices: st.DataObject) -> None:
    monkeypatch.setenv("PATH", "")  # no ffmpeg: it is slow to start and not ours to test
    path = tmp_path / f"fuzzed.{suffix}"
    path.write_bytes(choices.draw(damage(SOUNDS[suffix], 128)))
    with suppress(AudioError):
        samples = audio.read(path)
        assert samples.dtype == np.float32
        assert len(samples) > 0
        assert np.isfinite(samples).all()


@pytest.mark.parametrize("name", sorted(CURVES))
@given(choices=st.data())
def test_curves(name: str, choices: st.DataObject) -> None:
    data = choices.draw(damage(CURVES[name], 2000))
    assert formats.recognised(data, FORMATS[name].suffix) in FORMATS
    with suppress(FormatError):
        check(FORMATS[name].decode(data))


def check(clip: Clip) -> None:
    """What every clip promises, wherever it was read; and that it can be written."""
    frames = len(clip)
    assert (clip.weights.shape, clip.weights.dtype) == ((frames, arkit.COUNT), np.float32)
    assert ((clip.weights >= 0) & (clip.weights <= 1)).all()
    assert clip.fps * Fraction(1001, 1000) >= 24
    assert clip.fps <= 120
    assert (clip.captured.shape, clip.captured.dtype) == ((arkit.COUNT,), np.bool_)
    assert clip.angles is None or (clip.angles.shape == (frames, 9) and np.isfinite(clip.angles).all())
    assert clip.stamps is None or clip.stamps.shape == (frames,)
    assert clip.beyond is None or (clip.beyond.shape == clip.weights.shape and np.isfinite(clip.beyond).all())
    for codec in FORMATS.values():
        codec.encode(clip)
