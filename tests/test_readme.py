"""Words that run: the commands and the Python of the README do what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from duomorph import audio, formats
from duomorph.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of."""
    samples = audio.read(sample)[:32000]
    for name in ("speech.wav", "a.wav", "b.flac"):
        soundfile.write(tmp_path / name, samples, 16000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.partition("#")[0] for language, block in BLOCKS if not language for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith(("duomorph animate", "duomorph info"))]
    assert len(commands) >= 3
    for command in commands:
        assert main(command) == 0, command
    assert capsys.readouterr().err == ""
    assert len(formats.read(desk / "speech.csv")) == 60
    assert (desk / "out" / "b.png").is_file()


def test_python(desk: Path) -> None:
    code = "\n".join(block for language, block in BLOCKS if language == "python")
    names: dict[str, object] = {"samples": np.zeros(1600, np.float32)}
    exec(compile(code, "README.md", "exec"), names)
    assert len(formats.read(desk / "speech.csv")) == 120


def test_importing_needs_nothing_heavy() -> None:
    code = "import duomorph, duomorph.cli, sys; print([m for m in ('torch', 'matplotlib', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
