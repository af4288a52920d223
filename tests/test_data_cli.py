"""`duomorph data`: what capture tools leave behind comes in, is told by name, and what does not come in too."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import lips
from command import refused
from duomorph import arkit, audio, formats
from duomorph.cli import main
from duomorph.clip import Clip
from duomorph.dataset import importing, restoring, split
from duomorph.dataset.check import check
from duomorph.dataset.importing import Found, Labels, bring, find
from duomorph.dataset.manifest import Entry, Writer, read
from duomorph.errors import FormatError
from duomorph.video import LIPS
from talk import talk


def run(*arguments: str | Path) -> int:
    return main(["data", *map(str, arguments)])


def entries(folder: Path) -> dict[str, Entry]:
    return {entry.id: entry for entry in read(folder)}


def put(folder: Path, stem: str, kind: str, seed: int = 1, suffix: str = "wav") -> tuple[np.ndarray, Clip]:
    """A take: a sound and curves in a format."""
    folder.mkdir(parents=True, exist_ok=True)
    sound, clip = talk(2.0, seed)
    soundfile.write(folder / f"{stem}.{suffix}", sound, 16000)
    formats.write(clip, folder / f"{stem}{formats.FORMATS[kind].suffix}", kind)
    return sound, clip


def koemorph_lines(clip: Clip) -> str:
    order = [arkit.INDEX[name] for name in formats.columns.CSV_ORDER]
    rows = clip.weights[:, order].tolist()
    return "\n".join(json.dumps({"timestamp": k / 30, "blendshapes": row}) for k, row in enumerate(rows))


# --- import -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        ("livelink", "Live Link Face take"),
        ("nim", "Audio2Face NIM CSV with sound"),
        ("plain", "CSV with sound"),
        ("a2f", "Audio2Face JSON with sound"),
        ("beat", "BEAT take"),
        ("jsonl", "JSON lines with sound"),
        ("npz", "numpy archive with sound"),
    ],
)
def test_every_format_comes_in(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, called: str) -> None:
    sound, clip = put(tmp_path / "takes", "hello", kind)
    assert run("import", tmp_path / "takes", "-o", tmp_path / "data", "--licence", "CC0-1.0") == 0
    assert f"hello: {called} -> hello" in capsys.readouterr().out
    entry = entries(tmp_path / "data")["hello"]
    back = formats.read(tmp_path / "data" / entry.curves)
    np.testing.assert_allclose(back["jawOpen"], clip["jawOpen"], atol=1e-6)
    np.testing.assert_allclose(audio.read(tmp_path / "data" / entry.audio), sound, atol=1e-4)
    assert (entry.speaker, entry.style, entry.session, entry.licence) == ("takes", "takes", "takes", "CC0-1.0")
    assert ("tongueOut" in entry.captured) == (kind != "beat")
    assert run("check", tmp_path / "data") == 0


def test_a_live_link_face_folder(tmp_path: Path, ffmpeg: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As the app leaves it: a film with the sound, calibrated and raw curves, a neutral face, a log, take.json."""
    folder = tmp_path / "phone" / "20261101_MySlate_7"
    sound, clip = put(folder, "MySlate_7_iPhone_cal", "livelink")
    (folder / "MySlate_7_iPhone_cal.wav").rename(tmp_path / "sound.wav")
    raw = replace(clip, weights=np.ones_like(clip.weights))
    for kind in ("raw", "neutral"):
        raw.save(folder / f"MySlate_7_iPhone_{kind}.csv")
    (folder / "frame_log.csv").write_text("V,0,1\n")
    (folder / "take.json").write_text(json.dumps({"slate": "MySlate", "take": 7, "subject": "Anna"}))
    picture = ["-f", "lavfi", "-i", "color=c=black:s=64x64:d=2"]
    film = ["-c:a", "pcm_s16le", folder / "MySlate_7_iPhone.mov"]
    subprocess.run([ffmpeg, "-v", "error", "-i", tmp_path / "sound.wav", *picture, *film], check=True)
    assert run("import", tmp_path / "phone", "-o", tmp_path / "data", "--licence", "own") == 0
    assert "Live Link Face take -> 20261101_MySlate_7_MySlate_7\n" in capsys.readouterr().out
    (entry,) = read(tmp_path / "data")
    assert (entry.speaker, entry.session) == ("Anna", "MySlate")
    np.testing.assert_allclose(formats.read(tmp_path / "data" / entry.curves)["jawOpen"], clip["jawOpen"], atol=1e-6)
    np.testing.assert_allclose(audio.read(tmp_path / "data" / entry.audio)[: len(sound)], sound, atol=1e-3)


