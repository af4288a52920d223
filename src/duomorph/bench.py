"""How fast, how big, how late: measured here, now, by one command.

One promise: every figure is timed in this run; the last line of output is the whole result as JSON.

    duomorph bench --seconds 60 --json bench.json

Ratios within a run can be compared, seconds between machines cannot.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from duomorph import audio
from duomorph.clock import SAMPLE_RATE, TICK_RATE, end_sample
from duomorph.emotion import EmotionTrack
from duomorph.face import Face, load
from duomorph.mel import MelStream

Float32 = NDArray[np.float32]

BLOCK_S = 0.008  # input block of the live profile
REPEATS = 3


def timed(work: Callable[[], object]) -> float:
    """Seconds of the quickest of a few runs: what is left when the machine's other work is least in the way."""
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def speech(seconds: float, path: Path | None) -> Float32:
    """`seconds` of a sound file, repeated as needed."""
    sound = audio.read(path) if path else audio.read(Path(str(resources.files("duomorph") / "assets" / "sample.flac")))
    return np.resize(sound, round(seconds * SAMPLE_RATE))


def chunk_costs(face: Face, sound: Float32, fps: int) -> list[float]:
    """Seconds that each 16.7 ms chunk of a live stream takes."""
    stream = face.stream(fps=fps, delay_ms=17)
    costs = []
    ticks = len(sound) * TICK_RATE // SAMPLE_RATE
    for tick in range(ticks):
        chunk = sound[end_sample(tick, TICK_RATE) : end_sample(tick + 1, TICK_RATE)]
        began = time.perf_counter()
        stream.feed(chunk)
        costs.append(time.perf_counter() - began)
    return costs


def first_frame_s(face: Face, sound: Float32, delay_ms: float) -> float:
    """Seconds of audio after which a stream gives its first frame, fed sample block by sample block (1 ms)."""
    stream = face.stream(fps=60, delay_ms=delay_ms)
    for begin in range(0, len(sound), 16):
        if len(stream.feed(sound[begin : begin + 16])):
            return (begin + 16) / SAMPLE_RATE
    raise AssertionError("no frame in the whole sound")


_CHILD = """
import resource, sys, time
began = time.perf_counter()
import duomorph
face = duomorph.load(sys.argv[2] or None)
clip = face.animate(sys.argv[1], fps=60)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter() - began, len(clip))
"""


def peak_memory_mb(sound: Float32, model: str) -> tuple[float, float]:
    """Peak resident memory in MB and seconds of a fresh process that loads the model and animates a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        soundfile.write(path, sound, SAMPLE_RATE)
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(path), model], capture_output=True, text=True, check=True
        )
    kilobytes, seconds, _ = done.stdout.split()
    return int(kilobytes) / (1024 if sys.platform != "darwin" else 1024**2), float(seconds)


def measure(model: str | None = None, seconds: float = 60, path: Path | None = None) -> dict[str, Any]:
    """All figures, as plain data."""
    face = load(model, threads=1)
    sound = speech(seconds, path)
    info = face.info()
    memory, cold = peak_memory_mb(sound, model or "")
    result: dict[str, Any] = {
        "audio_s": seconds,
        "threads": 1,
        "model_mb": round(info.megabytes, 2),
        "parameters": info.provenance.parameters,
        "mmac_per_tick": round(info.macs_per_tick / 1e6, 3),
        "peak_memory_mb": round(memory, 1),
        "process_s": round(cold, 2),
    }
    parts = {
        "mel": timed(lambda: MelStream().feed(sound)) / seconds,
        "emotion": timed(lambda: EmotionTrack().feed(sound)) / seconds,
    }
    for fps in (30, 60):
        result[f"rtf_{fps}"] = round(timed(lambda fps=fps: face.animate(sound, fps=fps)) / seconds, 5)  # type: ignore[misc]
    parts["network and frames"] = result["rtf_60"] - sum(parts.values())
    result["rtf_parts"] = {name: round(value, 5) for name, value in parts.items()}
    costs = chunk_costs(face, sound[: 20 * SAMPLE_RATE], 60)
    compute = statistics.median(costs)
    result["chunk_ms"] = {
        "p50": round(1e3 * compute, 3),
        "p99": round(1e3 * float(np.percentile(costs, 99)), 3),
        "max": round(1e3 * max(costs), 3),
        "rtf_60": round(statistics.mean(costs) * TICK_RATE, 4),
    }
    result["first_frame_ms_at_delay_33"] = round(1e3 * first_frame_s(face, sound, 33), 1)
    stream = face.stream(fps=60, delay_ms=17)
    latency = {
        "lookahead": float(stream.lookahead_s),
        "input_block": BLOCK_S,
        "filters": 0.0,
        "smoothing": stream.latency_s - float(stream.lookahead_s),
        "compute": compute,
    }
    result["latency_ms_live"] = {name: round(1e3 * value, 2) for name, value in latency.items()}
    result["latency_ms_live"]["total"] = round(1e3 * sum(latency.values()), 2)
    result["frame_period_ms_apart"] = {str(fps): round(float(1000 / Fraction(fps)), 1) for fps in (30, 60)}
    return result


def main(model: str | None, seconds: float, sound: Path | None) -> dict[str, Any]:
    """Measure and print; the last line is the JSON."""
    result = measure(model, seconds, sound)
    for name, value in result.items():
        print(f"{name:28} {value}")
    print(json.dumps(result))
    return result


