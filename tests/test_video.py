"""Video to curves: real clips give their known labels without lag, and whatever is wrong with a video is said."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from duomorph import arkit, video
from duomorph.errors import CorpusError, DuomorphError, FormatError, MissingExtra, ModelError, SettingError
from duomorph.video import face, film, workers
from duomorph.video.face import Window

CLIPS = ("bbaf2n", "lwik9s")
EXACT = ("-c:v", "ffv1", "-an")  # lossless: what differs then is our doing
STILL = 0.01  # sd of a curve that does not move
TURNED = np.array([0, 1, 0, -1, 0, 0, 0, 0, 0x4000], dtype=float)  # a phone held upright, as mp4 writes it


def make(folder: Path, name: str, *arguments: str | Path) -> Path:
    """A file by ffmpeg."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments), str(folder / name)]
    subprocess.run(command, check=True)
    return folder / name


def pattern(folder: Path, name: str, *options: str, size: str = "64x48", fps: str = "25", seconds: float = 1) -> Path:
    """A moving test picture: no face."""
    source = f"testsrc=size={size}:rate={fps}:duration={seconds}"
    return make(folder, name, "-f", "lavfi", "-i", source, *options)


@pytest.fixture(scope="session")
def landmarker(corpus: Path, ffmpeg: str) -> Path:
    """MediaPipe's model; mark such a test with `corpus`."""
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("needs the extra video: pip install 'duomorph[video]'")
    return corpus / "models" / "face_landmarker.task"


@pytest.fixture(scope="module")
def capturer(landmarker: Path) -> Iterator[video.Capturer]:
    with video.Capturer(landmarker) as capturer:
        yield capturer


@pytest.fixture(scope="module")
def takes(capturer: video.Capturer, corpus: Path) -> dict[str, video.Capture]:
    return {name: capturer.capture(corpus / "fixtures" / f"{name}.mpg") for name in CLIPS}


@pytest.fixture
def talk(corpus: Path) -> Path:
    return corpus / "fixtures" / "bbaf2n.mpg"


def labels(corpus: Path, name: str) -> np.ndarray:
    """(75, 52) of grid_s1, which the same model made from the same video elsewhere."""
    with np.load(corpus / "grid_s1" / "faces.npz") as faces:
        columns = [str(shape) for shape in faces["shape"]]
        known = faces["weights"][list(faces["clip"]).index(name)].astype(np.float32)
    placed = np.zeros((len(known), arkit.COUNT), np.float32)
    for column, shape in enumerate(columns):
        if shape in arkit.INDEX:
            placed[:, arkit.INDEX[shape]] = known[:, column]
    return placed


def flat_r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def lag(a: np.ndarray, b: np.ndarray) -> int:
    """By how many frames `a` comes after `b`: the peak of their cross-correlation."""
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    scores = {k: float((a[10 + k : len(a) - 10 + k] * b[10:-10]).mean()) for k in range(-10, 11)}
    return max(scores, key=lambda k: scores[k])


@pytest.mark.corpus
@pytest.mark.parametrize("name", CLIPS)
def test_curves_are_the_known_ones(takes: dict[str, video.Capture], corpus: Path, name: str) -> None:
    take, known = takes[name], labels(corpus, name)
    assert (take.clip.fps, take.clip.start, len(take.clip)) == (Fraction(25), 0, 75)
    assert not take.missed.any()
    assert not take.bridged.any()
    assert [shape for shape, there in zip(arkit.NAMES, take.clip.captured, strict=True) if not there] == ["tongueOut"]
    moving = [shape for shape in arkit.NAMES if known[:, arkit.INDEX[shape]].std() > 1e-3]
    assert len(moving) > 30
    for shape in moving:
        assert flat_r(take.clip[shape], known[:, arkit.INDEX[shape]]) >= 0.95, shape
    assert flat_r(take.clip.weights, known) >= 0.95
    assert lag(take.clip["jawOpen"], known[:, arkit.INDEX["jawOpen"]]) == 0


