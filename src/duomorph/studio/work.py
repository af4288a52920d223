"""What the buttons of the page do: bytes in, bytes or plain facts out.

One promise: nothing is kept; what needs a file gets one of our own naming in a private folder that is gone with the
answer, and no error tells of it.

    wav(sound)                      # any sound file -> 16 kHz, 16 bits
    capture(curves)                 # any curve file -> a parcel of frames
    export(parcel, "glb")           # the file
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from duomorph import arkit, audio, ffmpeg, formats, preview, scenes
from duomorph.clip import Clip
from duomorph.clock import SAMPLE_RATE, TICK_RATE, delay_ticks, frame_rate
from duomorph.egemaps import FUNCTIONAL_NAMES
from duomorph.emotion import FUNCTIONALS, UPDATE_S, EmotionTrack
from duomorph.errors import AudioError, DuomorphError, FormatError, SettingError
from duomorph.evaluate import attention, metrics
from duomorph.face import Face
from duomorph.formats import npz
from duomorph.prototypes import EMOTIONS
from duomorph.scenes import avatar
from duomorph.shaping.table import KEYS
from duomorph.studio.parcel import Parcel, pack
from duomorph.wire import vmc

Float32 = NDArray[np.float32]

LONGEST_S: Final = 1200  # of a take
LOOK_S: Final = 60  # of sound that attention is worked out for
MOST_INFLATED: Final = 256 << 20  # bytes of a .npz
FILM_SIZE: Final = 720
MOST_TAGS: Final = 4
_ZEROS: Final = re.compile(rb"\0*")
MEDIA: Final = {
    "csv": ("livelink", "text/csv"),
    "jsonl": ("jsonl", "application/x-ndjson"),
    "json": ("a2f", "application/json"),
    "npz": ("npz", "application/octet-stream"),
    "glb": ("glb", "model/gltf-binary"),
    "mp4": ("mp4", "video/mp4"),
}
# How the sound files begin that decoders may see: a playlist, say, could name other files of this machine.
SOUNDS: Final = (
    (0, b"RIFF"), (0, b"RIFX"), (0, b"RF64"), (0, b"riff"), (0, b"fLaC"), (0, b"OggS"), (0, b"FORM"),
    (0, b"caff"), (0, b".snd"), (0, b"\x1aE\xdf\xa3"), (4, b"ftyp"),
)  # fmt: skip


def facts(face: Face) -> dict[str, Any]:
    """What a page has to know: names, knobs, what this installation can do, and the model's two streams."""
    provenance = face.info().provenance
    films = ffmpeg.there() and find_spec("skia") is not None
    return {
        "names": arkit.NAMES,
        "angles": arkit.ANGLES,
        "groups": {name: [arkit.NAMES[k] for k in members] for name, members in arkit.GROUPS.items()},
        "styles": face.styles,
        "style": provenance.default_style,
        "emotions": EMOTIONS,
        "presets": {"names": vmc.PRESET_NAMES, "sums": vmc.PRESETS, "vowels": len(vmc.VOWELS)},
        "formats": [name for name in MEDIA if name != "mp4" or films],
        "longest_s": LONGEST_S,
        "look_s": LOOK_S,
        "attention": all(map(find_spec, attention.NEEDS)),
        "streams": provenance.streams,
    }


def wav(sound: bytes) -> bytes:
    """A sound file of any kind as 16 kHz mono wav. Raises AudioError: it is none, or too long."""
    if not _begins_as_sound(sound):
        raise AudioError("the file is no sound: expected wav, flac, ogg, opus, mp3, m4a or webm; choose another")
    with _folder() as folder:
        path = folder / "sound"
        path.write_bytes(sound)
        blocks, length = [], 0
        for block in audio.blocks(path):
            blocks.append(block)
            length += len(block)
            if length > LONGEST_S * SAMPLE_RATE:
                raise AudioError(f"the sound is longer than {LONGEST_S // 60} minutes: cut it, or use duomorph animate")
    return _wav(np.concatenate(blocks))


