"""How fast our eGeMAPS is, next to openSMILE on the same machine in the same minute.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/egemaps_speed.py speech.wav [--no-oracle]

One thread. 20 s of the given speech (repeated if shorter): descriptors plus one functional row of the whole, ours and
openSMILE's by turns; then the whole emotion stream (`FunctionalTrack`) in blocks of 1 s and in chunks of 16.7 ms. Each
measurement is made `--passes` times; the best pass stands for the machine at rest, the median for the machine as it
is. For chunks, the best of the passes is taken chunk by chunk. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from duomorph import egemaps
from duomorph.clock import end_sample

Array = NDArray[np.float32]
SECONDS = 20


def clock(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def chunks(audio: Array, rate: int) -> list[Array]:
    """Cut at the exact instants k / rate."""
    bounds = [end_sample(k, rate) for k in range(SECONDS * rate + 1)]
    return [audio[a:b] for a, b in pairwise(bounds)]


def stream(parts: list[Array]) -> NDArray[np.float64]:
    track = egemaps.FunctionalTrack()
    return np.array([clock(lambda part=part: track.feed(part)) for part in parts])


def state_size(hours: float, audio: Array) -> tuple[int, int]:
    """Pickled bytes of a track after a minute and after `hours` of sound."""
    track = egemaps.FunctionalTrack()
    for _ in range(3):
        track.feed(audio)
    first = len(pickle.dumps(track))
    for _ in range(round(hours * 3600 / SECONDS)):
        track.feed(audio)
    return first, len(pickle.dumps(track))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="16 kHz mono")
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--no-oracle", action="store_true", help="do not time openSMILE")
    parser.add_argument("--hours", type=float, default=0.0, help="feed this many hours and compare the state's size")
    args = parser.parse_args()
    audio, rate = soundfile.read(args.speech, dtype="float32")
    assert rate == 16000
    audio = np.resize(audio, SECONDS * rate).astype(np.float32)

    result: dict[str, object] = {"passes": args.passes}
    ours, theirs = [], []
    smile = None
    if not args.no_oracle:
        import opensmile

        smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
        smile.process_signal(audio, rate)
    egemaps.extract(audio)
    for _ in range(args.passes):
        ours.append(clock(lambda: egemaps.extract(audio)))
        if smile is not None:
            theirs.append(clock(lambda: smile.process_signal(audio, rate)))
    result["ours_20s_ms"] = {"best": round(1e3 * min(ours), 1), "median": round(1e3 * float(np.median(ours)), 1)}
    if theirs:
        result["opensmile_20s_ms"] = {
            "best": round(1e3 * min(theirs), 1),
            "median": round(1e3 * float(np.median(theirs)), 1),
        }
        result["times_faster"] = {
            "best": round(min(theirs) / min(ours), 2),
            "median": round(float(np.median(theirs) / np.median(ours)), 2),
        }
    for name, per_second in (("1 s blocks", 1), ("16.7 ms chunks", 60)):
        parts = chunks(audio, per_second)
        passes = np.stack([stream(parts) for _ in range(args.passes)])
        best = passes.min(axis=0)
        result[name] = {
            "rtf_best": round(float(best.sum()) / SECONDS, 5),
            "rtf_median": round(float(np.median(passes.sum(axis=1))) / SECONDS, 5),
            "p99_ms_best": round(1e3 * float(np.percentile(best, 99)), 2),
            "p99_ms_all": round(1e3 * float(np.percentile(passes, 99)), 2),
            "max_ms_best": round(1e3 * float(best.max()), 2),
        }
    if args.hours:
        result["state_bytes"] = dict(zip(("1 min", f"{args.hours} h"), state_size(args.hours, audio), strict=True))
    for key, value in result.items():
        print(f"{key}: {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
