"""What users get wrong: each mistake is one clear sentence and exit code 1, and no half-written file is left."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from command import refused
from damage import KINDS, damaged, tone
from duomorph import formats
from duomorph.cli import main
from duomorph.clip import Clip


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return damaged(tmp_path_factory.mktemp("bad"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "good.wav", tone(16000, 0.5), 16000)
    return folder / "good.wav"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", KINDS)
def test_bad_sound(bad: dict[str, Path], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "animate", bad[kind], "-o", tmp_path / "out.csv", "--plot")
    assert "expected" in said
    assert bad[kind].name in said
    assert names(tmp_path) == []


def test_a_hundredth_of_a_second_is_one_frame(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(160), 16000)
    assert main(["animate", str(tmp_path / "short.wav"), "-o", str(tmp_path / "short.csv")]) == 0
    assert len(formats.read(tmp_path / "short.csv")) == 1


@pytest.mark.parametrize(
    ("out", "word"),
    [
        ("out.mov", "'.mov'"),
        ("out", "expected one of"),
        ("no/such/out.csv", "no folder"),
        ("in/good.wav/out.csv", "cannot write"),
        ("in/good.wav/", "cannot write"),
        ("a\0b.csv", "cannot write"),
    ],
)
def test_bad_output(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, word: str) -> None:
    assert word in refused(capsys, "animate", good, "-o", f"{tmp_path}/{out}")
    assert names(tmp_path) == ["in", "in/good.wav"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_protected_output(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "read-only" in refused(capsys, "animate", good, "-o", tmp_path / "closed" / "out.csv")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where not even root may create files")
def test_unwritable_output(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot write" in refused(capsys, "animate", good, "-o", "/proc/out.csv")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--style", "pirate"], "expected one of grid"),
        (["--fps", "23"], "24 to 120"),
        (["--fps", "121"], "24 to 120"),
        (["--fps", "fast"], "24 to 120"),
        (["--fps", "nan"], "24 to 120"),
        (["--fps", "1/0"], "24 to 120"),
        (["--fps", "-30"], "24 to 120"),
        (["--delay-ms", "201"], "0 to 200"),
        (["--delay-ms", "-1"], "0 to 200"),
        (["--delay-ms", "nan"], "0 to 200"),
        (["--delay-ms", "inf"], "0 to 200"),
        (["--delay-ms", "soon"], "--help"),
        (["--format", "mov"], "livelink"),
        (["--format", "npz"], "expected them to agree"),
        (["--loud"], "--help"),
        (["--fps"], "--help"),
    ],
)
def test_bad_settings(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], word: str
) -> None:
    assert word in refused(capsys, "animate", good, "-o", tmp_path / "out.csv", *flags)
    assert names(tmp_path) == ["in", "in/good.wav"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["dance"], ["animate"], ["animate", "a.wav"], ["animate", "-o", "x.csv"], ["info", "extra"],
     ["egemaps", "a", "b", "-o", "x.csv"], ["bench", "--seconds", "many"], ["bench", "--seconds", "0"],
     ["bench", "--json", "no/such.json"], ["evaluate", "--fps", "5"], ["evaluate", "--delay-ms", "900"],
     ["bench", "--live", "--long"], ["export", "x.pt", "--out", "folder"]],
)  # fmt: skip
def test_bad_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("live --file FOLDER --sink jsonl://OUT", "is a folder"),
        ("live --file notes.txt --sink jsonl://OUT", "cannot read"),
        ("live --file in/good.wav --sink jsonl://OUT --sink ws://:99999", "Port out of range"),
        ("live --file in/good.wav --sink jsonl://OUT --sink ws://:http", "ws://:http"),
        ("bench --live --sound notes.txt --json OUT", "as sound"),
        ("bench --sound FOLDER --json OUT", "is a folder"),
        ("convert curves.csv -o out.nope", "'.nope'"),
        ("convert notes.txt -o out.csv", "'.txt'"),
        ("evaluate --data EMPTY --json OUT", "holds out nothing"),
        ("evaluate --data FOLDER --json OUT", "is no data set"),
        ("data restore FOLDER", "is no data set"),
        ("data restore EMPTY", "no captured video"),
        ("finetune --data FOLDER --style me -o OUT", "is no data set"),
        ("finetune --data EMPTY --style me -o OUT", "at least 20 s"),
        ("train --config articulated.toml -o OUT", "'articulated/librispeech' is no data set"),
        ("train --data nowhere -o OUT", "'nowhere' is unknown: expected grid_s1, facegood or the folder"),
        ("train --data EMPTY -o OUT", "nothing to learn from in EMPTY"),
        ("train --data EMPTY -o OUT --resume", "cannot read checkpoint"),
    ],
)
def test_bad_material(
    good: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    word: str,
) -> None:
    """A folder, a text, a data set without clips and one that was never made, wherever something else is meant."""
    if command.startswith(("train", "finetune")):
        pytest.importorskip("torch", reason="needs the extra train")
    monkeypatch.chdir(tmp_path)
    Path("FOLDER").mkdir()
    Path("EMPTY").mkdir()
    Path("EMPTY/manifest.jsonl").touch()
    Path("notes.txt").write_text("a letter")
    Path("articulated.toml").write_text('data = ["articulated/librispeech"]')
    formats.write(Clip(np.zeros((3, 52), np.float32), Fraction(30)), "curves.csv")
    before = names(tmp_path)
    assert word in refused(capsys, *command.split())
    assert names(tmp_path) == before


def test_two_inputs_for_one_file(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(good.with_name("other.wav"), tone(16000, 0.5), 16000)
    both = (good, good.with_name("other.wav"))
    for out in ("out.csv", "out.CSV", "out.mov"):
        assert "expected a folder" in refused(capsys, "animate", *both, "-o", tmp_path / out)
    assert "would both become" in refused(capsys, "animate", good, good, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def foreign_models(folder: Path) -> dict[str, Path]:
    models = {"missing": folder / "no.onnx", "a folder": folder}
    for kind, data in {"empty": b"", "text": b"a letter", "noise": bytes(range(256)) * 9}.items():
        models[kind] = folder / f"{kind}.onnx"
        models[kind].write_bytes(data)
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [result])
    models["someone else's"] = folder / "other.onnx"
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, models["someone else's"])
    return models


@pytest.mark.parametrize("kind", ["missing", "a folder", "empty", "text", "noise", "someone else's"])
def test_bad_model(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (tmp_path / "models").mkdir()
    model = foreign_models(tmp_path / "models")[kind]
    before = names(tmp_path)
    assert "expected" in refused(capsys, "animate", good, "-o", tmp_path / "out.csv", "--model", model)
    assert "expected" in refused(capsys, "info", "--model", model)
    assert names(tmp_path) == before


def test_a_batch_goes_on(bad: dict[str, Path], good: Path, tmp_path: Path) -> None:
    """The real program, in a process of its own."""
    command = [sys.executable, "-m", "duomorph", "animate", "-o", str(tmp_path / "out"), "--plot"]
    command += [str(bad[kind]) for kind in ("text as mp3", "NaN", "cut mp3")] + [str(good), str(bad["missing"])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert names(tmp_path / "out") == ["good.csv", "good.png"]
    lines = done.stderr.splitlines()
    assert [line.startswith("duomorph: ") for line in lines] == [True] * 5
    assert lines[-1] == "duomorph: 4 of 5 files failed"


def test_one_mistake_is_one_line_from_the_real_program(bad: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "duomorph", "animate", str(bad["cut mp3"]), "-o", str(tmp_path / "out.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "cut short" in done.stderr
    assert names(tmp_path) == []


def test_egemaps_does_not_write_over_its_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.zeros(1600), 16000)
    before = sound.read_bytes()
    assert main(["egemaps", str(sound), "-o", str(sound)]) == 1
    assert "is IN" in capsys.readouterr().err
    assert sound.read_bytes() == before
