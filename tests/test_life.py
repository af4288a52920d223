"""Life: as people live, by published figures; the same for a seed and a voice; and never in the way of speech."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import duomorph as dm
from command import refused
from duomorph import arkit, audio, formats
from duomorph.cli import main
from duomorph.dataset import manifest
from duomorph.errors import SettingError
from duomorph.hearing import Hearing
from duomorph.life import LIVING, Life, Living
from duomorph.life.chance import uniform, waited
from duomorph.live.record import Recorder
from duomorph.live.voice import Voice
from duomorph.shaping import SHIPPED, Shaping, Turn
from duomorph.wire import Frame

RATE = 16_000
DOCUMENT = (Path(__file__).parent.parent / "docs" / "life.md").read_text(encoding="utf-8")
MINUTES = 10
BLINK = arkit.INDEX["eyeBlinkLeft"]
YAW, PITCH = arkit.ANGLES.index("LeftEyeYaw"), arkit.ANGLES.index("LeftEyePitch")
CALM, LIVELY = Shaping(life=Life("calm", 3)), Shaping(life=Life("lively", 3))


Heard = dict[str, tuple[np.ndarray, np.ndarray]]
Lived = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def heard(sample: Path) -> Heard:
    """Level and speech of ten minutes of talk, with pauses, and of ten minutes of a quiet room."""
    phrase = np.concatenate([audio.read(sample), np.zeros(RATE // 2, np.float32)])
    hiss = np.random.default_rng(0).normal(0, 1e-4, MINUTES * 60 * RATE).astype(np.float32)
    return {"talk": Hearing().feed(np.resize(phrase, len(hiss))), "quiet": Hearing().feed(hiss)}


@pytest.fixture(scope="module")
def lived(heard: Heard) -> Lived:
    """Curves and angles of a life beside it; each is lived once."""

    @cache
    def live(what: str, idle: str, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        return Living(Life(idle, seed)).feed(*heard[what], np.zeros((len(heard[what][0]), arkit.COUNT), np.float32))

    return live


def runs(flags: np.ndarray) -> np.ndarray:
    """(n, 2) begins and ends of the stretches that are true."""
    return np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int))).reshape(-1, 2)


# as people do


@pytest.mark.parametrize("idle", ["calm", "lively"])
@pytest.mark.parametrize("what", ["talk", "quiet"])
def test_blinks(lived: Lived, idle: str, what: str) -> None:
    """10 to 20 a minute (Doughty 2001: 8 to 21 in primary gaze, 10.5 to 32.5 in conversation), each 100 to 400 ms."""
    for seed in range(3):
        lids = lived(what, idle, seed)[0][:, BLINK]
        blinks = runs(lids > 0.22)  # a look down lowers them to 0.15
        assert 10 <= len(blinks) / MINUTES <= 20
        lasts = (blinks[:, 1] - blinks[:, 0]) / 60
        assert 0.1 < lasts.min() < lasts.max() < 0.4
        for begin, end in blinks:
            shut = begin + np.flatnonzero(lids[begin:end] == 1)
            assert len(shut) >= 2, "30 frames a second show it closed"
            assert shut[0] - begin < end - shut[-1], "it opens more slowly than it closed"
        waits = np.diff(blinks[:, 0]) / 60
        pairs = (waits < 0.8).mean()
        assert 0.01 < pairs < 0.25
        assert waits.max() < 20


def test_phrases_end_with_a_blink_more_often(heard: Heard, lived: Lived) -> None:
    spoken = runs(heard["talk"][1])
    ends = spoken[:-1, 1][spoken[1:, 0] - spoken[:-1, 1] > 12]  # 0.2 s of pause: it is over
    assert len(ends) > 50
    shares = []
    for seed in range(3):
        begins = runs(lived("talk", "calm", seed)[0][:, BLINK] > 0.22)[:, 0]
        near = [((begins >= end + 12) & (begins < end + 34)).any() for end in ends]
        shares.append((np.mean(near), len(begins) / len(heard["talk"][0]) * 22))
    found, chance = np.mean(shares, axis=0)
    assert found > 1.7 * chance


@pytest.mark.parametrize("idle", ["calm", "lively"])
@pytest.mark.parametrize("what", ["talk", "quiet"])
def test_gaze(lived: Lived, idle: str, what: str) -> None:
    """Peak velocity by amplitude within a quarter of the main sequence 551 (1 - exp(-A / 14)) deg/s (Baloh 1975); few
    of over 15 degrees, as in nature (Bahill 1975); small ones about once a second."""
    gaze = np.degrees(lived(what, idle)[1][:, [YAW, PITCH]])
    speed = np.hypot(*np.diff(gaze, axis=0).T) * 60
    moves = runs(speed > 1e-3)
    size = np.hypot(*(gaze[moves[:, 1]] - gaze[moves[:, 0]]).T)
    peak = np.array([speed[begin:end].max() for begin, end in moves])
    large = size > 1.5
    ratio = peak / (551 * (1 - np.exp(-size / 14)))
    assert (ratio[large] > 0.75).all(), "of smaller ones the peak falls between two ticks"
    assert (ratio < 1.25).all()
    assert size.max() <= 15.5
    assert ((moves[:, 1] - moves[:, 0]) / 60 <= 0.1).all(), "25 ms and 2.4 ms a degree"
    assert (np.diff(moves[:, 0]) >= 15).all(), "and the eyes rest a quarter of a second"
    assert 0.7 < (~large).sum() / MINUTES / 60 < 2
    looks = large.sum() / MINUTES
    assert 10 < looks < 40
    assert np.corrcoef(size[large], peak[large])[0, 1] > 0.95
    away = (np.hypot(*gaze.T) > 2).mean()
    assert (0.15 < away < 0.35) if what == "talk" else (0.02 < away < 0.12), "Lee 2002: 23 % talking, 5 % listening"


def test_lids_follow_the_eyes(lived: Lived) -> None:
    curves, _ = lived("talk", "lively")
    shape = dict(zip(arkit.NAMES, curves.T, strict=True))
    follows = 0.35 * shape["eyeLookDownLeft"]
    assert (shape["eyeBlinkLeft"] >= follows - 1e-6).all()
    assert (shape["eyeBlinkLeft"] < follows + 1e-6).mean() > 0.85, "but in a blink"
    assert follows.max() > 0.1
    assert shape["eyeWideLeft"][shape["eyeBlinkLeft"] == 1].max() == 0
    np.testing.assert_allclose(shape["eyeWideLeft"].max(), 0.3 * shape["eyeLookUpLeft"].max(), atol=0.02)


def test_shapes_and_angles_of_the_eyes_agree(lived: Lived) -> None:
    """By the factors of real captures, as `video` uses them."""
    curves, angles = lived("talk", "lively")
    shape = dict(zip(arkit.NAMES, curves.T, strict=True))
    right = arkit.LOOK_ASIDE * (shape["eyeLookInLeft"] - shape["eyeLookOutLeft"])
    np.testing.assert_allclose(right, angles[:, YAW], atol=1e-6)
    np.testing.assert_allclose(
        arkit.LOOK_ASIDE * (shape["eyeLookOutRight"] - shape["eyeLookInRight"]), right, atol=1e-6
    )
    down = arkit.LOOK_DOWN * shape["eyeLookDownRight"] - arkit.LOOK_UP * shape["eyeLookUpRight"]
    np.testing.assert_allclose(down, angles[:, PITCH], atol=1e-6)
    for left, right_ in (("LeftEyeYaw", "RightEyeYaw"), ("LeftEyePitch", "RightEyePitch")):
        np.testing.assert_array_equal(*(angles[:, arkit.ANGLES.index(name)] for name in (left, right_)))


def test_the_head(lived: Lived) -> None:
    """It sways and nods in talk, hardly moves and breathes in silence, and is nowhere quicker than a nod."""
    talk, quiet = (np.degrees(lived(what, "calm")[1][:, :3]) for what in ("talk", "quiet"))
    assert (talk.std(axis=0) > 1.3 * quiet.std(axis=0)).all()
    assert (quiet.std(axis=0) > 0.1).all()
    assert np.abs(talk).max() < 6
    assert np.abs(np.diff(talk, axis=0)).max() * 60 < 40, "deg/s"
    nods = runs(np.diff(talk[:, 1]) * 60 > 6)
    assert 5 < len(nods) / MINUTES < 35
    spectrum = np.abs(np.fft.rfft(quiet[:, 1] - quiet[:, 1].mean()))
    hz = np.fft.rfftfreq(len(quiet), 1 / 60)
    assert spectrum[(hz > 12 / 60) & (hz < 20 / 60)].max() > 20 * np.median(spectrum[(hz > 0.4) & (hz < 0.8)])


# the same again, and never again


def test_ten_minutes_never_repeat(lived: Lived) -> None:
    """No second of it comes twice, nor is like another seed's."""
    for what in ("talk", "quiet"):
        curves, angles = lived(what, "calm")
        face = np.concatenate([curves[:, LIVING], angles], axis=1)
        seconds = np.unique(face[: MINUTES * 3600].reshape(-1, 60 * face.shape[1]), axis=0)
        assert len(seconds) == MINUTES * 60
        waits = np.diff(runs(curves[:, BLINK] > 0.22)[:, 0])
        threes = [tuple(waits[at : at + 3]) for at in range(len(waits) - 2)]
        assert len(set(threes)) == len(threes)
        other = lived(what, "calm", seed=2)[1]
        assert (np.abs(other - angles).max(axis=1) > 0).mean() > 0.99