def capture(data: bytes) -> bytes:
    """A curve file of any kind as a parcel: `fps`, `count`, `captured`, and `curves`, (count, 61) float32."""
    if data[:2] == b"PK":
        _check_inflated(data)
        clip = npz.decode(data)
    else:
        begin = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
        lines = begin.startswith(b"{") and b'"names"' in begin.partition(b"\n")[0] and b"}" in begin.partition(b"\n")[0]
        suffix = ".jsonl" if lines else ".json" if begin[:1] in (b"{", b"[") else ".csv"
        clip = formats.FORMATS[formats.recognised(data, suffix)].decode(data)
    clip = clip.resampled(clip.fps)
    if len(clip) > LONGEST_S * 120:
        raise FormatError(f"the take has {len(clip)} frames: expected {LONGEST_S // 60} minutes at most; cut it")
    angles = np.zeros((len(clip), len(arkit.ANGLES)), np.float32) if clip.angles is None else clip.angles
    curves = np.concatenate([clip.weights, angles], axis=1).astype("<f4")
    said = {"fps": float(clip.fps), "start": float(clip.start), "count": len(clip), "captured": clip.captured.tolist()}
    return pack(said, curves=curves.tobytes())


def mapping(text: str) -> dict[str, Any] | None:
    """What of a character stands for which shape, where a TOML file says that (docs/scenes.md); None where it says
    something else: settings, say, whose sections have `gain` and the like."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError):
        return None

    def names(value: object) -> bool:
        return isinstance(value, str) or (isinstance(value, dict) and not value.keys() <= KEYS.keys())

    if not any(arkit.canonical(key) and names(value) for key, value in found.items()):
        return None
    with _folder() as folder:
        path = folder / "mapping.toml"
        path.write_text(text, encoding="utf-8")
        return dict(avatar.mapping(path))


def character(parcel: Parcel) -> dict[str, Any]:
    """What the curves move in `avatar`, a .glb or .vrm, by number of node and target; `mapping`: TOML, for names of its
    own."""
    found = _stage(parcel).avatar
    return {
        "vrm": found.vrm,
        "presets": found.by_presets,
        "binds": found.binds,
        "head": found.head,
        "above": found.above.tolist(),
    }


def export(parcel: Parcel, kind: str) -> bytes:
    """The take in a parcel as a file of that suffix; `avatar` in it, with its `mapping`, is who shows the curves of a
    .glb, `sound` a wav to be heard in a film.

    Raises:
        FormatError, SettingError, AudioError, MissingExtra: the parcel is damaged, or the file cannot be made here.
    """
    if kind not in MEDIA:
        raise FormatError(f"got the kind {kind!r:.20}: expected one of {', '.join(MEDIA)}")
    clip = _clip(parcel)
    with _folder() as folder:
        path = folder / f"take.{kind}"
        if kind == "glb":
            (_stage(parcel) if "avatar" in parcel.parts else scenes.Stage()).write(clip, path)
        elif kind == "mp4":
            sound = None
            if "sound" in parcel.parts:
                sound = folder / "sound.wav"
                sound.write_bytes(wav(parcel.parts["sound"]))
            preview.film(clip, path, sound, FILM_SIZE)
        else:
            formats.write(clip, path, MEDIA[kind][0])
        return path.read_bytes()


def scores(parcel: Parcel) -> dict[str, Any]:
    """How the take `curves` stands to `truth`, over the time that both have, by shape and by group: `mae`; `r`; `bias`,
    the mean of ours less theirs; `size`, how far ours moves against theirs (1: as far); and, by shape, where they are
    farthest apart: `worst`, ours less theirs, and its second `at`. None for what was not captured or does not move."""
    mine = _clip(parcel)
    said = {"fps": parcel.said.get("truth_fps"), "captured": parcel.said.get("captured")}
    theirs = _clip(Parcel(said, {"curves": parcel.parts.get("truth", b"")})).resampled(mine.fps)
    begin = parcel.said.get("truth_start", 0)
    if not isinstance(begin, int | float) or isinstance(begin, bool) or not abs(begin) <= LONGEST_S:
        raise SettingError(f"got a capture that starts at {begin!r:.40}: expected seconds, {LONGEST_S} at most")
    times, there = mine.times, theirs.times + begin
    both = (times >= there[0] - 1e-6) & (times <= there[-1] + 1e-6) if len(there) else np.zeros(len(times), bool)
    if not both.any():
        raise FormatError("got a take without frames: expected two with some in common")
    ours = mine.weights[both]
    between = np.stack([np.interp(times[both], there, column) for column in theirs.weights.T], axis=1)
    truth = metrics.masked(between.astype(np.float32), theirs.captured)
    apart, alive = ours - truth, metrics.alive(truth)
    farthest = np.abs(np.where(np.isnan(apart), 0, apart)).argmax(axis=0)
    r = [metrics.correlation(ours[:, k], truth[:, k]) if alive[k] else np.nan for k in range(arkit.COUNT)]
    by_shape = {
        "mae": metrics.by_shape(np.abs(apart)),
        "r": np.array(r),
        "bias": metrics.by_shape(apart),
        "size": np.where(alive, ours.std(axis=0) / np.maximum(truth.std(axis=0), 1e-9), np.nan),
    }
    worst = {"worst": apart[farthest, np.arange(arkit.COUNT)], "at": times[both][farthest]}
    jaw = arkit.INDEX["jawOpen"]
    return {
        "frames": int(both.sum()),
        "lag": metrics.best_lag([(ours[:, jaw], truth[:, jaw])]) if alive[jaw] else None,
        **{
            score: dict(zip(arkit.NAMES, map(_number, values), strict=True))
            for score, values in (by_shape | worst).items()
        },
        "groups": {
            name: {score: _number(metrics.mean(values[members])) for score, values in by_shape.items()}
            for name, members in metrics.GROUPS.items()
        },
    }


def mood(face: Face, sound: bytes) -> bytes:
    """What the emotion stream hears in a sound (float32, 16 kHz): a parcel of `values`, (updates, 88) float32, in units
    of the training data's mean where that is not 0."""
    neutral = np.array(face.info().provenance.neutral, np.float32)
    heard = EmotionTrack(neutral).feed(_samples(sound, LONGEST_S))[:, :FUNCTIONALS]
    said = {"every_s": float(UPDATE_S), "names": FUNCTIONAL_NAMES, "neutral": neutral.tolist(), "count": len(heard)}
    return pack(said, values=heard.astype("<f4").tobytes())


