"""Direction: the emotion that is asked for is shown, by time and by knob, and lips that meet go on meeting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import duomorph as dm
from command import refused
from duomorph import arkit
from duomorph.errors import FormatError, SettingError
from duomorph.evaluate.metrics import opening
from duomorph.live import Live
from duomorph.prototypes import EMOTIONS, PROTOTYPES, columns, strengths
from duomorph.shaping import SHIPPED, Shaping, Turn, always
from duomorph.shaping.direction import Director, read
from duomorph.shaping.motion import CLOSED, GLIDE_TICKS, aperture
from duomorph.wire import messages, osc, web

SMILE, FROWN = columns("mouthSmile"), columns("mouthFrown")


def directed(curves: np.ndarray, text: str) -> np.ndarray:
    return Director(read(text), 0).feed(curves)


@pytest.fixture(scope="module")
def told(face: dm.Face, sample: Path) -> np.ndarray:
    return face.animate(sample, fps=60, shaping=SHIPPED).weights


# what is shown


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_an_emotion_shows_its_face(told: np.ndarray, emotion: str) -> None:
    """On a still face its prototype; on speech it and what is said: no shape goes beyond the nearer of 1 and both."""
    open_ = np.zeros((1, arkit.COUNT), np.float32)
    open_[:, arkit.INDEX["jawOpen"]] = 0.4
    shown = directed(open_, f"{emotion}=1")
    for name, full in PROTOTYPES[emotion].items():
        np.testing.assert_allclose(shown[0, columns(name)], full, atol=1e-6)
    assert set(np.flatnonzero(shown != open_)) == {column for name in PROTOTYPES[emotion] for column in columns(name)}
    half, whole = directed(told, f"{emotion}=0.5"), directed(told, f"{emotion}=1")
    asked = [column for name in PROTOTYPES[emotion] for column in columns(name)]
    assert (whole[:, asked].mean(axis=0) > half[:, asked].mean(axis=0)).all()
    assert whole.max() <= 1
    assert whole.min() >= 0
    others = np.setdiff1d(np.arange(arkit.COUNT), [*asked, *SMILE, *FROWN])
    np.testing.assert_array_equal(whole[:, others], told[:, others])


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_lips_that_meet_go_on_meeting(told: np.ndarray, emotion: str) -> None:
    shown = directed(told, f"{emotion}=1")
    closed = aperture(told) <= CLOSED
    assert closed.sum() > 30
    assert (aperture(shown)[closed] <= aperture(told)[closed]).all()
    assert (opening(shown)[closed] <= opening(told)[closed] + 1e-6).all()
    open_ = aperture(told) > 0.2
    for name, full in PROTOTYPES[emotion].items():
        assert (shown[open_][:, columns(name)] >= full - 1e-6).all(), "and open lips show all of it"


def test_a_corner_does_not_smile_and_frown() -> None:
    sad = np.zeros((1, arkit.COUNT), np.float32)
    sad[:, FROWN] = 0.6
    shown = directed(sad, "joy=1")
    assert shown[0, SMILE].min() == pytest.approx(0.75)
    assert shown[0, FROWN].max() == pytest.approx(0.6 * 0.25)


def test_nothing_asked_is_nothing_done(face: dm.Face, speech: np.ndarray) -> None:
    plain = face.animate(speech, fps=60).weights
    for score in (always({}), always({"joy": 0.0})):
        np.testing.assert_array_equal(face.animate(speech, fps=60, shaping=Shaping(emotion=score)).weights, plain)


@pytest.mark.corpus
@pytest.mark.parametrize("emotion", EMOTIONS)
def test_p_b_m_of_readers_still_close(face: dm.Face, closures: list, emotion: str) -> None:  # type: ignore[type-arg]
    """Of those of held-out readers that close without it, at least nine of ten close at full strength."""
    before = after = 0
    for told, spans in closures:
        shown = opening(Director(always({emotion: 1.0}), 0).feed(told))
        plain = opening(told)
        shut = 0.15 * np.quantile(plain, 0.9)
        closed = [span for span in spans if plain[span].min() <= shut]
        before += len(closed)
        after += sum(shown[span].min() <= shut for span in closed)
    assert before > 30
    assert after >= 0.9 * before


@pytest.fixture(scope="module")
def closures(face: dm.Face, corpus: Path) -> list[tuple[np.ndarray, list[slice]]]:
    """Curves of three readings of each held-out reader, and the frames of each P, B and M, one more on both sides."""
    found = []
    rows = [json.loads(line) for line in (corpus / "speech" / "librispeech.jsonl").read_text().splitlines()]
    readings = {
        reader: [row for row in rows if row["speaker"] == reader] for reader in ("ls-118", "ls-3526", "ls-4640")
    }
    for row in (row for read_out in readings.values() for row in read_out[:3]):
        told = face.animate(corpus / "speech" / row["audio"], fps=60, shaping=SHIPPED).weights
        spans = [
            slice(max(0, int(begin * 60) - 1), int(end * 60) + 2)
            for begin, end, phone in row["phones"]
            if phone.rstrip("012") in ("P", "B", "M") and end * 60 < len(told)
        ]
        found.append((told, spans))
    return found


# by time


def test_a_score_by_time(face: dm.Face, speech: np.ndarray, tmp_path: Path) -> None:
    """Frame k shows what the score says at k / fps, at any rate and delay, in any chunks."""
    path = tmp_path / "moods.csv"
    path.write_text("time,joy,sad\n0.5,0,1\n1.5,1,0\n2,1,0\n")
    score = read(str(path))
    for fps, delay_ms in ((60, 100), (30, 17)):
        shaping = Shaping(emotion=score)
        brows = face.animate(speech, fps=fps, delay_ms=delay_ms, shaping=shaping)["browInnerUp"]
        plain = face.animate(speech, fps=fps, delay_ms=delay_ms)["browInnerUp"]
        times = np.arange(len(brows)) / fps
        sad = np.interp(times, [0.5, 1.5], [1, 0])
        np.testing.assert_allclose(brows, plain + (1 - plain) * 0.6 * sad, atol=1e-5)
    stream = face.stream(fps=60, delay_ms=100, shaping=Shaping(emotion=score))
    whole = face.animate(speech, fps=60, delay_ms=100, shaping=Shaping(emotion=score)).weights
    for _ in range(2):
        parts = [stream.feed(speech[at : at + 1000]) for at in range(0, len(speech), 1000)] + [stream.finish()]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-5)
        stream.reset()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "expected a first line"),
        ("joy,sad\n0,1", "first line time,joy,sad"),
        ("time,joy\n", "got no emotions by time"),
        ("time\n0\n", "got no emotions by time"),
        ("time,hunger\n0,1", "'hunger': expected one of"),
        ("time,joy,happiness\n0,1,1", "twice"),
        ("time,joy\n0,1\n1,x", "line 3 is '1,x'"),
        ("\ntime,joy\n\n0,1\n,\n1,x", "line 6 is '1,x'"),
        ("time,joy\n\n1,1\n\n1,0", "line 5 is at '1' s"),
        ("time,joy\n0,1.5", "strengths from 0 to 1"),
        ("time,joy\n0,nan", "strengths from 0 to 1"),
        ("time,joy\n0,1,0", "a time and 1 strengths"),
        ("time,joy\n1,1\n1,0", "rising seconds"),
        ("time,joy\n-1,1", "rising seconds"),
        ("time,joy\ninf,1", "rising seconds"),
        ("\0", "expected"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, word: str) -> None:
    monkeypatch.chdir(tmp_path)  # a long path would be cut in the sentence
    Path("moods.csv").write_text(text)
    with pytest.raises(SettingError) as problem:
        read("moods.csv")
    assert word in str(problem.value)
    assert "moods.csv" in str(problem.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("joy=2", "0 to 1"),
        ("joy=", "NAME=STRENGTH"),
        ("joy=0.5,,", "NAME=STRENGTH"),
        ("hunger=1", "expected one of happiness"),
        ("no.csv", "cannot read"),
    ],
)
def test_mistakes(sample: Path, capsys: pytest.CaptureFixture[str], text: str, word: str) -> None:
    assert word in refused(capsys, "animate", sample, "-o", "x.csv", "--emotion", text)


def test_names() -> None:
    assert strengths({"joy": 0.6})[EMOTIONS.index("happiness")] == np.float32(0.6)
    np.testing.assert_array_equal(strengths({"Sad": 0.3}), strengths({"sadness": 0.3}))
    np.testing.assert_array_equal(read(" joy=0.6 , sad=0.2").strengths[0], strengths({"joy": 0.6, "sadness": 0.2}))


# while it runs


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=10))
@settings(max_examples=8)
def test_knobs_are_turned_at_a_tick_and_without_a_jump(face: dm.Face, speech: np.ndarray, sizes: list[int]) -> None:
    """From the next tick on, whatever the chunks; after the glide all is as if it had always been so."""
    turn = Turn(intensity=1.5, expressiveness=0.5, emotion={"joy": 0.8}, gain={"browInnerUp": 0.5})
    stream = face.stream(fps=60, delay_ms=33)
    before = stream.feed(speech[:16_000])
    stream.turn(turn)
    parts, at = [before], 16_000
    for size in [*sizes, len(speech)]:
        parts.append(stream.feed(speech[at : at + size]))
        at += size
    curves = np.concatenate([*parts, stream.finish()])
    plain = face.animate(speech, fps=60, delay_ms=33).weights
    after = face.animate(speech, fps=60, delay_ms=33, shaping=turn.of(Shaping(emotion=always({"joy": 0.8})))).weights
    np.testing.assert_allclose(curves[: len(before)], plain[: len(before)], atol=2e-5)
    there = len(before) + GLIDE_TICKS
    np.testing.assert_allclose(curves[there:], after[there:], atol=2e-5)
    smile = curves[:, SMILE[0]]
    assert np.abs(np.diff(smile))[len(before) - 1 : there].max() < 0.1
    assert smile[there:].min() >= 0.59


def test_knobs_of_a_running_score(face: dm.Face, speech: np.ndarray) -> None:
    """What is not turned stays where the score had it."""
    stream = face.stream(fps=60, shaping=Shaping(emotion=always({"joy": 0.5, "surprise": 1.0})))
    stream.feed(speech[:8000])
    stream.turn(Turn(emotion={"joy": 0.0}))
    stream.turn(Turn(emotion={"sad": 0.5}))
    last = stream.feed(speech[8000:])[-1]
    assert last[SMILE].max() < 0.05
    assert last[FROWN].min() > 0.25
    assert last[columns("eyeWide")].min() >= 0.6


def test_the_knobs_of_a_session(face: dm.Face, speech: np.ndarray) -> None:
    """By method and by the messages that a listener sends."""
    sound = np.concatenate([speech, speech])
    session = Live([sound[at : at + 800] for at in range(0, len(sound), 800)], 60, face=face)
    frames = []
    for frame in session:
        frames.append(frame)
        if frame.number == 60:
            session.turn(emotion={"joy": 1}, idle="lively")
        if frame.number == 180:
            session.command(web.command('{"command": "turn", "emotion": {"joy": 0}, "gain": {"jawOpen": 0}}'))
    smiles = np.array([frame.weights[SMILE[0]] for frame in frames])
    assert smiles[:55].max() < 0.3
    assert smiles[100:170].min() >= 0.75
    assert smiles[220:].max() < 0.3
    assert max(frame.weights[arkit.INDEX["jawOpen"]] for frame in frames[220:]) == 0
    assert frames[150].angles.any()
    assert not frames[50].angles.any()
    with pytest.raises(SettingError, match="0 to 3"):
        session.turn(intensity=4)


def test_knobs_travel() -> None:
    assert web.command('{"command": "turn", "intensity": 1.2, "idle": "off"}') == Turn(1.2, idle="off")
    assert web.command(b'{"command": "turn", "emotion": {"joy": 1}}') == Turn(emotion={"joy": 1})
    assert osc.commands(messages.message("/duomorph/emotion/joy", 0.5)) == [Turn(emotion={"joy": 0.5})]
    assert osc.commands(messages.message("/duomorph/gain/jawOpen", 2)) == [Turn(gain={"jawOpen": 2})]
    assert osc.commands(messages.message("/duomorph/expressiveness", 0)) == [Turn(expressiveness=0)]
    assert osc.commands(messages.message("/duomorph/idle", "calm")) == [Turn(idle="calm")]
    assert osc.commands(messages.message("/other/idle", "calm")) == []


@pytest.mark.parametrize(
    "said",
    [
        '{"intensity": 9}', '{"intensity": "much"}', '{"intensity": NaN}', '{"intensity": true}', '{"intensity": null}',
        '{"emotion": {"hunger": 1}}', '{"emotion": 1}', '{"emotion": {"joy": -1}}', '{"emotion": {"joy": "1"}}',
        '{"gain": {"jaw_opn": 1}}', '{"gain": {"jawOpen": 99}}', '{"idle": "wild"}', '{"idle": 1}', '{"volume": 1}',
    ],
)  # fmt: skip
def test_knobs_that_are_refused(said: str) -> None:
    with pytest.raises(FormatError) as problem:
        web.command('{"command": "turn", ' + said[1:])
    assert "expected" in str(problem.value)


@pytest.mark.parametrize(
    "message",
    [("/duomorph/emotion", 1.0), ("/duomorph/emotion/hunger", 1.0), ("/duomorph/intensity",), ("/duomorph/idle", 1.0)],
)
def test_messages_that_are_refused(message: tuple[str, ...]) -> None:
    with pytest.raises(FormatError, match="expected"):
        osc.commands(messages.message(*message))