def test_a_draw_is_even_and_may_be_asked_again() -> None:
    draws = np.array([uniform(5, "blink", number) for number in range(20_000)])
    assert np.abs(np.histogram(draws, 20, (0, 1))[0] / 1000 - 1).max() < 0.12
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03
    others = [[uniform(seed, event, n) for n in range(5000)] for seed, event in ((6, "blink"), (5, "look"))]
    assert max(abs(np.corrcoef(draws[:5000], other)[0, 1]) for other in others) < 0.05
    assert uniform(5, "blink", 777) == draws[777]
    waits = [waited(5, "x", number) for number in range(20_000)]
    assert np.mean(waits) == pytest.approx(1 - np.exp(-2.5), rel=0.02)


@given(
    st.lists(st.integers(0, 9000), max_size=10),
    st.sampled_from([25, 30, 60]),
    st.sampled_from([17, 100]),
    st.sampled_from([CALM, LIVELY]),
)
@settings(max_examples=8)
def test_any_chunking_is_animate(
    face: dm.Face, speech: np.ndarray, sizes: list[int], fps: int, delay_ms: float, shaping: Shaping
) -> None:
    whole = face.animate(speech, fps=fps, delay_ms=delay_ms, shaping=shaping)
    stream = face.stream(fps=fps, delay_ms=delay_ms, shaping=shaping)
    parts, angles, at = [], [], 0
    for size in [*sizes, len(speech)]:
        parts.append(stream.feed(speech[at : at + size]))
        angles.append(stream.angles)
        at += size
    parts.append(stream.finish())
    angles.append(stream.angles)
    assert [len(part) for part in parts] == [len(part) for part in angles]
    assert whole.angles is not None
    np.testing.assert_array_equal(np.concatenate(angles), whole.angles)
    np.testing.assert_allclose(np.concatenate(parts), whole.weights, atol=2e-5)
    assert stream.finish().shape == (0, 52)
    assert stream.angles.shape == (0, 9)


