"""Every reader under atheris, one after the other, and what came of it as JSON.

    python tests/fuzz/run.py --seconds 60 --json benchmarks/results/fuzz.json

Exit code 1 if a reader did anything but take or refuse; the input that made it do so is kept and named. Where atheris
is not installed (it has wheels for Linux and some Pythons) this says so and ends well.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from duomorph.formats import FORMATS

TARGETS = (*FORMATS, "sound")
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=20000", "-print_final_stats=1")


def fuzz(target: str, seconds: int, folder: Path) -> dict[str, Any]:
    """Run one reader; numbers of what it did."""
    found = folder / target
    found.mkdir()
    one = Path(__file__).with_name("one.py")
    command = [sys.executable, str(one), target, str(found), f"-max_total_time={seconds}", *LIMITS]
    done = subprocess.run([*command, f"-artifact_prefix={folder}/{target}-"], capture_output=True, text=True)
    log = done.stderr + done.stdout
    inputs = re.search(r"number_of_executed_units:\s*(\d+)", log)
    slowest = re.search(r"slowest_unit_time_sec:\s*(\d+)", log)
    if done.returncode:
        print("\n".join(log.splitlines()[-30:]), file=sys.stderr)
    failures = [str(path) for path in sorted(folder.glob(f"{target}-*"))]
    return {
        "inputs": int(inputs[1]) if inputs else None,
        "slowest_s": int(slowest[1]) if slowest else None,
        "kept_for_new_coverage": len(list(found.iterdir())),
        "failures": failures or [log[-300:]] * bool(done.returncode),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (60)")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    parser.add_argument("targets", nargs="*", metavar="READER", default=TARGETS, help=f"of {', '.join(TARGETS)} (all)")
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install atheris, Linux): only the property tests ran")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="duomorph-fuzz-"))
    readers = {}
    for target in arguments.targets:
        readers[target] = fuzz(target, arguments.seconds, folder)
        print(f"{target:9} {json.dumps(readers[target])}", flush=True)
    result = {"seconds_each": arguments.seconds, "python": platform.python_version(), "readers": readers}
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(any(reader["failures"] for reader in readers.values()))


if __name__ == "__main__":
    sys.exit(main())
