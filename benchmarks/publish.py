"""The numbers we publish: measured by this file, kept as JSON, written into README and model card from there.

    python benchmarks/publish.py measure     # needs DUOMORPH_CORPUS; some minutes; benchmarks/results/*.json
    python benchmarks/publish.py write       # README.md and src/duomorph/weights/MODEL_CARD.md from the JSON

A test checks that what stands in both files is what the JSON says.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duomorph
from duomorph import bench, evaluate, files

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
TARGETS = (ROOT / "README.md", ROOT / "src" / "duomorph" / "weights" / "MODEL_CARD.md")
CORPORA = ("grid_s1", "facegood")
DELAYS = (0, 17, 33, 50, 67, 100, 133, 200)
SHAPES = ("jawOpen", "mouthPucker", "mouthLowerDownLeft", "mouthClose", "eyeBlinkLeft")


def measure() -> None:
    """Everything, into JSON files."""
    face = duomorph.load()
    results = {
        "evaluate": evaluate.summary(face, list(CORPORA), [30.0, 60.0], 100.0),
        "delay": {
            "weights_sha256": face.info().weights_sha256,
            "reports": {
                name: [asdict(evaluate.evaluate(face, name, 30, delay_ms)) for delay_ms in DELAYS] for name in CORPORA
            },
        },
        "bench": bench.measure(),
    }
    files.folder(RESULTS)
    for name, result in results.items():
        files.write(RESULTS / f"{name}.json", (json.dumps(result, indent=1) + "\n").encode())


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def accuracy() -> str:
    """Held-out accuracy beside the trivial faces."""
    shown = " | ".join(f"r {shape.removesuffix('Left')}" for shape in SHAPES)
    lines = [
        f"| held-out data | fps | MAE | zero | train mean | train median | {shown} | lag |",
        "|---|---|---|---|---|---|" + "---|" * len(SHAPES) + "---|",
    ]
    for report in _load("evaluate")["reports"]:
        base = report["baselines"]
        scores = " | ".join(f"{report['r'][shape]:.2f}" if shape in report["r"] else "–" for shape in SHAPES)
        lines.append(
            f"| {report['corpus']}, {report['clips']} clips, {report['shapes']} shapes | {report['fps']:g} "
            f"| **{report['mae']:.4f}** | {base['zero']:.4f} | {base['mean']:.4f} | {base['median']:.4f} "
            f"| {scores} | {report['lag_frames']:+d} |"
        )
    return "\n".join(lines)


def delay() -> str:
    """What waiting buys."""
    curves = _load("delay")["reports"]
    lines = [
        "| delay, ms | " + " | ".join(f"{ms}" for ms in DELAYS) + " |",
        "|---|" + "---|" * len(DELAYS),
    ]
    for name in CORPORA:
        for label, cells in (
            ("r(jawOpen)", [f"{report['r']['jawOpen']:.3f}" for report in curves[name]]),
            ("MAE", [f"{report['mae']:.4f}" for report in curves[name]]),
        ):
            lines.append(f"| {name} {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speed() -> str:
    """Time, memory, latency of one thread."""
    b = _load("bench")
    live, worst = b["latency_ms_live"], b["latency_ms_live_p99"]
    parts = ", ".join(f"{name} {value:.4f}" for name, value in b["rtf_parts"].items())
    return "\n".join(
        [
            f"| one thread, best of {b['best_of']} | measured |",
            "|---|---|",
            f"| real-time factor, whole pipeline, {b['audio_s']:g} s of speech | {b['rtf_30']:.3f} at 30 fps, "
            f"{b['rtf_60']:.3f} at 60 ({parts}) |",
            f"| chunks of 16.7 ms, 60 fps | {b['chunk_ms']['p50']:.1f} ms median, {b['chunk_ms']['p99']:.1f} ms p99 |",
            f"| latency, `live` | {live['total']:.1f} ms = look-ahead {live['lookahead']:.1f} + input block "
            f"{live['block']:.1f} + smoothing {live['smoothing']:.1f} + compute {live['compute']:.1f}; "
            f"{worst['total']:.1f} ms at the 99th percentile of compute |",
            f"| first frame, delay 33 ms | after {b['first_frame_ms_at_delay_33']:.0f} ms of sound |",
            f"| peak memory of the process | {b['peak_memory_mb']:.0f} MB |",
            f"| model | {b['model_mb']:.1f} MB, {b['parameters']:,} parameters, {b['mmac_per_tick']:.2f} MMAC a tick |",
        ]
    )


TABLES = {"accuracy": accuracy, "delay": delay, "speed": speed}


def filled(text: str) -> str:
    """The text with each table between its two marks renewed."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        if begin in text:
            head, _, rest = text.partition(begin)
            _, _, tail = rest.partition(end)
            text = head + begin + table() + end + tail
    return text


def write() -> None:
    """Renew the tables of every target."""
    for path in TARGETS:
        files.write(path, filled(path.read_text()).encode())


if __name__ == "__main__":
    {"measure": measure, "write": write}[sys.argv[1]]()