@pytest.mark.corpus
@pytest.mark.parametrize("name", CLIPS)
def test_landmarks_are_the_known_ones(takes: dict[str, video.Capture], corpus: Path, name: str) -> None:
    with np.load(corpus / "grid_s1" / "faces.npz") as faces:
        place = list(faces["clip"]).index(name)
        assert tuple(faces["lips_index"]) == video.LIPS
        lips = faces["lips_u16"][place] / 65535 - (0, 0, 0.5)
        head = faces["head"][place]
    np.testing.assert_allclose(takes[name].lips, lips, atol=2e-4)
    np.testing.assert_allclose(takes[name].head, head, atol=1e-2)


@pytest.mark.corpus
def test_processes_do_not_change_the_result(
    takes: dict[str, video.Capture], landmarker: Path, talk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, int]] = []
    take = video.capture(talk, landmarker, processes=2, progress=lambda done, of: told.append((done, of)))
    np.testing.assert_array_equal(take.clip.weights, takes["bbaf2n"].clip.weights)
    np.testing.assert_array_equal(take.clip.angles, takes["bbaf2n"].clip.angles)
    np.testing.assert_array_equal(take.lips, takes["bbaf2n"].lips)
    assert told == [(16, 75), (32, 75), (48, 75), (64, 75), (75, 75)]
    assert capfd.readouterr() == ("", "")  # MediaPipe's logs stay away


@pytest.mark.corpus
def test_goes_on_where_it_was_stopped(
    takes: dict[str, video.Capture], capturer: video.Capturer, landmarker: Path, talk: Path, tmp_path: Path
) -> None:
    part = tmp_path / "talk.part"

    def stop(done: int, of: int) -> None:
        if done >= 48:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        video.capture(talk, landmarker, progress=stop, part=part)
    with part.open("ab") as file:
        file.write(b"half a record")  # as a power cut leaves it
    told: list[int] = []
    take = capturer.capture(talk, lambda done, of: told.append(done), part)
    assert told == [64, 75]
    np.testing.assert_array_equal(take.clip.weights, takes["bbaf2n"].clip.weights)
    assert not part.exists()


@pytest.mark.corpus
def test_another_videos_notes_are_not_used(
    takes: dict[str, video.Capture], capturer: video.Capturer, talk: Path, tmp_path: Path
) -> None:
    part = tmp_path / "talk.part"
    head, _, _ = json.dumps(["other.mpg", 1, 2, "25", "", 16, 3]).partition("\n")
    part.write_bytes(head.encode() + b"\n" + bytes(face.RECORD.itemsize * 32))
    take = capturer.capture(talk, part=part)
    np.testing.assert_array_equal(take.clip.weights, takes["bbaf2n"].clip.weights)
    with pytest.raises(FormatError, match="no folder"):
        capturer.capture(talk, part=tmp_path / "no" / "talk.part")


@pytest.mark.corpus
def test_a_small_face_is_found_and_measured(
    takes: dict[str, video.Capture], capturer: video.Capturer, talk: Path, tmp_path: Path
) -> None:
    # 1/14 of the width; MediaPipe alone finds it up to about 1/8
    small = make(tmp_path, "small.mkv", "-i", talk, "-vf", "pad=1920:1080:1500:700", *EXACT)
    take, known = capturer.capture(small), takes["bbaf2n"]
    assert not take.missed.any()
    assert flat_r(take.clip.weights, known.clip.weights) > 0.95
    assert flat_r(take.clip["jawOpen"], known.clip["jawOpen"]) > 0.95
    assert lag(take.clip["jawOpen"], known.clip["jawOpen"]) == 0
    jitter = [np.abs(np.diff(clip["jawOpen"], 3)).mean() for clip in (take.clip, known.clip)]
    assert jitter[0] < 1.2 * jitter[1]  # the crop keeps still
    place = (known.lips[..., :2] * (360, 288) + (1500, 700)) / (1920, 1080)
    np.testing.assert_allclose(take.lips[..., :2], place, atol=4 / 1080)