def test_even_frames_of_60_are_the_frames_of_30(face: dm.Face, speech: np.ndarray) -> None:
    slow, fast = (face.animate(speech, fps=fps, shaping=LIVELY) for fps in (30, 60))
    np.testing.assert_array_equal(fast.angles[::2], slow.angles)  # type: ignore[index]
    np.testing.assert_allclose(fast.weights[::2], slow.weights, atol=1e-6)


# never in the way


@pytest.mark.parametrize("idle", ["calm", "lively"])
def test_it_touches_lids_and_gaze_and_nothing_else(face: dm.Face, sample: Path, idle: str) -> None:
    without = face.animate(sample, fps=60, shaping=SHIPPED)
    alive = face.animate(sample, fps=60, shaping=Shaping(gate=True, close_limit=True, life=Life(idle)))
    others = np.setdiff1d(np.arange(arkit.COUNT), LIVING)
    np.testing.assert_array_equal(alive.weights[:, others], without.weights[:, others])
    assert np.ptp(alive.weights[:, LIVING], axis=0).max() > 0.5
    assert {arkit.NAMES[shape].removesuffix("Left").removesuffix("Right") for shape in LIVING} == {
        "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeWide",
    }  # fmt: skip
    assert without.angles is None
    assert alive.angles is not None


def test_a_lid_that_is_down_already_still_blinks() -> None:
    own = np.random.default_rng(0).uniform(0, 1, (3600, arkit.COUNT)).astype(np.float32)
    curves, _ = Living(Life("calm")).feed(np.full(3600, -60.0), np.zeros(3600, bool), own)
    assert (curves[:, BLINK] >= own[:, BLINK] - 1e-6).all()
    assert curves.max() <= 1
    assert (curves[:, BLINK] == 1).sum() > 10


def test_off_is_off(face: dm.Face, speech: np.ndarray) -> None:
    assert face.animate(speech).angles is None
    stream = face.stream()
    stream.feed(speech)
    assert stream.angles.shape[1] == 9
    assert not stream.angles.any()


# while it runs


def test_it_is_turned_without_a_jump(face: dm.Face, sample: Path) -> None:
    """Off, lively, calm, off: the head and the gaze move no quicker than they do by themselves."""
    sound = np.resize(audio.read(sample), 20 * RATE)
    stream = face.stream(fps=60)
    angles = []
    for number, idle in enumerate(("off", "lively", "calm", "off")):
        stream.turn(Turn(idle=idle))
        stream.feed(sound[number * 5 * RATE : (number + 1) * 5 * RATE])
        angles.append(np.degrees(stream.angles))
    off, lively, calm, gone = angles
    assert not off.any()
    assert np.ptp(lively[:, :3], axis=0).max() > 1
    assert not gone[40:].any()
    head = np.concatenate(angles)[:, :3]
    assert np.abs(np.diff(head, axis=0)).max() * 60 < 45
    assert np.abs(calm).max() > 0


