"""Disturbed speech, and sound that is no speech: how much worse the curves get, and whether the mouth stays shut.

    DUOMORPH_CORPUS=... python benchmarks/robustness.py [--model FILE] [--json benchmarks/results/robustness.json]

Held-out GRID clips in style `grid`, 30 fps, 100 ms of delay: r(jawOpen) undisturbed, with 10 dB of background noise,
over a telephone (mu-law, 300 to 3400 Hz), 30 dB quieter, and 1.25 times as fast at the same pitch (by ffmpeg). Then
noise, music (made here: chords, a melody, drums) and silence in the default style, as the network says and as `animate`
shapes it: mean opening of the lips, or of a jaw behind shut lips, against the 90 % quantile of the same clips' speech.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

import duomorph as dm
from duomorph import arkit, audio, corpus, files
from duomorph.clock import SAMPLE_RATE
from duomorph.errors import AudioError
from duomorph.evaluate.metrics import correlation, opening
from duomorph.shaping import RAW, SHIPPED

Float32 = NDArray[np.float32]
SNR_DB, QUIETER_DB, TEMPO, SECONDS = 10.0, -30.0, 1.25, 60


def noises() -> list[Float32]:
    """The background sounds of the corpus that can be read."""
    found = []
    for path in sorted((corpus.root() / "noise").glob("*.opus")):
        try:
            found.append(audio.read(path))
        except AudioError:
            continue
    return found


def noisy(sound: Float32, noise: Float32) -> Float32:
    """`noise` repeated and SNR_DB under the sound."""
    hiss = np.resize(noise, len(sound))
    gain = np.sqrt(np.mean(sound**2) / max(float(np.mean(hiss**2)), 1e-12)) * 10 ** (-SNR_DB / 20)
    return (sound + gain * hiss).astype(np.float32).clip(-1, 1)


def telephone(sound: Float32) -> Float32:
    """300 to 3400 Hz at 8 kHz, mu-law."""
    narrow = soxr.resample(sound, SAMPLE_RATE, 8000)
    spectrum, hz = np.fft.rfft(narrow), np.fft.rfftfreq(len(narrow), 1 / 8000)
    narrow = np.fft.irfft(spectrum * ((hz > 300) & (hz < 3400)), len(narrow)).clip(-1, 1)
    line = io.BytesIO()
    soundfile.write(line, narrow, 8000, format="WAV", subtype="ULAW")
    line.seek(0)
    wide = soxr.resample(soundfile.read(line, dtype="float32")[0], 8000, SAMPLE_RATE)
    return np.pad(wide, (0, max(0, len(sound) - len(wide))))[: len(sound)].astype(np.float32)


def hastened(sound: Float32) -> Float32:
    """TEMPO times as fast, pitch and formants as they were."""
    raw = ["-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "1"]
    command = ["ffmpeg", "-v", "error", *raw, "-i", "-", "-af", f"atempo={TEMPO}", *raw, "-"]
    return np.frombuffer(subprocess.run(command, input=sound.tobytes(), capture_output=True, check=True).stdout, "<f4")


def music() -> Float32:
    """Chords, a melody and drums, a minute of them."""
    rng = np.random.default_rng(0)
    out = np.zeros(SECONDS * SAMPLE_RATE)
    beat = SAMPLE_RATE // 2
    for number, at in enumerate(range(0, len(out) - beat, beat)):
        times = np.arange(min(4 * beat, len(out) - at)) / SAMPLE_RATE
        root = 110 * 2 ** (rng.choice([0, 5, 7, 9]) / 12)
        notes = [root * 2 ** (step / 12) for step in (0, 4, 7)] if number % 4 == 0 else []
        notes.append(440 * 2 ** (rng.choice([0, 2, 4, 7, 9]) / 12))
        for hz in notes:
            tone = sum(np.sin(2 * np.pi * hz * k * times) / k**1.5 for k in range(1, 8))
            out[at : at + len(times)] += 0.1 * np.exp(-2 * times) * tone
        hit = np.exp(-40 * times[:beat]) * rng.standard_normal(len(times[:beat]))
        out[at : at + len(hit)] += 0.2 * hit
    return (out / np.abs(out).max() * 0.5).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    face = dm.load(options.model)
    takes, hiss = corpus.load("grid_s1", "test"), noises()
    jaw = arkit.INDEX["jawOpen"]
    plain: dict[str, tuple[Callable[[Float32, int], Float32], float]] = {
        "undisturbed": (lambda sound, k: sound, 1.0),
        f"{SNR_DB:g} dB of noise": (lambda sound, k: noisy(sound, hiss[k % len(hiss)]), 1.0),
        "telephone": (lambda sound, k: telephone(sound), 1.0),
        f"{QUIETER_DB:g} dB": (lambda sound, k: sound * np.float32(10 ** (QUIETER_DB / 20)), 1.0),
        f"{TEMPO:g} times as fast": (lambda sound, k: hastened(sound), TEMPO),
    }
    r = {}
    for name, (disturb, tempo) in plain.items():
        predicted, truth = [], []
        for k, take in enumerate(takes):
            clip = face.animate(disturb(take.audio, k), fps=30, style="grid")
            times = clip.times * tempo
            known = take.known_at(times)
            predicted.append(clip.weights[known, jaw])
            truth.append(take.curves_at(times[known])[:, jaw])
        r[name] = round(correlation(np.concatenate(predicted), np.concatenate(truth)), 3)
    mixed = np.concatenate(hiss)[: SECONDS * SAMPLE_RATE]
    others = {"noise": mixed, "music": music(), "silence": np.zeros(SECONDS * SAMPLE_RATE, dtype=np.float32)}
    speech = [opening(face.animate(take.audio, fps=30).weights) for take in takes]
    widest = float(np.quantile(np.concatenate(speech), 0.9))
    open_ = {
        shaped: {
            name: round(float(np.maximum(opening(clip.weights), clip["jawOpen"]).mean()) / widest, 4)
            for name, sound in others.items()
            for clip in [face.animate(sound, fps=30, shaping=how)]
        }
        for shaped, how in (("raw", RAW), ("as animate shapes it", SHIPPED))
    }
    result = {"weights_sha256": face.info().weights_sha256, "clips": len(takes), "r_jawOpen": r, "opening": open_}
    print(json.dumps(result))
    if options.json:
        files.write(options.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