@pytest.mark.corpus
def test_head_pose_does_not_depend_on_the_crop(capturer: video.Capturer, talk: Path, tmp_path: Path) -> None:
    # the same face in the middle and in a corner: MediaPipe itself turns the head by 0.26 of the angle between
    middle, corner = (
        capturer.capture(make(tmp_path, f"{x}.mkv", "-t", "0.64", "-i", talk, "-vf", f"pad=1440:1152:{x}:{y}", *EXACT))
        for x, y in ((540, 432), (1080, 864))
    )
    assert middle.clip.angles is not None
    assert corner.clip.angles is not None
    between = np.arctan2(540 / 1152 * 2 * np.tan(face.FIELD_OF_VIEW / 2), 1)  # across; down it is nearly as much
    turned = (corner.clip.angles - middle.clip.angles)[:, :2].mean(axis=0)
    np.testing.assert_allclose(turned, [face.BESIDE * between, -face.BESIDE * between], atol=0.05)
    np.testing.assert_allclose(corner.head[:, 2, 3], middle.head[:, 2, 3], rtol=0.1)


@pytest.mark.corpus
def test_gaps_are_bridged_or_marked(
    takes: dict[str, video.Capture], capturer: video.Capturer, talk: Path, tmp_path: Path
) -> None:
    # at 25 fps two frames are 80 ms and three 120 ms
    black = "between(n,0,1)+between(n,20,21)+between(n,30,32)+between(n,40,59)"
    gaps = make(tmp_path, "gaps.mkv", "-i", talk, "-vf", f"drawbox=c=black:t=fill:enable='{black}'", *EXACT)
    take, known = capturer.capture(gaps), takes["bbaf2n"].clip.weights
    assert list(np.flatnonzero(take.bridged)) == [20, 21]
    assert list(np.flatnonzero(take.missed)) == [0, 1, 30, 31, 32, *range(40, 60)]
    weights = take.clip.weights
    np.testing.assert_allclose(weights[20], known[19] * 2 / 3 + known[22] / 3, atol=2e-2)
    np.testing.assert_allclose(weights[21], weights[19] / 3 + weights[22] * 2 / 3, atol=1e-6)
    np.testing.assert_array_equal(weights[30:33], np.broadcast_to(weights[29], (3, 52)))
    np.testing.assert_array_equal(weights[:2], np.broadcast_to(weights[2], (2, 52)))
    assert np.isfinite(weights).all()


@pytest.mark.corpus
def test_frames_that_the_video_lacks_are_bridged(
    takes: dict[str, video.Capture], capturer: video.Capturer, talk: Path, tmp_path: Path
) -> None:
    lacking = make(
        tmp_path, "vfr.mkv", "-i", talk, "-vf", "select='not(eq(mod(n,5),3))'", "-fps_mode", "vfr", *EXACT
    )
    take, known = capturer.capture(lacking), takes["bbaf2n"]
    assert take.clip.fps == 25
    assert list(np.flatnonzero(take.bridged)) == list(range(3, 75, 5))
    there = ~take.bridged & ~take.missed
    assert flat_r(take.clip.weights[there], known.clip.weights[: len(take.clip)][there]) > 0.99


@pytest.mark.corpus
def test_a_turned_silent_video_at_a_broadcast_rate(
    takes: dict[str, video.Capture], capturer: video.Capturer, talk: Path, tmp_path: Path
) -> None:
    lying = make(
        tmp_path, "lying.mp4", "-r", "30000/1001", "-i", talk, "-vf", "transpose=2",
        "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", "-an",
    )  # fmt: skip
    data = bytearray(lying.read_bytes())
    place = data.index(b"tkhd") + 44  # behind the name: version, two times, track, duration, layer, volume
    data[place : place + 36] = (TURNED * 65536).astype(">i4").tobytes()
    lying.write_bytes(data)
    take = capturer.capture(lying)
    assert (take.clip.fps, len(take.clip), take.clip.start) == (Fraction(30000, 1001), 75, 0)
    assert flat_r(take.clip.weights, takes["bbaf2n"].clip.weights) > 0.95
    np.testing.assert_allclose(take.lips[..., :2], takes["bbaf2n"].lips[..., :2], atol=0.02)