def test_koemorph_of_both_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, clip = put(tmp_path / "v1", "talk", "jsonl")
    (tmp_path / "v1" / "talk.jsonl").write_text(koemorph_lines(clip))
    rec = tmp_path / "v2" / "rec"
    rec.mkdir(parents=True)
    shutil.copy(tmp_path / "v1" / "talk.wav", rec / "audio.wav")
    shutil.copy(tmp_path / "v1" / "talk.jsonl", rec / "blendshapes.jsonl")
    (rec / "metadata.json").write_text(json.dumps({"recording_id": "rec 1/7", "output_fps": 30}))
    (rec / "timecode.json").write_text("{}")
    assert run("import", tmp_path / "v1", tmp_path / "v2", "-o", tmp_path / "data") == 0
    said = capsys.readouterr().out
    assert "KoeMorph v1 pair -> talk\n" in said
    assert "KoeMorph v2 folder -> rec_1_7\n" in said
    for entry in read(tmp_path / "data"):
        back = formats.read(tmp_path / "data" / entry.curves)
        np.testing.assert_allclose(back.weights, clip.weights, atol=1e-7)


def test_who_speaks_and_where(tmp_path: Path) -> None:
    """Folders tell: person / session / take. BEAT tells by its names, and its emotion table is no curve file."""
    takes = tmp_path / "takes"
    put(takes / "anna" / "monday", "a", "plain", 1)
    put(takes / "wayne", "1_wayne_0_3_3", "beat", 2)
    (takes / "wayne" / "1_wayne_0_3_3.csv").write_text("0,0.5,neutral\n")
    put(takes, "b", "npz", 3, "flac")
    (takes / ".hidden").mkdir()
    put(takes / ".hidden", "c", "npz", 4)
    found = {take.id: take for take in find([takes]) if isinstance(take, Found)}
    assert {id: (take.speaker, take.session) for id, take in found.items()} == {
        "anna_monday_a": ("anna", "monday"), "wayne_1_wayne_0_3_3": ("wayne", "wayne"), "b": ("takes", "takes"),
    }  # fmt: skip
    assert found["wayne_1_wayne_0_3_3"].kind == "BEAT take"
    assert run("import", takes, "-o", tmp_path / "data", "--speaker", "eve", "--style", "calm") == 0
    assert {(entry.speaker, entry.style) for entry in read(tmp_path / "data")} == {("eve", "calm")}


def test_sounds_in_a_folder_beside(tmp_path: Path) -> None:
    """As FACEGOOD's: archives of a part of the shapes, sounds under audio/."""
    _, clip = put(tmp_path / "fg" / "audio", "t1", "npz", 1, "flac")
    (tmp_path / "fg" / "audio" / "t1.npz").unlink()
    shapes = ["jawOpen", "mouthPucker"]
    weights = clip.weights[:, [arkit.INDEX[name] for name in shapes]]
    np.savez(tmp_path / "fg" / "t1.npz", weights=weights, shape=np.array(shapes), fps=np.float64(30))
    assert run("import", tmp_path / "fg", "-o", tmp_path / "data") == 0
    (entry,) = read(tmp_path / "data")
    assert set(entry.captured) == set(shapes)


