"""Phones as what the mouth does: any phone symbol becomes articulatory features over time.

One promise: the features come from how a sound is made, never from the letters that write it, so a vowel that English
lacks is as well known as one that it has.

    features("y", "ipa")                                       # [(1.0, (F,) pucker, little jaw, ...)]
    said = spoken([(0.0, 0.1, "M"), (0.1, 0.3, "AY1")], "arpabet", duration_s=0.4)
    said.at(times)["pucker"]                                   # (n,) from 0 to 1

Sources: the IPA chart (International Phonetic Association 2020); SAMPA and X-SAMPA (Wells 1995); ARPAbet as CMU's
dictionary writes it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.errors import CorpusError

Floats = NDArray[np.float64]
Phones = Iterable[tuple[float, float | None, str]]  # begin, end, symbol; no end: until the sound's

FEATURES: Final = (
    "silence", "vowel", "open", "front", "pucker", "funnel", "spread", "reduced", "rhotic", "stress",
    "bilabial", "labiodental", "dental", "alveolar", "postalveolar", "palatal", "velar", "glottal",
    "stop", "nasal", "fricative", "sibilant", "lateral", "glide", "release", "voiced",
)  # fmt: skip
INDEX: Final = {name: k for k, name in enumerate(FEATURES)}
COUNT: Final = len(FEATURES)

# Height of the jaw and tongue from closed to open, frontness, rounding.
VOWELS: Final[dict[str, tuple[float, float, float]]] = {
    "i": (0.0, 1.0, 0), "y": (0.0, 1.0, 1), "ɨ": (0.05, 0.5, 0), "ʉ": (0.05, 0.5, 1), "ɯ": (0.05, 0.0, 0),
    "u": (0.0, 0.0, 1), "ɪ": (0.2, 0.8, 0), "ʏ": (0.2, 0.8, 0.9), "ʊ": (0.2, 0.2, 0.8), "e": (0.35, 1.0, 0),
    "ø": (0.35, 1.0, 1), "ɘ": (0.35, 0.5, 0), "ɵ": (0.35, 0.5, 0.9), "ɤ": (0.4, 0.0, 0), "o": (0.4, 0.0, 1),
    "ə": (0.4, 0.5, 0), "ɛ": (0.65, 1.0, 0), "œ": (0.65, 1.0, 0.9), "ɜ": (0.55, 0.5, 0), "ɞ": (0.65, 0.5, 0.8),
    "ʌ": (0.7, 0.2, 0), "ɔ": (0.65, 0.0, 0.9), "æ": (0.85, 1.0, 0), "ɐ": (0.75, 0.5, 0), "a": (1.0, 0.6, 0),
    "ɶ": (1.0, 1.0, 0.8), "ɑ": (1.0, 0.0, 0), "ɒ": (0.9, 0.0, 0.6), "ä": (1.0, 0.5, 0), "ᵻ": (0.2, 0.6, 0),
}  # fmt: skip

# Place, manner, voiced; what the lips add beside.
_LIPS: Final[dict[str, dict[str, float]]] = {
    "w": {"pucker": 1.0, "funnel": 0.2}, "ʍ": {"pucker": 1.0, "funnel": 0.2}, "ɥ": {"pucker": 1.0, "funnel": 0.2},
    "ɹ": {"pucker": 0.4, "funnel": 0.4, "rhotic": 1.0}, "ɻ": {"pucker": 0.4, "funnel": 0.4, "rhotic": 1.0},
    "ʃ": {"pucker": 0.4, "funnel": 0.7}, "ʒ": {"pucker": 0.4, "funnel": 0.7}, "ʂ": {"pucker": 0.3, "funnel": 0.5},
    "ʐ": {"pucker": 0.3, "funnel": 0.5}, "ɕ": {"funnel": 0.4, "spread": 0.2}, "ʑ": {"funnel": 0.4, "spread": 0.2},
    "s": {"spread": 0.6}, "z": {"spread": 0.6}, "j": {"spread": 0.7}, "ɧ": {"pucker": 0.4, "funnel": 0.5},
    "ɸ": {"bilabial": 0.5, "pucker": 0.2}, "β": {"bilabial": 0.5}, "ɺ": {"lateral": 1.0},
}  # fmt: skip
_PLACES: Final[dict[str, str]] = {
    "bilabial": "p b m ʙ ɓ ʘ", "labiodental": "f v ɱ ʋ ⱱ", "dental": "θ ð ǀ",
    "alveolar": "t d n r ɾ s z ɬ ɮ ɹ l ɺ ɗ ɫ ǁ ǃ ʦ ʣ", "postalveolar": "ʃ ʒ ʈ ɖ ɳ ɽ ʂ ʐ ɻ ɭ ɕ ʑ ɧ ǂ",
    "palatal": "c ɟ ɲ ç ʝ j ʎ ɥ ʄ", "velar": "k g ɡ ŋ x ɣ ɰ w ʍ ɠ q ɢ ɴ ʀ χ ʁ ʟ ʛ", "glottal": "ʔ h ɦ ħ ʕ ʜ ʢ",
}  # fmt: skip
_MANNERS: Final[dict[str, str]] = {
    "stop": "p b t d ʈ ɖ c ɟ k g ɡ q ɢ ʔ ɓ ɗ ʄ ɠ ʛ ʘ ǀ ǁ ǃ ǂ ʦ ʣ", "nasal": "m ɱ n ɳ ɲ ŋ ɴ",
    "fricative": "ɸ β f v θ ð s z ʃ ʒ ʂ ʐ ç ʝ x ɣ χ ʁ ħ ʕ h ɦ ɬ ɮ ɕ ʑ ɧ ʍ ʜ ʢ", "sibilant": "s z ʃ ʒ ʂ ʐ ɕ ʑ ɧ",
    "lateral": "l ɭ ʎ ʟ ɬ ɮ ɫ ǁ", "glide": "j w ɥ ɰ ɹ ɻ ʋ", "rhotic": "r ɾ ɽ ʀ ʁ ʙ ⱱ",
}  # fmt: skip
_VOICELESS: Final = frozenset("ptʈckqʔɸfθsʃʂçxχħhɬɕɧʍʜʘǀǁǃǂʦ")

ARPABET: Final[dict[str, str]] = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AXR": "ɚ", "AY": "aɪ", "B": "b", "CH": "tʃ",
    "D": "d", "DH": "ð", "DX": "ɾ", "EH": "ɛ", "EL": "l", "EM": "m", "EN": "n", "ER": "ɝ", "EY": "eɪ", "F": "f",
    "G": "ɡ", "HH": "h", "HV": "ɦ", "IH": "ɪ", "IX": "ɨ", "IY": "i", "JH": "dʒ", "K": "k", "L": "l", "M": "m",
    "N": "n", "NG": "ŋ", "NX": "ɾ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "Q": "ʔ", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "UX": "ʉ", "V": "v", "W": "w", "WH": "ʍ", "Y": "j", "Z": "z",
    "ZH": "ʒ",
}  # fmt: skip
SAMPA: Final[dict[str, str]] = {
    "A": "ɑ", "B": "β", "C": "ç", "D": "ð", "E": "ɛ", "F": "ɱ", "G": "ɣ", "H": "ɥ", "I": "ɪ", "J": "ɲ", "K": "ɬ",
    "L": "ʎ", "M": "ɯ", "N": "ŋ", "O": "ɔ", "P": "ʋ", "Q": "ɒ", "R": "ʁ", "S": "ʃ", "T": "θ", "U": "ʊ", "V": "ʌ",
    "W": "ʍ", "X": "χ", "Y": "ʏ", "Z": "ʒ", "?": "ʔ", "@": "ə", "{": "æ", "}": "ʉ", "1": "ɨ", "2": "ø", "3": "ɜ",
    "4": "ɾ", "5": "ɫ", "6": "ɐ", "7": "ɤ", "8": "ɵ", "9": "œ", "&": "ɶ",
}  # fmt: skip
EMODB: Final[dict[str, str]] = {**SAMPA, "V": "v", "L": "l", "H": "ɦ", "R": "ʁ"}  # vowels' V is written a there

_PLAIN: Final = sorted(set(ARPABET) - {"AXR", "DX", "EL", "EM", "EN", "HV", "IX", "NX", "Q", "UX", "WH"})
_SHOWN: Final = ("bilabial", "labiodental", "dental", "pucker", "vowel")  # what a viewer sees

SETS: Final = ("arpabet", "ipa", "sampa", "emodb-sampa")
SILENT: Final = frozenset({"", "SIL", "PAU", "SP", "SPN", "NSN", "PAUSE", "_", "_:", "#", ".", "<EPS>"})
_LETTERS: Final = frozenset(VOWELS) | frozenset(" ".join([*_PLACES.values(), *_MANNERS.values()]).split())
_SPELT: Final = {"ɚ": "ə", "ɝ": "ɜ", "g": "ɡ", "ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "ts", "ʣ": "dz", "ʨ": "tɕ", "ʥ": "dʑ",
                 "ɼ": "r", "ᵊ": "ə", "ɿ": "ɨ", "ʅ": "ɨ", "ɩ": "ɪ", "ɷ": "ʊ"}  # fmt: skip
CLOSURE: Final = 0.65  # of a stop's time the way is closed, then it bursts open
FIRST: Final = 0.55  # of a diphthong's time belongs to its first vowel
PAUSE_S: Final = 0.2  # from so long a silence on the mouth comes to rest
JOIN_S: Final = 0.03  # a shorter gap between two phones is no silence


def features(symbol: str, phone_set: str = "ipa") -> list[tuple[float, Floats]]:
    """What the mouth does during a phone: one or more targets after one another, each with its share of the time.

    Args:
        symbol: as its set writes it; stress marks, lengths and diacritics are understood or passed over.
        phone_set: one of `SETS`.
    Raises:
        CorpusError: a set or symbol that is unknown.
    """
    return [(share, vector.copy()) for share, vector in _targets(symbol, phone_set)]


@cache
def _targets(symbol: str, phone_set: str) -> tuple[tuple[float, Floats], ...]:
    if phone_set not in SETS:
        raise CorpusError(f"got the phone set {phone_set!r:.40}: expected one of {', '.join(SETS)}; convert it")
    part = ""
    text = symbol.strip()
    if phone_set == "emodb-sampa":
        text, part = _emodb(text)
    if text.upper() in SILENT or text.startswith("("):
        return ((1.0, _vector(silence=1)),)
    stress = 1.0 if text.endswith("1") or "ˈ" in text else 0.5 if text.endswith("2") or "ˌ" in text else 0.0
    letters = _ipa(text, phone_set)
    if not letters:
        raise CorpusError(f"got the phone {symbol!r:.20}: expected one of the set {phone_set}; map it to IPA")
    found: list[tuple[float, Floats]] = []
    for letter, marks in letters:
        for share, vector in _letter(letter, marks, part, last=(letter, marks) == letters[-1]):
            if vector[INDEX["vowel"]]:
                vector[INDEX["stress"]] = stress
            found.append((share, vector))
    shares = [share for share, _ in found]
    if len(letters) == 2 and all(letter in VOWELS for letter, _ in letters):
        shares = [FIRST, 1 - FIRST]
    whole = sum(shares)
    return tuple((share / whole, vector) for share, (_, vector) in zip(shares, found, strict=True))


def _emodb(text: str) -> tuple[str, str]:
    """EMO-DB's labels: "_d" and "d" are the closure of a stop, "!d" its burst, "dasp" its aspiration."""
    text = text.split("+")[0].split("-")[0].replace("dsap", "dasp")
    if text.startswith("!"):
        return text[1:], "release"
    if text.endswith("asp"):
        return text.removesuffix("asp"), "release"
    if len(text) > 1 and text[0] == "_":
        return text[1:], "closure"
    if text in ("hoe", "ga"):
        text = text[0]
    return text, "closure" if text in tuple("pbtdkg") else ""


