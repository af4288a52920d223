"""Other microphones, rooms, lines and speeds for the same speech; the labels stay where they belong.

One promise: every change keeps the time of every sound, except `faster`, which moves the labels along, and `pause`,
which brings labels of its own.

    take, sound = faster(take, 1.1)
    sound = disturbed(sound, AugmentConfig(), noises, rng)

Features are computed after this, once a copy; changes that a spectrogram can bear (another vocal tract) are made
when windows are drawn, see `windows`.
"""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from duomorph.clock import SAMPLE_RATE, TICK_RATE
from duomorph.corpus import Take
from duomorph.train.config import AugmentConfig

Float32 = NDArray[np.float32]

_LINE_RATE = 8_000  # Hz, of a telephone
_TONE = 4_000  # samples of the quietest stretch that a pause is made of


def faster(take: Take, speed: float) -> tuple[Take, Float32]:
    """The take played `speed` times as fast: pitch, formants and tempo move together, and the curves with them."""
    sound = soxr.resample(take.audio, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32)
    times = np.arange(int(take.end_s / speed * TICK_RATE)) / TICK_RATE * speed
    return replace(take, weights=take.curves_at(times), fps=Fraction(TICK_RATE), start=Fraction(0)), sound


def pause(before: Take, after: Take, seconds: Fraction, rng: np.random.Generator) -> tuple[Take, Float32]:
    """Silence between two takes: the room of the first going on, the face moving from its last frame to the next."""
    sound = before.audio
    loud = np.convolve(np.square(sound, dtype=np.float64), np.ones(_TONE), "valid")
    quiet = sound[(at := int(loud.argmin())) : at + _TONE] if len(loud) and len(sound) >= _TONE else 0 * sound[:_TONE]
    length = round(seconds * SAMPLE_RATE)
    colour = np.abs(np.fft.rfft(quiet))
    bins = length // 2 + 1
    spectrum = np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, len(colour)), colour)
    phases = np.exp(2j * np.pi * rng.random(bins))
    tone = np.fft.irfft(spectrum * phases, length) * np.sqrt(length / max(len(quiet), 1))
    rest = np.stack([before.weights[-1], after.weights[0]])
    return replace(before, name="pause", weights=rest, fps=1 / seconds, start=Fraction(0)), tone.astype(np.float32)


def disturbed(sound: Float32, config: AugmentConfig, noises: list[Float32], rng: np.random.Generator) -> Float32:
    """A session through a room, noise, a microphone, a line and at another level, as the shares of `config` say."""
    if rng.random() < config.room:
        sound = in_room(sound, float(rng.uniform(*config.reverb_s)), rng)
    if noises and rng.random() < config.noise:
        sound = with_noise(sound, noises[rng.integers(len(noises))], float(rng.uniform(*config.snr_db)))
    sound = coloured(sound, config.colour_db, rng)
    if rng.random() < config.band:
        sound = through_line(sound, rng)
    return (sound * 10 ** (rng.uniform(*config.gain_db) / 20)).clip(-1, 1).astype(np.float32)


def coloured(sound: Float32, depth_db: float, rng: np.random.Generator) -> Float32:
    """A random smooth equaliser, as microphones have."""
    points = rng.uniform(-depth_db, depth_db, size=6)
    spectrum = np.fft.rfft(sound)
    place = np.linspace(0, len(points) - 1, len(spectrum))
    gain = 10 ** (np.interp(place, np.arange(len(points)), points) / 20)
    return np.fft.irfft(spectrum * gain, len(sound)).astype(np.float32)


def with_noise(sound: Float32, noise: Float32, snr_db: float) -> Float32:
    """Background noise, repeated as needed, `snr_db` under the mean power of the sound."""
    loud = np.sqrt(np.mean(np.square(sound)) + 1e-12)
    hiss = np.resize(noise, len(sound))
    quiet = np.sqrt(np.mean(np.square(hiss)) + 1e-12)
    return (sound + hiss * (loud / quiet * 10 ** (-snr_db / 20))).astype(np.float32)


def made_noise(tilt: float) -> Float32:
    """Five seconds of noise whose spectrum falls as frequency ** tilt: 0 white, -0.5 pink, -1 brown."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE))
    spectrum *= np.maximum(np.fft.rfftfreq(5 * SAMPLE_RATE, 1 / SAMPLE_RATE), 20.0) ** tilt
    return np.fft.irfft(spectrum / np.abs(spectrum).max()).astype(np.float32)


def in_room(sound: Float32, reverb_s: float, rng: np.random.Generator) -> Float32:
    """A simulated room: the direct sound at once, then noise that falls by 60 dB in `reverb_s` (Polack's model)."""
    times = np.arange(int(reverb_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / reverb_s)
    tail[: SAMPLE_RATE // 500] = 0.0  # the first wall is some way off
    tail *= rng.uniform(0.2, 0.8) / np.sqrt(np.square(tail).sum() + 1e-12)
    tail[0] = 1.0
    size = 1 << (len(sound) + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return wet[: len(sound)].astype(np.float32)


def through_line(sound: Float32, rng: np.random.Generator) -> Float32:
    """Band limits alone, or a telephone: 8 kHz, and the code of land lines (mu-law) or of mobile ones (GSM 06.10)."""
    code = ("", "ULAW", "GSM610")[rng.integers(3)]
    if code:
        narrow = soxr.resample(sound, SAMPLE_RATE, _LINE_RATE).clip(-1, 1)
        line = io.BytesIO()
        soundfile.write(line, narrow, _LINE_RATE, format="WAV", subtype=code)
        line.seek(0)
        narrow, _ = soundfile.read(line, dtype="float32")
        wide = soxr.resample(narrow, _LINE_RATE, SAMPLE_RATE)
        sound = np.pad(wide, (0, max(0, len(sound) - len(wide))))[: len(sound)]
    hz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    low, high = rng.uniform(60, 300), rng.uniform(3_000, 7_500)
    gain = 1 / np.sqrt(1 + (low / np.maximum(hz, 1e-3)) ** 8) / np.sqrt(1 + (hz / high) ** 16)  # Butterworth slopes
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)).astype(np.float32)