def test_each_is_told_and_one_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    takes = tmp_path / "takes"
    put(takes, "good", "livelink")
    put(takes, "torn", "livelink")
    (takes / "torn.csv").write_bytes((takes / "torn.csv").read_bytes()[:-100])
    put(takes, "deaf", "livelink")
    (takes / "deaf.wav").write_bytes(b"RIFF")
    soundfile.write(takes / "alone.wav", np.zeros(100), 16000)
    talk(1.0, 1)[1].save(takes / "mute.csv")
    (takes / "notes.txt").write_text("hello")
    assert run("import", takes, "-o", tmp_path / "data") == 1
    said = capsys.readouterr().out
    assert "good: Live Link Face take -> good\n" in said
    assert "torn: Live Link Face take, failed: cannot read" in said
    assert "deaf: Live Link Face take, failed: " in said
    assert "alone.wav: left out: a sound without curves of the same name\n" in said
    assert "mute.csv: left out: curves without a sound of the same name\n" in said
    assert said.endswith("1 clips imported into " + str(tmp_path / "data") + ", 2 takes failed\n")
    assert list(entries(tmp_path / "data")) == ["good"]
    assert sorted(path.name for path in (tmp_path / "data").rglob("*") if path.is_file()) == [
        "good.jsonl", "good.wav", "manifest.jsonl",
    ]  # fmt: skip


def test_a_locked_folder_is_told_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "takes" / "locked", "one", "npz")
    put(tmp_path / "takes" / "open", "two", "npz")
    honest = os.stat

    def refuse(path: Any, *more: Any, **named: Any) -> os.stat_result:  # chmod does not lock root out
        if "locked/" in str(path):
            raise PermissionError(13, "Permission denied")
        return honest(path, *more, **named)

    monkeypatch.setattr(os, "stat", refuse)
    assert run("import", tmp_path / "takes", "-o", tmp_path / "data") == 1
    assert "takes/locked: failed: cannot be opened (Permission denied)\n" in capsys.readouterr().out
    assert list(entries(tmp_path / "data")) == ["open_two"]
    for source in (tmp_path / "takes" / "locked" / "one.npz", Path("x" * 300)):
        assert "cannot be opened" in refused(capsys, "data", "import", source, "-o", tmp_path / "data")


def test_a_data_set_and_a_link_are_no_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "takes", "one", "npz", 1)
    (tmp_path / "takes" / "round").symlink_to(tmp_path / "takes")
    assert run("import", tmp_path / "takes", "-o", tmp_path / "takes" / "data") == 0
    capsys.readouterr()
    assert run("import", tmp_path / "takes", "-o", tmp_path / "takes" / "data", "--resume") == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'takes' / 'data'}: left out: a data set already\n" in said
    assert said.count("left out") == 2  # and the take that is in


def test_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "takes", "one", "npz", 1)
    assert run("import", tmp_path / "takes", "-o", tmp_path / "data") == 0
    put(tmp_path / "takes", "two", "npz", 2)
    assert run("import", tmp_path / "takes" / "two.npz", "-o", tmp_path / "data") == 0, "a single file is a take"
    put(tmp_path / "takes", "three", "npz", 3)
    capsys.readouterr()
    assert run("import", tmp_path / "takes", "-o", tmp_path / "data", "--resume") == 0
    said = capsys.readouterr().out
    assert "one: numpy archive with sound, left out: in the data set already" in said
    assert "three -> three" not in said  # the kind stands between
    assert "1 clips imported" in said
    assert list(entries(tmp_path / "data")) == ["one", "two", "three"]
    assert run("import", tmp_path / "takes", "-o", tmp_path / "data") == 1, "without --resume they fail"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["import", "no/where", "-o", "OUT"], "does not exist"),
        (["import", "EMPTY", "-o", "OUT"], "found no take"),
        (["import", "EMPTY"], "--help"),
        ([], "expected import"),
        (["check", "EMPTY"], "no data set"),
        (["stats", "EMPTY"], "no data set"),
        (["fix-lag", "EMPTY"], "no data set"),
        (["split", "EMPTY", "--by", "clip"], "no data set"),
        (["split", "EMPTY", "--by", "mood"], "cannot split by 'mood'"),
        (["split", "EMPTY", "--by", "list"], "one file"),
        (["split", "EMPTY", "--by", "clip", "x"], "one file"),
        (["split", "EMPTY", "--by", "list", "no.txt"], "cannot read the list"),
        (["split", "EMPTY", "--by", "clip", "--test", "2"], "test share"),
        (["check", "EMPTY", "--json", "no/such/file.json"], "no folder"),
        (["stats", "EMPTY", "--picture", "no/such/file.png"], "no folder"),
    ],
)
def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str) -> None:
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": tmp_path / "empty", "OUT": tmp_path / "out"}
    assert word in refused(capsys, "data", *(places.get(argument, argument) for argument in arguments))
    assert not (tmp_path / "out").exists()


