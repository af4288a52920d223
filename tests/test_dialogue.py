"""A game's dialogue: where curves go, what is done again and what is not, what the report finds."""

from __future__ import annotations

import errno
import os
import runpy
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

import duomorph as dm
from command import refused
from damage import KINDS, damaged
from duomorph import batch, formats
from duomorph.cli import main
from duomorph.dialogue import Here, Ledger, Line, Local, Own, Work, listed, places, report, run, sources
from duomorph.dialogue.engines import LIVES, Died, hand_out
from duomorph.dialogue.overnight import Outcome
from duomorph.dialogue.work import Result, Task, Worker
from duomorph.errors import BatchError, FormatError, SettingError
from duomorph.shaping import SHIPPED, Shaping, always
from lines import noise, states, tree, voices


@pytest.fixture
def game(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch, face: dm.Face) -> Path:
    """A folder with `voices`, where we stand; the model is loaded once for all tests."""
    voices(tmp_path / "voices", sample, 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dm, "load", lambda path=None: face)
    return tmp_path


def again(face: dm.Face, keep: str = "times", own: Work | None = None) -> Outcome:
    with Ledger("curves/duomorph.sqlite") as ledger:
        return run(listed(["voices"]), own or Work("curves"), ledger, Here(face), face, keep)


def test_the_tree_is_that_of_the_sounds(game: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (game / "voices" / "notes.txt").write_text("not a sound")
    assert main(["batch", "voices", "-o", "curves", "--format", "csv,jsonl,glb", "--jobs", "2"]) == 0
    assert "6 lines: 6 done, 0 unchanged, 0 failed" in capsys.readouterr().out
    expected = {f"{line}.{suffix}" for line in map(_name, range(6)) for suffix in ("csv", "jsonl", "glb")}
    made = tree(game / "curves")
    assert set(made) == expected
    for suffix in ("csv", "jsonl", "glb"):
        assert main(["animate", "voices/de/intro/0002.wav", "-o", f"one.{suffix}"]) == 0
        assert (game / f"one.{suffix}").read_bytes() == made[f"de/intro/0002.{suffix}"]


def _name(k: int) -> str:
    return f"{('de', 'en')[k % 2]}/intro/{k:04}"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["voices/de"], ["intro/0000", "intro/0002", "intro/0004"]),
        (["voices/*/intro/000[01].wav"], ["de/intro/0000", "en/intro/0001"]),
        (["voices/**/0003.wav"], ["en/intro/0003"]),
        (["voices/de/intro/0000.wav"], ["0000"]),
        (["voices/de/intro/0000.wav", "voices/en/intro/0001.wav"], ["de/intro/0000", "en/intro/0001"]),
    ],
)
def test_names(game: Path, given: list[str], names: list[str]) -> None:
    assert [line.name for line in listed(given)] == names


