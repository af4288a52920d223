"""How late the face is: recovered to a few ms where sound and face belong together, and doubted where they do not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import arkit, formats
from duomorph import corpus as corpora
from duomorph.dataset import fix, manifest
from duomorph.dataset.check import check
from duomorph.dataset.fix import Move
from duomorph.dataset.lag import NATURAL_MS, SURE, Hearing, Lag, Trace, compare, lag
from duomorph.dataset.manifest import Writer, read
from duomorph.errors import FormatError
from talk import talk

LABELS = {"speaker": "anna", "style": "studio", "licence": "CC0-1.0"}


def heard(sound: np.ndarray, block: int = 16000) -> np.ndarray:
    hearing = Hearing()
    for start in range(0, len(sound), block):
        hearing.feed(sound[start : start + block])
    return hearing.energy()


def measured(seconds: float, seed: int, late_ms: float, fps: Fraction = Fraction(30)) -> Lag:
    sound, clip = talk(seconds, seed, fps, late_ms + NATURAL_MS)
    trace = compare(heard(sound), clip["jawOpen"], clip.times)
    assert trace is not None
    found = lag([trace])
    assert found is not None
    return found


@given(cuts=st.lists(st.integers(0, 20000), max_size=6))
def test_chunks_change_nothing(cuts: list[int]) -> None:
    sound = talk(1.25, 0)[0]
    hearing = Hearing()
    for part in np.split(sound, sorted(cuts)):
        hearing.feed(part)
    np.testing.assert_array_equal(hearing.energy(), heard(sound))


@pytest.mark.parametrize("late", [0, 40, -40, 80, -80, 200, -200, 333.3])
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(60000, 1001)])
def test_lags_are_recovered(late: float, fps: Fraction) -> None:
    for seed in range(3):
        found = measured(12.0, seed, late, fps)
        assert found.ms == pytest.approx(late, abs=8)
        assert found.confidence > SURE


def test_strangers_are_doubted() -> None:
    """Faces with the sound of others: the confidence is the share of such pairs that agree less well."""
    talks = [talk(8.0, seed) for seed in range(24)]
    heards = [heard(sound) for sound, _ in talks]
    doubts = []
    for k, (_, clip) in enumerate(talks):
        for other in (1, 5, 11):
            trace = compare(heards[(k + other) % len(talks)], clip["jawOpen"], clip.times)
            assert trace is not None
            found = lag([trace])
            assert found is not None
            doubts.append(found.confidence)
    assert np.mean(np.array(doubts) >= SURE) <= 0.04
    assert np.median(doubts) < 0.8


def test_too_little_says_nothing() -> None:
    sound, clip = talk(5.0, 0)
    energy, jaw, times = heard(sound), clip["jawOpen"], clip.times
    assert compare(energy[:100], jaw, times) is None
    assert compare(energy, jaw[:30], times[:30]) is None
    assert compare(energy, jaw[:0], times[:0]) is None
    assert compare(heard(sound[:0]), jaw, times) is None
    assert compare(np.zeros_like(energy), jaw, times) is None
    assert compare(energy, np.full_like(jaw, 0.3), times) is None
    assert lag([]) is None


def test_a_lag_beyond_reach_is_no_lag() -> None:
    rising = Trace(np.linspace(0, 0.9, 121), 100.0)
    found = lag([rising])
    assert found is not None
    assert found.confidence == 0


def dataset(folder: Path, lates: list[float], seconds: float = 10.0, session: str = "one") -> Path:
    with Writer(folder) as out:
        for k, late in enumerate(lates):
            sound, clip = talk(seconds, k, late_ms=late + NATURAL_MS)
            out.add(id=f"t{k}", sound=sound, clip=clip, session=session, **LABELS)
    return folder


def test_short_clips_of_a_session_are_measured_together(tmp_path: Path) -> None:
    """Each alone is doubtful; together they are not."""
    folder = dataset(tmp_path, [80.0] * 12, seconds=2.2)
    moves = fix.fix(folder)
    assert {move.lag for move in moves} == {moves[0].lag}
    assert moves[0].lag is not None
    assert moves[0].lag.ms == pytest.approx(80, abs=8)
    assert all(move.moves for move in moves)


def test_clear_clips_that_disagree_are_no_session(tmp_path: Path) -> None:
    lates = [-200.0, 0.0, 0.0, 120.0]
    moves = fix.fix(dataset(tmp_path, lates))
    for move, late in zip(moves, lates, strict=True):
        assert move.lag is not None
        assert move.lag.ms == pytest.approx(late, abs=8)
        assert move.moves == (late != 0)


def test_check_tells_and_fix_mends(tmp_path: Path) -> None:
    folder = dataset(tmp_path, [100.0, 0.0], session="")
    (problem,) = [problem for problem in check(folder).problems if problem.kind == "lag"]
    assert problem.file == "curves/t0.jsonl"
    assert not problem.fatal
    assert "ms late" in problem.text
    before = {entry.id: formats.read(folder / entry.curves) for entry in read(folder)}

    shown = fix.fix(folder)
    assert [move.moves for move in shown] == [True, False]
    assert {entry.id: entry.note for entry in read(folder)} == {"t0": "", "t1": ""}, "it changes nothing unasked"

    assert fix.fix(folder, apply=True) == shown
    after = {entry.id: entry for entry in read(folder)}
    lag = shown[0].lag
    assert lag is not None
    moved = formats.read(folder / after["t0"].curves)
    assert moved.start == before["t0"].start - Fraction(str(lag.ms)) / 1000
    np.testing.assert_array_equal(moved.weights, before["t0"].weights)
    assert "measured lag" in after["t0"].note
    assert after["t1"].note == ""
    assert sorted(path.name for path in (folder / "curves").iterdir()) == ["t0~1.jsonl", "t1.jsonl"]
    assert [problem for problem in check(folder).problems if problem.kind not in ("length",)] == []
    assert [move.moves for move in fix.fix(folder, apply=True)] == [False, False]


def test_all_are_moved_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = dataset(tmp_path, [100.0, -150.0], session="")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise FormatError("the disk is full")

    monkeypatch.setattr(manifest, "write", full)
    with pytest.raises(FormatError, match="disk is full"):
        fix.fix(folder, apply=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_no_jaw_no_lag(tmp_path: Path) -> None:
    sound, clip = talk(5.0, 0)
    captured = np.ones(52, dtype=bool)
    captured[arkit.INDEX["jawOpen"]] = False
    with Writer(tmp_path) as out:
        out.add(id="a", sound=sound, clip=replace(clip, captured=captured), **LABELS)
    assert fix.fix(tmp_path) == [Move("a", None)]
    assert check(tmp_path).lags == {}


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "step"), [("facegood", 1), ("grid_s1", 12)])
def test_real_takes_are_in_sync_and_shifts_of_theirs_are_found(corpus: Path, name: str, step: int) -> None:
    """Sessions to 15 ms of the truth, whatever the shift; and a clip moves by what its sound was moved."""
    source = corpora.SOURCES[name]
    takes = list(source.read(corpus / source.folder))[::step]
    for late in (0, 40, -40, 80, -80, 200, -200):
        traces = []
        for take in takes:
            skipped = max(0, 16 * late)  # a sound that begins later: the face is late against it
            sound = np.concatenate([np.zeros(max(0, -16 * late), np.float32), take.audio[skipped:]])
            jaw = take.weights[:, arkit.INDEX["jawOpen"]]
            trace = compare(heard(sound), jaw, np.arange(len(jaw)) / float(take.fps))
            assert trace is not None
            traces.append(trace)
        found = lag(traces)
        assert found is not None
        assert found.ms == pytest.approx(late, abs=15)
        assert found.confidence > SURE
