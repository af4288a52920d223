"""The drawn face and its film: every shape is seen where it belongs, closed is closed, the film is as asked for."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from command import refused
from duomorph import arkit
from duomorph.cli import main
from duomorph.clip import Clip
from duomorph.errors import FormatError, MissingExtra, SettingError
from duomorph.preview import film, mp4, sheet
from duomorph.preview.rig import SIDES, pose

SIZE = 200
RATE = 16_000


def weights(**shapes: float) -> np.ndarray:
    row = np.zeros(52, np.float32)
    for name, value in shapes.items():
        row[arkit.INDEX[name]] = value
    return row


def both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


# the rig, without a pixel


@pytest.mark.parametrize("name", arkit.NAMES)
def test_left_and_right_are_mirror_images(name: str) -> None:
    """...and Left is the subject's: on the viewer's right."""
    ours, theirs = pose(weights(**{name: 1})), pose(weights(**{arkit.mirror(name): 1}))
    for part, points in ours.items():
        side = next((side for side in ("left", "right") if part.endswith(side)), None)
        other = part.replace("left", "*").replace("right", "left").replace("*", "right") if side else part
        flipped = theirs[other] * (-1, 1) + (1000, 0)
        np.testing.assert_allclose(points, flipped if side else flipped[::-1], atol=1e-9)
    if name.startswith(("mouth", "jaw")) and name.endswith("Left"):
        moved = np.concatenate([np.abs(ours[part] - pose(weights())[part]) for part in ours if part.startswith("lip")])
        where = np.concatenate([pose(weights())[part][:, 0] for part in ours if part.startswith("lip")])
        assert moved[where > 500].sum() >= moved[where < 500].sum()


@pytest.mark.parametrize("opened", [0.1, 0.4, 1.0])
def test_mouth_close_takes_back_what_jaw_open_opened(opened: float) -> None:
    ajar, shut = pose(weights(jawOpen=opened)), pose(weights(jawOpen=opened, mouthClose=opened))
    assert (ajar["lip_lower_in"] - ajar["lip_upper_in"])[:, 1].max() > 90 * opened
    assert np.abs(shut["lip_lower_in"] - shut["lip_upper_in"])[:, 1].max() < 1
    assert shut["outline"][:, 1].max() == ajar["outline"][:, 1].max() > pose(weights())["outline"][:, 1].max()


def test_no_lip_and_no_lid_crosses_another() -> None:
    random = np.random.default_rng(0)
    for row in random.random((300, 52)) ** 2:
        points = pose(row)
        for above, below in (
            ("lip_upper_out", "lip_upper_in"), ("lip_upper_in", "lip_lower_in"), ("lip_lower_in", "lip_lower_out"),
            ("lid_upper_left", "lid_lower_left"), ("lid_upper_right", "lid_lower_right"),
        ):  # fmt: skip
            assert (points[below] - points[above])[:, 1].min() > -1e-9


def test_eyes_close() -> None:
    for name in SIDES:
        points = pose(weights(**{f"eyeBlink{name}": 1}))
        side = name.lower()
        assert np.abs(points[f"lid_lower_{side}"] - points[f"lid_upper_{side}"]).max() < 1


# the picture


@pytest.fixture(scope="module")
def draw() -> object:
    pytest.importorskip("skia", exc_type=ImportError)
    from duomorph.preview.face import Painter

    painter = Painter(SIZE)
    return lambda **shapes: painter.draw(weights(**shapes)).astype(int)[..., :3]


REGIONS = {  # fractions of the picture: left, top, right, bottom
    "eye": (0.2, 0.36, 0.8, 0.54),
    "brow": (0.2, 0.26, 0.8, 0.50),
    "jaw": (0.2, 0.55, 0.8, 1.0),
    "mouth": (0.2, 0.55, 0.8, 1.0),
    "tongue": (0.35, 0.65, 0.65, 0.85),
    "cheek": (0.15, 0.42, 0.85, 0.80),
    "nose": (0.2, 0.3, 0.8, 0.75),
}


@pytest.mark.parametrize("name", arkit.NAMES)
def test_every_shape_is_seen_where_it_belongs(draw: object, name: str) -> None:
    rest, moved = draw(), draw(**{name: 1})  # type: ignore[operator]
    change = np.abs(moved - rest).sum(axis=2)
    assert (change > 40).sum() > 25, "a stranger would see it"
    group = next(group for group in REGIONS if name.startswith(group))
    left, top, right, bottom = (round(SIZE * part) for part in REGIONS[group])
    assert change[top:bottom, left:right].sum() > 0.9 * change.sum()
    halfway = np.abs(draw(**{name: 0.5}) - rest).sum()  # type: ignore[operator]
    assert 0.15 * change.sum() < halfway < change.sum()
    if name.endswith("Left") and name not in ("jawLeft", "mouthLeft"):
        assert change[:, SIZE // 2 :].sum() > 2 * change[:, : SIZE // 2].sum()


def inside(picture: np.ndarray) -> int:
    """Pixels as dark as the inside of a mouth or as white as its teeth, about the mouth; BGR."""
    region = picture[round(0.64 * SIZE) : round(0.8 * SIZE), round(0.38 * SIZE) : round(0.62 * SIZE)]
    return int(((region.max(axis=2) < 110) | (region.min(axis=2) > 205)).sum())


def test_a_closed_mouth_is_seen_closed(draw: object) -> None:
    still = inside(draw())  # type: ignore[operator]
    assert inside(draw(jawOpen=0.5)) > still + 200  # type: ignore[operator]
    assert inside(draw(jawOpen=0.1)) > still + 20  # type: ignore[operator]
    for opened in (0.1, 0.3, 0.5):
        assert inside(draw(jawOpen=opened, mouthClose=opened)) <= still + 10  # type: ignore[operator]
        assert inside(draw(jawOpen=opened, mouthClose=opened, **both("mouthPress", 0.5))) <= still + 20  # type: ignore[operator]


def test_the_same_weights_are_the_same_pixels(draw: object) -> None:
    first = draw(jawOpen=0.4, mouthPucker=0.2)  # type: ignore[operator]
    draw(tongueOut=1, eyeBlinkLeft=1)  # type: ignore[operator]
    np.testing.assert_array_equal(draw(jawOpen=0.4, mouthPucker=0.2), first)  # type: ignore[operator]


def test_the_sheet_has_every_shape(draw: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "--sheet", "-o", str(tmp_path / "sheet.png")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'sheet.png'}\n"
    data = (tmp_path / "sheet.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 200_000
    with pytest.raises(FormatError, match="no folder"):
        sheet(tmp_path / "no" / "sheet.png")


# the film


def facts(path: Path) -> dict[str, dict[str, object]]:
    """What ffprobe says of each stream, by its kind."""
    entries = "stream=codec_type,codec_name,width,height,r_frame_rate,nb_read_frames,duration,pix_fmt,start_time"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    return {stream["codec_type"]: stream for stream in json.loads(done.stdout)["streams"]}


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    frames = np.zeros((45, 52), np.float32)
    frames[:, arkit.INDEX["jawOpen"]] = np.abs(np.sin(np.arange(45) / 4))
    Clip(frames, Fraction(30)).save(tmp_path / "take.csv")
    return tmp_path / "take.csv"


def test_speech_becomes_a_film(
    draw: object, ffmpeg: str, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "talk.mp4"
    samples, rate = soundfile.read(sample, frames=RATE)
    soundfile.write(tmp_path / "talk.wav", samples, rate)
    assert main(["preview", str(tmp_path / "talk.wav"), "-o", str(out), "--size", "200", "--fps", "25"]) == 0
    assert capsys.readouterr().out == f"{out}  25 frames at 25 fps\n"
    streams = facts(out)
    video, sound = streams["video"], streams["audio"]
    assert (video["codec_name"], video["pix_fmt"], sound["codec_name"]) == ("h264", "yuv420p", "aac")
    assert (video["width"], video["height"], video["r_frame_rate"], video["nb_read_frames"]) == (200, 200, "25/1", "25")
    assert float(str(video["duration"])) == pytest.approx(1, abs=1e-3)
    assert float(str(sound["duration"])) == pytest.approx(1, abs=0.03)
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it plays while it loads"


@pytest.mark.parametrize(("flags", "frames", "rate"), [([], "45", "30/1"), (["--fps", "60"], "90", "60/1")])
def test_curves_become_a_film(
    draw: object, ffmpeg: str, curves: Path, tmp_path: Path, flags: list[str], frames: str, rate: str
) -> None:
    out = tmp_path / "take.mp4"
    assert main(["preview", "--curves", str(curves), "-o", str(out), "--size", "128", *flags]) == 0
    streams = facts(out)
    assert set(streams) == {"video"}
    assert (streams["video"]["nb_read_frames"], streams["video"]["r_frame_rate"]) == (frames, rate)


def test_a_film_shows_the_curves_with_their_sound(draw: object, ffmpeg: str, tmp_path: Path) -> None:
    """The mouth is open in those pictures in which the curve is; a take that begins later begins later in the sound."""
    frames = np.zeros((60, 52), np.float32)
    frames[20:40, arkit.INDEX["jawOpen"]] = 0.6
    sound = tmp_path / "sound.wav"
    beep = np.where(np.arange(3 * RATE) // RATE == 1, np.sin(np.arange(3 * RATE) * 0.2), 0)
    soundfile.write(sound, beep, RATE)
    for start in (Fraction(0), Fraction(1, 2), Fraction(-1, 2)):
        film(Clip(frames, Fraction(30000, 1001), start), tmp_path / "film.mp4", sound, SIZE)
        command = [ffmpeg, "-v", "error", "-i", str(tmp_path / "film.mp4")]
        pixels = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "bgr24", "-"], capture_output=True, check=True)
        pictures = np.frombuffer(pixels.stdout, np.uint8).reshape(-1, SIZE, SIZE, 3)
        assert len(pictures) == 60
        seen = np.array([inside(picture) for picture in pictures]) > inside(pictures[0]) + 100
        assert np.flatnonzero(seen).tolist() == list(range(20, 40))
        heard = subprocess.run([*command, "-f", "f32le", "-ar", str(RATE), "-"], capture_output=True, check=True)
        loud = np.flatnonzero(np.abs(np.frombuffer(heard.stdout, "<f4")) > 0.1)[0] / RATE
        stamps = facts(tmp_path / "film.mp4")
        assert loud + float(str(stamps["audio"]["start_time"])) == pytest.approx(1 - float(start), abs=0.03)


def test_a_film_is_written_whole_or_not_at_all(
    draw: object, ffmpeg: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip(np.zeros((60, 52), np.float32), Fraction(30))

    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film(clip, tmp_path / "film.mp4", None, 64, stop)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(mp4.H264, mp4._h264(), ("-no-such-option", "1"))
    with pytest.raises(FormatError, match="ffmpeg: "):
        film(clip, tmp_path / "film.mp4", None, 64)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    film(clip, tmp_path / "film.mp4", None, 64)
    data = (tmp_path / "film.mp4").read_bytes()
    assert mp4._whole(tmp_path / "film.mp4")
    for cut in (data[:-1], data[data.index(b"mdat") - 4 :], b""):  # as a full disk leaves it
        (tmp_path / "film.mp4").write_bytes(cut)
        assert not mp4._whole(tmp_path / "film.mp4")
    (tmp_path / "film.mp4").unlink()
    monkeypatch.setattr(mp4, "_whole", lambda path: False)
    with pytest.raises(FormatError, match="free the disk"):
        film(clip, tmp_path / "film.mp4", None, 64)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FormatError, match="0 frames"):
        film(Clip(clip.weights[:0], Fraction(30)), tmp_path / "film.mp4", None, 64)


# what users get wrong


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-o", "x.mp4"], "nothing to show"),
        (["talk.wav", "--sheet", "-o", "x.png"], "files and --sheet"),
        (["no.wav", "-o", "x.mp4"], "does not exist"),
        (["take.csv", "-o", "x.mp4"], "take.csv"),
        (["--curves", "no.csv", "-o", "x.mp4"], "no.csv"),
        (["--curves", "talk.wav", "-o", "x.mp4"], "expected one of"),
        (["--curves", "take.csv", "-o", "x.avi"], ".mp4"),
        (["--curves", "take.csv", "-o", "no/x.mp4"], "no folder"),
        (["--curves", "take.csv", "-o", "take.csv"], "is an input"),
        (["no.wav", "--curves", "take.csv", "-o", "x.mp4"], "does not exist"),
        (["--sheet", "-o", "x.mp4"], ".png"),
        (["--curves", "take.csv", "-o", "x.mp4", "--size", "721"], "even number"),
        (["--curves", "take.csv", "-o", "x.mp4", "--size", "100000"], "even number"),
        (["--curves", "take.csv", "-o", "x.mp4", "--fps", "5"], "24 to 120"),
        (["talk.wav", "-o", "x.mp4", "--style", "pirate"], "expected one of"),
        (["talk.wav", "-o", "x.mp4", "--intensity", "-1"], "0 to 3"),
        (["--curves", "take.csv", "-o", "x.mp4", "--emotion", "joy=1"], "got --curves and --emotion"),
        (["--curves", "take.csv", "-o", "x.mp4", "--no-gate"], "got --curves and --no-gate"),
        (["--sheet", "-o", "x.png", "--size", "256"], "got --sheet and --size"),
        (["--curves", "take.csv", "-o", "x.mp4", "--settings", "mine.toml"], "got --curves and --settings"),
    ],
)
def test_mistakes(
    draw: object, ffmpeg: str, curves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[str], word: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", np.zeros(RATE), RATE)
    Path("mine.toml").write_text("smooth = 2.0\n")
    before = sorted(os.listdir())
    said = refused(capsys, "preview", *arguments)
    assert word in said
    assert sorted(os.listdir()) == before


def test_what_is_missing_is_named(
    curves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> str:
        return refused(capsys, "preview", "--curves", curves, "-o", tmp_path / "x.mp4")

    find = importlib.import_module
    for problem, word in ((ModuleNotFoundError("skia"), "duomorph[preview]"), (ImportError("libEGL.so.1"), "libEGL")):

        def missing(name: str, problem: ImportError = problem) -> object:
            if name == "skia":
                raise problem
            return find(name)

        monkeypatch.setattr("duomorph.preview.brush.importlib.import_module", missing)
        assert word in run()
    monkeypatch.setattr("duomorph.preview.brush.importlib.import_module", lambda name: object())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "program ffmpeg" in run()
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho ' V..... mpeg4  MPEG-4'\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    mp4._h264.cache_clear()
    try:
        assert "without H.264" in run()
    finally:
        mp4._h264.cache_clear()
    with pytest.raises((MissingExtra, SettingError), match=r"duomorph\[preview\]|even"):
        film(Clip(np.zeros((1, 52), np.float32), Fraction(30)), tmp_path / "x.mp4", None, 63)
