"""Speech with phone times as data sets of style `articulate`: the articulator draws the face that belongs to it.

One promise: what is held out is held out by committed lists: readers, speakers and sentences that no fit and no other
data set of this recipe knows.

    DUOMORPH_CORPUS=corpus python recipes/articulate.py -o articulated                       # one folder per corpus
    DUOMORPH_CORPUS=corpus python recipes/articulate.py -o articulated --corpora librispeech arctic --without-grid

Each folder also holds `phones.json`, so that `duomorph evaluate --phones` knows which sound is spoken when. The names
are ARPAbet's; of another language's phones the nearest by their features.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import synthetic
from duomorph import audio, corpus, files
from duomorph.articulate import arpabet, curves, loudness, peak_db, shipped, spoken
from duomorph.articulate.phones import ARPABET
from duomorph.clip import Clip
from duomorph.clock import SAMPLE_RATE, frame_count, frame_rate
from duomorph.dataset import split
from duomorph.dataset.manifest import Writer
from duomorph.errors import CorpusError, DuomorphError
from duomorph.expression import Voice, expression, measure, usual

STYLE = "articulate"
LICENCES = {
    "librispeech": ("CC BY 4.0", "LibriSpeech train-clean-5: Panayotov, Chen, Povey, Khudanpur 2015"),
    "arctic": ("CMU ARCTIC: free use with its notice", "CMU ARCTIC: Kominek, Black 2004"),
    "kerstin": ("CC0 1.0", "Kerstin, German (rhasspy)"),
    "nathalie": ("CC0 1.0", "Nathalie, Dutch (rhasspy)"),
    "synthetic": ("CC0 1.0", "said by espeak-ng and flite"),
    "emodb": ("stated CC0 1.0 by audEERING, disputed", "Berlin emotional speech: Burkhardt and others 2005"),
}
HELD_SPEAKERS = {"librispeech": ("ls-118", "ls-3526", "ls-4640"), "emodb": ("emodb-10", "emodb-14")}
GERMAN = {"R": "ʁ", "ER": "ɐ", "AH": "ə"}
HELD_EVERY = 20  # of the corpora of one or two speakers, this sentence is held out

Phones = list[tuple[float, float | None, str]]


@dataclass(frozen=True)
class Utterance:
    """A line of a corpus, and what the articulator needs of the others."""

    id: str
    sound: Path | NDArray[np.float32]
    speaker: str
    phones: Phones
    phone_set: str
    text: str
    emotion: str | None
    held: bool

    @property
    def session(self) -> str:
        """What may be chained: a voice changes its mood slowly, so one mood of one speaker (docs/expression.md)."""
        return f"{self.speaker}-{self.emotion}" if self.emotion else self.speaker

    def samples(self) -> NDArray[np.float32]:
        """(S,) at 16 kHz."""
        return audio.read(self.sound) if isinstance(self.sound, Path) else self.sound


def synthesised() -> list[Utterance]:
    """What the synthetic voices say."""
    said = [(voice, number, text) for voice in synthetic.voices() for number, text in enumerate(voice.texts)]
    found = []
    for k, (voice, number, text) in enumerate(said):
        sound, phones = synthetic.say(voice, text)
        found.append(Utterance(
            f"{voice.name}-{number}", sound, voice.name, phones, voice.phone_set, text, None, _every(k)
        ))  # fmt: skip
    return found


def respelt(phones: Phones, phone_set: str, language: str) -> tuple[Phones, str]:
    """Phones that a corpus spells by the nearest letter of another language, as they are said: an English r rounds the
    lips, a German or Dutch one does not."""
    if language == "de" and phone_set == "arpabet":
        return [(begin, end, GERMAN.get(phone, ARPABET.get(phone, phone))) for begin, end, phone in phones], "ipa"
    if language == "nl" and phone_set == "ipa":
        return [(begin, end, phone.replace("ɹ", "r")) for begin, end, phone in phones], "ipa"
    return phones, phone_set


def _every(number: int) -> bool:
    return number % HELD_EVERY == HELD_EVERY - 1


def utterances(name: str) -> list[Utterance]:
    """What a corpus says, those without phone times left out."""
    if name == "synthetic":
        return synthesised()
    path = corpus.root() / "speech" / f"{name}.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as problem:
        raise CorpusError(f"cannot read {str(path)!r} ({problem!s:.80}): expected a corpus; copy it there") from None
    found = []
    for number, line in enumerate(lines):
        if not line["phones"]:
            print(f"left out: {line['id']}: its phone times are not known", file=sys.stderr)
            continue
        listed = HELD_SPEAKERS.get(name)
        held = line["speaker"] in listed if listed else _every(number)
        phones, phone_set = respelt(line["phones"], line["phone_set"], line.get("lang", ""))
        found.append(Utterance(
            line["id"].replace("'", "_"), corpus.root() / "speech" / line["audio"], line["speaker"], phones,
            phone_set, line.get("text") or "", line.get("emotion"), held,
        ))  # fmt: skip
    return found


@dataclass(frozen=True)
class Job:
    """An utterance, and how its speaker usually sounds."""

    said: Utterance
    fps: Fraction
    usual_db: float
    calm: Voice | None
    learned: bool


def hear(said: Utterance) -> tuple[float, Voice | None]:
    """How loud an utterance's peaks are, and how the voice sounds where the speaker is said to be neutral."""
    samples = said.samples()
    return peak_db(samples), measure(samples) if said.emotion == "neutral" else None


