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

from duomorph import arkit, audio
from duomorph.clip import Clip
from duomorph.errors import AudioError, FormatError
from duomorph.formats import FORMATS


def sound(suffix: str) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1600).astype(np.float32)
    soundfile.write(out, noise, 16000, format=suffix.upper())
    return out.getvalue()


TAKE = Clip(np.random.default_rng(0).random((3, 52), dtype=np.float32), Fraction(30))
CURVES = {suffix: encode(TAKE) for suffix, (encode, _) in FORMATS.items()}
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


@pytest.mark.parametrize("suffix", sorted(CURVES))
@given(choices=st.data())
def test_curves(suffix: str, choices: st.DataObject) -> None:
    data = choices.draw(damage(CURVES[suffix], 2000))
    with suppress(FormatError):
        clip = FORMATS[suffix][1](data)
        assert clip.weights.shape == (len(clip), arkit.COUNT)
        assert clip.weights.dtype == np.float32
        assert ((clip.weights >= 0) & (clip.weights <= 1)).all()
        assert 24 <= clip.fps <= 120
