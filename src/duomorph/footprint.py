"""What the pipeline takes besides computing: memory, byte by byte, and the time until it is there.

One promise: processes are measured from outside or by what the system says of them, buffers by walking through them.

    peak_memory_mb("animate", "talk.wav", "-o", "talk.csv")      # of a whole command
    cold_start()                                                 # process start to first frame, and to `import`
    buffers(face.stream())                                       # {"mel.tail": 2132, ...}
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import numpy as np

from duomorph.errors import DuomorphError

STARTS: Final = 7  # fresh processes; their median counts
ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# How a program begins that is to say `peak_mb()`. Linux hands ru_maxrss down to children, so a child of a large process
# would look large: VmHWM is its own.
PEAK: Final = """
import resource, sys
from pathlib import Path

def peak_mb():
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
"""

_COMMAND: Final = f"""{PEAK}
from duomorph.cli import main
if main(sys.argv[1:]):
    sys.exit(1)
print()
print(peak_mb())
"""

_STAGES: Final = f"""{PEAK}
import json
stages = {{"interpreter": peak_mb()}}
import duomorph, numpy
duomorph.load
stages["libraries"] = peak_mb()
stream = duomorph.load(sys.argv[1] or None).stream(60)
stages["model"] = peak_mb()
stream.feed(numpy.random.default_rng(0).normal(0, 0.05, 160_000).astype(numpy.float32))
stages["ten seconds"] = peak_mb()
print(json.dumps(stages))
"""

_FIRST: Final = """
import sys, time
began = time.perf_counter()
import duomorph
imported = time.perf_counter() - began
import numpy
stream = duomorph.load(sys.argv[1] or None).stream(60, delay_ms=33)
sound = numpy.random.default_rng(0).normal(0, 0.05, 800).astype(numpy.float32)
while not len(stream.feed(sound)):
    pass
print(imported, flush=True)
"""


def environment(one_thread: bool) -> dict[str, str]:
    """Of a process whose libraries take one thread each, or as many as they like."""
    plain = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    return plain | ONE_THREAD if one_thread else plain


def alone(program: str, *arguments: str, one_thread: bool = True) -> str:
    """Run a program in a fresh interpreter, with one thread in every library or with all; the last line it prints."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(one_thread))
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1]
        raise DuomorphError(said.partition(": ")[2] or said)
    return done.stdout.splitlines()[-1]


def peak_memory_mb(*command: str) -> float:
    """Most resident memory of a fresh process that runs `duomorph ...`, in MB of 1024 x 1024 bytes."""
    return float(alone(_COMMAND, *command))


def memory_stages_mb(model: str = "") -> dict[str, float]:
    """The same of a process that goes step by step, after each step."""
    stages: dict[str, float] = json.loads(alone(_STAGES, model))
    return {name: round(value, 1) for name, value in stages.items()}


def cold_start(model: str = "") -> dict[str, float]:
    """Seconds, median of fresh processes: until the first frame is there, and what `import duomorph` takes of it."""
    whole, imports = [], []
    for _ in range(STARTS):
        began = time.perf_counter()
        imports.append(float(alone(_FIRST, model)))
        whole.append(time.perf_counter() - began)
    return {
        "first_frame_s": round(statistics.median(whole), 3),
        "least_s": round(min(whole), 3),
        "import_s": round(statistics.median(imports), 3),
    }


def buffers(root: object) -> dict[str, int]:
    """Bytes of every array that an object of ours keeps, by the names that lead to it; what is shared counts once.

    A view counts as the whole block that it keeps alive.
    """
    found: dict[str, int] = {}
    seen: set[int] = set()
    for name, array in _arrays(root, "", set()):
        while isinstance(array.base, np.ndarray):
            array = array.base
        if id(array) not in seen and array.nbytes:
            seen.add(id(array))
            found[name] = array.nbytes
    return found


def tables() -> int:
    """Bytes of the constants that all streams share: filters, windows, splines."""
    ours = [module for name, module in sorted(sys.modules.items()) if name.startswith("duomorph.")]
    return sum(sum(buffers(list(_constants(module))).values()) for module in ours)


def _constants(module: ModuleType) -> Iterator[Any]:
    for value in vars(module).values():
        if isinstance(value, np.ndarray | list | tuple | dict):
            yield value


def _arrays(value: Any, name: str, passed: set[int]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Every array under `value`, through attributes, lists and dicts of ours; what others made is not entered."""
    if isinstance(value, np.ndarray):
        yield name, value
        return
    if id(value) in passed:
        return
    passed.add(id(value))
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list | tuple):
        inside = list(enumerate(value))
    elif type(value).__module__.startswith("duomorph."):
        inside = list(vars(value).items())
    else:
        return
    for key, one in inside:
        yield from _arrays(one, f"{name}.{str(key).strip('_')}".strip("."), passed)