# --- video ------------------------------------------------------------------------------------------------------------


class Captured:
    """What duomorph.video.capture gives, of a face that is away now and then."""

    size = (360, 288)

    def __init__(self, clip: Clip, missed: np.ndarray) -> None:
        self.clip, self.missed = clip, missed
        made = lips.filmed(lips.speech(len(clip)))
        self.lips = np.zeros((len(clip), len(LIPS), 3), np.float32)
        self.lips[:, [LIPS.index(number) for number in lips.INDEX]] = made.marks
        self.head = made.head.astype(np.float32)


def test_videos_are_cut_where_there_is_no_face(tmp_path: Path, ffmpeg: str) -> None:
    sound, clip = talk(8.0, 1)
    soundfile.write(tmp_path / "sound.wav", sound, 16000)
    picture = ["-f", "lavfi", "-i", "color=c=black:s=64x64:d=8"]
    film = ["-c:a", "pcm_s16le", tmp_path / "film.mov"]
    subprocess.run([ffmpeg, "-v", "error", "-i", tmp_path / "sound.wav", *picture, *film], check=True)
    missed = np.zeros(len(clip), dtype=bool)
    missed[60:75] = missed[90:100] = missed[200:] = True  # leaves 2 s, half a second, and 3.33 s

    with Writer(tmp_path / "data") as out:
        (outcome,) = bring(find([tmp_path / "film.mov"]), out, Labels(licence="x"), lambda path: Captured(clip, missed))
    assert outcome.ids == ("film.1", "film.2")
    assert outcome.why == "2.7 s without a face left out"
    first, second = read(tmp_path / "data")
    assert (first.frames, second.frames) == (60, 100)
    for entry, begin in ((first, 0), (second, 100)):
        back = formats.read(tmp_path / "data" / entry.curves)
        np.testing.assert_array_equal(back.weights, clip.weights[begin : begin + entry.frames])
        heard = audio.read(tmp_path / "data" / entry.audio)
        at = round(begin / 30 * 16000)
        np.testing.assert_allclose(heard, sound[at : at + len(heard)], atol=1e-3)
        assert abs(back.start) < Fraction(1, 16000)
        assert abs(entry.duration_s - entry.frames / 30) < 1e-4
    with Writer(tmp_path / "data") as out:
        (again,) = bring(find([tmp_path / "film.mov"]), out, Labels(), lambda path: Captured(clip, missed), resume=True)
        assert again.why == "in the data set already"
        (faceless,) = bring(
            find([tmp_path / "film.mov"]), out, Labels(), lambda path: Captured(clip, np.ones(len(clip), dtype=bool))
        )
        assert faceless.failed


@pytest.mark.parametrize("end", [KeyboardInterrupt, FormatError("the disk is full")])
def test_a_video_comes_in_with_all_its_pieces_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    sound, clip = talk(8.0, 1)
    soundfile.write(tmp_path / "film.wav", sound, 16000)
    missed = np.zeros(len(clip), dtype=bool)
    missed[60:75] = True
    film = Found(tmp_path / "film", "video", "film", tmp_path / "film.wav", (), "anna", "monday")
    keep = restoring.keep

    def stop(folder: Path, id: str, lips: restoring.Lips) -> None:
        if id == "film.2":
            raise end
        keep(folder, id, lips)

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "keep", stop)
        with suppress(KeyboardInterrupt), Writer(tmp_path / "data") as out:
            (outcome,) = bring([film], out, Labels(), lambda path: Captured(clip, missed))
            assert outcome.failed
    assert list(read(tmp_path / "data")) == []
    with Writer(tmp_path / "data") as out:
        (outcome,) = bring([film], out, Labels(), lambda path: Captured(clip, missed), resume=True)
    assert outcome.ids == ("film.1", "film.2")
    assert not check(tmp_path / "data").fatal


