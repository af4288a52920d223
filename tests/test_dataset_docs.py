"""Words that run: docs/dataset.md and the examples of the data set's modules."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import soundfile

from duomorph import arkit, audio
from duomorph.cli import main
from duomorph.dataset import split
from duomorph.dataset.lag import Lag
from duomorph.dataset.manifest import Writer, read
from talk import talk
from test_readme import example

DOCS = (Path(__file__).parent.parent / "docs" / "dataset.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", DOCS, flags=re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with takes of two people, and a take with its sound."""
    for k, person in enumerate(("anna", "ben")):
        (tmp_path / "takes" / person / "monday").mkdir(parents=True)
        sound, clip = talk(3.0, k)
        soundfile.write(tmp_path / "takes" / person / "monday" / "one.wav", sound, 16000)
        clip.save(tmp_path / "takes" / person / "monday" / "one.csv")
    for suffix in ("wav", "csv"):
        shutil.copy(tmp_path / "takes" / "anna" / "monday" / f"one.{suffix}", tmp_path / f"take1.{suffix}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    lines = [line.partition("#")[0] for language, block in BLOCKS if language == "bash" for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("duomorph")]
    assert [command[1] for command in commands] == ["import", "check", "fix-lag", "stats", "split"]
    for command in commands:
        assert main(command) == 0, command
    assert capsys.readouterr().err == ""
    assert [entry.id for entry in read("mydata")] == ["anna_monday_one", "ben_monday_one"]
    assert len(split.held_out("mydata")) == 1


def test_python(desk: Path) -> None:
    (code,) = [block for language, block in BLOCKS if language == "python"]
    exec(compile(code, "dataset.md", "exec"), {})
    assert [entry.id for entry in read("mydata")] == ["take1"]


def test_the_folder_is_as_drawn() -> None:
    (tree,) = [block for language, block in BLOCKS if not language]
    assert {"manifest.jsonl", "audio/take1.flac", "curves/take1.jsonl", "split.json"} <= set(tree.split())


def test_examples_of_modules(desk: Path) -> None:
    sound, clip = talk(8.0, 0, late_ms=50)
    soundfile.write("take.flac", sound, 16000)
    example("duomorph.dataset.manifest", clip=clip)
    with Writer("mydata") as out:
        out.add(id="take2", sound=sound, clip=clip, speaker="ben", style="studio", licence="CC0")
    assert example("duomorph.dataset.check")["report"].fatal == 0  # type: ignore[attr-defined]
    assert "move" in example("duomorph.dataset.fix")
    assert example("duomorph.dataset.stats", INDEX=arkit.INDEX)["found"]
    assert example("duomorph.dataset.split")["split"]
    hearing = example("duomorph.dataset.lag", audio=audio, clip=clip)
    found = hearing["lag"]([hearing["trace"]])  # type: ignore[operator]
    assert isinstance(found, Lag)
    assert found.clear
    outcome = example("duomorph.dataset.importing", Writer=Writer, capture=None)["outcome"]
    assert outcome.ids == ("ben_monday_one",)  # type: ignore[attr-defined]
