"""How well the lag of a face is measured, on the two corpora (DUOMORPH_CORPUS): the tables of docs/dataset.md.

    OMP_NUM_THREADS=1 python benchmarks/dataset_lag.py -o benchmarks/results/dataset_lag.json

`natural`: lags of the recordings as they are, before NATURAL_MS is taken off. `shifted`: sounds moved by known amounts,
each clip alone and as sessions. `pieces`: how often a piece is sure of its lag with its own sound and with another's.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duomorph import arkit, corpus
from duomorph.clock import SAMPLE_RATE
from duomorph.dataset.lag import NATURAL_MS, RATE, Hearing, Lag, Sessions, Trace, compare, lag
from duomorph.dataset.manifest import Entry

SHIFTS_MS = (0, 40, -40, 80, -80, 200, -200)
PIECES = 600


@dataclass
class Take:
    name: str
    recording: str
    sound: np.ndarray
    energy: np.ndarray
    jaw: np.ndarray
    times: np.ndarray


def energy(sound: np.ndarray) -> np.ndarray:
    hearing = Hearing()
    for start in range(0, len(sound), SAMPLE_RATE):
        hearing.feed(sound[start : start + SAMPLE_RATE])
    return hearing.energy()


def load(name: str, step: int) -> list[Take]:
    source = corpus.SOURCES[name]
    takes = []
    for take in list(source.read(corpus.root() / source.folder))[::step]:
        jaw = take.weights[:, arkit.INDEX["jawOpen"]]
        times = np.arange(len(jaw)) / float(take.fps)
        takes.append(Take(take.name, take.recording, take.audio, energy(take.audio), jaw, times))
    return takes


def moved(sound: np.ndarray, late_ms: int) -> np.ndarray:
    """The sound so that the face is late against it."""
    count = late_ms * SAMPLE_RATE // 1000
    return sound[count:] if count >= 0 else np.concatenate([np.zeros(-count, np.float32), sound])


def sure(trace: Trace | None) -> bool:
    found = lag([trace]) if trace is not None else None
    return found is not None and found.clear


def natural(takes: list[Take]) -> dict[str, float]:
    """The pooled lag of each recording."""
    pools: dict[str, list[Trace]] = defaultdict(list)
    for take in takes:
        trace = compare(take.energy, take.jaw, take.times)
        if trace is not None:
            pools[take.recording].append(trace)
    return {name: round(found.ms + NATURAL_MS, 1) for name, pool in pools.items() if (found := lag(pool)) is not None}


def shifted(takes: list[Take]) -> list[dict[str, float]]:
    rows = []
    alone_at_rest: dict[str, float] = {}
    for shift in SHIFTS_MS:
        sessions, alone = Sessions(), {}
        for take in takes:
            trace = compare(energy(moved(take.sound, shift)), take.jaw, take.times)
            if trace is None:
                continue
            entry = Entry(take.name, "", "", "", take.recording, "", 30, (), "", 1.0, 1, {})  # type: ignore[arg-type]
            sessions.add(entry, trace)
            alone[take.name] = lag([trace])
        if shift == 0:
            alone_at_rest = {name: found.ms for name, found in alone.items()}
        own = [found.ms - shift for found in alone.values() if found.clear]
        together = list(sessions.lags().values())
        follows = [found.ms - alone_at_rest[name] - shift for name, found in alone.items()]
        rows.append({
            "shift_ms": shift,
            "clips": len(alone),
            "alone": report(own, len(alone)),
            "sessions": report([found.ms - shift for found in together if found.clear], len(together)),
            "alone_follows_the_shift_within_15_ms": share(np.abs(follows) < 15),
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return rows


def report(errors: list[float], count: int) -> dict[str, float]:
    wrong = np.abs(errors)
    return {"sure": round(len(errors) / count, 3), "within_15_ms": share(wrong < 15), "worst_ms": round(wrong.max(), 1)}


def share(holds: np.ndarray) -> float:
    return round(float(np.mean(holds)), 3)


def pieces(takes: list[Take], seconds: float, random: np.random.Generator) -> dict[str, float]:
    """Pieces of the takes against their own energy and against a piece of any take from another second."""
    rows = int(seconds * RATE)
    own, other, errors = [], [], []
    for _ in range(PIECES):
        take, stranger = (takes[k] for k in random.integers(len(takes), size=2))
        if len(take.energy) < rows or len(stranger.energy) < rows:
            continue
        at, there = (int(random.integers(len(t.energy) - rows + 1)) for t in (take, stranger))
        if take is stranger and abs(at - there) <= RATE:
            continue
        inside = (take.times >= at / RATE) & (take.times < (at + rows) / RATE)
        jaw, times = take.jaw[inside], take.times[inside] - at / RATE
        trace = compare(take.energy[at : at + rows], jaw, times)
        whole = lag([t for t in [compare(take.energy, take.jaw, take.times)] if t is not None])
        found: Lag | None = lag([trace]) if trace is not None else None
        own.append(sure(trace))
        other.append(sure(compare(stranger.energy[there : there + rows], jaw, times)))
        if found is not None and whole is not None and found.clear:
            errors.append(abs(found.ms - whole.ms))
    row = {"seconds": seconds, "pieces": len(own)}
    row |= {"own_sure": share(np.array(own)), "others_sure": share(np.array(other))}
    if errors and len(takes[0].energy) > 2 * rows:
        row["two_of_three_within_ms_of_the_whole"] = round(float(np.percentile(errors, 68)), 1)
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    result: dict[str, object] = {}
    for name, step, lengths in (("facegood", 1, (3.0, 10.0, 30.0, 90.0)), ("grid_s1", 6, (2.9,))):
        takes = load(name, step)
        result[name] = {
            "takes": len(takes),
            "natural_ms": natural(takes),
            "shifted": shifted(takes),
            "pieces": [pieces(takes, seconds, np.random.default_rng(0)) for seconds in lengths],
        }
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
