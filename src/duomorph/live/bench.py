"""How late live frames are: measured here, now, through a real socket.

One promise: what is stated is compared with what arrives; the last line of output is the whole result as JSON.

    duomorph bench --live --seconds 60 --json live.json

Speech at 48 kHz is played in real time as a microphone would give it, in blocks of 8 ms; the frames go by UDP to a
listener in the same process, who notes when each comes. The latency of a frame is from its moment of the sound to
its packet, plus what the filters and the smoothing delay in its content. One frame more is the worst that an event in
the sound can wait for the packet that shows it.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from duomorph.bench import speech, spread
from duomorph.clock import PROFILES, SAMPLE_RATE, TICK_RATE, delay_ticks, end_sample
from duomorph.errors import DuomorphError
from duomorph.face import Face, load
from duomorph.footprint import alone
from duomorph.live.session import Live
from duomorph.live.sinks import open_sink
from duomorph.live.sources import Paced
from duomorph.live.voice import Voice
from duomorph.shaping import RAW
from duomorph.wire import livelink

Float32 = NDArray[np.float32]

RATE: Final = 48_000  # of the microphone that is stood for
FPS: Final = 60
MEASURED: Final = ("live", "balanced")  # profiles; offline is not for now
FITS: Final = (12, 14, 16, 18, 20, 24)  # streams at once, to try
FIT_S: Final = 8.0
DELAY_MS: Final = 33.0  # of each
PACKET_S: Final = 0.02  # of sound, as networks bring it
FIT_LATE_S: Final = 1 / 30  # they fit where 99 frames of 100 are no later than one frame

_MEASURE: Final = """
import json, sys
from pathlib import Path
from duomorph.live.bench import measure_here
print(json.dumps(measure_here(sys.argv[1] or None, float(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3] else None)))
"""


class Listener:
    """Notes when the packets come that one sink sends."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
        self.came: list[tuple[float, bytes]] = []
        self._open = True
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                packet = self._socket.recv(2048)
            except TimeoutError:
                continue
            self.came.append((time.monotonic(), packet))

    def close(self) -> None:
        """After the last packet is in."""
        time.sleep(0.1)
        self._open = False
        self._thread.join()
        self._socket.close()


def through_socket(face: Face, sound: Float32, delay_ms: float) -> dict[str, Any]:
    """Play (S,) samples at 48 kHz in real time; figures of what came."""
    source = Paced([sound], RATE)
    session = Live(source, FPS, face=face, delay_ms=delay_ms)
    listener = Listener()
    sink = open_sink(f"livelink://127.0.0.1:{listener.port}", session.fps, "bench", lambda command: None)
    compute, cpu, moments = [], [], []
    try:
        before = time.thread_time()
        for frame in session:
            sink.send(frame)
            moments.append(frame.time_s)
            compute.append(session.stats.compute_s)
            cpu.append(time.thread_time() - before)
            before = time.thread_time()
    finally:
        sink.close()
        listener.close()
    if len(listener.came) != len(moments):
        raise DuomorphError(f"got {len(listener.came)} packets of {len(moments)}: expected all; is the machine busy?")
    assert source.began is not None
    arrived = np.array([moment for moment, _ in listener.came]) - source.began
    latency = session.latency(float(np.median(compute)))
    content = latency.filters_s + latency.smoothing_s
    sooner = livelink.decode(listener.came[1][1]).frame.number - livelink.decode(listener.came[0][1]).frame.number
    late = arrived - moments + content
    needed = np.array([end_sample(round(moment * TICK_RATE) + delay_ticks(delay_ms), TICK_RATE) for moment in moments])
    blocks = np.ceil(needed / SAMPLE_RATE / source.block_s) * source.block_s  # when the last sample needed was there
    result = {
        "frames": len(moments),
        "dropped": session.stats.dropped,
        "packet_step": sooner,
        "stated_ms": round(1e3 * latency.total_s, 2),
        "stated_parts_ms": {name.removesuffix("_s"): round(1e3 * part, 2) for name, part in vars(latency).items()},
        "measured_ms": spread(list(late)),
        "after_its_last_sample_ms": spread(list(arrived - blocks)),
        "compute_ms": spread(compute),
        "cpu_per_frame_ms": spread(cpu),
    }
    result["worst_from_sound_to_packet_ms"] = round(result["measured_ms"]["p99"] + 1e3 / FPS, 2)  # type: ignore[index]
    return result


