"""Hours of live work: at top speed, memory flat and every frame there; in real time, with all that goes wrong.

    python benchmarks/live_soak.py --hours 2 --minutes 30 --json benchmarks/results/live_soak.json     # make soak

Top speed: so much speech through one session, 60 frames a second, as quickly as it goes. In real time: a microphone's
worth of sound in blocks of 8 ms; every few seconds the whole process stalls for 0 to 500 ms, a listener is killed or
comes back, a port refuses. A bar that does not hold is an error, and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import duomorph
from duomorph import bench, files
from duomorph.clock import frame_count
from duomorph.live import Live, Paced
from duomorph.live.sinks import Sink, open_sink
from duomorph.memory import steady
from duomorph.wire import Command

FPS = 60
CHUNK = 1600  # samples; at top speed
WARM = 0.2  # of the time, before memory is compared
FLAT_MB = 2.0
NORMAL_S = 0.025  # behind its time a frame may be, when nothing stalls
WITHIN_S = 1.0  # after a stall the lag is normal again


@dataclass(frozen=True)
class Fast:
    """At top speed."""

    audio_s: float
    wall_s: float
    frames: int
    expected_frames: int
    memory_warm_mb: float
    memory_end_mb: float
    memory_grown_mb: float  # most over what it was when warm


@dataclass(frozen=True)
class RealTime:
    """In real time."""

    audio_s: float
    stalls: int
    stalled_s: float
    killed: int
    commands: int
    frames: int
    dropped: int
    skipped_s: float
    sink_drops: dict[str, int]
    numbers_rise: bool
    late_ms_p50: float
    late_ms_p99: float
    recovery_ms_worst: float  # from the end of a stall until frames are on time again


def memory_mb() -> float:
    """Resident now, not at its peak."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # elsewhere the peak must do


def speech(samples: int, size: int) -> Iterator[NDArray[np.float32]]:
    """So many samples of the sample speech, over and over, a chunk at a time."""
    sound = bench.speech(60, None)
    for at in range(0, samples, size):
        yield np.take(sound, np.arange(at, min(at + size, samples)), mode="wrap")


def fast(face: duomorph.Face, seconds: float) -> Fast:
    samples = round(seconds * 16000)
    began, frames, warm, most = time.monotonic(), 0, 0.0, 0.0
    for frame in Live(speech(samples, CHUNK), FPS, face=face):
        frames += 1
        assert frame.number == frames - 1
        if frames % FPS == 0:
            now = memory_mb()
            if frame.time_s < WARM * seconds:
                warm = max(warm, now)
            most = max(most, now)
    expected = frame_count(samples, Live([], FPS, face=face).fps)
    result = Fast(seconds, time.monotonic() - began, frames, expected, warm, memory_mb(), most - warm)
    assert frames == expected, result
    assert result.memory_grown_mb <= FLAT_MB, result
    return result


class Troubles:
    """What befalls a session, by the dice."""

    def __init__(self, session: Live, every_s: float, seed: int) -> None:
        self._dice = random.Random(seed)
        self._session, self._every_s = session, every_s
        self._next = every_s
        self._listener: socket.socket | None = None
        self.port = self._free()
        self.stalls: list[float] = []
        self.killed = self.commands = 0

    def _free(self) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    def listen(self) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._listener.bind(("127.0.0.1", self.port))

    def close(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None

    def befall(self, moment: float) -> bool:
        """Perhaps something; was it a stall?"""
        if moment < self._next:
            return False
        self._next = moment + self._every_s * self._dice.uniform(0.7, 1.3)
        kind = self._dice.choice(["stall", "stall", "listener", "command"])
        if kind == "stall":
            self.stalls.append(self._dice.uniform(0, 0.5))
            time.sleep(self.stalls[-1])
        elif kind == "listener":  # from now on its port refuses, or no longer
            self.killed += self._listener is not None
            self.close() if self._listener else self.listen()
        else:
            self.commands += 1
            self._session.command(self._dice.choice(list(Command)))
        return kind == "stall"


def paced(
    face: duomorph.Face, seconds: float, every_s: float = 3.0, seed: int = 0, normal_s: float = NORMAL_S
) -> RealTime:
    session = Live(Paced(speech(round(seconds * 16000), 16000)), FPS, face=face)
    troubles = Troubles(session, every_s, seed)
    troubles.listen()
    urls = [f"livelink://127.0.0.1:{troubles.port}", f"vmc://127.0.0.1:{troubles._free()}", "ws://127.0.0.1:0"]
    sinks: list[Sink] = [open_sink(url, session.fps, "soak", session.command) for url in urls]
    late, numbers, recoveries = [], [], []
    stalled: float | None = None  # moment at which the last stall ended, until the lag is normal
    try:
        for frame in session:
            for sink in sinks:
                sink.send(frame)
            numbers.append(frame.number)
            late.append(session.stats.late_s)
            if stalled is not None and late[-1] <= normal_s:
                recoveries.append(time.monotonic() - stalled)
                stalled = None
            if troubles.befall(frame.time_s):
                stalled = time.monotonic()
    finally:
        for sink in sinks:
            sink.close()
        troubles.close()
    result = RealTime(
        seconds, len(troubles.stalls), sum(troubles.stalls), troubles.killed, troubles.commands,
        session.stats.frames, session.stats.dropped, session.stats.skipped_s,
        {sink.name.partition(":")[0]: sink.dropped for sink in sinks},
        bool((np.diff(numbers) > 0).all()), 1e3 * float(np.percentile(late, 50)), 1e3 * float(np.percentile(late, 99)),
        1e3 * max(recoveries, default=0.0),
    )  # fmt: skip
    assert result.numbers_rise, result
    assert numbers[-1] == frame_count(round(seconds * 16000), session.fps) - 1, result
    assert result.recovery_ms_worst <= 1e3 * WITHIN_S, result
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0, help="of audio at top speed; 0 leaves it out")
    parser.add_argument("--minutes", type=float, default=30.0, help="in real time; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    steady()  # as `duomorph live` does
    face = duomorph.load()
    result: dict[str, object] = {"weights_sha256": face.info().weights_sha256, "fps": FPS}
    if arguments.hours:
        result["top_speed"] = asdict(fast(face, 3600 * arguments.hours))
        print(result["top_speed"], flush=True)
    if arguments.minutes:
        result["real_time"] = asdict(paced(face, 60 * arguments.minutes))
        print(result["real_time"], flush=True)
    if arguments.json:
        files.write(arguments.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
