"""How many floating-point operations a tick of 1/60 s takes, counted while they happen, and how far off the floor is.

    python benchmarks/operations.py --json benchmarks/results/operations.json      # needs duomorph[train]

Features: every numpy call on the way is counted by the shapes it is given. Network: every torch operator of the form
that is exported, for a call of one tick and for one of `LONG`. A product of matrices counts two a multiply-add, any
other operator one an element, whatever it computes; a real FFT of n points 2.5 n log2 n; eigenvalues of (n, n) 10 n^3;
sorting n log2 n; copying nothing. Loops in Python, which follow single glottal periods, are not seen. The floor is the
time of so many operations in a product of large matrices on one core, measured in this run beside the pipeline itself.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import duomorph
from duomorph import bench, files
from duomorph.clock import SAMPLE_RATE, TICK_RATE
from duomorph.emotion import EmotionTrack
from duomorph.footprint import ONE_THREAD
from duomorph.mel import MelStream
from duomorph.model import export, runtime
from duomorph.model.config import LONG, UPDATE_TICKS

SECONDS: Final = 30
MAKERS: Final = ("zeros", "empty", "ones", "zeros_like", "empty_like", "array", "asarray", "ascontiguousarray")
COPIES: Final = {"concatenate", "stack", "pad", "take", "broadcast_to", "reshape", "ravel", "diff", "flatnonzero"}
done: Counter[str] = Counter()  # operations by part
part = ["other"]  # the one at work, innermost last


def count(operations: float) -> None:
    done[part[-1]] += round(operations)


class Counted(np.ndarray):  # type: ignore[type-arg]
    """An array whose arithmetic is counted."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        given = [plain(value) for value in inputs]
        kept = {"out": plain(out)} if out else {}
        result = getattr(ufunc, method)(*given, **kept, **{key: plain(x) for key, x in kwargs.items()})
        if ufunc is np.matmul:
            count(2 * result.size * given[0].shape[-1])
        else:
            count(np.size(given[0] if method in ("reduce", "accumulate", "at") else result))
        return out[0] if out else counted(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        given = plain(args)
        result = func(*given, **{key: plain(value) for key, value in kwargs.items()})
        if (name := func.__name__) not in COPIES:
            size = max((value.size for value in given if isinstance(value, np.ndarray)), default=0)
            sorts = name in ("sort", "argsort", "percentile", "partition")
            count(size * math.log2(max(size, 2)) if sorts else size)
        return counted(result)


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


def counted(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(Counted)
    return type(value)(map(counted, value)) if type(value) in (list, tuple) else value


@contextmanager
def numpy_counts() -> Iterator[None]:
    """While it lasts, numpy's arrays are counted ones, ours too."""
    kept = {name: getattr(np, name) for name in MAKERS}
    rfft, irfft, eigvals, einsum = np.fft.rfft, np.fft.irfft, np.linalg.eigvals, np.einsum

    def makes(make: Callable[..., Any]) -> Callable[..., Any]:
        return wraps(make)(lambda *args, **kwargs: counted(make(*map(plain, args), **kwargs)))

    def transforms(transform: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(transform)
        def fft(x: Any, n: int | None = None) -> Any:
            length = n or x.shape[-1]
            count(x.size // x.shape[-1] * 2.5 * length * math.log2(length))
            return counted(transform(plain(x), n))

        return fft

    def roots(x: Any) -> Any:
        count(len(x) * 10 * x.shape[-1] ** 3)
        return counted(eigvals(plain(x)))

    def sums(how: str, *given: Any, **kwargs: Any) -> Any:
        count(2 * max(np.size(x) for x in given))
        return counted(einsum(how, *map(plain, given), **{key: plain(value) for key, value in kwargs.items()}))

    tables = [(m, k) for name, m in sys.modules.items() if name.startswith("duomorph.") for k in vars(m)]
    ours = [(module, name, value) for module, name in tables if isinstance(value := vars(module)[name], np.ndarray)]
    frames = [
        (module, name, vars(module)[name]) for module, name in tables if name == "cut" and "egemaps" in str(module)
    ]
    try:
        for name, make in kept.items():
            setattr(np, name, makes(make))
        np.fft.rfft, np.fft.irfft = transforms(rfft), transforms(irfft)
        np.linalg.eigvals, np.einsum = roots, sums  # type: ignore[assignment]
        for module, name, value in ours:
            setattr(module, name, counted(value))
        for module, name, value in frames:
            setattr(module, name, makes(value))
        yield
    finally:
        for name, make in kept.items():
            setattr(np, name, make)
        np.fft.rfft, np.fft.irfft, np.linalg.eigvals, np.einsum = rfft, irfft, eigvals, einsum
        for module, name, value in (*ours, *frames):
            setattr(module, name, value)


class TorchCounts(TorchDispatchMode):
    """Counts every operator of torch that computes something."""

    moves: Final = (
        "view", "expand", "permute", "transpose", "slice", "select", "squeeze", "split", "cat", "stack", "clone",
        "copy", "index", "gather", "arange", "alias", "detach", "unbind", "zeros", "ones", "full", "scatter", "lift",
        "repeat", "empty", "aten.t.", "_to_", "tensor", "one_hot",
    )  # fmt: skip

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            count(flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result))
        elif not any(word in str(func) for word in self.moves):
            values = [value for value in (*args, result) if isinstance(value, torch.Tensor)]
            count(max((value.numel() for value in values), default=0))
        return result


def named(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, whose operations are counted under `name` but for those of named work within it."""

    @wraps(work)
    def within(*args: Any, **kwargs: Any) -> Any:
        part.append(name)
        try:
            return work(*args, **kwargs)
        finally:
            part.pop()

    return within


def features(sound: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, float]:
    """Operations a tick of the mel rows and of the voice features."""
    done.clear()
    with numpy_counts():
        named("mel", lambda: MelStream().feed(counted(sound)))()
        named("voice features", lambda: EmotionTrack().feed(counted(sound)))()
    return {name: count * SAMPLE_RATE / (len(sound) * TICK_RATE) for name, count in done.items()}


def network(ticks: int, stride: int) -> dict[str, float]:
    """Operations a tick of the exported form, for calls of so many ticks; a new emotion update every 18 ticks."""
    net = export.load_model(Path(duomorph.load().info().path).with_suffix(".safetensors"))[0].eval()
    config = net.config
    state = {name: torch.zeros(1, *shape) for name, shape in runtime.shapes(config).items()}
    style, delay = torch.zeros(1, dtype=torch.long), torch.full((1,), 2)
    mood, step = runtime.Mood(net), runtime.Ticks(net, stride)
    step._front = named("front end", step._front)  # type: ignore[method-assign]
    step._tokens = named("history and tokens", step._tokens)  # type: ignore[method-assign]
    step._temporal = named("temporal layer", step._temporal)  # type: ignore[method-assign]
    emotion = torch.randn(1, 1, config.emotion_inputs)
    heard = [state[name] for name in runtime.HEARD]
    done.clear()
    with torch.no_grad(), TorchCounts():
        *_, keys, moods = named("emotion update", mood)(emotion, style, delay, *heard)
    update = done.pop("emotion update") / UPDATE_TICKS
    mel, slot = torch.randn(1, ticks, 2, config.bands), torch.zeros(1, ticks, dtype=torch.long)
    with torch.no_grad(), TorchCounts():
        run = named("attention, fusion, output", step)
        run(mel, moods, keys, slot, style, delay, *(state[name] for name in runtime.MEMORY))
    return {name: count / ticks for name, count in done.items()} | {"emotion update, its share": update}


def core_gflops() -> float:
    """Billions of operations a second of one core in a float32 product of (512, 512), the best of many."""
    a = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    took = []
    for _ in range(60):
        began = time.perf_counter()
        a @ a
        took.append(time.perf_counter() - began)
    return 2 * 512**3 / min(took) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sound = bench.speech(SECONDS, None)
    parts = features(sound)
    forms = {"one tick": network(1, 1), f"{LONG} ticks": network(LONG, 1)}
    forms[f"{LONG} ticks, every second"] = network(LONG, 2)
    face = duomorph.load()
    rates, times = [], {"mel": [], "voice features": [], "whole, 60 fps": []}  # type: ignore[var-annotated]
    for _ in range(5):  # in turn, so that a busy machine is busy with all
        rates.append(core_gflops())
        for name, work in (
            ("mel", lambda: MelStream().feed(sound)),
            ("voice features", lambda: EmotionTrack().feed(sound)),
            ("whole, 60 fps", lambda: face.animate(sound, fps=60)),
        ):
            began = time.process_time()
            work()
            times[name].append((time.process_time() - began) / SECONDS)
    took = {name: min(all) for name, all in times.items()}
    took["network and frames"] = took["whole, 60 fps"] - took["mel"] - took["voice features"]
    gflops = max(rates)
    operations = parts | {"network": sum(forms[f"{LONG} ticks"].values())}
    floor = {name: count * TICK_RATE / (gflops * 1e9) for name, count in operations.items()}
    result = {
        "weights_sha256": face.info().weights_sha256,
        "reference_mac": face.info().config.macs_per_tick(),
        "features": {name: round(count) for name, count in parts.items()},
        "network": {form: {name: round(count) for name, count in counts.items()} for form, counts in forms.items()},
        "core_gflops": round(gflops, 1),
        "floor_rtf": {name: round(value, 6) for name, value in floor.items()},
        "cpu_rtf": {name: round(value, 5) for name, value in took.items()},
    }
    if arguments.json:
        files.write(arguments.json, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps(result))


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        sys.exit(f"run it with one thread:  {' '.join(f'{name}=1' for name in ONE_THREAD)} python {sys.argv[0]}")
    main()