def test_two_takes_of_one_name_are_not_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "monday", "one", "npz", 1)
    put(tmp_path / "tuesday", "one", "npz", 2)
    for resume in ([], ["--resume"]):
        assert run("import", tmp_path / "monday", tmp_path / "tuesday", "-o", tmp_path / "data", *resume) == 1
        said = capsys.readouterr().out
        assert "tuesday/one: numpy archive with sound, failed: another take is called 'one' too" in said
    assert list(entries(tmp_path / "data")) == ["one"]


@pytest.mark.corpus
def test_a_phone_take_is_evened_out_by_its_own_clock(corpus: Path, tmp_path: Path) -> None:
    take = tmp_path / "takes" / "rom_iPhone.csv"
    take.parent.mkdir()
    shutil.copy(corpus / "fixtures" / "livelink_rom_iphone.csv", take)
    soundfile.write(take.with_suffix(".wav"), np.random.default_rng(0).normal(0, 0.1, 134 * 16000), 16000)
    assert run("import", tmp_path / "takes", "-o", tmp_path / "data", "--licence", "MIT") == 0
    (entry,) = read(tmp_path / "data")
    phone = formats.read(take)
    assert phone.stamps is not None
    even = formats.read(tmp_path / "data" / entry.curves)
    # The phone's clock runs 0.13 per thousand fast: its last frame stands 17 ms before where an even count puts it.
    late = float((len(phone) - 1) / phone.fps) - float(np.nanmax(phone.stamps) - np.nanmin(phone.stamps))
    assert late == pytest.approx(0.017, abs=0.002)
    assert len(even) == len(phone.resampled(phone.fps))
    np.testing.assert_array_equal(even.weights, phone.resampled(phone.fps).weights)


def test_a_whole_face_is_not_cut() -> None:
    clip = talk(2.0, 1)[1]
    assert importing._stretches(clip, np.zeros(len(clip), dtype=bool)) == ([slice(0, len(clip))], 0)


