"""Shaping: part of the stream, each part by itself, and nothing where nothing was asked for."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import duomorph as dm
from command import refused
from duomorph import arkit, audio, formats
from duomorph.cli import main
from duomorph.errors import SettingError
from duomorph.hearing import Hearing
from duomorph.shaping import FEELING, RAW, SHIPPED, Shaper, Shaping, Turn, read
from duomorph.shaping.gate import Gate
from duomorph.shaping.motion import ARTICULATION, Hold, OneEuro, aperture
from duomorph.shaping.table import table

RATE = 16_000
ALL = Shaping(3.0, 1.3, 0.6, 50.0, True, table({"jawOpen": {"gain": 0.9}, "brows": {"offset": 0.1}}), True)
EACH = {
    "gate": Shaping(gate=True),
    "close_limit": Shaping(close_limit=True),
    "intensity": Shaping(intensity=1.4),
    "expressiveness": Shaping(expressiveness=0.3),
    "hold_ms": Shaping(hold_ms=50),
    "smooth_hz": Shaping(smooth_hz=3),
    "table": Shaping(table=table({"jawOpen": {"gain": 0.5}})),
}


def in_pieces(stream: dm.Stream, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    parts, at = [], 0
    for size in [*sizes, len(samples)]:
        parts.append(stream.feed(samples[at : at + size]))
        at += size
    return np.concatenate([*parts, stream.finish()])


def db(x: float) -> float:
    return float(10 ** (x / 20))


def noise(seconds: float, level_db: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, db(level_db), round(seconds * RATE)).astype(np.float32)


@given(
    st.lists(st.integers(0, 9000), max_size=12),
    st.sampled_from([25, 30, 60]),
    st.sampled_from([0, 33, 100]),
    st.sampled_from([ALL, SHIPPED, *EACH.values()]),
)
@settings(max_examples=16)
def test_any_chunking_is_animate(
    face: dm.Face, speech: np.ndarray, sizes: list[int], fps: int, delay_ms: float, shaping: Shaping
) -> None:
    whole = face.animate(speech, fps=fps, delay_ms=delay_ms, shaping=shaping).weights
    stream = face.stream(fps=fps, delay_ms=delay_ms, shaping=shaping)
    np.testing.assert_allclose(in_pieces(stream, speech, sizes), whole, atol=2e-5)
    stream.reset()
    np.testing.assert_allclose(in_pieces(stream, speech, [267] * 60), whole, atol=2e-5)
    assert whole.dtype == np.float32
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_nothing_is_done_unasked(face: dm.Face, speech: np.ndarray) -> None:
    assert np.array_equal(face.animate(speech, fps=60).weights, face.animate(speech, fps=60, shaping=Shaping()).weights)
    assert Shaping() == RAW


@pytest.mark.parametrize("name", EACH)
def test_each_part_does_something_and_only_it(face: dm.Face, speech: np.ndarray, name: str) -> None:
    """...to the shapes that it is about."""
    sound = np.concatenate([speech, np.zeros(RATE, np.float32)])
    raw = face.animate(sound, fps=60).weights
    moved = np.abs(face.animate(sound, fps=60, shaping=EACH[name]).weights - raw).max(axis=0) > 1e-6
    about = {
        "gate": ARTICULATION,
        "close_limit": [arkit.INDEX["mouthClose"]],
        "intensity": ARTICULATION,
        "expressiveness": FEELING,
        "hold_ms": ARTICULATION,
        "smooth_hz": np.arange(52),
        "table": [arkit.INDEX["jawOpen"]],
    }[name]
    assert not np.setdiff1d(np.flatnonzero(moved), about).size
    if name not in ("close_limit", "hold_ms"):  # this voice and these weights may give them nothing to do
        assert moved.any()


# without hold_ms: a closure that begins between two frames of 30 fps is seen, and held, at 60 alone
@pytest.mark.parametrize("shaping", [SHIPPED, replace(ALL, smooth_hz=0, hold_ms=0)])
def test_even_frames_of_60_are_the_frames_of_30(face: dm.Face, speech: np.ndarray, shaping: Shaping) -> None:
    slow = face.animate(speech, fps=30, shaping=shaping).weights
    fast = face.animate(speech, fps=60, shaping=shaping).weights
    np.testing.assert_allclose(fast[::2], slow, atol=1e-6)


def test_at_30_fps_the_one_euro_filter_sees_every_frame_for_two_ticks(face: dm.Face, speech: np.ndarray) -> None:
    slow, fast = (face.animate(speech, fps=fps, shaping=Shaping(smooth_hz=3)).weights for fps in (30, 60))
    assert 0 < np.abs(fast[::2] - slow).mean() < 2e-3


@pytest.mark.parametrize(("delay_ms", "shaping"), [(0, SHIPPED), (100, SHIPPED), (33, ALL)])
def test_shaping_hears_no_further_than_the_network(
    face: dm.Face, speech: np.ndarray, delay_ms: float, shaping: Shaping
) -> None:
    stream = face.stream(fps=60, delay_ms=delay_ms, shaping=shaping)
    base = in_pieces(stream, speech, [])
    changed = speech.copy()
    changed[30_000:] = 0
    stream.reset()
    same = np.abs(in_pieces(stream, changed, []) - base).max(axis=1) == 0
    needed = Fraction(30_000, RATE) - stream.lookahead_s
    assert same[: int(needed * 60)].all()
    assert not same[int(needed * 60) + 3 :].all()


# the gate


def open_at(sound: np.ndarray, delay: int = 6) -> np.ndarray:
    """How far the gate stands open, by ticks of the curves."""
    heard = np.concatenate([sound, np.zeros(delay * RATE // 60 + RATE // 30, np.float32)])
    return Gate(delay).feed(Hearing().feed(heard)[1])[delay:]


@pytest.mark.parametrize("delay", [0, 2, 6, 12])
@pytest.mark.parametrize("gain_db", [0, -30])
@pytest.mark.parametrize("floor_db", [-200, -60])
def test_the_mouth_is_at_rest_150_ms_after_speech(
    speech: np.ndarray, delay: int, gain_db: float, floor_db: float
) -> None:
    """Speech that stops in the middle of a word; then silence, or the hiss of a recording."""
    end = 2 * RATE  # in the middle of a word
    sound = np.concatenate([np.zeros(RATE, np.float32), speech[:end], np.zeros(2 * RATE, np.float32)])
    sound = ((sound + noise(5, floor_db)) * db(gain_db)).astype(np.float32)
    openness = open_at(sound, delay)
    stop = 60 + end * 60 // RATE
    assert openness[stop - 3] == 1
    assert (openness[stop + 9 :] == 0).all()
    assert (openness[45:50] == 0).all()


@pytest.mark.parametrize(("delay", "before"), [(0, 0), (2, 2), (6, 6)])
def test_the_first_sound_is_not_clipped(speech: np.ndarray, delay: int, before: int) -> None:
    """The mouth is free within 33 ms of the first sound, and before it where the delay allows."""
    onset = int(np.flatnonzero(np.abs(speech) > 0.02)[0])
    voice = speech[onset : onset + 2 * RATE]
    sound = np.concatenate([noise(1.5, -65), noise(2, -65, 1) + voice])
    openness = open_at(sound, delay)
    assert openness[90 - before + 3 : 110].min() == 1
    assert (openness[40 : 90 - before - 1] == 0).all()


@pytest.mark.parametrize("colour", ["white", "hum", "pink"])
@pytest.mark.parametrize("level_db", [-10, -50])
def test_steady_noise_is_no_speech(colour: str, level_db: float) -> None:
    sound = noise(8, level_db)
    if colour == "hum":
        t = np.arange(len(sound)) / RATE
        tones = sum(np.sin(2 * np.pi * hz * t) for hz in (100, 200, 300))
        sound = (db(level_db) * tones + sound / 100).astype(np.float32)
    if colour == "pink":
        spectrum = np.fft.rfft(sound)
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1) / 8000)
        sound = np.fft.irfft(spectrum).astype(np.float32)
    openness = open_at(sound)
    assert openness[45:].max() == 0
    late = np.concatenate([np.zeros(2 * RATE, np.float32), sound])  # begun later, it is known after two seconds
    assert open_at(late)[120 + 135 :].max() == 0


def test_the_mouth_of_the_network_rests(face: dm.Face, speech: np.ndarray) -> None:
    sound = np.concatenate([speech[: 2 * RATE], noise(3, -60)])
    clip = face.animate(sound, fps=60, shaping=Shaping(gate=True))
    still = clip.weights[120 + 9 :]
    assert np.ptp(still[:, ARTICULATION], axis=0).max() == 0
    assert aperture(still).max() == 0
    assert clip["jawOpen"][:120].max() > 0.05


@pytest.mark.corpus
def test_the_gate_on_real_voices(corpus: Path) -> None:
    """By phone times: what speech loses to the gate is little; long pauses are mostly rest."""
    import json

    lost = spoken = 0.0
    for name, silence in (("librispeech", "SIL"), ("arctic", "PAU")):
        lines = (corpus / "speech" / f"{name}.jsonl").read_text().splitlines()
        for line in lines[:: len(lines) // 12]:
            row = json.loads(line)
            openness = open_at(audio.read(corpus / "speech" / row["audio"]))
            ticks = np.arange(len(openness)) / 60
            for begin, end, phone in row["phones"]:
                if phone != silence:
                    inside = (ticks >= begin) & (ticks < end)
                    spoken += inside.sum()
                    lost += (1 - openness[inside]).sum()
    assert lost / spoken < 0.01


# the other parts


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(2, 6))
def test_a_closure_lasts(sizes: list[int], ticks: int) -> None:
    random = np.random.default_rng(sum(sizes) + ticks)
    curves = random.uniform(0.2, 1, (120, 52)).astype(np.float32)
    curves[:, arkit.INDEX["mouthClose"]] = 0
    closures = np.arange(5, 110, 20) + random.integers(0, 12, 6)
    curves[closures] *= np.float32(0.01)
    hold = Hold(ticks)
    whole = hold.feed(curves)
    hold.reset()
    parts = [hold.feed(part) for part in np.split(curves, np.minimum(np.cumsum(sizes), 120))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for begin in closures:
        assert (aperture(whole[begin : begin + ticks]) <= 0.05).all()
    away = np.min(np.abs(np.arange(120)[:, None] - closures - (ticks - 1) / 2), axis=1) > ticks / 2
    np.testing.assert_array_equal(whole[away], curves[away])
    np.testing.assert_array_equal(whole[:, arkit.EXPRESSION], curves[:, arkit.EXPRESSION])


def test_a_held_closure_is_seen_at_30() -> None:
    """One tick that is closed, on no frame of 30 fps."""
    curves = np.full((20, 52), 0.4, np.float32)
    curves[7] = 0
    curves[:, arkit.INDEX["mouthClose"]] = 0
    assert aperture(curves[::2]).min() > 0.3
    assert aperture(Shaper(Shaping(hold_ms=33), 0, curves[0]).feed(np.zeros(0, np.float32), curves)[::2]).min() == 0


@given(st.lists(st.integers(0, 60), max_size=8))
def test_one_euro_is_its_recursion(sizes: list[int]) -> None:
    """Against the textbook's loop."""
    random = np.random.default_rng(sum(sizes))
    curves = random.uniform(0, 1, (150, 52)).astype(np.float32)
    smoother = OneEuro(2.0)
    parts = [smoother.feed(part) for part in np.split(curves, np.minimum(np.cumsum(sizes), 150))]

    def alpha(hz: np.ndarray | float) -> np.ndarray | float:
        return 1 / (1 + 60 / (2 * np.pi * hz))

    before = smooth = curves[0].astype(float)
    speed = np.zeros(52)
    for row, ours in zip(curves, np.concatenate(parts), strict=True):
        speed = alpha(5.0) * (row - before) * 60 + (1 - alpha(5.0)) * speed
        share = alpha(2.0 + 4.0 * np.abs(speed))
        smooth = share * row + (1 - share) * smooth
        before = row
        np.testing.assert_allclose(ours, smooth, atol=2e-5)


