"""Ten pages at one studio for half an hour: its memory stays flat, and every frame comes.

    python benchmarks/studio_soak.py --minutes 30 --json benchmarks/results/studio_soak.json     # make soak

Each page speaks takes of a minute, at most in real time, some of them cut off, some with nonsense at the end, and has a
take exported now and then. A bar that does not hold is an error, and nothing is written.
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
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from duomorph import bench, files
from duomorph.clock import SAMPLE_RATE
from duomorph.studio.parcel import pack

PAGES = 10
FPS = 30
TAKE_S = 60
WARM = 0.3  # of the time, before memory is compared
FLAT_MB = 8.0  # ten takes at once come and go within that


@dataclass
class Soak:
    pages: int
    minutes: float
    takes: int = 0
    cut_off: int = 0
    exports: int = 0
    sound_s: float = 0.0
    memory_warm_mb: float = 0.0
    memory_end_mb: float = 0.0
    memory_grown_mb: float = 0.0  # median of the last fifth over that of the fifth after the warm one


def page(port: int, seed: int, until: float, soak: Soak, sound: np.ndarray, wrong: list[str]) -> None:
    dice = random.Random(seed)
    with suppress(OSError):
        while time.monotonic() < until:
            with connect(f"ws://127.0.0.1:{port}/voice", compression=None, max_size=None, ping_timeout=None) as line:
                line.recv()
                cut = dice.random() < 0.2
                seconds = dice.randint(2, TAKE_S - 1) if cut else TAKE_S
                line.send(json.dumps({"begin": 1, "rate": SAMPLE_RATE, "fps": FPS, "settings": {"idle": "calm"}}))
                frames = 0
                for second in range(seconds):
                    began = time.monotonic()
                    line.send(sound[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE].tobytes())
                    while frames < max(0, second) * FPS:
                        said = line.recv(timeout=120)
                        frames += len(said) // 260 if isinstance(said, bytes) else 0
                    if time.monotonic() > until:
                        return
                    time.sleep(max(0.0, began + 1 - time.monotonic()))
                soak.sound_s += seconds
                if cut:
                    soak.cut_off += 1
                    if dice.random() < 0.5:
                        line.send("nonsense")
                        with suppress(ConnectionClosed):
                            while True:
                                line.recv(timeout=30)
                    continue
                line.send(json.dumps({"end": 1}))
                while isinstance(said := line.recv(timeout=120), bytes) or "ended" not in said:
                    frames += len(said) // 260 if isinstance(said, bytes) else 0
                if frames != FPS * TAKE_S:
                    wrong.append(f"{frames} frames")
                soak.takes += 1
            body = pack({"fps": FPS}, curves=bytes(4 * 61 * FPS * TAKE_S))
            ask = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            ask.request("POST", f"/api/export/{dice.choice(['csv', 'glb', 'json'])}", body)
            answer = ask.getresponse()
            answer.read()
            ask.close()
            soak.exports += 1
            if answer.status != 200:
                wrong.append(f"status {answer.status}")


def run(minutes: float) -> Soak:
    command = [sys.executable, "-m", "duomorph", "studio", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as studio:
        try:
            assert studio.stdout
            found = re.search(r":(\d+)/", studio.stdout.readline())
            assert found, "the studio did not start"
            soak, wrong, memory = Soak(PAGES, minutes), list[str](), list[float]()
            sound, began = bench.speech(TAKE_S, None), time.monotonic()
            until = began + 60 * minutes
            pages = [
                threading.Thread(target=page, args=(int(found[1]), seed, until, soak, sound, wrong))
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
    assert soak.memory_grown_mb <= FLAT_MB, soak
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