def test_captured_videos_get_a_restored_style(
    tmp_path: Path, ffmpeg: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, clips = tmp_path / "data", {}
    with Writer(data) as out:
        for k in range(3):
            sound, clips[f"film{k}"] = talk(8.0, k)
            soundfile.write(tmp_path / "sound.wav", sound, 16000)
            film = tmp_path / f"film{k}.mov"
            picture = ["-f", "lavfi", "-i", "color=c=black:s=64x64:d=8"]
            subprocess.run(
                [ffmpeg, "-v", "error", "-i", tmp_path / "sound.wav", *picture, "-c:a", "pcm_s16le", film], check=True
            )
            captured = Captured(clips[film.stem], np.zeros(len(clips[film.stem]), dtype=bool))
            list(bring(find([film]), out, Labels(style="me", speaker="me"), lambda path, seen=captured: seen))
    (data / "ids.txt").write_text("film1\n")
    assert run("split", data, "--by", "list", data / "ids.txt") == 0
    assert run("restore", data) == 0
    said = capsys.readouterr()
    assert "3 clips added" in said.out
    assert said.err == "duomorph: speaker 'me' is fitted on 16 s, which is rough: expected 60; add some\n"
    there = entries(data)
    for id, clip in clips.items():
        wide = there[f"{id}.restored"]
        assert (there[id].style, wide.style) == ("me", "me_restored")
        assert wide.audio == there[id].audio
        restored = formats.read(data / wide.curves)
        assert restored["mouthLowerDownLeft"].std() > 1.3 * clip["mouthLowerDownLeft"].std()
        np.testing.assert_array_equal(restored["jawOpen"], clip["jawOpen"])
    assert split.held_out(data) == {"film1", "film1.restored"}
    monkeypatch.setattr(restoring, "ENOUGH_S", 16)
    assert run("restore", data) == 0  # again: nothing new
    said = capsys.readouterr()
    assert "0 clips added" in said.out
    assert said.err == ""
    (data / "lips" / "film0.npz").write_bytes(b"PK")
    assert "capture the video again" in refused(capsys, "data", "restore", data)
    (tmp_path / "plain").mkdir()
    assert "is no data set" in refused(capsys, "data", "restore", tmp_path / "plain")


@pytest.mark.corpus
def test_the_grid_videos_come_in_by_one_command(corpus: Path, tmp_path: Path, ffmpeg: str) -> None:
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("needs the extra video: pip install 'duomorph[video]'")
    videos = [corpus / "fixtures" / f"{name}.mpg" for name in ("bbaf2n", "lwik9s")]
    landmarker = corpus / "models" / "face_landmarker.task"
    assert run("import", *videos, "-o", tmp_path, "--landmarker", landmarker, "--licence", "CC BY 4.0") == 0
    faces = np.load(corpus / "grid_s1" / "faces.npz")
    shapes = [str(shape) for shape in faces["shape"]]
    for entry in read(tmp_path):
        clip = formats.read(tmp_path / entry.curves)
        label = faces["weights"][[str(name) for name in faces["clip"]].index(entry.id)][:, shapes.index("jawOpen")]
        assert np.corrcoef(clip["jawOpen"], label.astype(np.float64))[0, 1] > 0.95
    assert run("check", tmp_path) == 0
    assert not list(tmp_path.glob(".*.part"))


# --- the other verbs --------------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with Writer(tmp_path / "data") as out:
        for k in range(4):
            sound, clip = talk(10.0, k, late_ms=150.0 * (k == 0))
            out.add(id=f"t{k}", sound=sound, clip=clip, speaker=f"s{k % 2}", style="x", licence="CC0", session=str(k))
    return tmp_path / "data"


def test_check_ends_in_1_only_if_something_is_fatal(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", data, "--json", data / "report.json") == 0
    said = capsys.readouterr().out
    assert "curves/t0.jsonl: warning: the face is 1" in said
    assert said.endswith("4 clips, 1200 frames, 0.01 h: 0 fatal, 1 warnings\n")
    report = json.loads((data / "report.json").read_text())
    assert (report["fatal"], report["warnings"], report["frames"]) == (0, 1, 1200)
    assert report["lags"]["t0"]["confidence"] > 0.99
    (data / "curves/t1.jsonl").write_text("{}\n")
    assert run("check", data, "--no-audio", "--json", data / "report.json") == 1
    assert "curves/t1.jsonl:1: fatal: the line is no frame" in capsys.readouterr().out
    problems = json.loads((data / "report.json").read_text())["problems"]
    assert {problem["kind"] for problem in problems} == {"checksum", "line", "count", "captured"} - {"captured"}


def test_fix_lag_shows_before_it_moves(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fix-lag", data) == 0
    said = capsys.readouterr().out
    assert "t0: +1" in said
    assert "to move" in said
    assert said.endswith("1 of 4 clips to move\n")
    assert run("fix-lag", data, "--apply") == 0
    assert capsys.readouterr().out.endswith("1 of 4 clips moved\n")
    assert run("fix-lag", data) == 0
    assert capsys.readouterr().out.endswith("0 of 4 clips to move\n")


def test_stats_and_their_picture(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    assert run("stats", data, "--picture", data / "shapes.png") == 0
    said = capsys.readouterr().out
    assert "style x: 4 clips, 1200 frames" in said
    assert said.count("\n") == 2 + 52
    assert (data / "shapes.png").read_bytes().startswith(b"\x89PNG")


def test_split(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("split", data, "--by", "speaker", "--test", "0.5", "--seed", "1") == 0
    first = (data / "split.json").read_bytes()
    assert json.loads(first)["test"] in (["t0", "t2"], ["t1", "t3"])
    assert run("split", data, "--by", "speaker", "--test", "0.5", "--seed", "1") == 0
    assert (data / "split.json").read_bytes() == first
    (data / "held.txt").write_text("t3\nt1\n")
    assert run("split", data, "--by", "list", data / "held.txt") == 0
    assert json.loads((data / "split.json").read_text())["test"] == ["t1", "t3"]
    (data / "held.txt").write_text("t9")
    capsys.readouterr()
    assert "no clip 't9'" in refused(capsys, "data", "split", data, "--by", "list", data / "held.txt")
    assert json.loads((data / "split.json").read_text())["test"] == ["t1", "t3"]