def test_one_euro_lags_as_it_says(face: dm.Face) -> None:
    """A slow ramp comes so much later; of a tremble little is left."""
    ramp = np.repeat(np.linspace(0, 0.02, 600, dtype=np.float32)[:, None], 52, axis=1)
    smoother = OneEuro(3.0)
    behind = (ramp - smoother.feed(ramp))[-60:].mean() / (0.02 / 599) / 60
    assert behind == pytest.approx(smoother.latency_s, rel=0.05)
    stream, other = face.stream(shaping=Shaping(smooth_hz=3)), face.stream()
    assert stream.latency_s - other.latency_s == pytest.approx(smoother.latency_s)
    tremble = (0.3 + 0.005 * (-1.0) ** np.arange(600)[:, None] * np.ones(52)).astype(np.float32)
    smoother.reset()
    assert np.ptp(smoother.feed(tremble)[100:, 0]) < 0.25 * 0.01


def test_mouth_close_never_leads() -> None:
    random = np.random.default_rng(0)
    curves = random.random((300, 52), dtype=np.float32)
    rest = random.random(52, dtype=np.float32)
    stretch = table({"mouthClose": {"gain": 3}, "jawOpen": {"gain": 0.3}})
    for shaping in (Shaping(close_limit=True), Shaping(close_limit=True, table=stretch, intensity=2)):
        shaped = Shaper(shaping, 0, rest).feed(np.zeros(0, np.float32), curves)
        jaw, close = (shaped[:, arkit.INDEX[name]] for name in ("jawOpen", "mouthClose"))
        assert (close <= jaw + np.float32(0.02)).all()
        assert (curves[:, arkit.INDEX["mouthClose"]] > curves[:, arkit.INDEX["jawOpen"]] + 0.02).any()