def _ipa(text: str, phone_set: str) -> list[tuple[str, frozenset[str]]]:
    """The letters of a symbol, each with the marks that follow it."""
    if phone_set == "arpabet":
        text = ARPABET.get(text.upper().rstrip("012"), "")
    elif phone_set != "ipa":
        table = EMODB if phone_set == "emodb-sampa" else SAMPA
        text = "".join(table.get(letter, letter) for letter in text)
    marked: list[tuple[str, set[str]]] = []
    for letter in unicodedata.normalize("NFD", text).replace("ç", "ç"):
        if letter in _LETTERS or letter in _SPELT:
            spelt = _SPELT.get(letter, letter)
            marked += [(each, {"rhotic"} if letter in "ɚɝ" else set()) for each in spelt]
        elif marked and letter in "ʷ˞":
            marked[-1][1].add("round" if letter == "ʷ" else "rhotic")
    joined = [pair for k, pair in enumerate(marked) if not k or pair[0] != marked[k - 1][0]]  # "ss" is a long s
    return [(letter, frozenset(marks)) for letter, marks in joined]


def _letter(letter: str, marks: frozenset[str], part: str, last: bool) -> list[tuple[float, Floats]]:
    if letter in VOWELS:
        open_, front, round_ = VOWELS[letter]
        return [(1.0, _vector(
            vowel=1, voiced=1, open=open_, front=front, pucker=round_ * (1 - 0.7 * open_),
            funnel=round_ * (0.25 + 0.6 * open_), spread=(1 - round_) * front * max(0.0, 1 - 1.2 * open_),
            reduced=float(letter in "əɨᵻ"),
            rhotic=float("rhotic" in marks),
        ))]  # fmt: skip
    made: dict[str, float] = {}
    for table in (_PLACES, _MANNERS):
        made |= {name: 1.0 for name, letters in table.items() if letter in letters.split()}
    made |= _LIPS.get(letter, {})
    if "round" in marks:
        made["pucker"] = max(0.7, made.get("pucker", 0))
    made["voiced"] = float(letter not in _VOICELESS)
    whole = _vector(**made)
    if not made.get("stop"):
        return [(1.0, whole)]
    burst = whole.copy()
    burst[[INDEX["stop"], INDEX["bilabial"]]] = 0
    burst[INDEX["release"]] = 1
    if part or not last:  # an affricate's burst is its fricative
        return [(1.0, burst if part == "release" else whole)]
    return [(CLOSURE, whole), (1 - CLOSURE, burst)]


