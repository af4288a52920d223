"""The yardsticks: each measures what it says on curves with known answers, and a model against itself is perfect."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import duomorph as dm
from command import refused
from duomorph import arkit, audio, evaluate
from duomorph.cli import main
from duomorph.clip import Clip
from duomorph.clock import SAMPLE_RATE
from duomorph.dataset import manifest, split
from duomorph.dataset.takes import takes
from duomorph.errors import CorpusError, MissingExtra
from duomorph.evaluate import metrics, phones
from duomorph.evaluate.again import sessions, strided
from duomorph.evaluate.report import predictions, report, trivial
from duomorph.evaluate.silence import WithoutEmotion, WithoutMel
from duomorph.mel import MelConfig

JAW, PUCKER = arkit.INDEX["jawOpen"], arkit.INDEX["mouthPucker"]


def face(curve: np.ndarray, shape: str = "jawOpen") -> metrics.Float32:
    """(n,) -> (n, 52): one shape moves, the others were not captured."""
    curves = np.full((len(curve), arkit.COUNT), np.nan, np.float32)
    curves[:, arkit.INDEX[shape]] = curve
    return curves


def wave(hz: float, fps: float = 30.0, seconds: float = 4.0, shift: float = 0.0) -> np.ndarray:
    times = np.arange(round(seconds * fps)) / fps
    return 0.5 + 0.4 * np.sin(2 * np.pi * hz * (times - shift))


# -- single yardsticks


def test_what_was_not_captured_counts_nowhere() -> None:
    truth = metrics.masked(np.full((4, 52), 0.5, np.float32), np.arange(52) == JAW)
    error = np.abs(np.where(np.arange(52) == JAW, 0.7, 9.0) - truth)
    assert metrics.mean(error) == pytest.approx(0.2)
    assert np.isnan(metrics.mean(error[:, arkit.EXPRESSION]))
    assert np.flatnonzero(~np.isnan(metrics.by_shape(error))).tolist() == [JAW]


def test_faces_that_cost_nothing() -> None:
    faces = metrics.trivial_faces(face(np.array([0.0, 0.0, 0.6])))
    assert faces["mean"][JAW] == pytest.approx(0.2)
    assert faces["median"][JAW] == 0
    assert not any(row[PUCKER] for row in faces.values())  # never captured: rests
    assert metrics.skill(0.01, 0.04) == pytest.approx(0.75)
    assert metrics.skill(0.04, 0.04) == 0
    assert np.isnan(metrics.skill(0.0, 0.0))


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_lag(late: int) -> None:
    rng = np.random.default_rng(0)
    truth = np.convolve(rng.normal(size=200), np.hanning(9), "same").astype(np.float32)
    assert metrics.best_lag([(np.roll(truth, late)[10:-10], truth[10:-10])]) == late


def test_lag_between_frames() -> None:
    pairs = [(wave(2, shift=0.020).astype(np.float32), wave(2).astype(np.float32))]
    assert 1000 * metrics.fine_lag(pairs) / 30 == pytest.approx(20, abs=1.5)
    assert metrics.best_lag([]) == metrics.fine_lag([]) == 0
    assert metrics.best_lag([(pairs[0][0][:3], pairs[0][1][:3])]) == 0  # too short to say


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0])
def test_the_low_pass_keeps_speech_and_its_time(fps: float) -> None:
    inner = slice(round(fps), -round(fps))
    slow, fast = wave(3, fps)[:, None], wave(11.5, fps)[:, None]
    np.testing.assert_allclose(metrics.lowpass(slow, fps)[inner], slow[inner], atol=0.01)
    assert np.ptp(metrics.lowpass(fast, fps)[inner]) < 0.03
    np.testing.assert_allclose(metrics.lowpass(np.full((9, 2), 0.3), fps), 0.3, atol=1e-12)


def test_jitter() -> None:
    truth = face(wave(2))
    every = metrics.GROUPS["all"]

    def ratio(curves: metrics.Float32) -> float:
        return metrics.jitter_ratio(metrics.jitter([(np.nan_to_num(curves), truth)], 30.0), every)

    calm = 0.5 + (truth - 0.5) / 2
    noise = np.random.default_rng(0).normal(0, 0.05, truth.shape).astype(np.float32)
    assert ratio(truth) == pytest.approx(1, abs=0.05)
    assert ratio(calm) == pytest.approx(0.5, abs=0.03)
    assert ratio(truth + noise) > 3
    assert ratio(np.full_like(truth, 0.5)) == 0
    dead = metrics.jitter([(np.zeros((60, 52), np.float32), face(np.full(60, 0.2)))], 30.0)
    assert np.isnan(metrics.jitter_ratio(dead, every))


def test_noise_of_the_capture_does_not_excuse_jitter() -> None:
    noisy = face(wave(2) + 0.02 * (-1.0) ** np.arange(120))  # the capture trembles at 15 Hz
    squares = metrics.jitter([(np.nan_to_num(face(wave(2))), noisy)], 30.0)
    assert metrics.jitter_ratio(squares, np.array([JAW])) == pytest.approx(1, abs=0.1)


def test_velocity_and_consistency() -> None:
    truth, predicted = face(np.arange(30) * 0.01), np.nan_to_num(face(np.arange(30) * 0.004))
    speed = metrics.velocity([(predicted, truth)], 30.0)
    assert speed == pytest.approx({"error": 0.18, "still": 0.3}, rel=1e-4)
    assert metrics.consistency(predicted, truth) == pytest.approx(0.4, rel=1e-4)
    assert np.isnan(metrics.consistency(predicted, face(np.full(30, 0.2))))


def test_smoothing_is_undone() -> None:
    rng = np.random.default_rng(1)
    x, alpha = rng.random((50, 52)), rng.uniform(0.2, 1, 52)
    y = x.copy()
    for n in range(2, 50):
        between = alpha * (x[n] + x[n - 2]) / 2 + (1 - alpha) * y[n - 2]
        y[n] = alpha * x[n] + (1 - alpha) * between
    np.testing.assert_allclose(metrics.unsmoothed(y.astype(np.float32), alpha), x[2:], atol=1e-5)


@pytest.mark.parametrize(("frames", "begins"), [(100, [0]), (256, [0]), (257, [0, 1]), (330, [0, 32, 64, 74])])
def test_windows_cover_a_take(frames: int, begins: list[int]) -> None:
    assert metrics.window_begins(frames, 256, 32) == begins


def test_dense_windows_do_not_count_more() -> None:
    one, two = metrics.Coverage(4), metrics.Coverage(1)
    for begin in (0, 1):  # frames 1 and 2 are seen twice
        one.add(begin, face(np.full(3, 0.2)))
    two.add(0, face(np.array([1.0])))
    even, plain = metrics.covered([one, two])
    assert even == pytest.approx((4 * 0.2 + 1.0) / 5)
    assert plain == pytest.approx((6 * 0.2 + 1.0) / 7)


def test_specialisation() -> None:
    streams = np.full((52, 2), 0.5)
    streams[arkit.MOUTH] = 0.8, 0.2
    found = metrics.specialisation(streams)
    assert [found["s"][group] for group in ("jaw", "lips", "mouth")] == pytest.approx([0.6] * 3)  # type: ignore[index]
    assert found["s"]["brows"] == found["s"]["expression"] == 0  # type: ignore[index]
    assert found["w_mel"]["jaw"] == pytest.approx(0.8)  # type: ignore[index]
    assert found["mouth_less_brows_cheeks"] == pytest.approx(0.3)


def test_auc() -> None:
    assert metrics.auc(np.array([3, 4]), np.array([1, 2])) == 1
    assert metrics.auc(np.array([1, 3]), np.array([2])) == 0.5
    assert metrics.auc(np.array([2]), np.array([2, 2])) == 0.5
    assert np.isnan(metrics.auc(np.array([]), np.array([1])))


# -- sounds

SAID: phones.Phones = [(0, 0.4, "SIL"), (0.4, 0.8, "P"), (0.8, 1.2, "UW1"), (1.2, 1.6, "IY0"), (1.6, 2.0, "B")]


def test_sounds_of_a_mouth_that_does_what_it_should() -> None:
    times = np.arange(60) / 30
    curves = np.zeros((60, 52), np.float32)
    curves[(times >= 0.8) & (times <= 1.6), JAW] = 0.5
    curves[(times >= 0.8) & (times < 1.2), PUCKER] = 0.6
    lazy = np.zeros((60, 52), np.float32)  # shuts for one sound of two, never rounds
    lazy[times <= 1.6, JAW] = 0.3
    lazy[:, PUCKER] = 0.1
    wide = curves * 2  # another speaker, whose scale is his own
    found = phones.figures([(times, lazy, curves, SAID, "one"), (times, lazy, curves, None, "one")])
    assert found is not None
    assert found["closure"] == {"ours": 0.5, "truth": 1.0, "phones": 2}
    assert found["silence"]["truth"] == 0
    assert found["silence"]["ours"] == pytest.approx(0.3 / 0.5)  # of the widest that the truth opens
    assert found["rounding"]["truth"] == 1
    assert found["rounding"]["ours"] == 0.5
    assert phones.figures([(times, lazy, curves, None, "one")]) is None
    both = phones.figures([(times, lazy, curves, SAID, "one"), (times, lazy, wide, SAID, "two")])
    assert both is not None
    assert both["silence"]["ours"] == pytest.approx((0.3 / 0.5 + 0.3 / 1.0) / 2)


def test_vowels_that_are_shut_are_seen() -> None:
    times = np.arange(60) / 30
    curves, shy = np.zeros((2, 60, 52), np.float32)
    curves[:, JAW], shy[:, JAW] = 0.5, 0.1  # 0.1: a little more than shut
    shy[times < 1, JAW] = 0.05
    said: phones.Phones = [(0, 1, "AE1"), (1, 2, "AY0"), (0, 2, "UW1")]
    found = phones.figures([(times, shy, curves, said, "one")])
    assert found is not None
    assert found["vowels"] == {"ours": 0.5, "truth": 0.0, "frames": found["vowels"]["frames"]}
    assert found["vowels"]["frames"] == pytest.approx(30, abs=2)


def test_recordings_that_say_nothing_are_no_scale() -> None:
    times, still = np.arange(60) / 30, np.zeros((60, 52), np.float32)
    talking = still.copy()
    talking[30:, JAW] = 0.5
    said = [*SAID, (1.0, 1.2, "AE")]
    one = (times, still, talking, said, "one")
    alone = phones.figures([one])
    assert phones.figures([one, (times, talking, still, said, "mute")]) == alone
    nothing = np.zeros((0, 52), np.float32)
    assert phones.figures([one, (times[:0], nothing, nothing, said, "none")]) == alone


def test_mouth_close_shuts_an_open_jaw() -> None:
    curves = face(np.array([0.4, 0.4]))
    curves[:, arkit.INDEX["mouthClose"]] = 0.1, 0.5
    assert metrics.opening(curves).tolist() == pytest.approx([0.3, 0.0])
    curves[:, [arkit.INDEX[f"mouthPress{side}"] for side in ("Left", "Right")]] = 0.2
    curves[:, [arkit.INDEX[f"mouthLowerDown{side}"] for side in ("Left", "Right")]] = 0.4
    assert metrics.opening(curves).tolist() == pytest.approx([0.3 + 0.1 - 0.1, 0.0])


def test_the_middle_half_of_a_phone() -> None:
    times = np.arange(40) / 100
    inside = phones.during(times, [(0.0, 0.2, "P"), (0.2, 0.4, "T")], ("P",))
    assert np.flatnonzero(inside).tolist() == list(range(5, 16))


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
def test_words_of_grid_become_phones() -> None:
    pytest.importorskip("pocketsphinx")
    some = takes("grid_s1", "test")[:3]
    found = phones.known("grid_s1", some)
    words = json.loads((dm.corpus.root() / "grid_s1" / "words.json").read_text())
    for name, said in found.items():
        assert {sound for _, _, sound in said} >= {"SIL"}
        assert any(sound in phones.CLOSED + phones.ROUND + phones.SPREAD for _, _, sound in said)
        first = next(begin for begin, _, word in words[name] if word != "sil")
        assert next(begin for begin, _, sound in said if sound != "SIL") == pytest.approx(first, abs=0.15)
    assert len(found) >= 2


# -- a data set whose truth is the model itself


@pytest.fixture(scope="module")
def model() -> dm.Face:
    return dm.load()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory, sample: Path, model: dm.Face) -> Path:
    """Three takes to learn from, two held out, one of them 11 s; the tongue was not captured."""
    folder = tmp_path_factory.mktemp("data") / "mirror"
    sound = audio.read(sample)
    captured = np.array([name != "tongueOut" for name in arkit.NAMES])
    with manifest.Writer(folder) as out:
        for number, seconds in enumerate([2, 2, 2, 11, 2]):
            part = np.resize(np.roll(sound, -number * 16000), seconds * SAMPLE_RATE)
            clip = model.animate(part, fps=60, delay_ms=100, style="grid")
            clip = replace(clip, weights=np.where(captured, clip.weights, 0).astype(np.float32), captured=captured)
            out.add(id=f"take{number}", sound=part, clip=clip, speaker=f"s{number}", style="grid", licence="ours")
    split.save(folder, split.listed(folder, ["take3", "take4"]))
    said = [[0.0, 0.5, "SIL"], [0.5, 0.7, "B"], [0.7, 0.9, "UW"], [0.9, 1.2, "IY"]]
    (folder / "phones.json").write_text(json.dumps({"take3": said}))
    return folder


def test_the_model_against_itself_is_perfect(mirror: Path, model: dm.Face) -> None:
    result = evaluate.summary(model, [str(mirror)], [30.0, 60.0], 100.0, with_phones=True)
    json.dumps(result, allow_nan=False)
    slow, fast = result["reports"]
    assert (fast["clips"], fast["shapes"], fast["frames"]) == (2, 51, 11 * 60 + 2 * 60)
    for one in (slow, fast):
        assert one["mae"] < 1e-4 < one["baselines"]["median"]
        assert min(one["skill"].values()) > 0.98
        assert min(one["r"].values()) > 0.999
        assert (one["lag_frames"], round(one["lag_ms"])) == (0, 0)
        assert one["velocity"]["error"] < 0.01 < one["velocity"]["still"]
        assert one["consistency"]["mean"] == pytest.approx(1, abs=0.01)
        assert set(one["mae_by_shape"]) == set(arkit.NAMES) - {"tongueOut"} == set(one["baselines_by_shape"])
        assert [file["name"] for file in one["files"]] == ["take3", "take4"]
        assert one["sounds"]["closure"]["ours"] == one["sounds"]["closure"]["truth"]
        assert one["sounds"]["rounding"]["ours"] == pytest.approx(one["sounds"]["rounding"]["truth"], abs=0.02)
    assert (slow["strided"]["windows"], slow["strided"]["window"]) == (5, 256)  # 0, 32, 64, 74 and the short take
    assert slow["strided"]["mae"] > slow["mae"]  # a cold start is not what the long take's middle is like
    assert slow["strided"]["plain"] != slow["strided"]["mae"]
    assert slow["sessions"] is None  # two recordings, one take each
    assert slow["smoothing"] is None
    assert fast["smoothing"]["mae"] < 1e-4 < fast["smoothing"]["mae_without"]
    assert fast["smoothing"]["jitter_without"] > fast["smoothing"]["jitter"]
    for stream in ("mel", "emotion"):
        assert slow["silenced"][stream]["all"] > 1e-4 > slow["mae"]
    assert fast["silenced"] is None
    assert result["even_frames_gap"][str(mirror)] < 1e-5
    assert result["rate_gap"][str(mirror)] < 1e-4
    told = evaluate.table(result).splitlines()
    assert told[0].startswith(str(mirror))
    assert "MAE 0.0000" in told[1]
    assert max(len(line.replace(str(mirror), "take")) for line in told) <= 120


def test_a_face_of_another_time_is_late(mirror: Path, model: dm.Face) -> None:
    held = [replace(take, start=Fraction(-2, 30)) for take in takes(str(mirror), "test")]  # its truth moved to earlier
    played = predictions(model, held, Fraction(30), 100)
    one = report(played, "late", trivial(held), 100)
    assert one.lag_frames == 2
    assert one.lag_ms == pytest.approx(66.7, abs=5)
    assert one.mae > 1e-3


def test_windows_see_what_lies_behind_their_end(mirror: Path, model: dm.Face) -> None:
    held = takes(str(mirror), "test")[:1]
    played = predictions(model, held, Fraction(30), 100)
    cold = strided(model, played, 100, None, stride=10_000)  # the first window and the last
    assert cold["windows"] == 2
    assert cold["mae"] < 0.5 * report(played, "x", trivial(takes(str(mirror), "train")), 100).baselines["median"]


def test_chained_takes_hear_what_came_before(mirror: Path, model: dm.Face) -> None:
    held = [replace(take, recording="one") for take in takes(str(mirror), "test")]
    played = predictions(model, held, Fraction(30), 100)
    chain = sessions(model, played, 100, None)
    assert chain["sessions"] == 1
    assert chain["mae"] > 1e-4  # the captures began in silence: the model would move otherwise after another take
    assert chain["r_jawOpen"] > 0.9


def test_all_held_out_is_compared_with_itself(mirror: Path, model: dm.Face) -> None:
    held = takes(str(mirror), "test")
    one = evaluate.score(model, "only", [], held)
    assert one.baselines["median"] == pytest.approx(evaluate.score(model, "same", held, held).baselines["median"])


def test_what_is_captured_may_differ_by_take(mirror: Path, model: dm.Face) -> None:
    one, two = takes(str(mirror), "test")
    deaf = replace(two, weights=np.where(np.arange(52) == JAW, 1.0, two.weights).astype(np.float32),
                   captured=two.captured & (np.arange(52) != JAW))  # fmt: skip
    found = evaluate.score(model, "mixed", takes(str(mirror), "train"), [one, deaf])
    assert found.shapes == 51
    assert found.mae < 1e-4


def test_one_frame_of_one_eye_is_scored_as_far_as_it_can_be(mirror: Path, model: dm.Face) -> None:
    take = takes(str(mirror), "test")[1]
    short = replace(take, weights=take.weights[:1], captured=np.arange(52) == arkit.INDEX["eyeBlinkLeft"])
    result = {"reports": [vars(evaluate.score(model, "short", [], [short]))], "rate_gap": {}, "even_frames_gap": {}}
    one = result["reports"][0]
    assert (one["frames"], one["shapes"], one["groups"]["mouth"], one["lag_ms"]) == (1, 1, None, None)
    streams = metrics.specialisation(np.array(model.info().provenance.streams))
    assert "lag – ms" in evaluate.table({**result, "specialisation": streams})


def test_deaf_engines_hear_silence(model: dm.Face) -> None:
    path = model.info().path
    no_mel, no_emotion = WithoutMel.open(path), WithoutEmotion.open(path)
    rng = np.random.default_rng(0)
    mel, emotion = rng.normal(-5, 2, (5, 2, 80)).astype(np.float32), rng.normal(0, 9, (1, 264)).astype(np.float32)
    slot = np.zeros(5, np.int64)
    plain = dm.model.engine.Engine.open(path)
    silent = np.full_like(mel, -MelConfig.depth)
    neutral = np.tile(np.array(plain.provenance.neutral, np.float32), (1, 3))
    for deaf, given in ((no_mel, (silent, emotion)), (no_emotion, (mel, neutral))):
        np.testing.assert_array_equal(
            deaf.step(mel, emotion, slot, 0, 6, deaf.start()), plain.step(*given, slot, 0, 6, plain.start())
        )


# -- attention, the page, the command


def test_attention_is_the_networks_own(model: dm.Face, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from duomorph.evaluate.attention import attention
    from duomorph.model import export
    from duomorph.model.config import ModelConfig
    from duomorph.model.network import Network

    torch.manual_seed(0)
    network = Network(ModelConfig(d=16, heads=1, front=24, band_channels=2)).eval()
    seen = {}
    plain = network.attend_mel

    def attend(query: object, key: object, value: object) -> object:
        seen["value"], seen["result"] = value, plain(query, key, value)  # type: ignore[arg-type]
        return seen["result"]

    monkeypatch.setattr(network, "attend_mel", attend)
    monkeypatch.setattr(export, "load_model", lambda path: (network, model.info().provenance))
    found = attention(Path("any"), audio.read(sample)[:16000], 6, "facegood")
    assert found.weights.shape == (61, 52, 80)
    np.testing.assert_allclose(found.weights.sum(axis=2), 1, atol=1e-5)
    value = seen["value"].numpy()  # (80, N, d)
    np.testing.assert_allclose(np.einsum("ncb,bnd->ncd", found.weights, value), seen["result"][0].numpy(), atol=1e-5)
    np.testing.assert_array_equal(found.at(0.5)["jawOpen"], found.weights[36, JAW])


def test_the_page_holds_everything(mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    page, numbers = tmp_path / "report.html", tmp_path / "report.json"
    command = ["evaluate", "--data", str(mirror), "--fps", "30", "--json", str(numbers), "--html", str(page)]
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    text = page.read_text()
    pictures = re.findall(r'<img alt="([^"]+)" src="([^"]{40})', text)
    abouts = [about for about, _ in pictures]
    assert sorted(abouts[:2]) == ["curves of take take3", "curves of take take4"]
    assert abouts[2:4] == ["error by shape", "weights of the two streams"]
    assert all(source.startswith("data:image/svg+xml;base64,") for _, source in pictures)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", text)
    assert json.loads(numbers.read_text())["reports"][0]["sounds"] is None  # nobody asked for phones


def test_without_torch_the_page_says_so(
    mirror: Path, tmp_path: Path, model: dm.Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    from duomorph.evaluate import attention, page

    monkeypatch.setattr(attention, "find_spec", lambda name: None)
    held = takes(str(mirror), "test")[1:]
    played = predictions(model, held, Fraction(30), 100)
    result = {
        "reports": [vars(report(played, "m", trivial(held), 100))], "split": "", "style": None,
        "specialisation": metrics.specialisation(np.array(model.info().provenance.streams)),
    }  # fmt: skip
    pages = [tmp_path / "page.html", tmp_path / "again.html"]
    for path in pages:
        page.write(path, result, {"m": played}, model.info())
    assert "duomorph[train]" in pages[0].read_text()
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_bad_requests(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "at least 1 frame" in refused(capsys, "evaluate", "--data", mirror, "--stride", "0")
    assert "no folder" in refused(capsys, "evaluate", "--data", mirror, "--html", tmp_path / "no" / "x.html")
    assert "is no data set" in refused(capsys, "evaluate", "--data", tmp_path)
    assert "style" in refused(capsys, "evaluate", "--data", mirror, "--style", "nobody")
    whole = tmp_path / "whole"
    with manifest.Writer(whole) as out:
        still = Clip(np.zeros((30, 52), np.float32), Fraction(30))
        out.add(id="a", sound=np.zeros(16000, np.float32), clip=still, speaker="s", style="grid", licence="")
    assert "duomorph data split" in refused(capsys, "evaluate", "--data", whole)
    (whole / "split.json").write_text('{"test": ["a"]}')
    entry = (whole / "manifest.jsonl").read_text()
    (whole / "manifest.jsonl").write_text(entry.replace('"captured": "all"', '"captured": []'))
    assert "without a captured shape" in refused(capsys, "evaluate", "--data", whole)
    for text in ("[", "[]", '{"a": [[1, 2]]}', '{"a": 3}', '{"a": [["x", 1, "P"]]}'):
        (whole / "phones.json").write_text(text)
        with pytest.raises(CorpusError, match="expected lists"):
            phones.known(str(whole), [])
    monkeypatch.setattr(phones, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(MissingExtra, match=r"duomorph\[phones\]"):
        phones.grid([])
