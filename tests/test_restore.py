"""Range restoration: lips are measured whatever the head does; closed lips stay closed; real ranges, no added noise."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from duomorph import arkit, restore
from duomorph.clip import Clip
from duomorph.errors import CorpusError, FormatError
from lips import INDEX, filmed, mirrored, mouth, speech

FPS = Fraction(25)
RESTORED = [name for name in arkit.NAMES if name.removesuffix("Left").removesuffix("Right") in restore.RANGES]
OPENERS = [arkit.INDEX[name] for name in RESTORED if name.startswith(restore.OPENERS)]


def labels(frames: int) -> Clip:
    weights = np.random.default_rng(1).random((frames, arkit.COUNT), dtype=np.float32)
    return Clip(weights, FPS, start=Fraction(1, 3), captured=np.arange(arkit.COUNT) != 51, source="a tracker")


@pytest.fixture(scope="module")
def speaker() -> restore.Speaker:
    return restore.fit((filmed(speech(500, seed)), FPS) for seed in range(4))


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.2, 0, 0), (0, -0.3, 0), (0.1, 0.2, -0.15)])
@pytest.mark.parametrize(("away", "beside", "size"), [(35.0, 0.0, (360, 288)), (80.0, 9.0, (1080, 1920))])
def test_a_measure_is_in_centimetres_of_the_face(
    turn: tuple[float, float, float], away: float, beside: float, size: tuple[int, int]
) -> None:
    places = mouth(3, opening=np.array([0.0, 0.6, 1.2]), width=-0.5, smile=0.3, left=0.2)
    seen = restore.measure(filmed(places, away, turn, beside, size))
    expected = {
        "opening": [0.0, 0.6, 1.2], "width": 4.7, "height": 2.0, "lowerBack": -5.3, "drop": [4.1, 4.5, 4.9],
        "raiseLeft": [-4.1, -3.9, -3.7], "dropRight": [4.1, 4.5, 4.9],
        "upLeft": -3.8, "outLeft": 2.45, "outRight": 2.25,
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(seen[name], value, atol=0.03 if name == "height" else 1e-9, err_msg=name)


def test_shapes_get_the_deviation_of_real_takes(speaker: restore.Speaker) -> None:
    talk = filmed(np.concatenate([speech(500, seed) for seed in range(4)]))
    wide = restore.restore(labels(2000), talk, speaker)
    for shape, (deviation, ceiling) in restore.RANGES.items():
        both = np.concatenate([wide[name] for name in RESTORED if name.startswith(shape)])
        assert both.std() == pytest.approx(deviation, rel=0.03), shape
        assert 0 <= both.min() <= both.max() <= ceiling, shape


def test_what_the_lips_do_moves_the_shape_of_that_name(speaker: restore.Speaker) -> None:
    def shown(**moved: float) -> dict[str, float]:
        clip = restore.restore(labels(5), filmed(mouth(5, **moved)), speaker)
        return {name: float(clip[name][2]) for name in RESTORED}

    assert set(shown().values()) == {0.0}
    rounded = shown(opening=0.8, width=-0.8, height=0.3)
    spread = shown(opening=0.8, width=0.2)
    assert rounded["mouthFunnel"] > 0.2 > spread["mouthFunnel"] == 0
    assert spread["mouthUpperUpLeft"] > rounded["mouthUpperUpLeft"]
    assert spread["mouthLowerDownRight"] > rounded["mouthLowerDownRight"]
    assert shown(width=0.6)["mouthStretchRight"] > shown(width=0.6)["mouthSmileRight"]
    assert shown(width=0.4, smile=0.4)["mouthSmileLeft"] > shown(width=0.4, smile=-0.1)["mouthSmileLeft"]
    aside = shown(left=0.5)
    assert aside["mouthStretchLeft"] > 0 == aside["mouthStretchRight"]
    lower = mouth(5)
    lower[:, np.isin(INDEX, (14, 87, 178, 317, 402)), 2] -= 0.4  # tucked behind the teeth
    assert restore.restore(labels(5), filmed(lower), speaker)["mouthRollLower"][2] > 0.1


def test_closed_lips_stay_closed(speaker: restore.Speaker) -> None:
    opening = np.full(40, 1.5)
    closed = [3, 10, 11, 20, 39]
    opening[closed] = 0.03  # of 5 cm: within what counts as closed
    lips = filmed(mouth(40, opening=opening, width=-0.5, height=0.3))
    assert np.flatnonzero(restore.apart(restore.measure(lips), speaker) == 0).tolist() == closed
    wide = restore.restore(labels(40), lips, speaker)
    assert not wide.weights[closed][:, OPENERS].any()
    assert (wide.weights[[6, 15, 30]][:, OPENERS] > 0).all()


def test_everything_else_stays(speaker: restore.Speaker) -> None:
    clip = labels(100)
    before = clip.weights.copy()
    wide = restore.restore(clip, filmed(speech(100)), speaker)
    np.testing.assert_array_equal(clip.weights, before)
    others = [arkit.INDEX[name] for name in arkit.NAMES if name not in RESTORED]
    np.testing.assert_array_equal(wide.weights[:, others], before[:, others])
    assert wide.weights.dtype == np.float32
    assert (wide.fps, wide.start) == (clip.fps, clip.start)
    np.testing.assert_array_equal(wide.captured, clip.captured)
    assert wide.source == "a tracker; range restored from the lips"


def test_no_delay_and_no_side_is_favoured() -> None:
    talks = [speech(500, seed) for seed in range(2)]
    fair = restore.fit((filmed(places), FPS) for talk in talks for places in (talk, mirrored(talk)))
    places = speech(200, seed=9)
    columns = [arkit.INDEX[name] for name in RESTORED]

    def curves(places: np.ndarray) -> np.ndarray:
        return restore.restore(labels(200), filmed(places), fair).weights

    wide = curves(places)
    assert np.ptp(wide[:, columns], axis=0).min() > 0.02
    np.testing.assert_allclose(curves(places[::-1])[::-1, columns], wide[:, columns], atol=1e-6)
    np.testing.assert_allclose(curves(mirrored(places))[:, columns], wide[:, arkit.MIRROR[columns]], atol=1e-6)


def test_the_window_is_in_seconds() -> None:
    """The same talk filmed at 25 and at 100 frames a second gives the same curves."""
    slow = speech(400)
    times = np.arange(1600) / 4
    fast = np.stack([np.interp(times, np.arange(400), curve) for curve in slow.reshape(400, -1).T], axis=1)
    fast = fast.reshape(1600, *slow.shape[1:])
    speaker = restore.fit([(filmed(slow), FPS)])
    a = restore.restore(labels(400), filmed(slow), speaker)
    b = restore.restore(replace(labels(1600), fps=FPS * 4), filmed(fast), speaker)
    for name in RESTORED:
        assert np.corrcoef(a[name][:-1], b[name][::4][:-1])[0, 1] > 0.97, name


def test_damage_is_refused(speaker: restore.Speaker) -> None:
    lips = filmed(speech(10))
    with pytest.raises(FormatError, match="got 9 frames and 10 of lips"):
        restore.restore(labels(9), lips, speaker)
    nowhere = lips.marks.copy()
    nowhere[4] = np.nan
    with pytest.raises(FormatError, match="not in every frame"):
        restore.measure(replace(lips, marks=nowhere))
    with pytest.raises(FormatError, match="before the camera"):
        restore.measure(replace(lips, head=-lips.head))
    with pytest.raises(FormatError, match="lack landmark 0:"):
        restore.measure(replace(lips, marks=lips.marks[:, 1:], index=lips.index[1:]))
    for part in ({"marks": lips.marks[:, :, :2]}, {"head": lips.head[:5]}, {"index": lips.index[:3]}):
        with pytest.raises(FormatError, match="capture the video again"):
            restore.measure(replace(lips, **part))
    for takes in ([], [(filmed(mouth(0)), FPS)]):
        with pytest.raises(CorpusError, match="0 frames"):
            restore.fit(takes)
    with pytest.raises(CorpusError, match="hardly move"):
        restore.fit([(filmed(mouth(100)), FPS)])


def test_an_empty_clip_stays_empty(speaker: restore.Speaker) -> None:
    assert len(restore.restore(labels(0), filmed(mouth(0)), speaker)) == 0


# Where in its word a rounded or spread sound is, 0 to 1.
ROUND = {"two": 0.75, "blue": 0.8, "soon": 0.5, "q": 0.75, "u": 0.75, "o": 0.5}
SPREAD = {"three": 0.75, "green": 0.6, "please": 0.55, "e": 0.5, "s": 0.7, "set": 0.4, "seven": 0.3, "six": 0.15}


@pytest.mark.corpus
def test_grid_gets_real_ranges_and_no_more_noise(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOMORPH_CORPUS", str(corpus))
    takes = list(_recipe().from_corpus())
    speaker = restore.fit((take.lips, take.clip.fps) for take in takes if not take.held)
    held = [take for take in takes if take.held]
    assert len(held) == 89
    raw = np.stack([take.clip.weights for take in held])
    wide = np.stack([restore.restore(take.clip, take.lips, speaker).weights for take in held])
    for name in RESTORED:
        before, after = raw[..., arkit.INDEX[name]], wide[..., arkit.INDEX[name]]
        assert _jitter(after) < _jitter(before), name
        aim = restore.RANGES[name.removesuffix("Left").removesuffix("Right")][0]
        assert after.std() == pytest.approx(aim, rel=0.15), name
    assert wide.min() >= 0
    assert wide.max() <= 1
    excess = wide[..., arkit.INDEX["mouthClose"]] - wide[..., arkit.INDEX["jawOpen"]]
    assert excess.max() <= 0.06
    closed = np.stack([restore.apart(restore.measure(take.lips), speaker) for take in held]) == 0
    assert 0.3 < closed.mean() < 0.7
    assert not wide[closed][:, OPENERS].any()

    words = json.loads((corpus / "grid_s1" / "words.json").read_text())
    rounding = wide[..., arkit.INDEX["mouthPucker"]] + wide[..., arkit.INDEX["mouthFunnel"]]
    high, low = (
        [
            curve[round((begin + way[word] * (end - begin)) * 25)]
            for take, curve in zip(held, rounding, strict=True)
            for begin, end, word in words[take.name]
            if word in way
        ]
        for way in (ROUND, SPREAD)
    )
    assert np.greater.outer(high, low).mean() + np.equal.outer(high, low).mean() / 2 >= 0.85


def _jitter(curves: np.ndarray) -> float:
    """(clips, frames) -> root mean square of the third difference per unit of deviation."""
    return float(np.sqrt(np.mean(np.diff(curves, 3, axis=1) ** 2)) / curves.std())


def _recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grid", Path(__file__).parents[1] / "recipes" / "grid.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["grid"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_documented_table_is_the_measured_one() -> None:
    root = Path(__file__).parents[1]
    report = json.loads((root / "benchmarks" / "results" / "restoration.json").read_text())
    text = (root / "docs" / "restoration.md").read_text()
    for name, figures in report["shapes"].items():
        pairs = [(figures["raw"][key], figures["restored"][key]) for key in ("sd", "p99", "jitter", "at_bpm")]
        assert f"| {name} | {' | '.join(f'{a:.3f} → {b:.3f}' for a, b in pairs)} |" in text
        assert figures["restored"]["jitter"] < figures["raw"]["jitter"]
        assert figures["aim"] == restore.RANGES[name.removesuffix("Left").removesuffix("Right")][0]
    rounding = report["AUC of pucker + funnel, UW OW W against IY EH S"]
    assert f"{rounding['restored, held out']:.3f} ({rounding['restored, all']:.3f})" in text
