"""How fast, how big, how late: measured here, now, by one command.

One promise: every figure is timed in this run; the last line of output is the whole result as JSON.

    duomorph bench --seconds 60 --json bench.json

Ratios within a run can be compared, seconds between machines cannot.
"""

from __future__ import annotations

import json
import os
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
from duomorph.errors import DuomorphError
from duomorph.face import Face, load
from duomorph.mel import MelStream

Float32 = NDArray[np.float32]

BLOCK_RATE = 125  # input blocks a second of the live profile: 8 ms each
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


def spread(costs: list[float]) -> dict[str, float]:
    """Median, 99th percentile and greatest, in ms."""
    return {
        "p50": round(1e3 * statistics.median(costs), 3),
        "p99": round(1e3 * float(np.percentile(costs, 99)), 3),
        "max": round(1e3 * max(costs), 3),
    }


def chunk_costs(face: Face, sound: Float32, rate: int) -> list[float]:
    """Seconds that each chunk of a live stream at 60 fps takes, `rate` chunks a second; those that give a frame."""
    stream = face.stream(fps=60, delay_ms=17)
    costs = []
    for index in range(len(sound) * rate // SAMPLE_RATE):
        chunk = sound[end_sample(index, rate) : end_sample(index + 1, rate)]
        began = time.perf_counter()
        frames = stream.feed(chunk)
        if len(frames):
            costs.append(time.perf_counter() - began)
    return costs


def first_frame_s(face: Face, sound: Float32, delay_ms: float) -> float:
    """Seconds of audio after which a stream gives its first frame, fed sample block by sample block (1 ms)."""
    stream = face.stream(fps=60, delay_ms=delay_ms)
    for begin in range(0, len(sound), 16):
        if len(stream.feed(sound[begin : begin + 16])):
            return (begin + 16) / SAMPLE_RATE
    raise AssertionError("no frame in the whole sound")


ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# Linux hands ru_maxrss down to children, so a child of a large process would look large: VmHWM is its own.
_ANIMATE = """
import pathlib, resource, sys, time
began = time.perf_counter()
import duomorph
clip = duomorph.load(sys.argv[2] or None).animate(sys.argv[1], fps=60)
seconds = time.perf_counter() - began
status = pathlib.Path("/proc/self/status")
if status.exists():
    peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
print(peak, seconds)
"""

_MEASURE = """
import json, sys
from pathlib import Path
from duomorph.bench import measure_here
print(json.dumps(measure_here(sys.argv[1] or None, float(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3] else None)))
"""


def alone(program: str, *arguments: str) -> str:
    """Run a program in a fresh interpreter with one thread in every library; the last line it prints."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    if done.returncode:
        raise DuomorphError(done.stderr.strip().splitlines()[-1].partition(": ")[2])
    return done.stdout.splitlines()[-1]


def peak_memory_mb(sound: Float32, model: str) -> tuple[float, float]:
    """Peak resident memory in MB and seconds of a fresh process that loads the model and animates a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        soundfile.write(path, sound, SAMPLE_RATE)
        kilobytes, seconds = map(float, alone(_ANIMATE, str(path), model).split())
    return kilobytes / 1024, seconds


def measure(model: str | None = None, seconds: float = 60, path: Path | None = None) -> dict[str, Any]:
    """All figures, as plain data, taken in a process of their own with one thread."""
    result: dict[str, Any] = json.loads(alone(_MEASURE, model or "", str(seconds), str(path or "")))
    return result


def measure_here(model: str | None, seconds: float, path: Path | None) -> dict[str, Any]:
    """All figures, in this process and with its threads."""
    face = load(model, threads=1)
    sound = speech(seconds, path)
    info = face.info()
    memory, cold = peak_memory_mb(sound, model or "")
    result: dict[str, Any] = {
        "audio_s": seconds,
        "threads": 1,
        "best_of": REPEATS,
        "weights_sha256": face.info().weights_sha256,
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
    short = sound[: 20 * SAMPLE_RATE]
    costs = chunk_costs(face, short, TICK_RATE)
    result["chunk_ms"] = spread(costs) | {"rtf_60": round(statistics.mean(costs) * TICK_RATE, 4)}
    result["first_frame_ms_at_delay_33"] = round(1e3 * first_frame_s(face, sound, 33), 1)
    costs = chunk_costs(face, short, BLOCK_RATE)
    result["live_block_ms"] = spread(costs)
    for name, compute in (("", statistics.median(costs)), ("_p99", float(np.percentile(costs, 99)))):
        latency = face.stream(fps=60, delay_ms=17).latency(1 / BLOCK_RATE, compute)
        parts_ms = {part.removesuffix("_s"): round(1e3 * value, 2) for part, value in vars(latency).items()}
        result[f"latency_ms_live{name}"] = parts_ms | {"total": round(1e3 * latency.total_s, 2)}
    result["frame_period_ms_apart"] = {str(fps): round(float(1000 / Fraction(fps)), 1) for fps in (30, 60)}
    return result


def main(model: str | None, seconds: float, sound: Path | None) -> dict[str, Any]:
    """Measure and print; the last line is the JSON."""
    result = measure(model, seconds, sound)
    for name, value in result.items():
        print(f"{name:28} {value}")
    print(json.dumps(result))
    return result