def test_intensity_and_expressiveness_are_about_the_rest(face: dm.Face, speech: np.ndarray) -> None:
    raw = face.animate(speech, fps=60).weights
    still = face.animate(speech, fps=60, shaping=Shaping(intensity=0, expressiveness=0)).weights
    both = np.concatenate([ARTICULATION, FEELING])
    assert np.ptp(still[:, both], axis=0).max() < 1e-6
    assert aperture(still).max() == 0
    gaze = np.setdiff1d(np.arange(52), both)
    assert {arkit.NAMES[index][:7] for index in gaze} == {"eyeBlin", "eyeLook"}
    np.testing.assert_array_equal(still[:, gaze], raw[:, gaze])
    more = face.animate(speech, fps=60, shaping=Shaping(intensity=1.5)).weights
    expected = (still + 1.5 * (raw - still)).clip(0, 1)[:, ARTICULATION]
    np.testing.assert_allclose(more[:, ARTICULATION], expected, atol=1e-5)


@pytest.mark.alone
def test_shaping_costs_little(face: dm.Face) -> None:
    """Microseconds of a tick in batch; the network takes some hundred."""
    seconds = 60
    sound, curves = noise(seconds, -20), np.random.default_rng(0).random((120, 52), dtype=np.float32)
    costs = []
    for _ in range(5):
        shaper = Shaper(ALL, 6, curves[0])
        shaper.feed(sound[:0], curves[:1])  # the first tick ends at the first sample
        began = time.process_time()
        for second in range(0, seconds, 2):
            shaper.feed(sound[second * RATE : (second + 2) * RATE], curves)
        costs.append((time.process_time() - began) / (60 * seconds))
    assert min(costs) < 60e-6  # 8 on the machine where this was written