def test_folders_and_names_that_cannot_be_listed(
    game: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = game / "voices" / os.fsdecode(b"b\xe9.wav")
    odd.write_bytes(b"")
    assert "is no text" in refused(capsys, "batch", "voices", "-o", "out")
    odd.unlink()

    def locked(place: str, onerror: Callable[[OSError], None]) -> Iterator[object]:  # root may read all
        onerror(PermissionError(13, "Permission denied", place))
        yield from ()

    monkeypatch.setattr(places.os, "walk", locked)
    assert "Permission denied" in refused(capsys, "batch", "voices", "-o", "out")


def test_what_is_done_stays(game: Path, face: dm.Face) -> None:
    (game / "curves").mkdir()
    first = again(face)
    assert (first.lines, first.done, first.kept, first.failed) == (6, 6, 0, 0)
    made = {path: path.stat().st_mtime_ns for path in (game / "curves").rglob("*.csv")}
    assert again(face).kept == 6
    os.utime("voices/de/intro/0000.wav")  # another time: its sound is looked into, and is the same
    assert (again(face).done, again(face, "bytes").kept) == (0, 6)
    assert made == {path: path.stat().st_mtime_ns for path in (game / "curves").rglob("*.csv")}

    shutil.copy("voices/de/intro/0002.wav", "voices/de/intro/0000.wav")
    assert again(face).done == 1
    Path("curves/en/intro/0001.csv").unlink()
    assert again(face).done == 1
    assert tree(game / "curves")["de/intro/0000.csv"] == tree(game / "curves")["de/intro/0002.csv"]
    other = Work("curves", options=batch.Options(Fraction(60)))
    assert again(face, own=other).done == 6
    assert (again(face, own=other).kept, again(face, "").done) == (6, 6)


def test_a_change_that_hides_is_found_by_its_bytes(game: Path, face: dm.Face) -> None:
    (game / "curves").mkdir()
    again(face)
    path = Path("voices/de/intro/0000.wav")
    known = path.stat()
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert again(face).kept == 6
    assert again(face, "bytes").done == 1


def test_what_was_to_be_checked_is_checked_after_a_break(game: Path, face: dm.Face) -> None:
    (game / "curves").mkdir()
    again(face)
    path = Path("voices/en/intro/0005.wav")
    shutil.copy("voices/en/intro/0003.wav", path)

    class Breaks(Here):
        def run(self, work: Work, tasks: Iterator[Task]) -> Iterator[Result]:  # type: ignore[override]
            yield next(super().run(work, tasks))
            raise KeyboardInterrupt

    with Ledger("curves/duomorph.sqlite") as ledger, pytest.raises(KeyboardInterrupt):
        run(listed(["voices"]), Work("curves"), ledger, Breaks(face), face, "bytes")
    assert sorted(states(Path("curves/duomorph.sqlite")).values()) == ["check"] * 5 + ["done"]
    after = again(face)
    assert (after.done, after.kept) == (1, 5)


def test_a_manifest_directs_each_line(game: Path, face: dm.Face) -> None:
    (game / "moods.csv").write_text("time,joy\n0,0.2\n1,0.9\n")
    style = face.styles[-1]
    Path("lines.csv").write_text(
        "source,name,group,style,emotion,fps,gain\n"
        f"voices/de/intro/0000.wav,hero/hello,de,{style},joy=0.7,60,\n"
        "voices/en/intro/0001.wav,,en,,moods.csv,,-6\n"
        f"{game}/voices/en/intro/0003.wav,,,,,29.97,\n"
    )
    os.chdir("voices")  # what a manifest names stands beside it
    try:
        assert main(["batch", "--manifest", "../lines.csv", "-o", "../curves", "--jobs", "0"]) == 0
    finally:
        os.chdir(game)
    made = tree(game / "curves")
    third = f"{game}/voices/en/intro/0003".lstrip("/")
    assert set(made) == {"hero/hello.csv", "voices/en/intro/0001.csv", f"{third}.csv"}
    joy = Shaping(gate=True, close_limit=True, emotion=always({"joy": 0.7}))
    clip = face.animate("voices/de/intro/0000.wav", fps=60, style=style, shaping=joy)
    assert formats.FORMATS["livelink"].encode(clip) == made["hero/hello.csv"]
    clip = formats.read(game / "curves" / f"{third}.csv")
    assert clip.fps == Fraction(30000, 1001)
    louder = next(sources.manifest("lines.csv")).own
    assert louder == Own(style, "joy=0.7", "60", 0.0)


def test_gain_is_on_the_sound(game: Path, face: dm.Face) -> None:
    samples, _ = soundfile.read("voices/de/intro/0000.wav", dtype="float32")
    Worker(Work("curves"), face).do(Task(1, "voices/de/intro/0000.wav", "a", Own(gain=-6.0)))
    clip = face.animate(samples * np.float32(10 ** (-6 / 20)), shaping=SHIPPED)
    clip.save("b.csv")
    assert Path("b.csv").read_bytes() == Path("curves/a.csv").read_bytes()


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ("name\na\n", "no column source"),
        ("source,mood\na.wav,joy\n", "'mood'"),
        ("source,gain\na.wav,loud\n", "dB"),
        ("source,fps\na.wav,7\n", "24 to 120"),
        ("source,style\na.wav,shouting\n", "unknown"),
        ("source,emotion\na.wav,joy=7\n", "joy"),
        ("source\na.wav\nA.flac\n", "'A'"),
        ("source,name\n,x\n", "line 2"),
    ],
)
def test_a_bad_manifest_is_refused_whole(game: Path, capsys: pytest.CaptureFixture[str], table: str, word: str) -> None:
    Path("lines.csv").write_text(table)
    assert word in refused(capsys, "batch", "--manifest", "lines.csv", "-o", "curves", "--jobs", "0")
    assert list((game / "curves").iterdir()) == []


def test_a_refused_list_leaves_what_was_known(game: Path, face: dm.Face, capsys: pytest.CaptureFixture[str]) -> None:
    Path("curves").mkdir()
    again(face)
    Path("lines.csv").write_text("source,fps\na.wav,7\n")
    assert "24 to 120" in refused(capsys, "batch", "--manifest", "lines.csv", "-o", "curves", "--jobs", "0")
    assert list(states(Path("curves/duomorph.sqlite")).values()) == ["done"] * 6
    assert again(face).kept == 6