def _vector(**values: float) -> Floats:
    vector = np.zeros(COUNT)
    for name, value in values.items():
        vector[INDEX[name]] = value
    return vector


@dataclass(frozen=True)
class Spoken:
    """What is said when: targets one after another without gap, silence where nobody speaks.

    Attributes:
        edges: (n + 1,) s, rising. vectors: (n, F) the features from each edge to the next.
    """

    edges: Floats
    vectors: Floats

    def at(self, times: Floats, width_s: float = 0.0) -> dict[str, Floats]:
        """Every feature at `times`, or its mean over `width_s` around them: silence before and after."""
        return dict(zip(FEATURES, self.table(times, width_s).T, strict=True))

    def table(self, times: Floats, width_s: float = 0.0) -> Floats:
        """(n, F) as `at`."""
        if not width_s:
            k = np.searchsorted(self.edges, times, side="right") - 1
            inside = (k >= 0) & (k < len(self.vectors))
            return np.where(inside[:, None], self.vectors[np.clip(k, 0, len(self.vectors) - 1)], _vector(silence=1))
        ends = np.array([self.edges[0] - 60, *self.edges, self.edges[-1] + 60])
        rest = _vector(silence=1)[None]
        filled = np.concatenate([rest, self.vectors, rest])
        sums = np.concatenate([np.zeros((1, COUNT)), np.cumsum(filled * np.diff(ends)[:, None], axis=0)])
        upper, lower = times + width_s / 2, times - width_s / 2
        mean = [(np.interp(upper, ends, c) - np.interp(lower, ends, c)) / width_s for c in sums.T]
        return np.stack(mean, axis=1)


