"""What the mouth does at the sounds that show: lips shut on P B M, open on vowels, still in silence, round on UW OW W.

One promise: where nobody knows which sound is spoken when, there is no figure, and none is guessed.

    spoken = known("grid_s1", takes)         # GRID's words, aligned; needs the extra `phones`
    spoken = known("mydata", takes)          # mydata/phones.json: {"take1": [[0.0, 0.12, "HH"], ...]}, ARPAbet
    figures([(times, predicted, truth, spoken["take1"], "speaker 1")])
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import corpus
from duomorph.clock import SAMPLE_RATE
from duomorph.corpus import Take
from duomorph.dataset.takes import is_dataset
from duomorph.errors import CorpusError, MissingExtra
from duomorph.evaluate import metrics

Float32 = NDArray[np.float32]
Phones = Sequence[tuple[float, float, str]]  # begin and end in seconds of the sound, name

ROUND, SPREAD, CLOSED = ("UW", "OW", "W"), ("IY", "EH", "S"), ("B", "P", "M")
OPEN: Final = ("AA", "AE", "AO", "AW", "AY", "EH", "EY")
SILENT: Final = ("SIL", "PAU", "SP", "")
FILE: Final = "phones.json"  # in a data set's folder
SHUT: Final = 0.15  # of the truth's widest: less apart is shut
WIDEST: Final = 0.9  # quantile of the truth's opening, recording by recording
MUTE: Final = 0.01  # a recording whose widest opening is under this does not speak
SPELT: Final = {"a": ("lettera", "EY"), "z": ("zed", "Z EH D")}  # GRID's letters as a Briton says them


def known(name: str, takes: Sequence[Take]) -> dict[str, Phones]:
    """The phones of each take by its name; empty where nobody knows them.

    Raises:
        CorpusError: a data set's phones are damaged. MissingExtra: GRID's cannot be found without pocketsphinx.
    """
    if name == "grid_s1":
        return grid((take.name, take.audio) for take in takes)
    path = Path(name) / FILE
    if not (is_dataset(name) and path.exists()):
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(take): [(float(begin), float(end), str(phone)) for begin, end, phone in said]
            for take, said in stored.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise CorpusError(
            f"cannot read {str(path)!r}: {problem!s:.80}; expected lists of [begin, end, phone] by take; mend it"
        ) from None


def grid(sounds: Iterable[tuple[str, Float32]]) -> dict[str, Phones]:
    """Phone times of GRID clips, (name, samples), by forced alignment of their known words; clips that do not align
    are left out.

    Raises:
        MissingExtra: pocketsphinx is not installed. CorpusError: the words are absent.
    """
    try:
        decoder: Any = import_module("pocketsphinx").Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
    except ImportError:
        raise MissingExtra("phones need pocketsphinx: install it with  pip install 'duomorph[phones]'") from None
    for word, spelt in SPELT.values():
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, spelt, True)
    path = corpus.root() / "grid_s1" / "words.json"
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise CorpusError(f"cannot read {str(path)!r} ({problem}): copy it there again") from None
    phones: dict[str, Phones] = {}
    for name, sound in sounds:
        said = [SPELT.get(word, (word,))[0] for _, _, word in words.get(name, ()) if word not in ("sil", "sp")]
        samples = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
        try:
            decoder.set_align_text(" ".join(said))
            for level in ("words", "phones"):
                if level == "phones":
                    decoder.set_alignment()
                decoder.start_utt()
                decoder.process_raw(samples, full_utt=True)
                decoder.end_utt()
            found = [phone for word in decoder.get_alignment() for phone in word]
        except RuntimeError:  # the words do not fit the sound
            continue
        phones[name] = [(p.start / 100, (p.start + p.duration) / 100, p.name) for p in found]
    return phones


def during(times: NDArray[np.float64], phones: Phones, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which of `times` lie in the middle half of one of these phones: (n,) -> (n,)."""
    inside = np.zeros(len(times), dtype=bool)
    for begin, end, name in phones:
        if _plain(name) in names:
            quarter = (end - begin) / 4
            inside |= (times >= begin + quarter) & (times <= end - quarter)
    return inside


def figures(
    takes: Sequence[tuple[NDArray[np.float64], Float32, Float32, Phones | None, str]],
) -> dict[str, dict[str, float | int]] | None:
    """Closure, vowels, silence and rounding of "ours" and of the "truth"; each with how many phones or frames.

    Args:
        takes: times (n,), predicted and captured curves (n, 52), phones or None, and whose recording it is.
    Returns:
        closure: share of the P B M in which, a frame more on each side, the lips come nearer than SHUT of the truth's
        widest opening. vowels: share of the frames of open vowels in which they are as near: what closing wherever in
        doubt would cost. silence: mean opening in silence, as a share of the widest. rounding: how well pucker +
        funnel tell UW OW W from IY EH S (AUC). None where no take has phones.
    """
    heard = [(times, (ours, truth), said, whose) for times, ours, truth, said, whose in takes if said and len(truth)]
    openings: dict[str, list[Float32]] = {}
    for _, curves, _, whose in heard:
        openings.setdefault(whose, []).append(metrics.opening(curves[1]))
    widest = {whose: float(np.quantile(np.concatenate(apart), WIDEST)) for whose, apart in openings.items()}
    heard = [take for take in heard if widest[take[3]] > MUTE]
    if not heard:
        return None
    found: dict[str, dict[str, float | int]] = {"closure": {}, "vowels": {}, "silence": {}, "rounding": {}}
    for side, name in enumerate(("ours", "truth")):
        nearest, vowels, idle, high, low = [], [], [], [], []
        for times, curves, phones, whose in heard:
            apart, lips = metrics.opening(curves[side]) / widest[whose], metrics.rounding(curves[side])
            frame = times[1] - times[0] if len(times) > 1 else 0.0
            for begin, end, phone in phones:
                span = apart[(times >= begin - frame) & (times <= end + frame)]
                if _plain(phone) in CLOSED and len(span):
                    nearest.append(span.min())
            vowels.append(apart[during(times, phones, OPEN)])
            idle.append(apart[during(times, phones, SILENT)])
            high.append(lips[during(times, phones, ROUND)])
            low.append(lips[during(times, phones, SPREAD)])
        still, closed, open_ = np.concatenate(idle), np.array(nearest), np.concatenate(vowels)
        found["closure"] |= {name: metrics.mean((closed <= SHUT).astype(float)), "phones": len(closed)}
        found["vowels"] |= {name: metrics.mean((open_ <= SHUT).astype(float)), "frames": len(open_)}
        found["silence"] |= {name: metrics.mean(still), "frames": len(still)}
        round_, spread = np.concatenate(high), np.concatenate(low)
        found["rounding"] |= {name: metrics.auc(round_, spread), "frames": len(round_) + len(spread)}
    return found


def _plain(phone: str) -> str:
    """A phone without its stress."""
    return phone.rstrip("012").upper()
