"""The recipe that draws faces for speech, run as a user runs it, and what synthetic voices say."""

from __future__ import annotations

import ctypes.util
import json
import shutil
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from command import RECIPES, run_recipe
from duomorph import articulate, formats
from duomorph.arkit import INDEX
from duomorph.dataset import check, manifest, split
from duomorph.evaluate import phones
from duomorph.evaluate.metrics import opening


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpora in the form of those with phone times: one of readers, two of them held out, one of emotions."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    said = [[0.3, 0.4, "M"], [0.4, 0.55, "AA"], [0.55, 0.65, "P"], [0.65, 0.8, "UW"], [0.8, 0.95, "IY"]]
    spelt = [[0.3, 0.35, "p"], [0.35, 0.4, "!p"], [0.4, 0.5, "a"], [0.5, 0.6, ""], [0.6, 0.8, "m"], [0.8, None, "."]]
    lines = {
        "librispeech": [("ls-1", said, None), ("ls-118", said, None), ("ls-4640", said, None), ("ls-1", None, None)],
        "emodb": [("emodb-10", spelt, "neutral"), ("emodb-11", spelt, "neutral"), ("emodb-11", spelt, "anger")],
    }
    for name, utterances in lines.items():
        (root / "speech" / name).mkdir(parents=True)
        with (root / "speech" / f"{name}.jsonl").open("w") as file:
            for k, (speaker, spoken, emotion) in enumerate(utterances):
                voice = (140 + 5 * k) * np.arange(20000) / 16000 % 1 - 0.5  # a saw, each a little higher
                sound = (voice + rng.normal(0, 0.01, 20000)) * np.repeat([0.001, 0.5, 0.001], [4800, 10400, 4800])
                soundfile.write(root / "speech" / name / f"{k}.flac", sound, 16000)
                line = {
                    "id": f"{speaker}-{k}", "audio": f"{name}/{k}.flac", "speaker": speaker, "text": "Who?",
                    "phone_set": "arpabet" if name == "librispeech" else "emodb-sampa", "phones": spoken,
                }  # fmt: skip
                file.write(json.dumps(line | ({"emotion": emotion} if emotion else {})) + "\n")
    return root


def test_speech_becomes_data_sets_with_faces(toy: Path, tmp_path: Path) -> None:
    done = run_recipe("articulate.py", toy, "-o", tmp_path, "--corpora", "librispeech", "emodb", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "librispeech: 3 clips of 3 speakers, 2 clips held out (split.json)",
        "emodb: 3 clips of 2 speakers, 1 clips held out (split.json)",
    ]
    assert done.stderr == "left out: ls-1-3: its phone times are not known\n"
    readers, moods = tmp_path / "librispeech", tmp_path / "emodb"
    entries = {entry.id: entry for entry in manifest.read(readers)}
    first = entries["ls-1-0"]
    assert (first.speaker, first.session, first.style, first.fps) == ("ls-1", "ls-1", "articulate", 60)
    assert first.licence == "CC BY 4.0"
    assert "LibriSpeech" in first.source
    assert {"tongueOut", "jawOpen", "eyeBlinkLeft"} <= set(first.captured)
    assert split.held_out(readers) == {"ls-118-1", "ls-4640-2"}
    assert split.held_out(moods) == {"emodb-10-0"}
    assert check.check(readers).fatal == 0
    assert check.check(moods).fatal == 0
    clip = formats.read(readers / first.curves)
    apart = opening(clip.weights)
    times = np.arange(len(clip.weights)) / 60
    assert apart[(times > 0.56) & (times < 0.6)].max() < 0.02 < apart[(times > 0.45) & (times < 0.5)].max()
    assert apart[times > 1.15].max() == 0
    assert clip["eyeBlinkLeft"].max() == 0
    sessions = [entry.session for entry in manifest.read(moods)]
    assert sessions == ["emodb-10-neutral", "emodb-11-neutral", "emodb-11-anger"]
    angry, calm = (formats.read(moods / entry.curves) for entry in list(manifest.read(moods))[:0:-1])
    assert angry["browDownLeft"].max() > 0.2 > calm["browDownLeft"].max()

    known = phones.known(str(readers), [])
    assert [name for *_, name in known["ls-1-0"]] == ["SIL", "M", "AA", "P", "UW", "IY", "SIL"]
    spelt = phones.known(str(moods), [])["emodb-10-0"]
    assert [name for *_, name in spelt] == ["SIL", "P", "AE", "M", "SIL"]
    figures = phones.figures([(times, clip.weights, clip.weights, known["ls-1-0"], "ls-1")])
    assert figures
    assert figures["closure"]["truth"] == 1
    assert figures["silence"]["truth"] < 0.05

    before = (readers / "manifest.jsonl").read_bytes()
    assert run_recipe("articulate.py", toy, "-o", tmp_path, "--corpora", "librispeech").returncode == 0
    assert (readers / "manifest.jsonl").read_bytes() == before