def spoken(phones: Phones, phone_set: str, duration_s: float) -> Spoken:
    """The features of an utterance over time.

    Args:
        phones: begin, end and symbol, in order; where none is, there is silence.
        duration_s: of the sound; where a phone without an end ends.
    Raises:
        CorpusError: an unknown symbol.
    """
    edges, vectors = [0.0], [_vector(silence=1)]
    for begin, end, symbol in held(phones, phone_set, duration_s):
        start = max(begin, edges[-1])
        if end <= start:
            continue
        if start - edges[-1] > JOIN_S or len(edges) == 1:
            edges.append(start)
            vectors.append(_vector(silence=1))
        length, at = end - edges[-1], edges[-1]  # a small gap belongs to the phone that follows
        for share, vector in _targets(symbol, phone_set):
            at += share * length
            edges.append(at)
            vectors.append(vector)
    edges.append(max(duration_s, edges[-1]) + 1e-3)
    vectors.append(_vector(silence=1))
    return Spoken(np.array(edges), np.array(vectors[1:]))


def held(phones: Phones, phone_set: str, duration_s: float) -> list[tuple[float, float, str]]:
    """The phones with their ends; EMO-DB's empty label goes on with what was there, as its bare "!" does."""
    found: list[tuple[float, float, str]] = []
    for begin, end, symbol in phones:
        stop = duration_s if end is None else end
        if phone_set == "emodb-sampa" and symbol.lstrip("!")[:1] in ("", "[") and found:
            found[-1] = (found[-1][0], stop, found[-1][2])
        else:
            found.append((begin, stop, symbol))
    return found


