"""How each program beside this one is measured: fresh process, one thread, one warm run, then the quickest of some.

python benchmarks/peers/ours.py speech.wav 60      # the last line is JSON; 3 as exit code: it is not here, and why
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import soundfile

REPEATS = 3


class Absent(Exception):
    """What is needed is not installed; its text says what."""


def used_s() -> float:
    """Processor seconds of this process and of the programs that it started."""
    return time.process_time() + sum(os.times()[2:4])


def main(prepare: Callable[..., Callable[[], object]]) -> None:
    """`prepare(sound, fps, *more)` loads what there is to load and gives the work on (S,) samples at 16 kHz."""
    path, fps, *more = sys.argv[1:]
    sound, _ = soundfile.read(path, dtype="float32")
    try:
        work = prepare(sound, int(fps), *more)
    except Absent as reason:
        print(reason, file=sys.stderr)
        sys.exit(3)
    wall, cpu, begun = [], [], time.monotonic()
    for run in range(REPEATS + 1):
        before, used = time.perf_counter(), used_s()
        work()
        if run or time.monotonic() - begun > 20:  # the first warms up, unless it takes for ever
            wall.append(time.perf_counter() - before)
            cpu.append(used_s() - used)
        if time.monotonic() - begun > 60:
            break
    status = Path("/proc/self/status")
    peak = None
    if status.exists():
        peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    seconds = len(sound) / 16_000
    print(json.dumps({"rtf": min(wall) / seconds, "cpu_rtf": min(cpu) / seconds, "peak_mb": peak, "runs": len(wall)}))
