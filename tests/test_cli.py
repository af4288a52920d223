"""The command line: where results go, what is printed, one sentence for every mistake before work begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

import duomorph
from command import refused
from duomorph import audio, egemaps, formats
from duomorph.cli import main
from duomorph.clip import Clip
from duomorph.clock import frame_count
from duomorph.errors import FormatError, SettingError
from duomorph.shaping import Shaping


class StillFace:
    """Stands for a model: reads the sound as the real one does, and keeps the face still."""

    styles = ("grid", "facegood")

    def __init__(self) -> None:
        self.calls: list[dict[str, object]] = []

    def stream(self, fps: Fraction, delay_ms: float, style: str | None, shaping: Shaping) -> None:
        """Checks its settings, as the real one."""
        if style not in (None, *self.styles):
            raise SettingError(f"style {style!r} is unknown: expected one of {', '.join(self.styles)}")

    def parts(
        self, sound: Path, *, fps: Fraction, delay_ms: float, style: str | None, shaping: Shaping
    ) -> Iterator[Clip]:
        self.calls.append({"sound": sound.name, "fps": fps, "delay_ms": delay_ms, "style": style})
        samples = audio.read(sound)
        yield Clip(np.full((frame_count(len(samples), fps), 52), 0.25, np.float32), fps)


@pytest.fixture
def face(monkeypatch: pytest.MonkeyPatch) -> StillFace:
    face = StillFace()
    monkeypatch.setattr(duomorph, "load", lambda path=None: face)
    return face


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "b.flac"):
        soundfile.write(folder / name, np.zeros(16000), 16000)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "npz"])
def test_one_file(face: StillFace, sounds: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    assert main(["animate", str(sounds / "a.wav"), "-o", str(out)]) == 0
    clip = formats.read(out)
    assert (len(clip), clip.fps) == (30, 30)
    assert face.calls == [{"sound": "a.wav", "fps": 30, "delay_ms": 100.0, "style": None}]


def test_settings_arrive(face: StillFace, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["animate", str(sounds / "a.wav"), "-o", str(tmp_path / "o.csv"), "--fps", "29.97", "--style", "facegood"]
    assert main([*command, "--delay-ms", "33"]) == 0
    assert face.calls == [{"sound": "a.wav", "fps": Fraction(30000, 1001), "delay_ms": 33.0, "style": "facegood"}]
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'o.csv'}  30 frames at 29.97 fps\n"
    assert said.err == ""  # no progress where nobody watches


@pytest.mark.parametrize(
    ("out", "is_there", "expected"),
    [("out", True, "a.csv"), ("out/", False, "a.csv"), ("deep/er/", False, "a.csv"), ("a.b.csv", False, None)],
)
def test_one_input_to_file_or_folder(
    face: StillFace, sounds: Path, tmp_path: Path, out: str, is_there: bool, expected: str | None
) -> None:
    if is_there:
        (tmp_path / out).mkdir()
    assert main(["animate", str(sounds / "a.wav"), "-o", f"{tmp_path}/{out}"]) == 0
    assert (tmp_path / out / expected if expected else tmp_path / out).is_file()


def test_many_inputs_with_pictures(face: StillFace, sounds: Path, tmp_path: Path) -> None:
    command = ["animate", str(sounds / "a.wav"), str(sounds / "b.flac"), "-o", str(tmp_path / "out"), "--plot"]
    assert main([*command, "--format", "npz", "--fps", "60"]) == 0
    assert names(tmp_path / "out") == ["a.npz", "a.png", "b.npz", "b.png"]


def test_a_batch_goes_on(
    face: StillFace, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sounds / "bad.wav").write_text("a letter")
    inputs = [sounds / "bad.wav", sounds / "a.wav", sounds / "missing.wav", sounds / "b.flac"]
    assert main(["animate", *map(str, inputs), "-o", str(tmp_path / "out")]) == 1
    assert names(tmp_path / "out") == ["a.csv", "b.csv"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "bad.wav" in lines[0]
    assert "missing.wav" in lines[1]
    assert lines[2] == "duomorph: 2 of 4 files failed"


def test_a_picture_that_fails_leaves_the_curves(
    face: StillFace, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import duomorph.plot

    def full(clip: Clip, sound: object, path: Path) -> None:
        if path.name == "a.png":
            raise FormatError("cannot write 'a.png': the disk is full; choose another place")

    monkeypatch.setattr(duomorph.plot, "save_plot", full)
    (sounds / "bad.wav").write_text("a letter")
    inputs = [sounds / "a.wav", sounds / "bad.wav", sounds / "b.flac"]
    assert main(["animate", *map(str, inputs), "-o", str(tmp_path / "out"), "--plot"]) == 1
    assert names(tmp_path / "out") == ["a.csv", "b.csv"]
    said = capsys.readouterr()
    assert [Path(line.split("  ")[0]).name for line in said.out.splitlines()] == ["a.csv", "b.csv", "b.png"]
    lines = said.err.splitlines()
    assert "bad.wav" in lines[0]
    assert "disk is full" in lines[1]
    assert lines[2:] == ["duomorph: 1 of 3 files failed", "duomorph: 1 of 3 pictures failed"]


def test_a_style_is_checked_once_before_work(
    face: StillFace, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = (sounds / "a.wav", sounds / "b.flac")
    assert "expected one of grid" in refused(capsys, "animate", *both, "-o", f"{tmp_path}/out/", "--style", "pirate")
    assert not face.calls


def test_only_settings_may_be_left_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --loud" in refused(capsys, "info", "--loud")
    assert "expected --SECTION.NAME VALUE" in refused(capsys, "train", "-o", "run", "epochs")


def test_same_stems_are_refused_before_work(
    face: StillFace, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sounds / "more").mkdir()
    soundfile.write(sounds / "more" / "A.flac", np.zeros(16000), 16000)
    said = refused(capsys, "animate", sounds / "a.wav", sounds / "more" / "A.flac", "-o", tmp_path / "out")
    assert "would both become" in said
    assert not face.calls
    assert not (tmp_path / "out").exists()


def test_a_link_to_itself_is_one_sentence(
    face: StillFace, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = sounds / "loop.wav"
    loop.symlink_to(loop)
    assert "link to nothing" in refused(capsys, "animate", loop, "-o", tmp_path / "out.csv")
    assert main(["animate", str(loop), str(sounds / "a.wav"), "-o", str(tmp_path / "out")]) == 1
    assert names(tmp_path / "out") == ["a.csv"]


@pytest.mark.parametrize(("out", "there"), [("take.1/", False), ("take.mov", True)])
def test_a_folder_may_have_a_suffix(face: StillFace, sounds: Path, tmp_path: Path, out: str, there: bool) -> None:
    if there:
        (tmp_path / out).mkdir()
    assert main(["animate", str(sounds / "a.wav"), str(sounds / "b.flac"), "-o", f"{tmp_path}/{out}"]) == 0
    assert names(tmp_path / out) == ["a.csv", "b.csv"]


def test_an_input_is_never_overwritten(
    face: StillFace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tmp_path / "talk.csv"  # a wav with a strange name
    soundfile.write(sound, np.zeros(16000), 16000, format="WAV")
    before = sound.read_bytes()
    assert "destroy an input" in refused(capsys, "animate", sound, "-o", tmp_path / "talk.csv")
    assert "destroy an input" in refused(capsys, "animate", sound, "-o", tmp_path)
    assert sound.read_bytes() == before


@pytest.mark.parametrize("fps", ["1e6000000", "1e-6000000", "3" * 5000, "1e999", ""])
def test_no_frame_rate_takes_forever(
    face: StillFace, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fps: str
) -> None:
    assert "24 to 120" in refused(capsys, "animate", sounds / "a.wav", "-o", tmp_path / "o.csv", "--fps", fps)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["animate", "--help"], ["bench", "--help"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.endswith(f"duomorph {duomorph.__version__}\n")


def test_ctrl_c_leaves_nothing(
    face: StillFace, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop)
    (tmp_path / "out").mkdir()
    assert main(["animate", str(sounds / "a.wav"), "-o", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "duomorph: stopped\n"
    assert names(tmp_path / "out") == []


def test_progress_is_for_terminals(
    face: StillFace, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["animate", str(sounds / "a.wav"), str(sounds / "b.flac"), "-o", str(tmp_path / "out")]) == 0
    assert "2/2 b.flac" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "columns"), [([], 88), (["--lld"], 26)])
def test_egemaps(sample: Path, tmp_path: Path, flags: list[str], columns: int) -> None:
    out = tmp_path / "features.csv"
    assert main(["egemaps", str(sample), "-o", str(out), *flags]) == 0
    header, *rows = [line.split(",") for line in out.read_text().splitlines()]
    assert len(header) == columns
    assert np.isfinite([[float(cell) for cell in row] for row in rows]).all()
    assert len(rows) == 1 if not flags else len(rows) > 800
    if flags:
        assert [row[0] for row in rows[:3]] == ["0.00", "0.01", "0.02"]
    samples = audio.read(sample)
    whole = egemaps.lld(samples) if flags else egemaps.extract(samples)[None]
    got = np.array([[float(cell) for cell in row[len(flags) :]] for row in rows])  # without the time
    np.testing.assert_allclose(got, whole, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("flags", [[], ["--lld"]])
def test_egemaps_leaves_nothing_of_a_bad_sound(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    whole = (sounds / "a.wav").read_bytes()
    (sounds / "cut.wav").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in refused(capsys, "egemaps", sounds / "cut.wav", "-o", tmp_path / "o.csv", *flags)
    assert "no folder" in refused(capsys, "egemaps", sounds / "a.wav", "-o", tmp_path / "no" / "o.csv", *flags)
    assert names(tmp_path) == ["in"]


@pytest.mark.parametrize(("flags", "a_second"), [([], 30_000), (["--lld"], 0)])
def test_egemaps_does_not_hold_the_sound(tmp_path: Path, flags: list[str], a_second: int) -> None:
    """Half a minute more costs at most its contours; the sound alone would be 64 kB a second, twice that in float64."""
    peaks = []
    for seconds in (20, 50):
        soundfile.write(tmp_path / "in.wav", np.zeros(seconds * 16000), 16000)
        tracemalloc.start()
        try:
            assert main(["egemaps", str(tmp_path / "in.wav"), "-o", str(tmp_path / "o.csv"), *flags]) == 0
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] - peaks[0] < 30 * a_second + 200_000


@pytest.mark.parametrize("module", ["matplotlib", "torch"])
def test_missing_extras_are_named(
    module: str,
    face: StillFace,
    sounds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import importlib.util

    find: Callable[[str], object] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    if module == "torch":
        assert "duomorph[train]" in refused(capsys, "train", "-o", tmp_path / "run")
    else:
        said = refused(capsys, "animate", sounds / "a.wav", "-o", tmp_path / "o.csv", "--plot")
        assert "duomorph[plot]" in said
    assert names(tmp_path) == ["in"]


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rates"]["30"]["d_mel"] == 20_720
    assert facts["rates"]["30"]["ratio"] == 80.9
    assert facts["rates"]["60"]["ratio"] == 160.9
    assert facts["mmac_per_tick"] <= 6
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "20,720" in said
    assert "80.9" in said
    for style in facts["styles"]:
        assert style in said


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core sums in one order")
def test_curves_do_not_depend_on_how_many_cores_there_are(sample: Path, tmp_path: Path) -> None:
    usual = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    for name, environment in (("all", usual), ("one", {**usual, "OPENBLAS_NUM_THREADS": "1"})):
        command = [sys.executable, "-m", "duomorph", "animate", sample, "-o", tmp_path / f"{name}.csv"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
