"""Words that run: the commands and the Python of the README do what they say."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from duomorph import arkit, audio, batch, formats
from duomorph.cli import main
from duomorph.clip import Clip
from duomorph.dataset import manifest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of."""
    samples = audio.read(sample)[:32000]
    for name in ("speech.wav", "a.wav", "b.flac"):
        soundfile.write(tmp_path / name, samples, 16000)
    rng = np.random.default_rng(0)
    for speaker in ("anna", "ben"):
        take = tmp_path / "takes" / speaker / "monday" / "take.csv"
        take.parent.mkdir(parents=True)
        formats.write(Clip(rng.random((60, 52), dtype=np.float32), Fraction(30)), take)
        soundfile.write(take.with_suffix(".wav"), samples[len(speaker) :], 16000)  # nobody shares a sound
    shutil.copy(take, tmp_path / "take.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.partition("#")[0] for language, block in BLOCKS if not language for line in block.splitlines()]
    verbs = ("animate", "convert", "info", "data")
    words = [shlex.split(line) for line in lines]
    commands = [line[1:] for line in words if line[:1] == ["duomorph"] and line[1] in verbs]
    assert {command[0] for command in commands} == set(verbs)
    for command in commands:
        assert main(command) == 0, command
    assert capsys.readouterr().err == ""
    assert len(formats.read(desk / "speech.csv")) == 60
    assert (desk / "out" / "b.png").is_file()
    assert len(formats.read(desk / "take.json")) == 60
    assert len(list(manifest.read(desk / "mydata"))) == 2


def test_python(desk: Path) -> None:
    code = "\n".join(block for language, block in BLOCKS if language == "python")
    names: dict[str, object] = {"samples": np.zeros(1600, np.float32)}
    exec(compile(code, "README.md", "exec"), names)
    assert len(formats.read(desk / "speech.csv")) == 120


def example(module: str, **given: object) -> dict[str, object]:
    """What the lines of a module's example leave behind; the module's own names and `given` are there."""
    home = importlib.import_module(module)
    lines = [line[4:] for line in (home.__doc__ or "").splitlines() if line.startswith("    ")]
    names = {**vars(home), **given}
    exec(compile("\n".join(lines), module, "exec"), names)
    return names


def test_examples_of_modules(desk: Path, sample: Path) -> None:
    class Still:
        def stream(self, *_: object, **__: object) -> None: ...

        def parts(self, *_: object, **__: object) -> list[Clip]:
            return [clip]

    clip = Clip(np.full((30, 52), 0.5, np.float32), Fraction(30))
    assert example("duomorph.batch", face=Still())["report"] == batch.Report((), ())
    assert (desk / "out" / "b.csv").is_file()
    soundfile.write(desk / "a.mp3", audio.read(sample), 16000)
    with (desk / "a.mp3").open("rb") as file:
        left = example("duomorph.mp3", data=(desk / "a.mp3").read_bytes(), file=file, soundfile=soundfile)
        assert isinstance(left["sound"], soundfile.SoundFile)
        left["sound"].close()
    given = {"names": list(arkit.NAMES), "values": clip.weights.astype(float), "numbers": range(30), "fps": 30.0}
    np.testing.assert_array_equal(example("duomorph.formats.columns", **given)["weights"], clip.weights)
    shutil.copy(desk / "a.wav", desk / "talk.wav")
    example("duomorph.plot", clip=clip, blocks=audio.blocks)
    assert (desk / "talk.png").is_file()
    example("duomorph.features")
    assert len((desk / "talk.csv").read_text().splitlines()) == 2


def test_importing_needs_nothing_heavy() -> None:
    code = "import duomorph, duomorph.cli, sys; print([m for m in ('torch', 'matplotlib', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
