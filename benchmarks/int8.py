"""What weights in one or two bytes gain and cost, beside those in four.

    duomorph export duomorph.safetensors --format onnx-int8 -o FOLDER        # and --format onnx-fp16
    DUOMORPH_CORPUS=... OMP_NUM_THREADS=1 python benchmarks/int8.py FOLDER [--json benchmarks/results/int8.json]

Held-out GRID clips, each in its own style, 30 fps, 100 ms of delay: MAE, r(jawOpen), and how far the curves are from
those of the model that ships. Bytes of the files; seconds until it is loaded, and peak megabytes of a process that
animated the sample (Linux), the least of ROUNDS new processes; milliseconds of a tick, one by one and 40 at once, the
best of ROUNDS with the models taking turns. `dynamic` is ONNX Runtime's own way, for its speed alone: it computes in
integers, by scales that it takes from each call, so that its curves depend on how the sound is cut up (`cut`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import QuantType, quantize_dynamic

import duomorph as dm
from duomorph import audio, corpus, evaluate, files
from duomorph.face import Face
from duomorph.mel import log_mel
from duomorph.model.config import MANY
from duomorph.model.engine import Engine

ROUNDS = 10
SAMPLE = Path(dm.__file__).parent / "assets" / "sample.flac"
PROCESS = """
import json, re, sys, time
import duomorph
start = time.perf_counter()
face = duomorph.load(sys.argv[1])
loaded = time.perf_counter() - start
face.animate(sys.argv[2])
print(json.dumps([loaded, int(re.search("VmHWM:\\\\s*([0-9]+)", open("/proc/self/status").read())[1]) * 1024 / 1e6]))
"""


def dynamic(shipped: Path, folder: Path) -> Path:
    """The model that ships with ONNX Runtime's dynamic quantisation of its matrix products."""
    plain, folded, path = (folder / f"{name}.onnx" for name in ("plain", "folded", "dynamic"))
    onnx.save(onnx.load(shipped), plain)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = 4
    ort.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    model = onnx.load(folded)
    weights = {value.name: value for value in model.graph.initializer}

    def hand_down(graph: onnx.GraphProto) -> None:  # for it looks no further than the branch that it is in
        for inner in (a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH):
            used = {name for node in inner.node for name in node.input} & weights.keys()
            inner.initializer.extend(weights[name] for name in sorted(used))
            hand_down(inner)

    hand_down(model.graph)
    own = {"EnableSubgraph": True, "MatMulConstBOnly": True}
    quantize_dynamic(model, path, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, extra_options=own)
    shutil.copy(shipped.with_suffix(".safetensors"), path.with_suffix(".safetensors"))
    return path


def ticks(engine: Engine, mel: np.ndarray, count: int) -> tuple[float, np.ndarray]:
    """Milliseconds of a tick in calls of `count`, and the curves."""
    neutral = np.tile(np.array(engine.provenance.neutral, dtype=np.float32), (1, 3))
    state, out = engine.start(), []
    start = time.perf_counter()
    for at in range(0, len(mel), count):
        part = mel[at : at + count]
        out.append(engine.step(part, neutral, np.zeros(len(part), dtype=np.int64), 0, 6, state))
    return 1000 * (time.perf_counter() - start) / len(mel), np.concatenate(out)


def accuracy(face: Face, shipped: list[np.ndarray]) -> dict[str, float]:
    """Against the truth, and against the curves of the model that ships."""
    report = evaluate.evaluate(face, "grid_s1", 30)
    off = np.concatenate([np.abs(a - b) for a, b in zip(spoken(face), shipped, strict=True)])
    return {
        "mae": report.mae,
        "r_jawOpen": report.r["jawOpen"],
        "from_shipped_mean": float(off.mean()),
        "from_shipped_max": float(off.max()),
    }


def spoken(face: Face) -> list[np.ndarray]:
    return [face.animate(take.audio, style="grid").weights for take in corpus.load("grid_s1", "test")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    shipped = dm.load()
    with tempfile.TemporaryDirectory() as scratch:
        paths = {"fp32": Path(shipped.info().path)}
        paths |= {name: options.folder / f"duomorph-{name}.onnx" for name in ("fp16", "int8")}
        paths["dynamic"] = dynamic(paths["fp32"], Path(scratch))
        truth = spoken(shipped)
        models: dict[str, dict[str, Any]] = {}
        for name, path in paths.items():
            both = [path] if name == "dynamic" else [path, path.with_suffix(".safetensors")]
            models[name] = {"bytes": sum(part.stat().st_size for part in both)} | accuracy(dm.load(path), truth)
        engines = {name: Engine.open(path) for name, path in paths.items()}
        mel = log_mel(audio.read(SAMPLE))[: 10 * MANY]
        for turn in range(ROUNDS):
            for name, path in paths.items():
                command = [sys.executable, "-c", PROCESS, str(path), str(SAMPLE)]
                loaded, peak = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
                costs = {"load_s": loaded, "peak_mb": peak}
                (costs["tick_ms"], one), (costs["tick_of_40_ms"], many) = (
                    ticks(engines[name], mel, count) for count in (1, MANY)
                )
                models[name] |= {key: min(cost, models[name].get(key, cost)) for key, cost in costs.items()}
                if not turn:
                    models[name]["cut"] = float(np.abs(one - many).max())
    clips = len(truth)
    result = {"weights_sha256": shipped.info().weights_sha256, "clips": clips, "best_of": ROUNDS, "models": models}
    print(json.dumps(result))
    if options.json:
        files.write(options.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
