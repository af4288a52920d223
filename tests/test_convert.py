"""`duomorph convert`: from every format to every other, one file or many, and each mistake one sentence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from command import refused
from duomorph import arkit, formats
from duomorph.cli import FORMATS, main
from duomorph.clip import Clip


def run(*arguments: str | Path) -> int:
    return main(["convert", *map(str, arguments)])


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def clip() -> Clip:
    random = np.random.default_rng(0)
    angles = random.uniform(-1, 1, (60, 9)).astype(np.float32)
    weights = random.integers(0, 1025, (60, 52)).astype(np.float32) / 1024  # ten decimals are enough for these
    return Clip(weights, Fraction(30), angles=angles, timecode=Fraction(12 * 3600))


@pytest.fixture
def take(tmp_path: Path, clip: Clip) -> Path:
    (tmp_path / "in").mkdir()
    clip.save(tmp_path / "in" / "take.csv")
    return tmp_path / "in" / "take.csv"


def test_the_command_line_knows_every_format() -> None:
    assert tuple(formats.FORMATS) == FORMATS


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_from_each_to_each(tmp_path: Path, clip: Clip, source: str, target: str) -> None:
    """The shapes arrive whichever way they go; tongueOut has no place in BEAT."""
    one, two = (tmp_path / f"{k}{formats.codec(name).suffix}" for k, name in enumerate((source, target)))
    clip.save(one, source)
    assert run(one, "-o", two, "--format", target) == 0
    back = formats.read(two, target)
    shapes = np.array([name != "tongueOut" or "beat" not in (source, target) for name in arkit.NAMES])
    assert back.fps == 30
    np.testing.assert_array_equal(back.weights, clip.weights * shapes)


def test_angles_and_wall_clock_go_where_there_is_a_place(tmp_path: Path, take: Path, clip: Clip) -> None:
    for out in ("take.jsonl", "take.npz", "take2.csv"):
        assert run(take, "-o", tmp_path / out) == 0
        back = formats.read(tmp_path / out)
        assert back.timecode == clip.timecode
        np.testing.assert_allclose(back.angles, clip.angles, rtol=0, atol=1e-9)
    assert (tmp_path / "take2.csv").read_bytes() == take.read_bytes()


@pytest.mark.parametrize(("fps", "frames"), [("60", 120), ("24", 48), ("29.97", 60), ("30", 60)])
def test_frame_rate(
    tmp_path: Path, take: Path, capsys: pytest.CaptureFixture[str], fps: str, frames: int
) -> None:
    assert run(take, "-o", tmp_path / "out.jsonl", "--fps", fps) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out.jsonl'}  {frames} frames at {fps} fps\n"
    assert len(formats.read(tmp_path / "out.jsonl")) == frames


def test_many_into_a_folder(tmp_path: Path, take: Path, clip: Clip, capsys: pytest.CaptureFixture[str]) -> None:
    clip.save(take.with_name("other.json"))
    take.with_name("bad.jsonl").write_text("a letter")
    inputs = [take, take.with_name("bad.jsonl"), take.with_name("other.json")]
    assert run(*inputs, "-o", tmp_path / "out", "--format", "plain") == 1
    assert names(tmp_path / "out") == ["other.csv", "take.csv"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "bad.jsonl" in said[0]
    assert said[1] == "duomorph: 1 of 3 files failed"


def test_a_foreign_suffix_needs_a_name(tmp_path: Path, take: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take.rename(take.with_suffix(".txt"))
    take = take.with_suffix(".txt")
    assert "got suffix '.txt'" in refused(capsys, "convert", take, "-o", tmp_path / "out.npz")
    assert run(take, "--from", "livelink", "-o", tmp_path / "out.npz") == 0
    capsys.readouterr()
    assert "no BEAT JSON" in refused(capsys, "convert", take, "--from", "beat", "-o", tmp_path / "no.npz")
    assert names(tmp_path) == ["in", "in/take.txt", "out.npz"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-o", "out.mov"], "'.mov'"),
        (["-o", "out.json", "--format", "npz"], "expected them to agree"),
        (["-o", "out.json", "--format", "fbx"], "livelink"),
        (["-o", "out.json", "--from", "fbx"], "livelink"),
        (["-o", "out.json", "--fps", "500"], "24 to 120"),
        (["-o", "out.json", "--fps", "fast"], "24 to 120"),
        (["-o", "out.json", "--from", "npz"], "no curve archive"),
        (["-o", "no/such/out.json"], "no folder"),
        ([], "--help"),
    ],
)
def test_mistakes(
    take: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], word: str
) -> None:
    monkeypatch.chdir(take.parent)
    assert word in refused(capsys, "convert", "take.csv", *arguments)
    assert names(take.parent) == ["take.csv"]


@pytest.mark.parametrize("out", ["take.csv", ".", "./", "sub/../take.csv"])
def test_never_over_its_own_input(
    take: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(take.parent)
    Path("sub").mkdir()
    before = take.read_bytes()
    assert "would destroy an input" in refused(capsys, "convert", "take.csv", "-o", out, "--fps", "60")
    assert take.read_bytes() == before


def test_two_inputs_for_one_name(tmp_path: Path, take: Path, clip: Clip, capsys: pytest.CaptureFixture[str]) -> None:
    clip.save(take.with_suffix(".npz"))
    said = refused(capsys, "convert", take, take.with_suffix(".npz"), "-o", tmp_path / "out")
    assert "would both become" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [b"?", b"time\n", b"\x00" * 100, b"PK", b"{}", b'{"frames": 3}', b"[" * 10_000])
@pytest.mark.parametrize("suffix", formats.SUFFIXES)
def test_damaged_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, data: bytes) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(data)
    said = refused(capsys, "convert", path, "-o", tmp_path / "out.npz")
    assert "expected" in said
    assert names(tmp_path) == [path.name]


def test_a_take_without_frames_stays_one(tmp_path: Path) -> None:
    Clip(np.zeros((0, 52), np.float32), Fraction(60)).save(tmp_path / "none.npz")
    for name in FORMATS:
        out = tmp_path / f"{name}{formats.codec(name).suffix}"
        assert run(tmp_path / "none.npz", "-o", out, "--format", name, "--fps", "30") == 0
        assert len(formats.read(out)) == 0


@pytest.mark.corpus
def test_a_real_take_to_60_fps_and_every_format(corpus: Path, tmp_path: Path) -> None:
    """Every 60th of a second of the 134.4 s that the phone's own clock counts."""
    take = corpus / "fixtures" / "livelink_rom_iphone.csv"
    for name in FORMATS:
        out = tmp_path / f"{name}{formats.codec(name).suffix}"
        assert run(take, "-o", out, "--format", name, "--fps", "60") == 0
        clip = formats.read(out)
        assert (clip.fps, len(clip)) == (60, 8065)
        assert clip["jawOpen"].max() > 0.7