def arpabet(phones: Phones, phone_set: str, duration_s: float) -> list[tuple[float, float, str]]:
    """The phones by the names that `duomorph evaluate --phones` knows: the ARPAbet one whose features are nearest.

    Where no phone is there is "SIL" too; a silence shorter than `PAUSE_S` is left out: no mouth comes to rest in it.
    """
    named: list[tuple[float, float, str]] = []
    for begin, end, symbol in [*held(phones, phone_set, duration_s), (duration_s, duration_s, "")]:
        before = named[-1][1] if named else 0.0
        name = _nearest(symbol, phone_set)
        if phone_set == "emodb-sampa" and _emodb(symbol)[1] == "release":  # of the stop before, whose lips were shut
            if named:
                named[-1] = (named[-1][0], end, named[-1][2])
            continue
        if begin - before > JOIN_S and name != "SIL":
            named.append((before, begin, "SIL"))
        if name == "SIL" and named and named[-1][2] == "SIL":
            named[-1] = (named[-1][0], end, "SIL")
        else:
            named.append((before if name == "SIL" else begin, end, name))
    return [phone for phone in named if phone[2] != "SIL" or phone[1] - phone[0] >= PAUSE_S]


@cache
def _nearest(symbol: str, phone_set: str) -> str:
    targets = _targets(symbol, phone_set)
    if targets[0][1][INDEX["silence"]]:
        return "SIL"
    if phone_set == "arpabet":
        return symbol.upper().rstrip("012")
    mean = sum(share * vector for share, vector in targets)

    def far(name: str) -> float:
        other = sum(share * vector for share, vector in _targets(name, "arpabet"))
        apart = np.abs(mean - other)
        return float(apart.sum() + 2 * apart[[INDEX[shown] for shown in _SHOWN]].sum())

    return min(_PLAIN, key=far)
