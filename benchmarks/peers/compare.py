"""Duomorph beside others, in one go on one machine: what is not there is skipped with a line.

    python benchmarks/peers/compare.py --koemorph ~/KoeMorph --rhubarb ~/rhubarb --json peers.json

Each program runs in a process of its own with one thread, ours before and after each of the others: the ratio is to
the mean of the two, so that a machine that is busy with something else is as busy with ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import soundfile

import duomorph
from duomorph import bench, files
from duomorph.footprint import environment

HERE = Path(__file__).parent


def run(program: str, sound: Path, fps: int, *more: str) -> dict[str, Any] | str:
    """What one program measured, or why it did not run."""
    command = [sys.executable, str(HERE / f"{program}.py"), str(sound), str(fps), *more]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(one_thread=True))
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1]
        return said if done.returncode == 3 else f"failed: {said}"
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--koemorph", metavar="FOLDER", default="", help="checkout at commit 63b5e4b")
    parser.add_argument("--rhubarb", metavar="PROGRAM", default="", help="default: the one on the path")
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech (20)")
    parser.add_argument("--note", default="", help="kept with the figures: what a reader must know of this run")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    peers: list[tuple[str, str, int, tuple[str, ...], tuple[str, ...]]] = [
        ("KoeMorph, sequential, 30 fps", "koemorph", 30, (arguments.koemorph,), ("all",)),
        ("KoeMorph, sequential, 60 fps", "koemorph", 60, (arguments.koemorph,), ("all",)),
        ("openSMILE, 20 s every 300 ms, beside our emotion stream", "opensmile_window", 60, (), ("emotion",)),
        ("wav2vec 2.0 base, random weights, whole sound", "wav2vec2_size", 60, ("whole",), ("all",)),
        ("wav2vec 2.0 base, random weights, chunks of 1 s", "wav2vec2_size", 60, ("chunks",), ("all",)),
        ("Rhubarb", "rhubarb", 60, (arguments.rhubarb,), ("all",)),
    ]
    result: dict[str, Any] = {
        "audio_s": arguments.seconds, "weights_sha256": duomorph.load().info().weights_sha256,
        "note": arguments.note, "peers": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "speech.wav"
        soundfile.write(sound, bench.speech(arguments.seconds, None), 16_000)
        for name, program, fps, more, part in peers:
            before = run("ours", sound, fps, *part)
            found = run(program, sound, fps, *more)
            if isinstance(found, str):
                print(f"{name}: skipped: {found}")
                result["peers"][name] = {"skipped": found}
                continue
            after = run("ours", sound, fps, *part)
            assert isinstance(before, dict), before
            assert isinstance(after, dict), after
            ours = {key: (before[key] + after[key]) / 2 for key in ("rtf", "cpu_rtf", "peak_mb")}
            ratios = {key: found[key] / ours[key] for key in ours if found[key]}
            result["peers"][name] = {
                whose: {key: round(value, 5) for key, value in figures.items() if value is not None}
                for whose, figures in (("theirs", found), ("ours", ours), ("ratio", ratios))
            }
            print(f"{name}: real-time factor {found['rtf']:.3f}, ours {ours['rtf']:.4f}: {ratios['rtf']:.1f} times, "
                  f"{ratios['cpu_rtf']:.1f} in processor time")  # fmt: skip
    if arguments.json:
        files.write(arguments.json, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
