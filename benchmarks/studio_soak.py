"""Ten pages at one studio for half an hour: its memory stays flat, and every frame comes.

    python benchmarks/studio_soak.py --minutes 30 --json benchmarks/results/studio_soak.json     # make soak
    python benchmarks/studio_soak.py --minutes 0.4                                               # does it run?

Each page speaks takes, some of them cut off, some with nonsense at the end, and has a take exported now and then. Eight
speak in real time at most: where the machine is too slow they wait for their frames, and how far they fall behind is
told. Two send all that is taken, as fast as it is taken. A bar that does not hold is an error, and nothing is written.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import resource
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from duomorph import bench, files
from duomorph.clock import SAMPLE_RATE
from duomorph.studio.parcel import pack

PAGES = 10
HASTY = 2  # of them
FPS = 30
TAKE_S = 60  # or a tenth of the time, if that is less
WARM = 0.3  # of the time, before memory is compared,
LEAST_MIN = 5  # which says nothing in less
FLAT_MB = 8.0  # ten takes at once come and go within that


@dataclass
class Soak:
    pages: int
    hasty: int
    minutes: float
    takes: int = 0
    cut_off: int = 0
    exports: int = 0
    sound_s: float = 0.0
    behind_s: float = 0.0  # the farthest that a page in real time fell behind: its sound waited so long to be spoken
    memory_warm_mb: float = 0.0
    memory_end_mb: float = 0.0
    memory_grown_mb: float = 0.0  # median of the last fifth over that of the fifth after the warm one


@dataclass
class Page:
    """One of them; it counts what it does in `soak`, and puts down what went wrong."""

    port: int
    dice: random.Random
    hasty: bool
    until: float
    sound: np.ndarray
    soak: Soak
    wrong: list[str]

    def run(self) -> None:
        try:
            while time.monotonic() < self.until:
                address = f"ws://127.0.0.1:{self.port}/voice"
                with connect(address, compression=None, max_size=None, ping_timeout=None) as line:
                    line.recv(timeout=120)
                    whole = self.speak(line)
                if whole:
                    self.export()
        except (OSError, ConnectionClosed, TimeoutError) as problem:  # the studio may not turn anybody out
            self.wrong.append(f"{type(problem).__name__}: {problem}")

    def speak(self, line: ClientConnection) -> bool:
        """A take; whether it came whole."""
        length = len(self.sound) // SAMPLE_RATE
        cut = self.dice.random() < 0.2
        seconds = self.dice.randint(1, length - 1) if cut else length
        line.send(json.dumps({"begin": 1, "rate": SAMPLE_RATE, "fps": FPS, "settings": {"idle": "calm"}}))
        frames, began = 0, time.monotonic()
        for second in range(seconds):
            line.send(self.sound[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE].tobytes())
            if self.hasty:
                continue
            while frames < second * FPS:
                frames += count(line.recv(timeout=120))
            if time.monotonic() > self.until:
                return False
            ahead = began + second + 1 - time.monotonic()
            self.soak.behind_s = max(self.soak.behind_s, -ahead)
            time.sleep(max(0.0, ahead))
        self.soak.sound_s += seconds
        if cut:
            self.soak.cut_off += 1
            if self.dice.random() < 0.5:
                line.send("nonsense")
                with suppress(ConnectionClosed):
                    while True:
                        line.recv(timeout=120)
            return False
        line.send(json.dumps({"end": 1}))
        while isinstance(said := line.recv(timeout=120), bytes) or "ended" not in said:
            frames += count(said)
        if frames != FPS * length:
            self.wrong.append(f"{frames} frames of {length} s")
        self.soak.takes += 1
        return True

    def export(self) -> None:
        body = pack({"fps": FPS}, curves=bytes(4 * 61 * FPS * len(self.sound) // SAMPLE_RATE))
        ask = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with closing(ask):
            ask.request("POST", f"/api/export/{self.dice.choice(['csv', 'glb', 'json'])}", body)
            answer = ask.getresponse()
            answer.read()
        self.soak.exports += 1
        if answer.status != 200:
            self.wrong.append(f"status {answer.status}")


def count(said: str | bytes) -> int:
    """How many frames are in a message."""
    return len(said) // 260 if isinstance(said, bytes) else 0


def run(minutes: float) -> Soak:
    command = [sys.executable, "-m", "duomorph", "studio", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as studio:
        try:
            assert studio.stdout
            found = re.search(r":(\d+)/", studio.stdout.readline())
            assert found, "the studio did not start"
            soak, wrong, memory = Soak(PAGES, HASTY, minutes), list[str](), list[float]()
            sound = bench.speech(max(2, min(TAKE_S, round(6 * minutes))), None)
            until = time.monotonic() + 60 * minutes
            pages = [
                threading.Thread(
                    target=Page(int(found[1]), random.Random(seed), seed < HASTY, until, sound, soak, wrong).run
                )
                for seed in range(PAGES)
            ]
            for one in pages:
                one.start()
            while time.monotonic() < until:
                pages_used = int(Path(f"/proc/{studio.pid}/statm").read_text().split()[1])
                memory.append(pages_used * resource.getpagesize() / 1e6)
                time.sleep(1)
            for one in pages:
                one.join()
        finally:
            studio.terminate()
    fifth = len(memory) // 5
    warm = round(WARM * len(memory))
    soak.memory_warm_mb = float(np.median(memory[warm : warm + fifth]))
    soak.memory_end_mb = float(np.median(memory[-fifth:]))
    soak.memory_grown_mb = soak.memory_end_mb - soak.memory_warm_mb
    print(asdict(soak), flush=True)
    assert not wrong, wrong[:5]
    assert soak.takes
    assert minutes < LEAST_MIN or soak.memory_grown_mb <= FLAT_MB, soak
    return soak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    soak = run(arguments.minutes)
    if arguments.json:
        files.write(arguments.json, (json.dumps(asdict(soak), indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
