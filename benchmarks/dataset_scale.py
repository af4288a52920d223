"""How `duomorph data check` grows: ten thousand files without sound, a million frames with it, a million in one file.

    python benchmarks/dataset_scale.py --folder /tmp/scale -o benchmarks/results/dataset.json

Takes about 4 GB of disk in the folder, which it removes again. The curves are random walks with nine digits a number,
the worst case for a reader; fifty different clips are copied until there are enough.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.dataset import manifest
from duomorph.dataset.manifest import Entry, Writer

FPS = Fraction(30)
DIFFERENT = 50


def walk(frames: int, seed: int) -> Clip:
    """A clip that wanders through [0, 1]."""
    steps = np.random.default_rng(seed).normal(0, 0.03, (frames, arkit.COUNT)).cumsum(axis=0)
    return Clip((0.5 + 0.5 * np.sin(steps)).astype(np.float32), FPS)


def sound(seconds: float, seed: int) -> np.ndarray:
    """Noise in syllables."""
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * 16000)) / 16000
    loud = np.interp(times, np.arange(0, seconds + 1, 0.2), random.random(len(np.arange(0, seconds + 1, 0.2))))
    return (random.normal(0, 0.1, len(times)) * loud).clip(-0.9, 0.9).astype(np.float32)


def build(folder: Path, clips: int, seconds: int) -> None:
    """A data set of so many clips."""
    with Writer(folder) as out:
        for k in range(min(DIFFERENT, clips)):
            out.add(
                id=f"clip{k:06d}", sound=sound(seconds, k), clip=walk(seconds * 30, k),
                speaker=f"s{k % 10}", style="walk", licence="none", session=f"{k % 10}",
            )  # fmt: skip
    first = list(manifest.read(folder))
    entries: list[Entry] = list(first)
    for k in range(len(first), clips):
        model = first[k % len(first)]
        copy = replace(model, id=f"clip{k:06d}", audio=f"audio/clip{k:06d}.flac", curves=f"curves/clip{k:06d}.jsonl")
        shutil.copyfile(folder / model.audio, folder / copy.audio)
        header, _, rows = (folder / model.curves).read_bytes().partition(b"\n")
        own = header.removesuffix(b"}") + f', "source": "copy {k}"}}\n'.encode() + rows
        (folder / copy.curves).write_bytes(own)
        sums = {**model.checksum, "curves": hashlib.sha256(own).hexdigest()}
        entries.append(replace(copy, checksum=sums))
    manifest.write(folder, entries)


def build_long(folder: Path, frames: int) -> None:
    """A data set of one clip, written row by row."""
    build(folder, 1, 10)
    (entry,) = manifest.read(folder)
    path = folder / entry.curves
    header, *rows = path.read_text().splitlines()
    with path.open("w") as file:
        file.write(header + "\n")
        for k in range(frames):
            file.write(f'{{"timestamp": {k / 30!r}, {rows[k % len(rows)].split(", ", 1)[1]}\n')
    sums = {**entry.checksum, "curves": manifest.sha256(path)}
    manifest.write(folder, [replace(entry, frames=frames, duration_s=frames / 30, checksum=sums)])


def check(folder: Path, *flags: str, before: str = "pass") -> dict[str, object]:
    """Run the command alone in a process of its own, after some Python of ours."""
    code = f"import sys; {before}; from duomorph.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "data", "check", str(folder), *flags]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stdout is not None
    said = process.stdout.read().decode().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    summary = said[-1]
    frames = int(summary.split(" frames")[0].split()[-1])
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "summary": summary,
        "exit": os.waitstatus_to_exitcode(status),
        "frames": frames,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "cpu_us_per_frame": round(cpu / frames * 1e6, 2),
        "peak_rss_mb": round(usage.ru_maxrss / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to build (default: a temporary folder)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size (default 1)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    result: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
    }
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        work = Path(name)
        files = round(10_000 * arguments.scale)
        build(work / "many", files, 10)
        result["files_without_sound"] = {"files": files, "seconds_each": 10, **check(work / "many", "--no-audio")}
        print(json.dumps(result["files_without_sound"]))
        slow = check(work / "many", "--no-audio", before="sys.modules['msgspec'] = None")
        result["files_without_sound_and_msgspec"] = {"files": files, "seconds_each": 10, **slow}
        print(json.dumps(slow))
        entries = list(manifest.read(work / "many"))[: round(3_334 * arguments.scale)]
        manifest.write(work / "many", entries)
        result["million_frames_with_sound"] = {"files": len(entries), **check(work / "many")}
        print(json.dumps(result["million_frames_with_sound"]))
        shutil.rmtree(work / "many")
        build_long(work / "long", round(1_000_000 * arguments.scale))
        result["million_frames_in_one_file"] = {"files": 1, **check(work / "long", "--no-audio")}
        print(json.dumps(result["million_frames_in_one_file"]))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