def reacts(face: Face, sound: Float32, delay_ms: float) -> dict[str, int]:
    """By perturbation, in samples at 16 kHz: the last sample that changes frame 30, stated and found."""
    number = 30
    stated = end_sample(number * TICK_RATE // FPS + delay_ticks(delay_ms), TICK_RATE) - 1

    def shown(sample: int | None) -> Float32:
        changed = sound[: 2 * SAMPLE_RATE].copy()
        if sample is not None:
            changed[sample:] = 0.9
        return Voice(face, FPS, delay_ms, shaping=RAW).feed(changed)[number].weights

    base = shown(None)
    around = range(stated - 3, stated + 4)
    found = max((sample for sample in around if not np.array_equal(shown(sample), base)), default=-1)
    return {"stated": stated, "found": found}


def fitting(face: Face, sound: Float32, count: int) -> dict[str, Any]:
    """So many voices at 30 fps at once, as a server has them: asyncio, one model, blocks of 20 ms in real time, begun
    one after the other within a second. A frame is late by what has passed since the block that completes it came."""
    late: list[float] = []
    step = round(PACKET_S * SAMPLE_RATE)

    async def voice(after_s: float) -> None:
        await asyncio.sleep(after_s)
        begun = time.monotonic()

        async def blocks() -> AsyncIterator[Float32]:
            for begin in range(0, len(sound), step):
                await asyncio.sleep(max(0.0, begun + (begin + step) / SAMPLE_RATE - time.monotonic()))
                yield sound[begin : begin + step]

        ticks = delay_ticks(DELAY_MS)
        async for frame in Live(blocks(), 30, face=face, delay_ms=DELAY_MS):
            needed = end_sample(2 * frame.number + ticks, TICK_RATE)
            late.append(time.monotonic() - begun - math.ceil(needed / step) * PACKET_S)

    async def voices() -> None:
        await asyncio.gather(*(voice(number / count) for number in range(count)))

    began, cpu = time.monotonic(), time.process_time()
    asyncio.run(voices())
    cores = (time.process_time() - cpu) / (time.monotonic() - began)
    p99 = float(np.percentile(late, 99))
    return {"streams": count, "fits": p99 <= FIT_LATE_S, "late_ms": spread(late), "frames": len(late),
            "cores": round(cores, 2)}  # fmt: skip


def measure_here(model: str | None, seconds: float, path: Path | None) -> dict[str, Any]:
    """All figures, in this process and with its threads."""
    face = load(model, threads=1)
    sound = speech(seconds, path)
    loud: Float32 = soxr.resample(sound, SAMPLE_RATE, RATE).astype(np.float32)
    result: dict[str, Any] = {"audio_s": seconds, "fps": FPS, "weights_sha256": face.info().weights_sha256}
    for name in MEASURED:
        delay_ms = PROFILES[name]
        result[name] = through_socket(face, loud, delay_ms) | {"last_sample": reacts(face, sound, delay_ms)}
    result["streams_at_30"] = [fitting(face, sound[: round(FIT_S * SAMPLE_RATE)], FITS[0])]
    for count in FITS[1:]:
        if not result["streams_at_30"][-1]["fits"]:
            break
        result["streams_at_30"].append(fitting(face, sound[: round(FIT_S * SAMPLE_RATE)], count))
    result["frame_period_ms_apart"] = round(float(1000 / Fraction(FPS)), 1)
    return result


def main(model: str | None, seconds: float, path: Path | None) -> dict[str, Any]:
    """Measure in a process of its own and print; the last line is the JSON."""
    result: dict[str, Any] = json.loads(alone(_MEASURE, model or "", str(seconds), str(path or "")))
    for name, value in result.items():
        print(f"{name:24} {value}")
    print(json.dumps(result))
    return result
