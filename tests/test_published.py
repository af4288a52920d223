"""Published numbers are measured ones: README and model card say what the JSON files of the benchmarks say."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

import duomorph

ROOT = Path(__file__).parent.parent
PUBLISH = runpy.run_path(str(ROOT / "benchmarks" / "publish.py"))


@pytest.mark.parametrize("path", PUBLISH["TARGETS"], ids=lambda path: path.name)
def test_tables_are_those_of_the_json(path: Path) -> None:
    text = path.read_text()
    assert "|---|" in text, "a table is missing"
    assert PUBLISH["filled"](text) == text, "run: python benchmarks/publish.py write"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    names = (*PUBLISH["MEASURES"], "any_voice", "life", "live", "peers", "robustness")
    return {name: json.loads((PUBLISH["RESULTS"] / f"{name}.json").read_text()) for name in names}


def test_they_were_measured_with_the_weights_that_ship(results: dict[str, Any]) -> None:
    """What hears and sees, with these; what is timed, with a network of the same form, whatever it had learned."""
    info, timed = duomorph.load().info(), ("bench", "live", "peers")
    of = {name: result["weights_sha256"] for name, result in results.items() if name not in timed}
    assert of == dict.fromkeys(of, info.weights_sha256)
    assert results["bench"]["weights_sha256"] == results["live"]["weights_sha256"]
    form = (info.provenance.parameters, round(info.macs_per_tick / 1e6, 3))
    assert (results["bench"]["parameters"], results["bench"]["mmac_per_tick"]) == form


def reports(results: dict[str, Any], corpus: str) -> list[dict[str, Any]]:
    found = [report for report in results["evaluate"]["reports"] if report["corpus"] == corpus]
    assert [report["fps"] for report in found] == [30, 60]
    return found


def test_bars_of_accuracy(results: dict[str, Any]) -> None:
    for report in reports(results, "grid_s1"):
        assert report["mae"] <= 0.0185
        assert report["r"]["jawOpen"] >= 0.90
        assert report["r"]["mouthLowerDownLeft"] >= 0.83
        assert report["r"]["mouthPucker"] >= 0.73
        assert report["jitter"]["mouth"] <= 1.2
    for report in results["evaluate"]["reports"]:
        assert report["mae"] < min(report["baselines"].values())
        assert abs(report["lag_frames"]) <= 1
    assert max(results["evaluate"]["rate_gap"].values()) <= 0.002
    assert max(results["evaluate"]["even_frames_gap"].values()) <= 0.005


def test_bars_of_voices_that_no_training_knew(results: dict[str, Any]) -> None:
    voices = results["any_voice"]
    readers = voices["librispeech"]["30"]
    assert readers["r"]["jawOpen"] >= 0.845
    assert readers["closure"]["ours"] >= 0.90
    assert readers["jitter"] <= 1.2
    assert readers["silence"]["ours"] <= 0.05
    assert readers["rounding"]["ours"] >= 0.90
    assert voices["nathalie"]["30"]["r"]["jawOpen"] >= 0.9 * readers["r"]["jawOpen"]
    bars = {"anger/neutral": 0.95, "happiness/neutral": 0.88, "fear/neutral": 0.85, "sadness/neutral": 0.85}
    bars["anger/happiness"] = 0.70
    assert all(voices["emotions"]["auc"][pair] >= bar for pair, bar in bars.items())
    assert max(share for kinds in voices["unspoken"].values() for share in kinds.values()) <= 0.05


def test_bars_of_disturbed_speech(results: dict[str, Any]) -> None:
    heard = results["robustness"]["r_jawOpen"]
    assert min(heard[name] for name in ("telephone", "-30 dB", "1.25 times as fast")) >= heard["undisturbed"] - 0.08
    assert min(heard.values()) >= heard["undisturbed"] - 0.1
    assert max(share for kinds in results["robustness"]["opening"].values() for share in kinds.values()) <= 0.05


def lost(results: dict[str, Any], disturbed: str) -> float:
    heard = results["robustness"]["r_jawOpen"]
    return float(heard["undisturbed"] - heard[disturbed])


MISSED = {
    "GRID: MAE <= 0.0170": lambda r: reports(r, "grid_s1")[0]["mae"] <= 0.0170,
    "FACEGOOD: r(jawOpen) >= 0.80": lambda r: reports(r, "facegood")[0]["r"]["jawOpen"] >= 0.80,
    "readers: r(jawOpen) >= 0.90": lambda r: r["any_voice"]["librispeech"]["30"]["r"]["jawOpen"] >= 0.90,
    "readers: P B M shut >= 95 %": lambda r: r["any_voice"]["librispeech"]["30"]["closure"]["ours"] >= 0.95,
    "readers: jitter at 60 fps <= 1.2": lambda r: r["any_voice"]["librispeech"]["60"]["jitter"] <= 1.2,
    "live: a frame is computed in <= 4 ms at p99": lambda r: r["live"]["live"]["compute_ms"]["p99"] <= 4,
    "10 dB of noise costs <= 0.08": lambda r: lost(r, "10 dB of noise") <= 0.08,
}


@pytest.mark.xfail(raises=AssertionError, reason="not met yet; MODEL_CARD.md and docs/log.md say by how much and why")
@pytest.mark.parametrize("bar", MISSED)
def test_bars_still_to_be_met(results: dict[str, Any], bar: str) -> None:
    assert MISSED[bar](results)


def test_bars_of_speed(results: dict[str, Any]) -> None:
    bench = results["bench"]
    assert bench["rtf_60"] <= 0.025
    assert bench["peak_memory_mb"] <= 160
    assert bench["cold_start"]["first_frame_s"] <= 0.8
    assert bench["mmac_per_tick"] <= 6
    assert bench["first_frame_ms_at_delay_33"] <= 100
    assert bench["latency_ms_live"]["total"] <= 33
    for fps in (30, 60):
        assert results["peers"]["peers"][f"KoeMorph, sequential, {fps} fps"]["ratio"]["cpu_rtf"] >= 60


def test_bars_of_live(results: dict[str, Any]) -> None:
    live = results["live"]
    assert live["live"]["measured_ms"]["p99"] <= 33
    for name in ("live", "balanced"):
        assert live[name]["last_sample"]["found"] == live[name]["last_sample"]["stated"]
    assert live["streams_at_30"][0]["streams"] == 12
    assert live["streams_at_30"][0]["fits"]


def test_bars_of_life_and_direction(results: dict[str, Any]) -> None:
    life = results["life"]
    for name in PUBLISH["LIVES"]:
        assert all(10 <= rate <= 20 for rate in life[name]["blinks_a_minute"])
        assert all(0.1 <= seconds <= 0.4 for seconds in life[name]["blink_s"])
        assert all(0.75 < ratio < 1.25 for ratio in life[name]["peak_speed_against_baloh"])
    for kept in life["closures_kept"].values():
        assert min(kept.values()) >= 0.9
        assert kept["closures"] > 200