def looks(face: Face, parcel: Parcel) -> bytes:
    """Attention of every shape over the 80 bands at a moment `at` of `sound`: (52, 80) float32. Raises MissingExtra
    where torch is not there."""
    at, style = parcel.said.get("at"), parcel.said.get("style") or face.info().provenance.default_style
    if not isinstance(at, int | float) or isinstance(at, bool) or not 0 <= at <= LOOK_S:
        raise SettingError(f"got the moment {at!r:.40}: expected 0 to {LOOK_S} s")
    if style not in face.styles:
        raise SettingError(f"style {style!r:.40} is unknown: expected one of {', '.join(face.styles)}")
    delay_ms = parcel.said.get("delay_ms", 100)
    if not isinstance(delay_ms, int | float):
        raise SettingError(f"got a delay of {delay_ms!r:.40}: expected 0 to 200 ms")
    delay = delay_ticks(delay_ms)
    sound = _samples(parcel.parts.get("sound", b""), LOOK_S)
    sound = sound[: round((at + (delay + 3) / TICK_RATE) * SAMPLE_RATE)]
    weights = Path(face.info().path).with_suffix(".safetensors")
    seen = attention.attention(weights, sound, delay, style)
    tick = min(round(at * TICK_RATE) + delay, len(seen.weights) - 1)
    return bytes(seen.weights[tick].astype("<f4").tobytes())


