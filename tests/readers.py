"""What every reader promises, whatever the bytes: shared by the property tests and the coverage-guided fuzzer."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from duomorph import arkit, audio, formats
from duomorph.clip import Clip
from duomorph.errors import AudioError, FormatError

_RANDOM = np.random.default_rng(0)
_ANGLES = _RANDOM.uniform(-1, 1, (3, 9)).astype(np.float32)


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


TAKE = Clip(_RANDOM.random((3, 52), dtype=np.float32), Fraction(30), angles=_ANGLES, timecode=Fraction(1, 3))
CURVES = {name: codec.encode(TAKE) for name, codec in formats.FORMATS.items()}
# The least of each kind, beside a whole take: mutations of these get further into a reader.
LEAST = {
    "livelink": b"\n".join(CURVES["livelink"].split(b"\n")[:2]),
    "nim": b",timeCode,blendShapes.JawOpen\n0,0.0,0.5\n1,0.04,0.6\n",
    "plain": b"time,jawOpen,mouthSmile_L\n0.0,0.5,0\n0.033,1.01,-1e-3\n0.067,0.4,0\n",
    "a2f": b'{"exportFps":30.0,"facsNames":["jawOpen","jawDrop"],"weightMat":[[0.5,0],[1,-1e-3]]}',
    "beat": b'{"names":["jawOpen"],"frames":[{"weights":[0.5],"time":0},{"weights":[1],"time":0.0167,"rotation":[]}]}',
    "jsonl": b"\n".join(CURVES["jsonl"].split(b"\n")[:2]),
    "npz": b"\x02" + npy(np.array([30, 1])),
}
MEMBERS = [f"{name}.npy" for name in ("weights", "names", "fps", "start", "captured", "angles", "stamps", "beyond")]
SOUNDS = ("wav", "flac", "ogg", "mp3", "aiff")


def sound(kind: str) -> bytes:
    """A tenth of a second of noise."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1600).astype(np.float32)
    soundfile.write(out, noise, 16000, format=kind.upper())
    return out.getvalue()


def read_curves(name: str, data: bytes) -> None:
    """Accepted or refused by that reader, and by the one that recognises it; what is accepted can be written."""
    suffix = formats.codec(name).suffix
    for reader in {name, formats.recognised(data, suffix)}:
        with suppress(FormatError):
            check(formats.codec(reader).decode(data))
    if name == "npz" and data:
        with suppress(FormatError):  # check sums keep most damage from going further: as one member of a good archive
            check(formats.codec("npz").decode(_member(MEMBERS[data[0] % len(MEMBERS)], data[1:])))


def _member(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(CURVES["npz"])) as good, zipfile.ZipFile(out, "w") as archive:
        for member in good.namelist():
            if member != name:
                archive.writestr(member, good.read(member))
        archive.writestr(name, data)
    return out.getvalue()


def check(clip: Clip) -> None:
    """What every clip promises, wherever it was read; and that every format takes it."""
    frames = len(clip)
    assert (clip.weights.shape, clip.weights.dtype) == ((frames, arkit.COUNT), np.float32)
    assert ((clip.weights >= 0) & (clip.weights <= 1)).all()
    assert clip.fps * Fraction(1001, 1000) >= 24
    assert clip.fps <= 120
    assert (clip.captured.shape, clip.captured.dtype) == ((arkit.COUNT,), np.bool_)
    assert clip.angles is None or (clip.angles.shape == (frames, 9) and np.isfinite(clip.angles).all())
    assert clip.stamps is None or clip.stamps.shape == (frames,)
    assert clip.beyond is None or (clip.beyond.shape == clip.weights.shape and np.isfinite(clip.beyond).all())
    for codec in formats.FORMATS.values():
        codec.encode(clip)
    if frames < 1000:
        assert clip.resampled(60).fps == 60


def read_sound(path: Path) -> None:
    with suppress(AudioError):
        samples = audio.read(path)
        assert samples.dtype == np.float32
        assert len(samples) > 0
        assert np.isfinite(samples).all()