def draw(job: Job) -> tuple[Clip, list[tuple[float, float, str]]]:
    """The face of an utterance, and its phones by the names that are evaluated."""
    samples = job.said.samples()
    seconds = len(samples) / SAMPLE_RATE
    times = np.arange(frame_count(len(samples), job.fps)) / float(job.fps)
    said = spoken(job.said.phones, job.said.phone_set, seconds)
    asks = job.said.text.endswith("?") if set(job.said.text) & set(".?!") else None
    mood = expression(samples, job.said.emotion, times, job.calm, asks)
    weights = curves(said, loudness(samples, job.usual_db), times, shipped() if job.learned else None, mood)
    clip = Clip(np.round(weights, 4), job.fps, source="articulated from phones, loudness and pitch")
    return clip, arpabet(job.said.phones, job.said.phone_set, seconds)


def write(name: str, folder: Path, fps: Fraction, learned: bool, workers: int) -> str:
    """One corpus as one data set; a sentence of what it holds."""
    said = utterances(name)
    licence, credit = LICENCES[name]
    spoken_by_id: dict[str, Any] = {}
    with ProcessPoolExecutor(workers) as pool, Writer(folder) as out:
        peaks, voices = defaultdict(list), defaultdict(list)
        for utterance, (peak, voice) in zip(said, pool.map(hear, said, chunksize=32), strict=True):
            peaks[utterance.speaker].append(peak)
            voices[utterance.speaker] += [voice] if voice else []
        loud = {speaker: float(np.median(heard)) for speaker, heard in peaks.items()}
        calm = {speaker: usual(heard) if heard else None for speaker, heard in voices.items()}
        jobs = [Job(u, fps, loud[u.speaker], calm[u.speaker], learned) for u in said]
        for utterance, (clip, phones) in zip(said, pool.map(draw, jobs, chunksize=8), strict=True):
            spoken_by_id[utterance.id] = phones
            if utterance.id not in out:
                out.add(
                    id=utterance.id,
                    sound=utterance.sound,
                    clip=clip,
                    speaker=utterance.speaker,
                    session=utterance.session,
                    style=STYLE,
                    licence=licence,
                    source=f"{credit}; {clip.source}",
                )
    held = [utterance.id for utterance in said if utterance.held]
    split.hold_out(folder, held)
    files.write(folder / "phones.json", json.dumps(spoken_by_id).encode())
    return f"{name}: {len(said)} clips of {len(loud)} speakers, {len(held)} clips held out (split.json)"


def main() -> None:
    """Write the data sets; what they hold already stays."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--corpora", nargs="+", choices=tuple(LICENCES), default=list(LICENCES))
    parser.add_argument("--without-grid", action="store_true", help="by articulatory knowledge alone: no fit on GRID")
    parser.add_argument("--fps", default="60", help="of the curves (default 60)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    fps = frame_rate(options.fps)
    if options.corpora != ["synthetic"]:
        corpus.root()
    files.folder(options.output)
    for name in options.corpora:
        print(write(name, options.output / name, fps, not options.without_grid, options.workers), flush=True)


if __name__ == "__main__":
    try:
        main()
    except DuomorphError as problem:
        sys.exit(f"articulate.py: {problem}")