@pytest.mark.corpus
def test_signs_of_the_head(
    takes: dict[str, video.Capture], capturer: video.Capturer, corpus: Path, tmp_path: Path
) -> None:
    source = corpus / "fixtures" / "lwik9s.mpg"  # he turns to his left
    known = takes["lwik9s"].clip
    assert known.angles is not None
    yaw, pitch, roll = known.angles[:, :3].mean(axis=0)
    assert yaw < -0.1
    flipped = capturer.capture(make(tmp_path, "flipped.mkv", "-i", source, "-vf", "hflip", *EXACT)).clip
    assert flipped.angles is not None
    np.testing.assert_allclose(flipped.angles[:, :3].mean(axis=0), [-yaw, pitch, -roll], atol=0.05)
    tilted = make(tmp_path, "tilted.mkv", "-i", source, "-vf", "rotate=0.2:fillcolor=blue", *EXACT)  # clockwise
    angles = capturer.capture(tilted).clip.angles
    assert angles is not None
    np.testing.assert_allclose(angles[:, 2].mean(), roll + 0.2, atol=0.05)  # to his left shoulder


@pytest.mark.corpus
def test_left_is_the_subjects_own(
    takes: dict[str, video.Capture], capturer: video.Capturer, talk: Path, tmp_path: Path
) -> None:
    known = takes["bbaf2n"]
    blink = known.clip["eyeBlinkLeft"] + known.clip["eyeBlinkRight"]
    shown = list(film.pictures(film.probe(talk)))
    wink, shut = shown[int(blink.argmin())].copy(), shown[int(blink.argmax())]
    middle = round(float(known.lips[..., 0].mean()) * wink.shape[1])
    wink[:, middle:] = shut[:, middle:]  # in the right half of the picture, which is his left
    (tmp_path / "wink.rgb").write_bytes(wink.tobytes())
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "360x288", "-r", "25", "-i", tmp_path / "wink.rgb")
    take = capturer.capture(make(tmp_path, "wink.mkv", *raw, *EXACT)).clip
    assert take["eyeBlinkLeft"][0] > 0.4
    assert take["eyeBlinkRight"][0] < 0.2


def test_angles_undo_a_rotation() -> None:
    yaw, pitch, roll = 0.5, -0.3, 0.2

    def about(axis: int, angle: float) -> np.ndarray:
        matrix = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        matrix[[first, second], [first, second]] = np.cos(angle)
        matrix[second, first], matrix[first, second] = np.sin(angle), -np.sin(angle)
        return matrix

    head = np.eye(4, dtype=np.float32)[None]
    head[0, :3, :3] = about(1, -yaw) @ about(0, pitch) @ about(2, -roll)
    assert head[0, 0, 2] < 0  # the face points to the left of the picture, which is the subject's right
    assert head[0, 1, 2] > 0  # and up
    weights = np.zeros((1, arkit.COUNT), np.float32)
    weights[0, [arkit.INDEX["eyeLookOutLeft"], arkit.INDEX["eyeLookInRight"], arkit.INDEX["eyeLookDownRight"]]] = 0.5
    angles = dict(zip(arkit.ANGLES, video._angles(head, weights)[0], strict=True))
    assert [angles[name] for name in arkit.ANGLES[:3]] == pytest.approx([yaw, pitch, roll])
    assert angles["LeftEyeYaw"] == angles["RightEyeYaw"] < 0  # both eyes to the left
    assert angles["LeftEyePitch"] == 0 < angles["RightEyePitch"]


@pytest.mark.corpus
def test_eye_angles_are_those_of_a_real_take(corpus: Path) -> None:
    rows = (corpus / "fixtures" / "livelink_rom_iphone.csv").read_text().splitlines()
    names = rows[0].split(",")[2:]
    real = np.array([row.split(",")[2:] for row in rows[1:]], dtype=np.float32)  # (T, 61)
    weights = np.zeros((len(real), arkit.COUNT), np.float32)
    for column, name in enumerate(names[: arkit.COUNT]):
        weights[:, arkit.INDEX[arkit.canonical(name) or ""]] = real[:, column]
    ours = video._angles(np.broadcast_to(np.eye(4, dtype=np.float32), (len(real), 4, 4)), weights)
    for name in ("LeftEyeYaw", "LeftEyePitch", "RightEyeYaw", "RightEyePitch"):
        their = real[:, names.index(name)]
        our = ours[:, arkit.ANGLES.index(name)]
        assert flat_r(our, their) > 0.99, name
        assert our.std() == pytest.approx(their.std(), rel=0.1), name


