"""How fast, how big, how late: measured here, now, by one command.

One promise: every figure is timed in this run; the last line of output is the whole result as JSON.

    duomorph bench --seconds 60 --json bench.json      # about a minute; with --long also an hour of sound

Ratios within a run can be compared, seconds between machines cannot.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from duomorph import audio
from duomorph.audio import BLOCK_SECONDS
from duomorph.clock import SAMPLE_RATE, TICK_RATE, end_sample
from duomorph.emotion import EmotionTrack
from duomorph.face import Face, load
from duomorph.footprint import alone, buffers, cold_start, memory_stages_mb, peak_memory_mb, tables
from duomorph.mel import MelStream

Float32 = NDArray[np.float32]

BLOCK_RATE: Final = 125  # input blocks a second of the live profile: 8 ms each
REPEATS: Final = 3
SHORT_S: Final = 20  # of sound, where more shows nothing else
LIVE_S: Final = 5  # of the live process
LENGTHS_S: Final = (10, 60, 600, 3600)  # of one stream; those over a minute are for `long`
STREAMS: Final = (1, 4, 16)  # voices in one thread
STREAMS_S: Final = 3


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


def chunk_costs(face: Face, sound: Float32, rate: int, fps: int = 60) -> tuple[list[float], list[float]]:
    """Seconds that each chunk of a live stream takes, `rate` chunks a second; and those of them that give a frame."""
    stream = face.stream(fps, delay_ms=17)
    every, giving = [], []
    for chunk in _chunks(sound, rate):
        began = time.perf_counter()
        frames = stream.feed(chunk)
        every.append(time.perf_counter() - began)
        if len(frames):
            giving.append(every[-1])
    return every, giving


def _chunks(sound: Float32, rate: int) -> Iterator[Float32]:
    for index in range(len(sound) * rate // SAMPLE_RATE):
        yield sound[end_sample(index, rate) : end_sample(index + 1, rate)]


def first_frame_s(face: Face, sound: Float32, delay_ms: float) -> float:
    """Seconds of audio after which a stream gives its first frame, fed sample block by sample block (1 ms)."""
    stream = face.stream(fps=60, delay_ms=delay_ms)
    for begin in range(0, len(sound), 16):
        if len(stream.feed(sound[begin : begin + 16])):
            return (begin + 16) / SAMPLE_RATE
    raise AssertionError("no frame in the whole sound")


_MEASURE: Final = """
import json, sys
from pathlib import Path
from duomorph import bench
what, model, seconds, path, long = sys.argv[1:]
found = getattr(bench, what)(model or None, float(seconds), Path(path) if path else None, long == "1")
print(json.dumps(found))
"""


def model_files(path: Path) -> list[Path]:
    """The graph and, where they are not inside, the weights beside it."""
    return [part for part in (path, path.with_suffix(".safetensors")) if part.is_file()]


def cost_by_length(face: Face, sound: Float32, lengths: Sequence[float]) -> dict[str, float]:
    """Processor seconds for a second of sound, of one stream fed so many seconds, ten at a time."""
    costs = {}
    for seconds in lengths:
        took = []
        for _ in range(REPEATS if seconds <= 60 else 1):
            stream, began = face.stream(fps=60, delay_ms=100), time.process_time()
            for at in np.arange(0, seconds, BLOCK_SECONDS):
                stream.feed(np.resize(sound, round(min(BLOCK_SECONDS, seconds - at) * SAMPLE_RATE)))
            stream.finish()
            took.append(time.process_time() - began)
        costs[f"{seconds:g}"] = round(min(took) / seconds, 5)
    return costs


def cost_by_streams(face: Face, sound: Float32, counts: Sequence[int]) -> dict[str, float]:
    """Processor seconds for a second of one voice, of so many that get chunks of 16.7 ms in turn, in one thread."""
    costs = {}
    for count in counts:
        streams = [face.stream(fps=60, delay_ms=17) for _ in range(count)]
        began = time.process_time()
        for chunk in _chunks(sound, TICK_RATE):
            for stream in streams:
                stream.feed(chunk)
        costs[str(count)] = round((time.process_time() - began) * SAMPLE_RATE / (len(sound) * count), 4)
    return costs


def memory(model: str, sound: Float32, long: bool) -> dict[str, float]:
    """Peak of fresh processes in MB: `duomorph animate` at 60 fps into a CSV file, `duomorph live` for some seconds."""
    given = ["--model", model] if model else []
    lengths = [len(sound), 3600 * SAMPLE_RATE] if long else [len(sound)]
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        speech, curves = Path(folder) / "speech.wav", Path(folder) / "speech.csv"
        for samples in lengths:
            with soundfile.SoundFile(speech, "w", SAMPLE_RATE, 1) as file:
                while file.tell() < samples:
                    file.write(sound[: samples - file.tell()])
            name = f"animate {samples / SAMPLE_RATE:g} s"
            peaks[name] = peak_memory_mb("animate", str(speech), "-o", str(curves), "--fps", "60", *given)
        soundfile.write(speech, sound[: LIVE_S * SAMPLE_RATE], SAMPLE_RATE)
        sink = f"jsonl://{Path(folder) / 'live.jsonl'}"
        peaks["live"] = peak_memory_mb("live", "--file", str(speech), "--fps", "60", "--sink", sink, *given)
    return {name: round(value, 1) for name, value in peaks.items()}


def measure(
    model: str | None = None, seconds: float = 60, path: Path | None = None, long: bool = False
) -> dict[str, Any]:
    """All figures, as plain data, taken in a process of their own with one thread, and in one with all."""
    arguments = (model or "", str(seconds), str(path or ""))
    result: dict[str, Any] = json.loads(alone(_MEASURE, "measure_here", *arguments, str(int(long))))
    result["all_threads"] = json.loads(alone(_MEASURE, "threads_here", *arguments, "0", one_thread=False))
    return result


def threads_here(model: str | None, seconds: float, path: Path | None, long: bool) -> dict[str, Any]:
    """What more threads are worth, in this process and with as many as the machine has cores."""
    count = os.cpu_count() or 1
    return {"threads": count} | real_time_factors(load(model, threads=count), speech(seconds, path))


def real_time_factors(face: Face, sound: Float32) -> dict[str, Any]:
    """Seconds for a second of sound: whole sounds, and chunks of 16.7 ms."""
    seconds = len(sound) / SAMPLE_RATE
    result: dict[str, Any] = {}
    for fps in (30, 60):
        result[f"rtf_{fps}"] = round(timed(lambda fps=fps: face.animate(sound, fps=fps)) / seconds, 5)  # type: ignore[misc]
    for fps, name in ((60, "chunk_ms"), (30, "chunk_ms_30")):
        every, giving = chunk_costs(face, sound[: SHORT_S * SAMPLE_RATE], TICK_RATE, fps)
        result[name] = spread(giving) | {f"rtf_{fps}": round(statistics.mean(every) * TICK_RATE, 4)}
    return result


def measure_here(model: str | None, seconds: float, path: Path | None, long: bool) -> dict[str, Any]:
    """All figures but those of many threads, in this process and with its threads."""
    face = load(model, threads=1)
    sound = speech(seconds, path)
    info = face.info()
    peaks = memory(model or "", sound, long)
    result: dict[str, Any] = {
        "audio_s": seconds,
        "threads": 1,
        "best_of": REPEATS,
        "weights_sha256": info.weights_sha256,
        "model_mb": round(info.megabytes, 2),
        "model_bytes": {part.name: part.stat().st_size for part in model_files(Path(info.path))},
        "parameters": info.provenance.parameters,
        "mmac_per_tick": round(info.macs_per_tick / 1e6, 3),
        "peak_memory_mb": max(peak for name, peak in peaks.items() if name != "live"),
        "peak_memory_of_mb": peaks,
        "memory_stages_mb": memory_stages_mb(model or ""),
        "cold_start": cold_start(model or ""),
    }
    parts = {
        "mel": timed(lambda: MelStream().feed(sound)) / seconds,
        "emotion": timed(lambda: EmotionTrack().feed(sound)) / seconds,
    }
    result |= real_time_factors(face, sound)
    parts["network and frames"] = result["rtf_60"] - sum(parts.values())
    result["rtf_parts"] = {name: round(value, 5) for name, value in parts.items()}
    short = sound[: SHORT_S * SAMPLE_RATE]
    result["first_frame_ms_at_delay_33"] = round(1e3 * first_frame_s(face, short, 33), 1)
    costs = chunk_costs(face, short, BLOCK_RATE)[1]
    result["live_block_ms"] = spread(costs)
    for name, compute in (("", statistics.median(costs)), ("_p99", float(np.percentile(costs, 99)))):
        latency = face.stream(fps=60, delay_ms=17).latency(1 / BLOCK_RATE, compute)
        parts_ms = {part.removesuffix("_s"): round(1e3 * value, 2) for part, value in vars(latency).items()}
        result[f"latency_ms_live{name}"] = parts_ms | {"total": round(1e3 * latency.total_s, 2)}
    result["frame_period_ms_apart"] = {str(fps): round(float(1000 / Fraction(fps)), 1) for fps in (30, 60)}
    result["cost_by_length"] = cost_by_length(face, sound, LENGTHS_S[: 4 if long else 2])
    result["cost_by_streams"] = cost_by_streams(face, sound[: STREAMS_S * SAMPLE_RATE], STREAMS)
    stream = face.stream(fps=60, delay_ms=17)
    for chunk in _chunks(np.resize(sound, 30 * SAMPLE_RATE), TICK_RATE):
        stream.feed(chunk)
    kept = dict(sorted(buffers(stream).items(), key=lambda entry: -entry[1]))
    result["buffer_bytes"] = {"one voice": sum(kept.values()), **kept, "tables all voices share": tables()}
    return result


def main(model: str | None, seconds: float, sound: Path | None, long: bool = False) -> dict[str, Any]:
    """Measure and print; the last line is the JSON."""
    result = measure(model, seconds, sound, long)
    for name, value in result.items():
        print(f"{name:28} {value}")
    print(json.dumps(result))
    return result