def test_a_voice_that_begins_anew_lives_on(face: dm.Face, sample: Path) -> None:
    """Skipped sound and another speaker are no reason for the head to jump."""
    voice = Voice(face, 60, shaping=LIVELY)
    sound = np.resize(audio.read(sample), 12 * RATE)
    frames = voice.feed(sound[: 4 * RATE])
    voice.skip(RATE)
    frames += voice.feed(sound[4 * RATE : 8 * RATE])
    voice.reset()
    frames += voice.feed(sound[8 * RATE :])
    head = np.degrees([frame.angles[:3] for frame in frames])
    assert np.abs(np.diff(head, axis=0)).max() * 60 < 60, "a nod is half as quick, a jump many times"
    assert np.ptp(head, axis=0).max() > 1
    again = Voice(face, 60, shaping=LIVELY).feed(sound[: 4 * RATE])
    np.testing.assert_array_equal([frame.angles for frame in again], [frame.angles for frame in frames[: len(again)]])


# the command line


def test_angles_go_into_the_formats_that_hold_them(sample: Path, tmp_path: Path) -> None:
    for name in ("take.csv", "take.npz", "take.jsonl"):
        assert main(["animate", str(sample), "-o", str(tmp_path / name), "--idle", "lively", "--seed", "3"]) == 0
    clips = [formats.read(tmp_path / name) for name in ("take.csv", "take.npz", "take.jsonl")]
    assert clips[1].fps == Fraction(30)
    for clip in clips:
        np.testing.assert_allclose(clip.angles, clips[1].angles, atol=1e-6)  # type: ignore[arg-type]
        assert np.ptp(clip["eyeBlinkRight"]) > 0.9
    assert main(["animate", str(sample), "-o", str(tmp_path / "plain.npz")]) == 0
    plain = formats.read(tmp_path / "plain.npz")
    assert plain.angles is None, "what animate writes is what was heard, unless asked for more"
    assert plain["eyeBlinkRight"].max() < 0.5


def test_live_lives_unless_it_records(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def no_more(*arguments: object, shaping: Shaping, **more: object) -> None:
        found.append(shaping.life.idle)
        raise SettingError("enough")

    monkeypatch.setattr("duomorph.live.Live", no_more)
    command = ["live", "--file", str(sample), "--sink", f"jsonl://{tmp_path}/out.jsonl"]
    record = ["--record", str(tmp_path / "takes")]
    for more in ([], ["--idle", "lively"], ["--idle", "off"], record, [*record, "--idle", "calm"]):
        assert main([*command, *more]) == 1
    assert found == ["calm", "lively", "off", "off", "calm"], "a take to learn from is what was heard, unless asked"


@pytest.mark.parametrize("lives", [True, False])
def test_a_recording_keeps_the_angles(tmp_path: Path, lives: bool) -> None:
    angles = np.random.default_rng(0).normal(0, 0.1, (6, 9)).astype(np.float32) * lives
    with Recorder(tmp_path, "anna", "grid", Fraction(60)) as take:
        frames = [Frame(number, Fraction(60), np.full(52, 0.5, np.float32), row) for number, row in enumerate(angles)]
        take.add(np.zeros(1600, np.float32), frames)
    (entry,) = manifest.read(tmp_path)
    clip = formats.read(tmp_path / entry.curves)
    assert (clip.angles is not None) == lives
    if lives:
        np.testing.assert_allclose(clip.angles, angles, atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(clip.weights, 0.5, atol=1e-6)


def test_the_document_runs(sample: Path, speech: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("speech.wav", audio.read(sample)[: 2 * RATE], RATE)
    (tmp_path / "moods.csv").write_text(re.findall(r"```\n(time,.*?)```", DOCUMENT, flags=re.DOTALL)[0])
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    made: dict[str, Any] = {"samples": speech}
    exec(code, made)
    assert made["clip"].angles.shape == (60, 9)
    assert len(made["stream"].angles) == len(made["frames"])
    commands = [shlex.split(line.partition("#")[0])[1:] for line in DOCUMENT.splitlines() if "duomorph animate" in line]
    assert len(commands) == 4
    for command in commands:
        assert main(command) == 0


@pytest.mark.parametrize(
    ("flags", "word"),
    [(["--idle", "wild"], "lively"), (["--seed", "-1"], "whole number"), (["--seed", "x"], "invalid int")],
)
def test_mistakes(sample: Path, capsys: pytest.CaptureFixture[str], flags: list[str], word: str) -> None:
    assert word in refused(capsys, "animate", sample, "-o", "x.csv", *flags)
    with pytest.raises(SettingError, match="expected a whole number"):
        Life("calm", 2**40)
