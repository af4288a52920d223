"""Sounds for tests: a tone, and files that no decoder should take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def tone(rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    t = np.arange(round(rate * seconds)) / rate
    wave = 0.4 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * 450 * t)
    return np.stack([wave * (1 - 0.5 * c) for c in range(channels)], axis=1)


def damaged(folder: Path) -> dict[str, Path]:
    """Files that no decoder should accept, by what is wrong."""
    good = folder / "good.wav"
    soundfile.write(good, tone(16000, 1.0)[:, 0], 16000)
    wav = good.read_bytes()
    paths = {"missing": folder / "no.wav", "folder": folder}

    def put(kind: str, name: str, data: bytes) -> None:
        paths[kind] = folder / name
        paths[kind].write_bytes(data)

    put("empty", "empty.wav", b"")
    put("cut", "cut.wav", wav[: len(wav) // 2])
    put("only a header", "header.wav", wav[:44])
    put("half a header", "half.wav", wav[:30])
    put("zero channels", "zero_channels.wav", wav[:22] + b"\0\0" + wav[24:])
    put("one hertz", "one_hertz.wav", wav[:24] + b"\1\0\0\0" + wav[28:])
    text = b"This is not sound at all, it is a letter.\n" * 40
    for suffix in ("wav", "mp3", "flac", "ogg", "m4a", "raw", "txt"):
        put(f"text as {suffix}", f"letter.{suffix}", text)
    for kind, value in (("NaN", np.nan), ("infinite", np.inf), ("absurd", 1e30)):
        samples = tone(16000, 1.0)[:, 0].astype(np.float32)
        samples[5000] = value
        paths[kind] = folder / f"{kind}.wav"
        soundfile.write(paths[kind], samples, 16000, subtype="FLOAT")
    paths["no samples"] = folder / "none.wav"
    soundfile.write(paths["no samples"], np.zeros(0), 16000)
    for suffix, subtype in (("flac", "PCM_16"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")):
        whole = folder / f"whole.{suffix}"
        noise = np.random.default_rng(0).uniform(-0.3, 0.3, 32000)
        soundfile.write(whole, noise, 16000, subtype=subtype)
        put(f"cut {suffix}", f"cut.{suffix}", whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    return paths


KINDS = [
    "missing", "folder", "empty", "cut", "only a header", "half a header", "zero channels", "one hertz",
    "text as wav", "text as mp3", "text as flac", "text as ogg", "text as m4a", "text as raw", "text as txt",
    "NaN", "infinite", "absurd", "no samples", "cut flac", "cut ogg", "cut mp3",
]  # fmt: skip