def test_mistakes_are_said_before_work_begins(game: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*more: str) -> str:
        return refused(capsys, "batch", "-o", "curves", *more)

    assert "nothing to do" in say()
    assert "does not exist" in say("voces", "--jobs", "0")
    assert "another suffix" in say("voices", "--format", "csv,nim")
    assert "unknown" in say("voices", "--format", "csv,fbx")
    assert "not allowed" in say("voices", "--resume", "--since-changed")
    assert "no ledger" in refused(capsys, "batch", "-o", "nowhere", "--report")
    assert "at least 1" in say("voices", "--jobs", "-1")
    assert "at least 1" in say("voices", "--jobs", "0", "--engine", "ray")
    assert "ray://HOST:10001" in say("voices", "--engine", "spark")
    shutil.copy("voices/de/intro/0000.wav", "voices/de/intro/0000.flac")
    assert "would both become" in say("voices", "--jobs", "0")


def test_only_one_at_a_time(game: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (game / "curves").mkdir()
    with Ledger("curves/duomorph.sqlite"):
        assert "another batch" in refused(capsys, "batch", "voices", "-o", "curves", "--jobs", "0")
    Path("curves/duomorph.sqlite").write_bytes(b"no data base" * 100)
    assert "cannot be used" in refused(capsys, "batch", "voices", "-o", "curves", "--jobs", "0")


def test_the_bad_do_not_stop_the_good(game: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (game / "bad").mkdir()
    bad = damaged(game / "bad")
    rows = "".join(f"{bad[kind]},bad/{kind.replace(' ', '_')}\n" for kind in KINDS)
    Path("lines.csv").write_text(f"source,name\n{rows}")
    assert main(["batch", "voices", "--manifest", "lines.csv", "-o", "curves", "--jobs", "2", "--report"]) == 1
    said = capfd.readouterr()
    assert f"{6 + len(KINDS)} lines: 6 done, 0 unchanged, {len(KINDS)} failed" in said.out
    reasons = said.err.splitlines()
    assert all(line.startswith("duomorph: ") for line in reasons)
    assert reasons[-2:] == [
        f"duomorph: and {len(KINDS) - 20} more; see --report",
        f"duomorph: {len(KINDS)} of {6 + len(KINDS)} lines failed",
    ]
    known = states(game / "curves" / "duomorph.sqlite")
    assert {name for name, state in known.items() if state == "done"} == set(map(_name, range(6)))
    assert set(tree(game / "curves")) == {f"{_name(k)}.csv" for k in range(6)}
    page = (game / "curves" / "duomorph.html").read_text(encoding="utf-8")
    assert all(bad[kind].name in page for kind in KINDS)


def test_what_may_pass_is_tried_again(game: Path, face: dm.Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duomorph.dialogue.work.PAUSES_S", (0.0, 0.0))
    save, left = batch.save, [errno.EIO, errno.EIO]

    def shaky(*arguments: object) -> object:
        if left:
            try:
                raise OSError(left.pop(), "shaky")
            except OSError:
                raise FormatError("cannot write: shaky") from None
        return save(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(batch, "save", shaky)
    task = Task(1, "voices/de/intro/0000.wav", "a")
    result = Worker(Work("curves"), face).do(task)
    assert (result.state, result.tries) == ("done", 3)
    left[:] = [errno.EIO] * 3
    assert Worker(Work("curves"), face).do(task).state == "failed"
    left[:] = [errno.ENAMETOOLONG]
    assert (Worker(Work("curves"), face).do(task).state, left) == ("failed", [])
    left[:] = [errno.ENOSPC]
    assert Worker(Work("curves"), face).do(task).state == "full"


def test_a_worker_must_have_the_same_weights_and_version(game: Path, face: dm.Face) -> None:
    with pytest.raises(BatchError, match="weights"):
        Worker(Work("curves", weights="0" * 64), face)
    with pytest.raises(BatchError, match=r"0\.0\.0"):
        Worker(Work("curves", version="0.0.0"), face)
    with pytest.raises(BatchError, match=r"0\.0\.0"):
        list(Local(1).run(Work("curves", version="0.0.0"), iter([Task(1, "a.wav", "a")])))


def test_a_log_hears_of_it_now_and_then(
    game: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("duomorph.dialogue.overnight.SHOWN_S", 0.0)
    assert main(["batch", "voices", "-o", "calm", "--jobs", "0"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("duomorph.cli.dialogue.LOGGED_S", 0.0)
    assert main(["batch", "voices", "-o", "told", "--jobs", "0"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "duomorph: 0 lines listed"
    assert said[-1].startswith("duomorph: 6/6 lines, ")
    assert said[-1].endswith(" x real time, 0 min 00 s left")


def test_no_line_has_half_of_its_files(game: Path, face: dm.Face) -> None:
    Path("curves/a.jsonl").mkdir(parents=True)  # where a file should stand
    result = Worker(Work("curves", ("livelink", "jsonl")), face).do(Task(1, "voices/de/intro/0000.wav", "a"))
    assert result.state == "failed"
    assert not Path("curves/a.csv").exists()


class Deadly(Work):
    """Kills whoever does a line with the gain 1."""

    def asked(self, own: Own) -> batch.Options:
        if own.gain == 1:
            os.kill(os.getpid(), 9)
        return super().asked(own)


def test_a_line_that_kills_its_worker_costs_nobody_else(game: Path) -> None:
    tasks = [Task(k, f"voices/{_name(k)}.wav", _name(k), Own(gain=1.0 if k == 2 else 0.0)) for k in range(6)]
    results = {one.id: one for one in Local(2).run(Deadly("curves"), iter(tasks))}
    assert sorted(results) == list(range(6))
    assert [k for k in results if results[k].state != "done"] == [2]
    assert "signal 9" in str(results[2].error)


def test_workers_that_never_begin_end_it() -> None:
    begun = []

    class Stillborn:
        began = False

        def __init__(self) -> None:
            self.has: deque[Task] = deque()
            begun.append(self)

        def stop(self) -> None: ...

        end = give = stop

    def listen(pool: Sequence[Stillborn]) -> Iterator[tuple[Stillborn, Died]]:
        yield pool[0], Died("out of memory")

    with pytest.raises(BatchError, match=r"no worker could be started \(out of memory\)"):
        list(hand_out(Stillborn, listen, 2, iter([Task(1, "a.wav", "a")])))  # type: ignore[type-var]
    assert len(begun) == 2 * LIVES + 1


def test_no_more_lines_are_taken_than_workers_can_hold(game: Path) -> None:
    taken = 0

    def tasks() -> Iterator[Task]:
        nonlocal taken
        for k in range(24):
            taken += 1
            yield Task(k, "voices/de/intro/0000.wav", str(k))

    for done, _ in enumerate(Local(2).run(Work("curves"), tasks())):
        assert taken <= done + 2 * 2 + 1
    assert taken == 24


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_a_long_list_takes_no_memory(tmp_path: Path) -> None:
    listing = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "dialogue.py"))["listing"]
    told = listing(tmp_path, 20_000)
    assert told["lines"] == 20_000
    assert told["peak_mb"] < 300


def test_the_report_finds_what_is_odd(game: Path, face: dm.Face, sample: Path) -> None:
    shutil.rmtree("voices")
    voices(game / "voices", sample, 44)
    for path in Path("voices/en").rglob("*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples * 0.02, rate)  # a whole language too quiet
    odd = Path("voices/de/odd")
    odd.mkdir()
    soundfile.write(odd / "silent.wav", np.zeros(8000), 16000)
    soundfile.write(odd / "clipped.wav", np.clip(noise(0.5, 2.0), -1, 1), 16000)
    soundfile.write(odd / "hiss.wav", noise(1.0, 0.003), 16000)
    (odd / "bad<b>.wav").write_bytes(b"no sound at all")
    Path("curves").mkdir()
    again(face)
    with Ledger("curves/duomorph.sqlite") as ledger:
        seen = report.look(ledger)
    said = dict(seen.outliers)
    assert "silent" in said["de/odd/silent"]
    assert "clipped" in said["de/odd/clipped"]
    assert "never opens" in said["de/odd/hiss"]
    assert [name for name, _ in seen.failures] == ["voices/de/odd/bad<b>.wav"]
    assert "level, dB" in next(group for group in seen.groups if group.name == "en").odd
    text = report.text(seen)
    assert "47 done, 1 failed" in text
    assert "groups unlike the others" in text
    report.write("page.html", seen)
    page = Path("page.html").read_text(encoding="utf-8")
    assert "bad&lt;b&gt;.wav" in page
    assert "<b>.wav" not in page


def test_a_report_of_nothing_is_one_too(game: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["batch", "empty", "-o", "curves", "--jobs", "0", "--report"]) == 0
    assert main(["batch", "-o", "curves", "--report"]) == 0
    assert "0 lines: none" in capsys.readouterr().out


def test_lists_are_all_or_nothing(game: Path, face: dm.Face) -> None:
    def broken() -> Iterator[Line]:
        yield from listed(["voices"])
        raise SettingError("the list broke")

    Path("curves").mkdir()
    again(face)
    with Ledger("curves/duomorph.sqlite") as ledger:
        with pytest.raises(SettingError, match="broke"):
            run(broken(), Work("curves"), ledger, Here(face), face)
        assert ledger.tally() == {"done": 6}
    assert again(face).kept == 6


def test_a_ledger_of_another_version_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    base = sqlite3.connect(tmp_path / "a.sqlite")
    base.executescript("CREATE TABLE a (b); PRAGMA user_version = 99")
    base.close()
    with pytest.raises(BatchError, match="version"):
        Ledger(tmp_path / "a.sqlite")
