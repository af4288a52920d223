"""The articulator: what a phone is, what lips must do, and how far ahead of the sound they may do it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import articulate, audio
from duomorph import corpus as data
from duomorph.arkit import INDEX, MIRROR
from duomorph.articulate import model, phones
from duomorph.errors import CorpusError
from duomorph.evaluate.metrics import opening, rounding

Phones = list[tuple[float, float | None, str]]


def first(symbol: str, phone_set: str = "ipa") -> dict[str, float]:
    return dict(zip(phones.FEATURES, articulate.features(symbol, phone_set)[0][1].tolist(), strict=True))


def after_one_another(symbols: str, length_s: float = 0.12, begin_s: float = 0.5) -> Phones:
    """Phones between half a second of silence before and after."""
    names = symbols.split()
    return [(begin_s + k * length_s, begin_s + (k + 1) * length_s, name) for k, name in enumerate(names)]


def drawn(
    said: Phones, phone_set: str = "arpabet", *, learned: bool = True, loud: float = 1.0, fps: int = 60
) -> tuple[np.ndarray, np.ndarray]:
    """Times and curves of phones that are equally loud."""
    seconds = (said[-1][1] or 0) + 0.5
    level = np.full(int(seconds * model.RATE) + 2, loud)
    times = np.arange(int(seconds * fps)) / fps
    fit = articulate.shipped() if learned else None
    return times, articulate.curves(articulate.spoken(said, phone_set, seconds), level, times, fit)


def during(said: Phones, times: np.ndarray, k: int) -> np.ndarray:
    begin, end, _ = said[k]
    assert end is not None
    return (times >= begin) & (times <= end)


# --- phones


@pytest.mark.parametrize(
    ("symbol", "phone_set", "shows"),
    [
        ("M", "arpabet", "bilabial"), ("b", "ipa", "bilabial"), ("V", "arpabet", "labiodental"),
        ("TH", "arpabet", "dental"), ("UW1", "arpabet", "pucker"), ("yː", "ipa", "pucker"), ("Y", "sampa", "pucker"),
        ("IY0", "arpabet", "spread"),
        ("tʷ", "ipa", "pucker"), ("PAU", "arpabet", "silence"), ("!p", "emodb-sampa", "release"),
        ("tasp", "emodb-sampa", "release"), ("_d", "emodb-sampa", "stop"), ("(gef", "emodb-sampa", "silence"),
        ("B", "emodb-sampa", "fricative"), ("ʰp", "ipa", "bilabial"), ("ɚ", "ipa", "rhotic"),
    ],
)  # fmt: skip
def test_a_phone_is_how_it_is_made(symbol: str, phone_set: str, shows: str) -> None:
    assert first(symbol, phone_set)[shows] > 0.5


def test_rounding_comes_from_the_vowel_and_not_from_english_letters() -> None:
    assert first("y")["pucker"] == first("u")["pucker"] > first("ø")["pucker"] > first("œ")["pucker"] > 0
    assert first("i")["pucker"] == first("ɯ")["pucker"] == 0
    assert first("ɔ")["funnel"] > first("u")["funnel"]
    assert first("y", "ipa")["front"] > first("u", "ipa")["front"]


def test_diphthongs_have_two_targets_and_stops_a_burst() -> None:
    shares, vectors = zip(*articulate.features("AY", "arpabet"), strict=True)
    assert sum(shares) == pytest.approx(1)
    assert vectors[0][phones.INDEX["open"]] > vectors[1][phones.INDEX["open"]]
    closure, burst = articulate.features("p", "ipa")
    assert closure[1][phones.INDEX["bilabial"]] == 1
    assert burst[1][phones.INDEX["bilabial"]] == 0
    assert burst[1][phones.INDEX["release"]] == 1
    stop, hiss = articulate.features("tʃ")
    assert stop[1][phones.INDEX["stop"]] == 1
    assert hiss[1][phones.INDEX["sibilant"]] == 1


def test_lengths_stress_and_unknown_diacritics_change_no_place() -> None:
    plain, marked = first("e"), first("ˈẽ̞ː")
    assert marked.pop("stress") == 1
    assert plain.pop("stress") == 0
    assert plain == marked
    assert first("ss") == first("s")


def test_the_same_sounds_in_four_sets_are_the_same() -> None:
    for sets in (("SH", "ʃ", "S"), ("NG", "ŋ", "N"), ("AO", "ɔ", "O"), ("DH", "ð", "D")):
        one, two, three = (first(s, kind) for s, kind in zip(sets, ("arpabet", "ipa", "sampa"), strict=True))
        assert one == two == three


@pytest.mark.parametrize(("symbol", "phone_set"), [("QQ", "arpabet"), ("7", "ipa"), ("ˈ", "ipa"), ("a", "letters")])
def test_an_unknown_phone_or_set_is_one_sentence(symbol: str, phone_set: str) -> None:
    with pytest.raises(CorpusError, match=r"^got the phone.*: expected .*; "):
        articulate.features(symbol, phone_set)


def test_an_empty_emodb_label_goes_on_with_the_phone_before() -> None:
    whole = articulate.spoken([(0.1, 0.3, "a"), (0.3, None, ".")], "emodb-sampa", 0.5)
    parts = articulate.spoken([(0.1, 0.2, "a"), (0.2, 0.3, ""), (0.3, None, ".")], "emodb-sampa", 0.5)
    times = np.arange(50) / 100
    np.testing.assert_array_equal(whole.table(times), parts.table(times))
    assert whole.at(times)["silence"].tolist() == [1.0] * 10 + [0.0] * 20 + [1.0] * 20


def test_where_no_phone_is_there_is_silence_but_not_in_a_crack() -> None:
    said = articulate.spoken([(0.2, 0.3, "a"), (0.32, 0.4, "m"), (0.6, 0.7, "a")], "ipa", 1.0)
    silence = said.at(np.array([0.1, 0.25, 0.31, 0.35, 0.5, 0.65, 0.9]))["silence"]
    assert silence.tolist() == [1, 0, 0, 0, 1, 0, 1]


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2), st.sampled_from(["a", "p", "s", "SIL", "tʃ"])), max_size=9))
def test_any_times_give_features_that_add_up(said: list[tuple[float, float, str]]) -> None:
    spoken = articulate.spoken(sorted(said), "ipa", 2.0)
    assert (np.diff(spoken.edges) >= 0).all()
    assert len(spoken.edges) == len(spoken.vectors) + 1
    table = spoken.table(np.arange(200) / 100, 0.05)
    assert table.min() >= -1e-9
    assert table.max() <= 1 + 1e-9


def test_names_to_evaluate_by() -> None:
    said: Phones = [(0.5, 0.6, "y"), (0.6, 0.7, "m"), (0.75, 0.8, "ˈiː"), (1.2, 1.3, "SIL"), (1.3, 1.4, "b")]
    found = articulate.arpabet(said, "ipa", 2.0)
    assert [name for *_, name in found] == ["SIL", "UW", "M", "IY", "SIL", "B", "SIL"]
    assert found[0] == (0.0, 0.5, "SIL")
    assert found[4] == (0.8, 1.3, "SIL")
    assert found[-1] == (1.4, 2.0, "SIL")


def test_a_burst_belongs_to_its_stop() -> None:
    said: Phones = [(0.0, 0.05, "p"), (0.05, 0.1, ""), (0.1, 0.11, "!p"), (0.11, 0.15, "pasp"), (0.15, 0.3, "a")]
    assert articulate.arpabet(said, "emodb-sampa", 0.3) == [(0.0, 0.15, "P"), (0.15, 0.3, "AE")]


# --- curves


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("sound", ["P", "B", "M"])
@pytest.mark.parametrize("length_s", [0.05, 0.12])
def test_lips_seal(sound: str, length_s: float, learned: bool) -> None:
    said = after_one_another(f"AA {sound} AA {sound} IY {sound} AE", length_s)
    times, weights = drawn(said, learned=learned)
    widest = np.quantile(opening(weights), 0.95)
    for k in (1, 3, 5):
        now = during(said, times, k)
        assert opening(weights)[now].min() <= 0.02 * widest
        assert weights[now, INDEX["mouthPressLeft"]].max() > 0.25
        assert weights[now, INDEX["mouthRollLower"]].max() > 0.15
    assert (weights[:, INDEX["mouthClose"]] <= weights[:, INDEX["jawOpen"]] + 1e-6).all()
    assert weights[during(said, times, 1), INDEX["mouthClose"]].max() > 0.01


def test_lips_almost_meet_where_a_b_is_soft() -> None:
    said = after_one_another("a β a b a")
    times, weights = drawn(said, "ipa")
    gap = weights[:, INDEX["jawOpen"]] - weights[:, INDEX["mouthClose"]]  # the lips' pressure left out
    soft, hard = (gap[during(said, times, k)].min() for k in (1, 3))
    assert hard < 0.002 < 0.005 < soft < 0.25 * gap[during(said, times, 0)].max()


@pytest.mark.parametrize("learned", [True, False])
def test_lip_meets_teeth_without_a_seal(learned: bool) -> None:
    said = after_one_another("AA F AA V AA")
    times, weights = drawn(said, learned=learned)
    for k in (1, 3):
        now, vowel = during(said, times, k), during(said, times, 0)
        assert weights[now, INDEX["mouthRollLower"]].max() > 0.25
        assert weights[now, INDEX["mouthPressLeft"]].max() < 0.05
        assert weights[now, INDEX["mouthUpperUpLeft"]].max() > 0.08
        assert weights[now, INDEX["mouthLowerDownLeft"]].min() < 0.3 * weights[vowel, INDEX["mouthLowerDownLeft"]].max()


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize(("round_", "spread"), [("u", "i"), ("y", "i"), ("ø", "e"), ("o", "ɛ"), ("w", "j"), ("ʃ", "s")])
def test_round_sounds_are_round_in_any_language(round_: str, spread: str, learned: bool) -> None:
    said = after_one_another(f"t {round_} t {spread} t", 0.15)
    times, weights = drawn(said, "ipa", learned=learned)
    lips = rounding(weights)
    assert lips[during(said, times, 1)].max() > 0.2
    assert lips[during(said, times, 1)].max() > 2 * lips[during(said, times, 3)].min()


@pytest.mark.parametrize("learned", [True, False])
def test_the_jaw_follows_height_loudness_and_leisure(learned: bool) -> None:
    def widest(symbol: str, length_s: float = 0.15, loud: float = 1.0) -> float:
        said = after_one_another(f"t {symbol} t", length_s)
        times, weights = drawn(said, "ipa", learned=learned, loud=loud)
        return float(weights[during(said, times, 1), INDEX["jawOpen"]].max())

    assert min(widest("ɑ"), widest("ɛ")) > 1.25 * widest("i")
    assert widest("ɑ") > (0.95 if learned else 1.2) * widest("ɛ")  # GRID's speaker spells "f", "l", "m" wide open
    assert widest("ɑ") > widest("ɑ", loud=0.6)
    assert widest("ɑ") > widest("ɑ", length_s=0.05)
    said = after_one_another("ɑ s ɑ", 0.15)
    times, weights = drawn(said, "ipa", learned=learned)
    jaw = weights[:, INDEX["jawOpen"]]
    assert jaw[during(said, times, 1)].min() < 0.5 * jaw[during(said, times, 0)].max()


@pytest.mark.parametrize("learned", [True, False])
def test_silence_is_a_closed_mouth_soon(learned: bool) -> None:
    said = [*after_one_another("AA L AE Z OW"), *after_one_another("AA L AE Z OW", begin_s=2.0)]
    times, weights = drawn(said, learned=learned)
    end = said[4][1]
    assert end is not None
    still = (times >= end + 0.15) & (times <= 2.0 - model.AHEAD_S)
    assert opening(weights)[still].max() == 0
    assert weights[still].max() == 0
    assert opening(weights)[(times > 0.6) & (times < end)].max() > 0.3


def test_the_tongue_shows_a_little_between_the_teeth() -> None:
    said = after_one_another("AA TH AA L AA N AA")
    times, weights = drawn(said)
    tongue = [weights[during(said, times, k), INDEX["tongueOut"]].max() for k in (1, 3, 5)]
    assert tongue[0] > tongue[1] > tongue[2] == 0
    assert tongue[0] < 0.3


SOUNDS = sorted(set(phones.ARPABET) | {"SIL"})


@given(st.lists(st.sampled_from(SOUNDS), min_size=6, max_size=14), st.lists(st.sampled_from(SOUNDS), min_size=1))
def test_nothing_is_told_from_what_cannot_be_heard_yet(before: list[str], after: list[str]) -> None:
    """Other phones and another loudness from an instant on move nothing before it, less the stated reach."""
    length, shared = 0.09, len(before)
    instant = 0.5 + shared * length
    seconds = 4.0
    times = np.arange(int(seconds * 60)) / 60
    loud = np.full(int(seconds * model.RATE) + 2, 0.8)
    other_loud = np.where(np.arange(len(loud)) / model.RATE < instant, loud, 0.3)

    def curves(names: list[str], level: np.ndarray) -> np.ndarray:
        said = articulate.spoken(after_one_another(" ".join(names), length), "arpabet", seconds)
        return articulate.curves(said, level, times, articulate.shipped())

    early = times < instant - model.AHEAD_S
    one, other = curves([*before, "SIL"], loud), curves(before + after, other_loud)
    np.testing.assert_allclose(one[early], other[early], atol=2e-6)


def test_both_sides_and_both_rates_are_one() -> None:
    said = after_one_another("HH AH L OW W ER L D")
    _, fast = drawn(said)
    _, slow = drawn(said, fps=30)
    np.testing.assert_array_equal(fast[::2][: len(slow)], slow)
    np.testing.assert_array_equal(fast, fast[:, MIRROR])
    assert fast.min() >= 0
    assert fast.max() <= 1


def test_a_mood_adds_but_parts_no_sealed_lips() -> None:
    said = after_one_another("AA M AA")
    seconds = 1.36
    times = np.arange(int(seconds * 60)) / 60
    spoken, loud = articulate.spoken(said, "arpabet", seconds), np.ones(200)
    mood = np.zeros((len(times), len(INDEX)), np.float32)
    mood[:, [INDEX["browInnerUp"], INDEX["mouthUpperUpLeft"], INDEX["mouthSmileLeft"]]] = 0.3
    calm = articulate.curves(spoken, loud, times, None)
    moved = articulate.curves(spoken, loud, times, None, mood)
    assert (moved[:, INDEX["browInnerUp"]] == np.float32(0.3)).all()
    np.testing.assert_allclose(moved[:, INDEX["mouthSmileLeft"]] - calm[:, INDEX["mouthSmileLeft"]], 0.3, atol=1e-6)
    assert opening(moved)[during(said, times, 1)].min() < 0.01


def test_loudness_is_measured_against_the_usual_voice() -> None:
    rng = np.random.default_rng(0)
    sound = (rng.normal(0, 0.1, 16000) * np.repeat([1, 0.1], 8000)).astype(np.float32)
    loud = articulate.loudness(sound)
    assert len(loud) == 121
    assert loud[20:50].mean() == pytest.approx(1, abs=0.05)
    assert loud[70:100].mean() == pytest.approx(0.5, abs=0.05)  # 20 dB under it
    np.testing.assert_allclose(articulate.loudness(sound / 32), loud, atol=1e-2)
    usual = articulate.peak_db(sound)
    assert articulate.loudness(sound / 10, usual)[20:50].mean() == pytest.approx(0.5, abs=0.05)


# --- fit


def toy_takes(seed: int, minutes: float = 1.0) -> list[tuple[articulate.Spoken, np.ndarray, np.ndarray, Fraction]]:
    """A face whose jaw opens with open vowels, 40 ms late, and whose lips never round."""
    rng = np.random.default_rng(seed)
    takes = []
    for _ in range(round(minutes * 60 / 3)):
        names = " ".join(rng.choice(["ɑ", "i", "t", "m", "s", "u", "l"], 18))
        spoken = articulate.spoken(after_one_another(names, 0.11), "ipa", 3.0)
        times = np.arange(75) / 25
        weights = np.full((75, len(INDEX)), 0.02, np.float32)
        weights[:, INDEX["jawOpen"]] += 0.2 * spoken.at(times - 0.04, 0.08)["open"]
        for shape in ("mouthFunnel", "mouthLowerDown", "mouthUpperUp"):
            for name in {shape, f"{shape}Left", f"{shape}Right"} & set(INDEX):
                weights[:, INDEX[name]] = weights[:, INDEX["jawOpen"]]
        weights[:, INDEX["mouthPucker"]] += 0.05 * spoken.at(times, 0.1)["pucker"]
        takes.append((spoken, np.ones(362), weights, Fraction(25)))
    return takes


def test_a_fit_learns_a_face_and_ships_whole(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from duomorph.articulate import fit as fitting

    fit = fitting.learn(toy_takes(0, 6))
    fitting.save(tmp_path / "fit.npz", fit)
    with np.load(tmp_path / "fit.npz") as stored:
        np.testing.assert_allclose(stored["enter"], fit.enter, atol=2e-3)
    ours, real = [], []
    for said, loud, weights, _ in toy_takes(1, 0.5):
        jaw = model.learned(said, loud, model.known(said, loud), fit)["jawOpen"]
        ours.append(np.interp(np.arange(75) / 25, np.arange(len(jaw)) / model.RATE, jaw))
        real.append(weights[:, INDEX["jawOpen"]])
    assert np.corrcoef(np.concatenate(ours), np.concatenate(real))[0, 1] > 0.9
    assert np.quantile(np.concatenate(ours), 0.95) == pytest.approx(fitting.AIMS["jawOpen"], abs=0.12)
    assert np.concatenate(ours).min() == pytest.approx(0, abs=0.03)


def test_a_fit_needs_takes_and_leaves_out_what_it_must() -> None:
    pytest.importorskip("torch")
    from duomorph.articulate import fit as fitting

    with pytest.raises(CorpusError, match="0 takes"):
        fitting.learn([])
    takes = toy_takes(0, 0.2)
    torn = [(said, loud, weights.copy(), fps) for said, loud, weights, fps in takes]
    hidden = [np.arange(75) >= 60 for _ in takes]
    for (_, _, weights, _), out in zip(torn, hidden, strict=True):
        weights[out] = 1
    one, two = fitting.learn(takes, without=hidden), fitting.learn(torn, without=hidden)
    np.testing.assert_array_equal(one.enter, two.enter)
    np.testing.assert_array_equal(one.leave_bias, two.leave_bias)


@pytest.mark.corpus
def test_grid_held_out_from_phones(corpus: Path) -> None:
    """The shipped fit on clips that it has not seen, their phones aligned; the raw labels suffice for these two."""
    pytest.importorskip("pocketsphinx")
    from duomorph.evaluate.phones import grid

    takes = data.load("grid_s1", "test")
    said = grid((take.name, take.audio) for take in takes)
    ours, real = [], []
    for take in takes:
        if take.name in said:
            times = np.arange(len(take.weights)) / float(take.fps)
            spoken = articulate.spoken(said[take.name], "arpabet", len(take.audio) / 16000)
            ours.append(articulate.curves(spoken, articulate.loudness(take.audio), times, articulate.shipped()))
            real.append(take.weights)
    assert len(ours) > 60
    for shape, least in (("jawOpen", 0.80), ("mouthPucker", 0.55)):
        r = np.corrcoef(*(np.concatenate(each)[:, INDEX[shape]] for each in (ours, real)))[0, 1]
        assert r >= least, shape


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["librispeech", "arctic", "kerstin", "nathalie", "emodb"])
def test_every_symbol_of_the_corpora_is_known(corpus: Path, name: str) -> None:
    import json

    seen = 0
    for line in (corpus / "speech" / f"{name}.jsonl").read_text().splitlines()[::7]:
        utterance = json.loads(line)
        if utterance["phones"]:
            articulate.spoken(utterance["phones"], utterance["phone_set"], utterance["duration_s"])
            seen += 1
    assert seen > 50


def test_the_sample_speech_gives_a_loudness(sample: Path) -> None:
    loud = articulate.loudness(audio.read(sample))
    assert 0 <= loud.min() < 0.3
    assert 1 <= loud.max() <= 1.2