def test_without_grid_is_another_face_of_the_same_speech(toy: Path, tmp_path: Path) -> None:
    for name, option in (("with", []), ("without", ["--without-grid"])):
        flags = ["--corpora", "librispeech", "--fps", "30", "--workers", "1", *option]
        done = run_recipe("articulate.py", toy, "-o", tmp_path / name, *flags)
        assert done.returncode == 0, done.stderr
    one, other = (formats.read(tmp_path / name / "librispeech/curves/ls-1-0.jsonl") for name in ("with", "without"))
    assert one.fps == other.fps == 30
    assert np.corrcoef(one["jawOpen"], other["jawOpen"])[0, 1] > 0.8
    assert np.abs(one["jawOpen"] - other["jawOpen"]).max() > 0.02


def test_without_a_corpus_one_sentence(tmp_path: Path) -> None:
    done = run_recipe("articulate.py", None, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("articulate.py: no corpus")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


# --- synthetic voices


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPES))
    import synthetic

    return synthetic


def level(sound: np.ndarray, begin: float, end: float) -> float:
    part = sound[round(begin * 16000) : round(end * 16000)]
    return float(np.sqrt(np.mean(part.astype(np.float64) ** 2)))


@pytest.mark.parametrize("language", ["ja", "fr", "tr", "ar", "cmn-latn-pinyin"])
def test_espeak_says_when_it_says_what(synthetic: ModuleType, language: str) -> None:
    if not ctypes.util.find_library("espeak-ng"):
        pytest.skip("needs the program espeak-ng: install it to test synthetic voices")
    voice = next(voice for voice in synthetic.voices() if (voice.program, voice.language) == ("espeak-ng", language))
    sound, said = synthetic.say(voice, voice.texts[0])
    seconds = len(sound) / 16000
    assert said[0][0] >= 0.3 - 0.1
    assert all(0 <= begin < end <= seconds for begin, end, _ in said)
    assert all(one[0] <= other[0] for one, other in pairwise(said))
    assert said[-1][1] == pytest.approx(seconds - 0.3, abs=0.1)
    spoken = articulate.spoken(said, voice.phone_set, seconds)
    times = np.arange(int(seconds * 100)) / 100
    at = spoken.at(times)
    levels = np.array([level(sound, time, time + 0.01) for time in times[:-1]])
    vowel, shut, rest = (at[name][:-1] == 1 for name in ("vowel", "stop", "silence"))
    assert np.median(levels[vowel]) > 3 * np.median(levels[shut])
    assert np.median(levels[rest]) < 1e-3


def test_flite_says_when_it_says_what(synthetic: ModuleType) -> None:
    if not shutil.which("flite"):
        pytest.skip("needs the program flite: install it to test synthetic voices")
    voice = next(voice for voice in synthetic.voices() if voice.name == "flite-slt")
    sound, said = synthetic.say(voice, "Maybe Bob will bump my purple umbrella before breakfast.")
    assert [symbol for *_, symbol in said][:4] == ["M", "EY", "B", "IY"]
    vowels = [level(sound, begin, end) for begin, end, symbol in said if symbol in ("EY", "IY", "AA", "ER", "AO")]
    assert min(vowels) > 5 * level(sound, 0, said[0][0] - 0.05)


def test_every_text_can_be_drawn(synthetic: ModuleType) -> None:
    """Japanese as espeak-ng says it, through to closed lips on its b and m."""
    if not ctypes.util.find_library("espeak-ng"):
        pytest.skip("needs the program espeak-ng: install it to test synthetic voices")
    voice = next(voice for voice in synthetic.voices() if voice.language == "ja")
    sound, said = synthetic.say(voice, voice.texts[0])
    times = np.arange(int(len(sound) / 16000 * 60)) / 60
    spoken = articulate.spoken(said, "ipa", len(sound) / 16000)
    weights = articulate.curves(spoken, articulate.loudness(sound), times, articulate.shipped())
    widest = np.quantile(opening(weights), 0.95)
    closed = [opening(weights)[(times >= b - 1 / 60) & (times <= e)].min() for b, e, s in said if s in ("b", "m")]
    assert len(closed) >= 3
    assert max(closed) <= 0.05 * widest
    assert weights[:, INDEX["mouthPressLeft"]].max() > 0.3