def test_a_view_of_the_whole_stays_as_it_is() -> None:
    head = np.eye(4)
    head[:3, 3] = (3, -5, -40)
    np.testing.assert_allclose(face.whole_view(head, Window(0, 0, 640, 480), 640, 480), head, atol=1e-12)


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (360, 288), (31, 17)])
def test_every_place_is_searched(size: tuple[int, int]) -> None:
    for windows in face._levels(*size):
        seen = np.zeros(size[::-1], dtype=bool)
        for x, y, width, height in windows:
            assert min(x, y) >= 0
            assert x + width <= size[0]
            assert y + height <= size[1]
            seen[y : y + height, x : x + width] = True
        assert seen.all()


@pytest.mark.parametrize(
    ("name", "options", "fps"),
    [
        ("a.mp4", ("-c:v", "mpeg4"), "30000/1001"),
        ("a.mkv", ("-c:v", "ffv1"), "24000/1001"),
        ("a.avi", ("-c:v", "mpeg4", "-bf", "2"), "25"),
        ("a.mpg", ("-c:v", "mpeg2video"), "50"),
        ("a.mp4", ("-c:v", "mpeg4"), "60"),
        ("a.mp4", ("-c:v", "mpeg4"), "37"),
    ],
)
def test_frame_rates_are_exact(ffmpeg: str, tmp_path: Path, name: str, options: tuple[str, ...], fps: str) -> None:
    found = film.probe(pattern(tmp_path, name, *options, fps=fps, seconds=2))
    shown = list(film.pictures(found))
    assert found.fps == Fraction(fps)
    assert len(shown) == found.frames == np.ceil(2 * Fraction(fps))
    assert shown[0].shape == (48, 64, 3)


def test_uneven_time_stamps_become_even(ffmpeg: str, tmp_path: Path) -> None:
    stamps = "setpts='(N+0.3*sin(N))/27.3/TB'"  # a webcam
    path = pattern(tmp_path, "webcam.mkv", "-vf", stamps, "-fps_mode", "vfr", "-c:v", "ffv1", seconds=8)
    found = film.probe(path)
    assert found.fps in film.COMMON
    assert len(list(film.pictures(found))) == pytest.approx(float(200 / 27.3 * found.fps), abs=2)
    assert found.frames == pytest.approx(float(200 / 27.3 * found.fps), abs=2)


def test_pixels_become_square_and_few(ffmpeg: str, tmp_path: Path) -> None:
    wide = pattern(tmp_path, "wide.mkv", "-vf", "setsar=2", "-c:v", "ffv1", seconds=0.2)
    assert next(film.pictures(film.probe(wide))).shape == (48, 128, 3)
    large = pattern(tmp_path, "large.mkv", "-c:v", "ffv1", size="3840x2160", seconds=0.04)
    assert next(film.pictures(film.probe(large))).shape == (1080, 1920, 3)


def test_start_is_counted_from_the_sound(ffmpeg: str, tmp_path: Path) -> None:
    silent = pattern(tmp_path, "silent.mkv", "-c:v", "ffv1")
    assert film.probe(silent).start == 0
    tone = ("-f", "lavfi", "-i", "sine=duration=1")
    late = make(tmp_path, "late.mkv", *tone, "-itsoffset", "0.24", "-i", silent, "-c:v", "copy", "-c:a", "pcm_s16le")
    assert film.probe(late).start == Fraction(6, 25)
    early = make(tmp_path, "early.mkv", "-i", silent, "-itsoffset", "0.24", *tone, "-c:v", "copy", "-c:a", "pcm_s16le")
    assert film.probe(early).start == Fraction(-6, 25)


