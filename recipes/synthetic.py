"""Synthetic voices that say what they say when: languages and phones that the speech corpora lack.

One promise: phone times come from the synthesiser itself, never from a guess.

    for voice in voices():                          # of the programs that are installed
        for text in voice.texts:
            sound, phones = say(voice, text)        # (S,) at 16 kHz, [(begin, end, IPA or ARPAbet)]

espeak-ng and flite are programs of their own (Debian: espeak-ng, flite); what they say is nobody's but the user's.
Texts (synthetic.json, by language as espeak-ng names it): articles 1 and 3 of the Universal Declaration of Human
Rights, in the public domain; own sentences in English.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import audio
from duomorph.articulate import features
from duomorph.articulate.phones import INDEX
from duomorph.errors import CorpusError

TEXTS: Final[dict[str, list[str]]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
FLITE: Final = ("awb", "rms", "slt", "kal16")
VARIANTS: Final = (("m1", 140, 40), ("f2", 150, 55), ("m3", 165, 50), ("f4", 135, 60), ("m7", 175, 35), ("f5", 160, 70))
PAD_S: Final = 0.3  # of silence before and after what espeak-ng says
ALONE: Final = {"ʲ": "j"}  # marks that stand for a sound
SILENT: Final = 3  # of 16 bit: what espeak-ng puts before a burst


@dataclass(frozen=True)
class Voice:
    """Who speaks: a program's voice, its language and the texts that it reads."""

    name: str
    program: str
    language: str
    variant: str
    speed: int
    pitch: int
    texts: list[str]
    phone_set: str


Said = list[tuple[float, float | None, str]]


def voices() -> list[Voice]:
    """Those of the programs that are installed. Raises CorpusError if none is."""
    found = []
    if shutil.which("flite"):
        found += [Voice(f"flite-{name}", "flite", "en", name, 0, 0, TEXTS["en"], "arpabet") for name in FLITE]
    if ctypes.util.find_library("espeak-ng"):
        found += [
            Voice(f"espeak-{language}-{variant}", "espeak-ng", language, variant, speed, pitch, texts, "ipa")
            for language, texts in TEXTS.items()
            for variant, speed, pitch in VARIANTS
            if language != "en"
        ]
    if not found:
        raise CorpusError("no synthetic voice: expected the program espeak-ng or flite; install one")
    return found


def say(voice: Voice, text: str) -> tuple[NDArray[np.float32], Said]:
    """Sound at 16 kHz, and begin, end and symbol of each phone; where none is, the voice is silent."""
    return _flite(voice.variant, text) if voice.program == "flite" else _espeak(voice, text)


def _flite(name: str, text: str) -> tuple[NDArray[np.float32], Said]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        command = ["flite", "-voice", name, "-t", text, "-o", str(path), "-psdur"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        sound = audio.read(path)
    begin, phones = 0.0, []
    for word in printed.split():
        symbol, _, end = word.rpartition(":")
        phones.append((begin, float(end), symbol.upper()))
        begin = float(end)
    return sound, [(begin, end, symbol) for begin, end, symbol in phones if symbol != "PAU"]


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):  # speak_lib.h, espeak_EVENT
    _fields_ = (
        ("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("id", _Id),
    )  # fmt: skip


_PHONEME: Final = 7
_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Espeak:
    """The library behind the program, for it alone tells phone times."""

    def __init__(self) -> None:
        self.library: Any = ctypes.CDLL(ctypes.util.find_library("espeak-ng"))
        self.rate = self.library.espeak_Initialize(2, 0, None, 3)  # synchronous; phoneme events, in IPA
        self.parts: list[NDArray[np.int16]] = []
        self.events: list[tuple[int, str]] = []
        self.callback = _CALLBACK(self._heard)
        self.library.espeak_SetSynthCallback(self.callback)

    def _heard(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self.parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        k = 0
        while events[k].type:
            if events[k].type == _PHONEME:
                self.events.append((events[k].sample, bytes(events[k].id.string).decode("utf-8", "replace")))
            k += 1
        return 0


@cache
def _library() -> _Espeak:
    return _Espeak()


def _espeak(voice: Voice, text: str) -> tuple[NDArray[np.float32], Said]:
    machine = _library()
    machine.parts.clear()
    machine.events.clear()
    if machine.library.espeak_SetVoiceByName(f"{voice.language}+{voice.variant}".encode()):
        raise CorpusError(f"espeak-ng has no voice {voice.language!r}: expected one of its own; install espeak-ng-data")
    machine.library.espeak_SetParameter(1, voice.speed, 0)
    machine.library.espeak_SetParameter(3, voice.pitch, 0)
    data = text.encode() + b"\0"
    machine.library.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)  # 1: the text is UTF-8
    machine.library.espeak_Synchronize()
    sound = np.concatenate(machine.parts)
    padded = np.pad(sound, round(PAD_S * machine.rate))
    return audio.prepare(padded, machine.rate), _timed(machine.events, sound, machine.rate)


def _timed(events: list[tuple[int, str]], sound: NDArray[np.int16], rate: int) -> Said:
    """Phones from events. espeak-ng counts the closed way before a burst, where it is silent, to the phone before."""
    heard = np.abs(sound) > SILENT
    last = np.maximum.accumulate(np.where(heard, np.arange(len(sound)), -1))  # sample heard last
    begins = [
        int(last[at - 1]) + 1 if at and _is_stop(symbol) and at - last[at - 1] < 0.12 * rate else at
        for at, symbol in events
    ]
    return [
        (PAD_S + begin / rate, PAD_S + end / rate, ALONE.get(symbol, symbol))
        for begin, end, (_, symbol) in zip(begins, begins[1:], events, strict=False)
        if symbol and not symbol.startswith("(") and end > begin
    ]


def _is_stop(symbol: str) -> bool:
    if not symbol or symbol.startswith("("):
        return False
    return bool(features(ALONE.get(symbol, symbol))[0][1][INDEX["stop"]])