def _begins_as_sound(data: bytes) -> bool:
    """By the marks of SOUNDS, or an mp3's or AAC's first frame; behind tags, which decoders pass over."""
    at = 0
    for _ in range(MOST_TAGS):
        if data[at : at + 3] == b"ID3" and len(data) > at + 10:
            at += 10 + sum((byte & 127) << 7 * (3 - k) for k, byte in enumerate(data[at + 6 : at + 10]))
            zeros = _ZEROS.match(data, at)
            at = zeros.end() if zeros else at
    frame = data[at : at + 2]
    marked = any(data.startswith(mark, at + place) for place, mark in SOUNDS)
    return marked or (len(frame) == 2 and frame[0] == 0xFF and frame[1] >= 0xE0)


@contextmanager
def _folder() -> Iterator[Path]:
    """A private folder. What goes wrong in it is told without its name."""
    with tempfile.TemporaryDirectory(prefix="duomorph-studio-") as name:
        try:
            yield Path(name)
        except DuomorphError as problem:
            told = str(problem)
            for path in map(Path(name).joinpath, ("sound.wav", "sound", "character.glb", "mapping.toml")):
                told = told.replace(repr(str(path)), "the mapping" if path.suffix == ".toml" else "the file")
            raise type(problem)(told.replace(name, "the studio's folder")) from None


def _stage(parcel: Parcel) -> scenes.Stage:
    data, told = parcel.parts.get("avatar", b""), parcel.parts.get("mapping")
    if data[:4] != b"glTF":
        raise FormatError("the file is no character: expected glTF in one file, .glb or .vrm")
    try:
        names = mapping(told.decode()) if told is not None else None
    except ValueError:
        names = None
    if told is not None and names is None:
        raise SettingError("the mapping is none: expected TOML such as jawOpen = 'Open'")
    with _folder() as folder:
        path = folder / "character.glb"
        path.write_bytes(data)
        return scenes.Stage(dataclasses.replace(avatar.read(path, names), name="the character"))


def _clip(parcel: Parcel) -> Clip:
    """The take in a parcel: `fps`, and `curves`, (n, 61) float32."""
    fps = parcel.said.get("fps")
    if not isinstance(fps, int | float) or isinstance(fps, bool):
        raise SettingError(f"got {fps!r:.40} frames a second: expected 24 to 120")
    width = arkit.COUNT + len(arkit.ANGLES)
    data = parcel.parts.get("curves", b"")
    if len(data) % (4 * width) or len(data) // (4 * width) > LONGEST_S * 120:
        raise FormatError(f"got curves of {len(data)} bytes: expected frames of {4 * width}; reload the page")
    poses = np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, width)
    weights, angles = poses[:, : arkit.COUNT], poses[:, arkit.COUNT :]
    if not (
        np.isfinite(poses).all() and (weights >= 0).all() and (weights <= 1).all() and (np.abs(angles) <= 10).all()
    ):
        raise FormatError("got curves that are none: expected weights from 0 to 1 and angles in radians")
    captured = parcel.said.get("captured") or [True] * arkit.COUNT
    if not (isinstance(captured, list) and len(captured) == arkit.COUNT and all(type(one) is bool for one in captured)):
        raise FormatError(f"got captured = {captured!r:.40}: expected 52 times true or false")
    exact: Fraction = frame_rate(fps)
    return Clip(weights, exact, angles=angles if angles.any() else None, captured=np.array(captured))


def _samples(data: bytes, longest_s: int) -> Float32:
    if len(data) % 4 or len(data) > 4 * longest_s * SAMPLE_RATE:
        raise AudioError(f"got {len(data)} bytes of sound: expected float32 at 16 kHz, {longest_s} s at most")
    return audio.prepare(np.frombuffer(data, "<f4").astype(np.float32), SAMPLE_RATE)


def _check_inflated(data: bytes) -> None:
    try:
        size = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(data)).infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise FormatError("got a damaged .npz: expected a whole file; save it again") from None
    if size > MOST_INFLATED:
        raise FormatError(f"the .npz holds {size >> 20} MB: expected {MOST_INFLATED >> 20} at most")


def _wav(samples: Float32) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples.clip(-1, 1), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def as_json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