def bad_videos(folder: Path) -> dict[str, tuple[Path, str]]:
    """Path of each, and a word of the complaint."""
    whole = pattern(folder, "whole.mkv", "-c:v", "ffv1", size="320x240")
    mp4 = pattern(folder, "whole.mp4", "-c:v", "mpeg4", size="320x240")
    files = {
        "empty.mp4": (b"", "empty"),
        "letter.mp4": (b"This is no video, it is a letter.\n" * 40, "cannot read"),
        "cut.mkv": (whole.read_bytes()[: whole.stat().st_size // 2], "cut short"),
        "cut.mp4": (mp4.read_bytes()[: mp4.stat().st_size // 2], "cannot read"),
    }
    bad = {"folder": (folder, "no file"), "missing": (folder / "no.mp4", "does not exist")}
    for name, (data, word) in files.items():
        (folder / name).write_bytes(data)
        bad[name] = (folder / name, word)
    bad["sound"] = (make(folder, "tone.wav", "-f", "lavfi", "-i", "sine=duration=1"), "no picture track")
    cover = make(folder, "cover.png", "-i", whole, "-frames:v", "1")
    song = ("-i", folder / "tone.wav", "-i", cover, "-map", "0", "-map", "1", "-disposition:v", "attached_pic")
    bad["cover"] = (make(folder, "song.m4a", *song, "-c:v", "png"), "no picture track")
    bad["slow"] = (pattern(folder, "slow.mp4", fps="15"), "15 frames a second")
    bad["fast"] = (pattern(folder, "fast.mp4", fps="240"), "240 frames a second")
    return bad


def test_bad_videos_are_refused(ffmpeg: str, tmp_path: Path) -> None:
    for kind, (path, word) in bad_videos(tmp_path).items():
        with pytest.raises(CorpusError, match=word) as refusal:
            list(film.pictures(film.probe(path)))
        assert path.name in str(refusal.value), kind
        assert "expected" in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.corpus
def test_a_video_without_a_face_is_refused(capturer: video.Capturer, tmp_path: Path) -> None:
    for size in ("320x240", "2x2"):
        nobody = pattern(tmp_path, f"{size}.mkv", "-c:v", "ffv1", size=size, seconds=0.2)
        with pytest.raises(CorpusError, match="no face in its 5 frames"):
            capturer.capture(nobody)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtra, match="ffmpeg"):
        film.probe(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'duomorph\[video\]'"):
        video.capture(tmp_path / "talk.mp4")


@pytest.mark.corpus
def test_a_bad_landmarker_is_refused(landmarker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = tmp_path / "letter.task"
    letter.write_text("This is no model.")
    monkeypatch.delenv("DUOMORPH_LANDMARKER", raising=False)
    refusals: list[tuple[DuomorphError, str]] = []
    for named in (None, tmp_path / "no.task", tmp_path, letter):
        with pytest.raises(ModelError, match=re.escape(workers.PAGE)) as refusal, video.Capturer(named):
            pass
        assert "\n" not in str(refusal.value)
        refusals.append((refusal.value, str(named)))
    with pytest.raises(SettingError, match="0 processes"):
        video.Capturer(landmarker, processes=0)
    monkeypatch.setenv("DUOMORPH_LANDMARKER", str(landmarker))
    with video.Capturer():
        pass


@pytest.mark.corpus
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_mediapipe_cannot_call_home(capturer: video.Capturer) -> None:
    for worker in capturer._workers._workers:
        assert worker._process is not None
        settings = Path(f"/proc/{worker._process.pid}/environ").read_bytes().split(b"\0")
        assert b"https_proxy=" + workers.NOWHERE.encode() in settings
        assert not any(setting.upper().startswith(b"NO_PROXY=") for setting in settings)


@pytest.mark.corpus
def test_a_failure_leaves_nothing_behind(
    takes: dict[str, video.Capture], landmarker: Path, talk: Path, tmp_path: Path
) -> None:
    whole = make(tmp_path, "whole.mkv", "-i", talk, *EXACT)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    with video.Capturer(landmarker, processes=2) as capturer:
        with pytest.raises(CorpusError, match="cut short"):
            capturer.capture(cut)
        after_cut = capturer.capture(talk)
        for worker in capturer._workers._workers:
            assert worker._process is not None
            worker._process.kill()
        with pytest.raises(CorpusError, match="ended"):
            capturer.capture(talk)
        after_death = capturer.capture(talk)
    for take in (after_cut, after_death):
        np.testing.assert_array_equal(take.clip.weights, takes["bbaf2n"].clip.weights)