# the table


def test_a_table_by_name_and_group(tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text(
        "[jawOpen]\ngain = 1.2\nmax = 0.9\n[mouth]\ngain = 0.5\n[all]\nmax = 0.95\n"
        "[MouthSmile_L]\noffset = 0.1\n[eyeBlink]\nmin = 0.05\n"
    )
    curves = np.full((3, 52), 0.8, np.float32)
    curves[1] = 0
    moved = dict(zip(arkit.NAMES, read(path).apply(curves).T, strict=True))
    np.testing.assert_allclose(moved["jawOpen"], [0.9, 0, 0.9])
    np.testing.assert_allclose(moved["mouthPucker"], [0.4, 0, 0.4])
    np.testing.assert_allclose(moved["mouthSmileLeft"], [0.5, 0.1, 0.5])
    np.testing.assert_allclose(moved["mouthSmileRight"], [0.4, 0, 0.4])
    np.testing.assert_allclose(moved["eyeBlinkRight"], [0.8, 0.05, 0.8])
    np.testing.assert_allclose(moved["browInnerUp"], [0.8, 0, 0.8])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[jawOpen", "expected TOML"),
        ("[jaw_opn]\ngain = 1", "'jaw_opn' is no shape"),
        ("[jawOpen]\ngian = 1", "'gian'"),
        ("[jawOpen]\ngain = 'much'", "gain = 'much'"),
        ("[jawOpen]\ngain = true", "gain = True"),
        ("[jawOpen]\ngain = nan", "from -10 to 10"),
        ("[jawOpen]\nmax = 1.1", "from 0 to 1"),
        ("[jawOpen]\nmax = " + "9" * 400, "from 0 to 1"),
        ("[jawOpen]\nmin = 0.6\nmax = 0.5", "min 0.6 over max 0.5"),
        ("jawOpen = 1.2", "expected a section"),
        ("\0", "expected TOML"),
        ("a = " + "[" * 9999, "expected TOML"),
        ('["a\\nb"]\ngain = 1', "is no shape"),
        ("[jawOpen.deep]\ngain = 1", "'deep'"),
    ],
)
def test_bad_tables_are_one_sentence(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    said = refused(capsys, "animate", sample, "-o", tmp_path / "o.csv", "--shape-config", tmp_path / "bad.toml")
    assert word in said
    assert "expected" in said
    assert "bad.toml" in said
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


def test_a_table_that_is_not_there(sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "endless.toml").write_bytes(b"#" * 2_000_000)
    for name in ("no.toml", ".", "latin.toml", "endless.toml"):
        said = refused(capsys, "animate", sample, "-o", tmp_path / "o.csv", "--shape-config", tmp_path / name)
        assert "expected TOML" in said


# the command line


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--intensity", "3.1"], "0 to 3"),
        (["--intensity", "nan"], "0 to 3"),
        (["--expressiveness", "-1"], "0 to 3"),
        (["--hold-ms", "201"], "0 to 200"),
        (["--smooth", "0.1"], "0.5 to 30"),
        (["--smooth", "nan"], "0.5 to 30"),
        (["--smooth", "much"], "--help"),
    ],
)
def test_bad_settings(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], word: str
) -> None:
    assert word in refused(capsys, "animate", sample, "-o", tmp_path / "o.csv", *flags)
    for bad in ({"intensity": 9}, {"intensity": "a"}, {"life": "calm"}, {"emotion": {"joy": 0.5}}, {"table": 3}):
        with pytest.raises(SettingError, match="expected"):
            Shaping(**bad)
    for bad in ({"emotion": "joy"}, {"emotion": None}, {"gain": 3}):
        with pytest.raises(SettingError, match="expected"):
            Turn(**bad)


def test_what_animate_does_by_itself(face: dm.Face, sample: Path, tmp_path: Path) -> None:
    def animated(*flags: str) -> np.ndarray:
        assert main(["animate", str(sample), "-o", str(tmp_path / "o.npz"), *flags]) == 0
        return formats.read(tmp_path / "o.npz").weights

    np.testing.assert_array_equal(animated(), face.animate(sample, shaping=SHIPPED).weights)
    np.testing.assert_array_equal(animated("--no-gate", "--no-close-limit"), face.animate(sample).weights)
    (tmp_path / "a.toml").write_text("[brows]\ngain = 2\n")
    flags = ["--intensity", "1.2", "--expressiveness", "0.5", "--hold-ms", "33", "--smooth", "4"]
    shaping = Shaping(4.0, 1.2, 0.5, 33.0, True, read(tmp_path / "a.toml"), True)
    shaped = animated(*flags, "--shape-config", str(tmp_path / "a.toml"))
    np.testing.assert_array_equal(shaped, face.animate(sample, shaping=shaping).weights)
