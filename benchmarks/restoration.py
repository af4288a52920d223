"""What range restoration does to GRID's labels: range, jitter, sense of the sounds, closures; before and after.

    pip install pocketsphinx matplotlib      # to know when each phone is spoken; to draw
    DUOMORPH_CORPUS=... python benchmarks/restoration.py [--picture docs/restoration.png]

The speaker is fitted on the training clips; ranges and jitter are those of the held-out clips. Jitter is the root mean
square of the third difference per unit of deviation. A phone's frames are those in its middle half. Writes
benchmarks/results/restoration.json; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, audio, restore
from duomorph.evaluate.metrics import auc
from duomorph.evaluate.phones import CLOSED, ROUND, SPREAD, Phones, during, grid

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "recipes"))
from grid import Take, from_corpus  # noqa: E402

Floats = NDArray[np.floating]
Table = dict[str, dict[str, Any]]
SHAPES = [name for name in arkit.NAMES if name.removesuffix("Left").removesuffix("Right") in restore.RANGES]


def spoken(takes: list[Take], phones: dict[str, Phones], names: tuple[str, ...]) -> NDArray[np.bool_]:
    """(clips, frames) True in the middle half of these phones."""
    return np.stack([during(take.clip.times, phones.get(take.name, ()), names) for take in takes])


def jitter(curves: Floats) -> float:
    """(clips, frames) -> root mean square of the third difference per unit of deviation."""
    return float(np.sqrt(np.mean(np.diff(curves, 3, axis=1) ** 2)) / curves.std())


def of_shape(curves: Floats, closed: NDArray[np.bool_]) -> dict[str, float]:
    """Figures of one shape, (clips, frames)."""
    figures = {"sd": curves.std(), "p99": np.quantile(curves, 0.99), "max": curves.max(), "jitter": jitter(curves)}
    return {name: round(float(value), 4) for name, value in (figures | {"at_bpm": curves[closed].mean()}).items()}


def reasons(takes: list[Take], raw: Floats, said: dict[str, NDArray[np.bool_]]) -> dict[str, float]:
    """What the choices in restore.py rest on: measures of rounding, what nodding moves, what LENT does."""
    figures = {}
    fitted = restore.fit((take.lips, take.clip.fps) for take in takes)
    measured = [restore.measure(take.lips) for take in takes]
    at = {name: np.stack([m[name] - fitted.neutral[name] for m in measured]) for name in measured[0]}
    places = [restore._places(take.lips) for take in takes]
    ahead = [place(restore.UPPER_RIM + restore.LOWER_RIM) - place((61, 291)) for place in places]
    for name, way in {
        "narrowing": -at["width"],
        "height": at["height"],
        "narrowing + height": at["height"] - at["width"],
        "protrusion": np.stack(ahead)[..., 2],
    }.items():
        figures[f"AUC of {name}"] = auc(way[said["round"]], way[said["spread"]])
    rest = at["opening"] <= np.quantile(at["opening"], restore.REST)
    nod = np.stack([np.arcsin(-take.lips.head[:, 1, 2]) for take in takes])[rest]
    depth = restore.FACE_DEPTH
    for restore.FACE_DEPTH in (0.0, depth):
        high = np.stack([restore.measure(take.lips)["raiseLeft"] for take in takes])[rest]
        figures[f"r2 of lip height and nodding, depth {restore.FACE_DEPTH}"] = np.corrcoef(nod, high)[0, 1] ** 2
    lent = restore.LENT
    apart = at["opening"] > np.quantile(at["opening"], 0.6)
    for restore.LENT in (0.0, lent):
        for shape, way in (("mouthUpperUpLeft", "raiseLeft"), ("mouthLowerDownLeft", "dropLeft")):
            label = np.log(raw[..., arkit.INDEX[shape]] + 1e-4)[apart]
            r = np.corrcoef((at[way] + restore.LENT * at["width"])[apart], label)[0, 1]
            figures[f"r of {shape} and the log of its label, lent {restore.LENT}"] = r
    return {name: round(float(value), 3) for name, value in figures.items()}


def draw(path: Path, take: Take, raw: Floats, wide: Floats, phones: dict[str, Phones], table: Table) -> None:
    """One clip before and after, and the deviations of all held-out clips."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = ["jawOpen", "mouthPucker", *(name for name in SHAPES if not name.endswith("Right"))]
    figure, (lanes, bars) = pyplot.subplots(1, 2, figsize=(11, 7), width_ratios=(3.4, 1))
    times = take.clip.times
    for k, name in enumerate(rows):
        base = len(rows) - 1 - k
        column = arkit.INDEX[name]
        lanes.axhline(base, color="#e2e8f0", linewidth=0.7)
        lanes.fill_between(times, base, base + 1.5 * wide[:, column], color="#0f766e", alpha=0.35, linewidth=0)
        lanes.plot(times, base + 1.5 * raw[:, column], color="#b91c1c", linewidth=1.1)
        if name in SHAPES:
            figures = table[name]
            for offset, part, colour in ((0.32, "raw", "#b91c1c"), (0.02, "restored", "#0f766e")):
                bars.barh(base + offset, figures[part]["sd"], 0.26, align="edge", color=colour)
            bars.plot([figures["aim"]] * 2, [base - 0.08, base + 0.68], color="#0f172a", linewidth=1.2)
    for begin, end, phone in phones.get(take.name, ()):
        lanes.axvline(begin, color="#cbd5e1", linewidth=0.5, zorder=0)
        if phone != "SIL":
            lanes.text((begin + end) / 2, len(rows) - 0.05, phone, ha="center", fontsize=7, color="#475569")
    lanes.set_yticks(range(len(rows)), reversed(rows))
    lanes.set(xlim=(times[0], times[-1]), ylim=(-0.15, len(rows) + 0.25), xlabel="seconds")
    lanes.set_title(f"GRID {take.name}, held out: MediaPipe (red line), restored (green)", fontsize=10, loc="left")
    bars.set(ylim=(-0.15, len(rows) + 0.25), yticks=[])
    bars.set_title("deviation, held-out clips", fontsize=10, loc="left")
    for axes in (lanes, bars):
        axes.set_frame_on(False)
        axes.tick_params(length=0, labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=90, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--picture", metavar="PNG", type=Path)
    parser.add_argument("--clip", default="lbiq2p", help="whose curves the picture shows")
    options = parser.parse_args()
    takes = list(from_corpus())
    phones = grid((take.name, audio.read(take.sound)) for take in takes)
    speaker = restore.fit((take.lips, take.clip.fps) for take in takes if not take.held)
    raw = np.stack([take.clip.weights for take in takes])  # (clips, frames, 52)
    wide = np.stack([restore.restore(take.clip, take.lips, speaker).weights for take in takes])
    held = np.array([take.held for take in takes])
    said = {
        kind: spoken(takes, phones, names)
        for kind, names in (("round", ROUND), ("spread", SPREAD), ("closed", CLOSED))
    }
    table: Table = {}
    for name in SHAPES:
        column = arkit.INDEX[name]
        table[name] = {"aim": restore.RANGES[name.removesuffix("Left").removesuffix("Right")][0]} | {
            part: of_shape(curves[held][..., column], said["closed"][held])
            for part, curves in (("raw", raw), ("restored", wide))
        }
    rounding = {}
    for part, curves in (("raw", raw), ("restored", wide)):
        both = curves[..., arkit.INDEX["mouthPucker"]] + curves[..., arkit.INDEX["mouthFunnel"]]
        for scope, clips in (("held out", held[:, None]), ("all", np.ones_like(held)[:, None])):
            rounding[f"{part}, {scope}"] = round(auc(both[said["round"] & clips], both[said["spread"] & clips]), 3)
    shut = np.stack([restore.apart(restore.measure(take.lips), speaker) for take in takes]) == 0
    opening = [arkit.INDEX[name] for name in SHAPES if name.startswith(restore.OPENERS)]
    excess = wide[..., arkit.INDEX["mouthClose"]] - wide[..., arkit.INDEX["jawOpen"]]
    corners = wide[..., [arkit.INDEX[name] for name in SHAPES if name.startswith(("mouthSmile", "mouthStretch"))]]
    roll = wide[..., arkit.INDEX["mouthRollLower"]]
    report = {
        "clips": {"fitted": int((~held).sum()), "held_out": int(held.sum()), "aligned": len(phones)},
        "shapes": table,
        "AUC of pucker + funnel, UW OW W against IY EH S": rounding,
        "closed": {
            "share of frames with closed lips": round(float(shut.mean()), 3),
            "of B P M frames": round(float(shut[said["closed"]].mean()), 3),
            "most that an opening shape is there": float(wide[shut][:, opening].max()),
            "jawOpen less mouthClose there, median": round(float(-np.median(excess[shut])), 4),
            "jawOpen less mouthClose there, most": round(float(-excess[shut].min()), 4),
        },
        "smile and stretch, share of variance between clips": [
            round(float(share), 2) for share in corners.mean(axis=1).var(axis=0) / corners.var(axis=(0, 1))
        ],
        "mouthRollLower": {
            kind: round(float(roll[spoken(takes, phones, names)].mean()), 3)
            for kind, names in (("at F V", ("F", "V")), ("at B P M", CLOSED), ("at IY EH S", SPREAD))
        },
        "mouthClose above jawOpen at most": round(float(excess.max()), 4),
        "values": [float(wide.min()), round(float(wide.max()), 4)],
        "reasons": reasons(takes, raw, said),
    }
    print("| shape | sd | p99 | jitter | at B P M |\n|---|---|---|---|---|")
    for name, figures in table.items():
        before, after = figures["raw"], figures["restored"]
        cells = (f"{before[key]:.3f} → {after[key]:.3f}" for key in ("sd", "p99", "jitter", "at_bpm"))
        print(f"| {name} | {' | '.join(cells)} |")
    (ROOT / "benchmarks" / "results" / "restoration.json").write_text(json.dumps(report, indent=1) + "\n")
    if options.picture:
        row = next(k for k, take in enumerate(takes) if take.name == options.clip)
        draw(options.picture, takes[row], raw[row], wide[row], phones, table)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
