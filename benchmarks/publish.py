"""The numbers we publish: measured by this file, kept as JSON, written into README, model card and docs from there.

    python benchmarks/publish.py measure     # needs DUOMORPH_CORPUS; some minutes; benchmarks/results/*.json
    python benchmarks/any_voice.py articulated --json benchmarks/results/any_voice.json       # so do these eight
    python benchmarks/robustness.py --json benchmarks/results/robustness.json
    python benchmarks/specialisation.py articulated/emodb -o runs/specialisation
    python benchmarks/life.py articulated/librispeech --json benchmarks/results/life.json
    duomorph bench --live --seconds 60 --json benchmarks/results/live.json
    duomorph bench --long --json benchmarks/results/bench_long.json
    python benchmarks/operations.py --json benchmarks/results/operations.json     # with one thread, as it says
    python benchmarks/peers/compare.py --koemorph ~/KoeMorph --json benchmarks/results/peers.json
    python benchmarks/publish.py measure bench
    python benchmarks/publish.py write       # the tables of TARGETS from the JSON

A test checks that what stands in these files is what the JSON says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duomorph
from duomorph import bench, describe, evaluate, files
from duomorph.clock import PROFILES, TICK_RATE
from duomorph.model.config import UPDATE_TICKS, ModelConfig

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
TARGETS = (
    ROOT / "README.md", ROOT / "src" / "duomorph" / "weights" / "MODEL_CARD.md", ROOT / "docs" / "claims.md",
    ROOT / "docs" / "ablations.md", ROOT / "docs" / "life.md", ROOT / "docs" / "live.md",
    ROOT / "docs" / "mobile.md", ROOT / "docs" / "performance.md", ROOT / "docs" / "scale.md",
)  # fmt: skip
CORPORA = ("grid_s1", "facegood")
DELAYS = (0, 17, 33, 50, 67, 100, 133, 200)
SHAPES = ("jawOpen", "mouthPucker", "mouthLowerDownLeft", "mouthClose", "eyeBlinkLeft")


def delays() -> dict[str, Any]:
    """Every corpus at every delay, 30 fps."""
    face = duomorph.load()
    found = {name: [evaluate.evaluate(face, name, 30, ms) for ms in DELAYS] for name in CORPORA}
    reports = {name: [{"mae": one.mae, "r": one.r} for one in own] for name, own in found.items()}
    return {"weights_sha256": face.info().weights_sha256, "reports": reports}


MEASURES = {
    "bench": bench.measure,
    "evaluate": lambda: evaluate.summary(duomorph.load(), list(CORPORA), [30.0, 60.0], 100.0),
    "delay": delays,
}


def measure(names: list[str]) -> None:
    """All, or those named, into JSON files."""
    files.folder(RESULTS)
    for name in names or MEASURES:
        result = MEASURES[name]()
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
    live, worst, wire = b["latency_ms_live"], b["latency_ms_live_p99"], _load("live")["live"]
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
            f"| `duomorph live`, from a moment of the sound to its UDP packet, {wire['frames']} frames | "
            f"{wire['measured_ms']['p50']:.1f} ms median, {wire['measured_ms']['p99']:.1f} ms p99; "
            f"{wire['dropped']} dropped |",
            f"| first frame, delay 33 ms | after {b['first_frame_ms_at_delay_33']:.0f} ms of sound |",
            f"| peak memory of the process | {b['peak_memory_mb']:.0f} MB |",
            f"| model | {b['model_mb']:.1f} MB, {b['parameters']:,} parameters, {b['mmac_per_tick']:.2f} MMAC a tick |",
        ]
    )


def live() -> str:
    """How late live frames are, through a socket, and what was aimed at."""
    result = _load("live")
    lines = [
        "| profile | frames | dropped | stated | measured, median and p99 | computing a frame, median and p99 "
        "| worst, from an event to its packet |",
        "|---|---|---|---|---|---|---|",
    ]
    profiles = [name for name in PROFILES if name in result]
    for name in profiles:
        one = result[name]
        measured, compute = ([one[of][q] for q in ("p50", "p99")] for of in ("measured_ms", "compute_ms"))
        lines.append(
            f"| `{name}` | {one['frames']} | {one['dropped']} | {one['stated_ms']:.1f} ms | {measured[0]:.1f}, "
            f"{measured[1]:.1f} ms | {compute[0]:.1f}, {compute[1]:.1f} ms "
            f"| {one['worst_from_sound_to_packet_ms']:.1f} ms |"
        )
    talk, few = result["live"], result["streams_at_30"][0]
    most = max((many["streams"] for many in result["streams_at_30"] if many["fits"]), default=0)
    last = [result[name]["last_sample"] for name in profiles]
    aims = [
        ("`live`: 33 ms at p99", f"{talk['measured_ms']['p99']:.1f} ms", talk["measured_ms"]["p99"] <= 33),
        ("`live`: 4 ms of computing at p99", f"{talk['compute_ms']['p99']:.1f} ms", talk["compute_ms"]["p99"] <= 4),
        (f"{few['streams']} streams at 30 fps in one process, at most a frame late at p99",
         f"{few['late_ms']['p99']:.0f} ms late, {few['cores']:.1f} cores busy; " + (
             f"{most} fit" if few["fits"] else "they do not fit"), few["fits"]),
        ("the last sample that changes a frame is the stated one",
         ", ".join(f"number {one['found']} for {one['stated']}" for one in last),
         all(one["found"] == one["stated"] for one in last)),
    ]  # fmt: skip
    lines += ["", "| aim | measured | |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {aim} | {told} | {'held' if held else 'missed'} |" for aim, told, held in aims)])


LIVES = ("calm, talk", "lively, talk", "calm, quiet", "lively, quiet")


def life() -> str:
    """A face that lives, beside people."""
    result = _load("life")
    rows = [
        ("blinks a minute", "blinks_a_minute", "{:.1f}", "8 to 21 at rest, 10.5 to 32.5 talking (Doughty 2001)"),
        ("a blink lasts, s", "blink_s", "{:.2f}", "0.1 to 0.4"),
        ("looks a minute", "looks_a_minute", "{:.0f}", "30 talking, 14 listening (Lee 2002)"),
        ("away from the listener", "away", "{:.0%}", "23 % talking, 5 % listening (Lee 2002)"),
        ("peak speed over 551 (1 − exp(−A / 14)) °/s", "peak_speed_against_baloh", "{:.2f}", "1 (Baloh 1975)"),
        ("small saccades a minute", "small_a_minute", "{:.0f}", "60 to 120 (Martinez-Conde 2004)"),
    ]  # fmt: skip
    lines = [f"| | {' | '.join(LIVES)} | people |", "|---" * (len(LIVES) + 2) + "|"]
    for told, key, form, people in rows:
        cells = (", ".join(form.format(value) for value in result[name][key]) for name in LIVES)
        lines.append(f"| {told} | {' | '.join(cells)} | {people} |")
    sways = (", ".join(f"{value:.1f}" for value in result[name]["head_sd_deg"]) for name in LIVES)
    return "\n".join([*lines, f"| head, deviation of yaw, pitch and roll, ° | {' | '.join(sways)} | |"])


def closures() -> str:
    """How many closed lips stay closed with an emotion."""
    kept = _load("life")["closures_kept"]
    names = [name for name in kept["network"] if name != "closures"]
    lines = [f"| curves of | P, B, M that shut | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for told, one in kept.items():
        lines.append(f"| the {told} | {one['closures']} | {' | '.join(f'{one[name]:.1%}' for name in names)} |")
    return "\n".join(lines)


SMALL = {
    "fp32": "`onnx`, as it ships", "fp16": "`onnx-fp16`", "int8": "`onnx-int8`", "dynamic": "`dynamic`, not offered",
}  # fmt: skip


def small() -> str:
    """Weights in fewer bytes."""
    models = _load("int8")["models"]
    lines = [
        "| | MB | MAE | r jawOpen | from the shipped | loaded in | peak memory | a tick, alone / of 40 | cut |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, told in SMALL.items():
        one = models[name]
        lines.append(
            f"| {told} | {one['bytes'] / 1e6:.1f} | {one['mae']:.5f} | {one['r_jawOpen']:.4f} "
            f"| {one['from_shipped_mean']:.6f}, {one['from_shipped_max']:.4f} | {one['load_s']:.2f} s "
            f"| {one['peak_mb']:.0f} MB | {one['tick_ms']:.2f} / {one['tick_of_40_ms']:.2f} ms | {one['cut']:.2f} |"
        )
    return "\n".join(lines)


def sources() -> str:
    """What the shipped weights learned from."""
    lines = ["| source | style | hours | licence | credit |", "|---|---|---|---|---|"]
    for one in duomorph.load().info().provenance.sources:
        credit = "; ".join(dict.fromkeys(part.strip() for part in one.credit.split(";") if "articulated" not in part))
        lines.append(f"| `{one.name}` | `{one.style}` | {one.hours:.2f} | {one.licence} | {credit} |")
    return "\n".join(lines)


VOICES = {
    "librispeech": "English, three readers",
    "arctic": "English, sentences",
    "kerstin": "German, sentences",
    "nathalie": "Dutch, sentences",
    "synthetic": "synthetic voices, sentences",
    "emodb": "German, two actors in seven moods",
}


def voices() -> str:
    """What was held out of the articulated corpora, in the default style."""
    result = _load("any_voice")
    lines = [
        "| not learned | clips | MAE mouth (never moves) | r jawOpen | r pucker | r lowerDown "
        "| lips shut on P B M / open vowels | open in silence | rounding, AUC | jitter 30 / 60 fps |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, told in VOICES.items():
        one, fast = result[name]["30"], result[name]["60"]
        r = [one["r"][shape] for shape in ("jawOpen", "mouthPucker", "mouthLowerDownLeft")]
        lines.append(
            f"| `{name}`: {told} | {result[name]['clips']} | {one['mae_mouth']:.4f} "
            f"({one['baselines_mouth']['median']:.4f}) | {r[0]:.2f} | {r[1]:.2f} | {r[2]:.2f} "
            f"| {one['closure']['ours']:.0%} / {one['vowels']['ours']:.0%} "
            f"| {one['silence']['ours']:.1%} | {one['rounding']['ours']:.2f} "
            f"| {one['jitter']:.2f} / {fast['jitter']:.2f} |"
        )
    return "\n".join(lines)


def left_out() -> str:
    """What weights give that never learned it: faces, a language, moods."""
    result = _load("left_out")
    readers, dutch = (result[name]["30"] for name in ("librispeech", "nathalie"))
    near = (
        all(dutch[figure]["ours"] >= 0.9 * readers[figure]["ours"] for figure in ("closure", "rounding"))
        and dutch["r"]["jawOpen"] >= 0.9 * readers["r"]["jawOpen"]
    )

    def told(one: dict[str, Any]) -> str:
        return (
            f"r(jawOpen) {one['r']['jawOpen']:.3f}, P B M shut {one['closure']['ours']:.0%}, open in silence "
            f"{one['silence']['ours']:.1%}, rounding {one['rounding']['ours']:.2f}"
        )

    lines = ["| never learned | measured | aim | |", "|---|---|---|---|"]
    for name, clips, aim in (("grid_s1", "held-out clips", 0.75), ("facegood", "takes", 0.82)):
        one = result["captured"][name]
        r = one["r"]["jawOpen"]
        lines.append(
            f"| `{name}`, {one['clips']} {clips}, as captured "
            f"| r(jawOpen) {r:.3f}, pucker {one['r']['mouthPucker']:.2f}; "
            f"loudness alone {one['r_jawOpen_of_loudness']:.3f} | {aim} | {'held' if r >= aim else 'missed'} |"
        )
    lines.append(f"| `librispeech`, three readers, as drawn | {told(readers)} | | |")
    lines.append(
        f"| `nathalie`, Dutch, as drawn | {told(dutch)} | r, lips and rounding within 10 % of the readers' "
        f"| {'held' if near else 'missed'} |"
    )
    auc = ", ".join(f"{pair.replace('/', ' / ')} {value:.2f}" for pair, value in result["emotions"]["auc"].items())
    lines.append(f"| `emodb`, moods, AUC | {auc} | | |")
    return "\n".join(lines)


def moods() -> str:
    """What voices of strangers tell of their mood."""
    auc = _load("any_voice")["emotions"]["auc"]
    lines = [
        f"| {' | '.join(pair.replace('/', ' / ') for pair in auc)} |",
        "|---" * len(auc) + "|",
        f"| {' | '.join(f'{value:.2f}' for value in auc.values())} |",
    ]
    return "\n".join(lines)


def disturbed() -> str:
    """r(jawOpen) on GRID as sound gets worse, and what opens the mouth though nobody speaks."""
    r, wide = _load("robustness")["r_jawOpen"], _load("any_voice")["unspoken"]
    shown = {"noise": "noise", "music": "music"}
    lines = [
        f"| r(jawOpen) on GRID: {' | '.join(r)} | {' | '.join(f'opening to {kind}, raw / shaped' for kind in shown)} |",
        "|---" * (len(r) + len(shown)) + "|",
        f"| {' | '.join(f'{value:.3f}' for value in r.values())} "
        f"| {' | '.join(' / '.join(f'{kinds[kind]:.1%}' for kinds in wide.values()) for kind in shown)} |",
    ]
    return "\n".join(lines)


def saved(stride: int) -> float:
    """What one emotion track for a minute saves against one of its own for each window, `stride` frames apart."""
    config = ModelConfig()
    window = config.updates + config.context_ticks // UPDATE_TICKS  # updates that a window of 8.5 s looks at
    return 1 - (60 * TICK_RATE // UPDATE_TICKS) / ((60 * 30 // stride) * window)


def ablations() -> str:
    """Every row of the ablations."""
    from duomorph.train.ablate import markdown

    result = _load("ablations")
    seeds = max(len(row["scores"]) for row in result["rows"])
    told = f"{result['clips']} clips, {result['epochs']} epochs, {seeds} seeds; ±: half the range; without: one seed. "
    told += f"Width d = {result['model']['d']}, front end {result['model']['front']}."
    return f"{told}\n\n{markdown(result['rows'])}"


LAST_DIGIT = 1e-4  # of the scores


def _against(row: str) -> tuple[str, str, str, str]:
    """Command, data, measured and verdict of a part of the design: the full network and the one without it."""
    result = _load("ablations")
    scores = {one["row"]: one["scores"] for one in result["rows"]}
    if row not in scores:
        return "`duomorph ablate`", "–", "not measured yet", "open"
    better, told = [], []
    for key, name, sign, digits in (("mae", "MAE", -1, 4), ("r_jawOpen", "r(jawOpen)", 1, 3)):
        (full, off), (other, spread) = (
            (sum(values) / len(values), (max(values) - min(values)) / 2)
            for values in ([score[key] for score in scores[which]] for which in ("full", row))
        )
        gain = sign * (full - other)
        better += [(gain > 0, name)] if abs(gain) > off + spread + LAST_DIGIT else []
        told.append(f"{name} {full:.{digits}f} ± {off:.{digits}f}, {row} {other:.{digits}f} ± {spread:.{digits}f}")
    seeds = min(len(scores["full"]), len(scores[row]))
    if len({way for way, _ in better}) == 1:
        verdict = ("held" if better[0][0] else "**refuted**") + f" by {' and '.join(name for _, name in better)}"
    else:
        verdict = "mixed" if better else "no difference beyond the seeds'"
    verdict = f"{verdict}, in short runs" if seeds > 1 else "open: one seed"
    measured = "; ".join(told)
    data = f"{result['clips']} GRID clips, {result['epochs']} epochs, {seeds} seed{'s' * (seeds > 1)}"
    data += f", d = {result['model']['d']}"
    return "`duomorph ablate`", data, measured, verdict


APART = 0.3  # mean w_mel of the mouth less that of brows and cheeks, at least, in every training


def _roles() -> tuple[str, str, str, str]:
    """Command, data, measured and verdict of streams that nobody forces."""
    result = _load("specialisation")
    seeds = result["seeds"].values()
    own = describe.describe(duomorph.load().info())["w_mel"]
    shipped = ", ".join(f"{group} {weight:.2f}" for group, weight in own.items() if group != "tongue")
    lost = [one["lost"]["emotion silent"] for one in seeds]
    styles = [style for style in ("grid", "articulate") if f"mouth_{style}" in lost[0]]
    grown = []
    for style in styles:
        pairs = ", ".join(f"{loss['expression_' + style]:+.1%} / {loss['mouth_' + style]:+.1%}" for loss in lost)
        grown.append(f"`{style}` {pairs}")
    mean = sum(result["apart"]) / len(result["apart"])
    told = (
        f"mouth less brows and cheeks {', '.join(f'{apart:+.2f}' for apart in result['apart'])}, {mean:+.2f} on "
        f"average; without the emotion stream the error of the expression / of the mouth grows in "
        f"{'; in '.join(grown)}. In the weights that ship: {shipped}; equal is 0.50"
    )
    felt = all(loss[f"expression_{styles[-1]}"] > loss[f"mouth_{styles[-1]}"] for loss in lost)
    least = min(result["apart"])
    if felt and mean >= APART:
        verdict = "held, in short runs" if least >= APART else f"on average of short runs; one is {least:.2f} apart"
    else:
        verdict = f"in part: less than our {APART} apart" if felt and least > 0 else "**refuted**"
    data = f"{len(seeds)} seeds, {result['clips']} GRID clips{' and EMO-DB' * (len(styles) > 1)}, half the width"
    data += f", `train.streams_rate` {result['streams_rate']:.0f}"
    return "`benchmarks/specialisation.py`", data, told, verdict


def claims() -> str:
    """The claims of the system's description, each with what was measured."""
    info = duomorph.load().info()
    results, b = _load("evaluate"), _load("bench")
    grid = [report for report in results["reports"] if report["corpus"] == "grid_s1"]
    mae = ", ".join(f"{report['mae']:.4f} at {report['fps']:g} fps" for report in grid)
    even = max(results["even_frames_gap"].values())
    total = b["latency_ms_live"]["total"]

    def verdict(held: bool) -> str:
        return "held" if held else "**refuted**"

    rows = [
        ("D_mel = 20,720, D_mel/D_emotion = 80.9 at 30 fps", "`duomorph info`", "computed from the configuration",
         f"{info.d_mel(30):,}, {info.balance(30):.1f}", verdict(round(info.balance(30), 1) == 80.9)),
        ("the balance of 80.9 : 1 (three windows) is better than 232.7 : 1 (one)", *_against("one window")),
        ("a second stream for emotion helps", *_against("mel alone")),
        ("three frames of short-term detail help", *_against("no detail")),
        ("8.5 s of context help more than 4 s", *_against("context 4 s")),
        ("mixed sampling is better than sparse alone", *_against("sparse")),
        ("mixed sampling is better than dense alone", *_against("dense")),
        ("progressive stride is better than windows anywhere", *_against("fixed stride")),
        ("annealing tau to 0.2 is better than 0.5", *_against("tau 0.5")),
        ("natural roles are better than forced ones", *_against("forced roles")),
        ("MAE < 0.03 at both rates", "`duomorph evaluate`", "GRID s1, 89 held-out clips",
         f"{mae}; the train median, which never moves, {grid[0]['baselines']['median']:.4f}",
         verdict(all(report["mae"] < 0.03 for report in grid)) + ", and it says little"),
        ("one set of weights for 30 and 60 fps", "`duomorph evaluate`", "all held-out takes",
         f"even frames of 60 fps differ from those of 30 by at most {even:.1e}", verdict(even <= 0.005)),
        ("real-time factor 0.06 at 30 fps, 0.08 at 60", "`duomorph bench`", f"{b['audio_s']:g} s of speech, one thread",
         f"{b['rtf_30']:.3f}, {b['rtf_60']:.3f}", verdict(b["rtf_30"] <= 0.06 and b["rtf_60"] <= 0.08)),
        ("355 MB at 30 fps, 450 MB at 60", "`duomorph bench`", "the same, at 60 fps",
         f"{b['peak_memory_mb']:.0f} MB, the whole process", verdict(b["peak_memory_mb"] <= 355)),
        ("latency < 33 ms", "`duomorph bench`", "profile `live`: delay 17 ms, blocks of 8 ms",
         f"{total:.1f} ms with the median time of computing, {b['latency_ms_live_p99']['total']:.1f} ms with its "
         "99th percentile", verdict(total < 33)),
        ("8.2 MB", "`duomorph info`", "ONNX and safetensors together", f"{info.megabytes:.1f} MB",
         verdict(info.megabytes <= 8.2)),
        ("mouth and expression specialise by themselves", *_roles()),
        ("one emotion extraction a sequence saves 60 % of the memory", "`duomorph train`", "bytes kept for a minute",
         f"{saved(1):.1%} against one extraction for each window one frame apart, {saved(32):.1%} for 32 frames apart",
         verdict(saved(32) >= 0.6)),
    ]  # fmt: skip
    lines = ["| claim | command | data | measured | verdict |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def operations() -> str:
    """What a tick takes, part by part."""
    result = _load("operations")
    forms = result["network"]
    parts = [name for name in forms["one tick"] if any(form[name] for form in forms.values())]
    lines = [f"| operations a tick of 1/60 s | {' | '.join(forms)} |", "|---" * (len(forms) + 1) + "|"]
    for name, count in result["features"].items():
        lines.append(f"| {name} |{f' {count:,} |' * len(forms)}")
    lines += [f"| {name} | {' | '.join(f'{form[name]:,}' for form in forms.values())} |" for name in parts]
    features = sum(result["features"].values())
    lines.append(f"| all | {' | '.join(f'**{sum(form.values()) + features:,}**' for form in forms.values())} |")
    return "\n".join(lines)


def floor() -> str:
    """What was measured against what those operations take at least."""
    result = _load("operations")
    named = {"mel": "mel", "voice features": "voice features", "network": "network and frames"}
    lines = [
        f"| real-time factor, 60 fps, one core | floor at {result['core_gflops']:.0f} GFLOP/s | measured | times |",
        "|---|---|---|---|",
    ]
    for name, own in named.items():
        least, took = result["floor_rtf"][name], result["cpu_rtf"][own]
        lines.append(f"| {own} | {least:.5f} | {took:.5f} | {took / least:.1f} |")
    return "\n".join(lines)


def peers() -> str:
    """Others, beside ours in the same run."""
    result = _load("peers")
    lines = [
        "| beside ours | real-time factor of one core, theirs | ours | times | peak memory, theirs | ours |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in result["peers"].items():
        if "skipped" in one:
            lines.append(f"| {name} | not run: {one['skipped'].partition(':')[0]} | | | | |")
            continue
        theirs, ours = one["theirs"], one["ours"]
        lines.append(
            f"| {name} | {theirs['cpu_rtf']:.3f} | {ours['cpu_rtf']:.4f} | **{one['ratio']['cpu_rtf']:.0f}** "
            f"| {theirs['peak_mb']:.0f} MB | {ours['peak_mb']:.0f} MB |"
        )
    return "\n".join([*lines, "", result["note"]] if result["note"] else lines)


def dialogue() -> str:
    """What a night's dialogue costs."""
    result = _load("dialogue")
    speed, many, bad, ray = (result[part] for part in ("speed", "list", "bad", "ray"))
    assert ray["byte_identical"]
    assert ray["killed_byte_identical"]
    rows = [
        ("a line of 10 s, `duomorph animate`, one process", f"{speed['plain_one_s']:.3f} s"),
        ("a line of 10 s, `duomorph batch --jobs 1`", f"{speed['batch_one_s']:.3f} s, {speed['overhead']:+.1%}: the "
         "ledger and its commits are another process's work"),
        ("1,000 hours of sound", f"{speed['core_hours_of_1000']:.0f} hours of one core"),
        ("two workers", f"{speed['two_over_one']:.2f} times one, best against best of {speed['rounds']} rounds; median "
         f"of rounds {speed['two_over_one_median']:.2f}; two plain processes {speed['control_two_over_one']:.2f}"),
        (f"{many['lines']:,} lines listed, ledgered, and their results recorded", f"{many['peak_mb']:.0f} MB at most"),
        (f"{bad['bad_failed']:,} bad sounds among {bad['good_done']:,} good ones", f"{bad['good_done']:,} done, "
         f"{bad['bad_failed']:,} failed with a reason in a line, exit code {bad['exit_code']}"),
        (f"`kill -9` of the main process at {result['kill']['moments']} random moments, then `--resume`", "the same "
         "bytes as undisturbed, no orphan file"),
        ("two nodes of a Ray cluster, a core each, on this machine", "the same bytes as two processes"),
        ("one of them killed (its raylet, kill -9) midway", "every line done once, the same bytes, no half file"),
    ]  # fmt: skip
    return "\n".join(["| | |", "|---|---|", *(f"| {told} | {found} |" for told, found in rows)])


HOURS, MACHINES, CORES = 100_000, 100, 16


def cloud() -> str:
    """The arithmetic of a large job."""
    speed = _load("dialogue")["speed"]
    each = speed["core_hours_of_1000"]
    cores = HOURS / 1000 * each
    workers = MACHINES * CORES
    return (
        f"A hundred thousand hours of sound, by the number above: {HOURS:,} h × {each:.1f} core hours / 1,000 h = "
        f"{cores:,.0f} core hours. On {MACHINES} machines of {CORES} cores like these {cores:,.0f} / {workers:,} = "
        f"{cores / workers:.1f} hours if cores add up; at an assumed 0.04 for an hour of a core, {0.04 * cores:.0f}. "
        f"Lines of 10 s would be 36 million, and one process cannot hand out to {workers:,} workers: {workers:,} / "
        f"{speed['batch_one_s']:.2f} s = {workers / speed['batch_one_s']:,.0f} a second."
    )


def footprint() -> str:
    """Memory, start, and cost against length and voices."""
    b = _load("bench_long")
    peaks, cold = b["peak_memory_of_mb"], b["cold_start"]
    stages = ", ".join(f"{name} {value:.0f}" for name, value in b["memory_stages_mb"].items())
    costs = {f"{name} s": value for name, value in b["cost_by_length"].items()}
    short, hour = peaks[f"animate {b['audio_s']:g} s"], peaks["animate 3600 s"]
    apart = max(costs.values()) / min(costs.values()) - 1
    rows = [
        ("peak of `duomorph animate` on an hour, 60 fps, at most 160 MB", f"{hour:.0f} MB", hour <= 160),
        (f"the same on {b['audio_s']:g} s: flat", f"{short:.0f} MB", None),
        ("peak of `duomorph live`, at most 160 MB", f"{peaks['live']:.0f} MB", peaks["live"] <= 160),
        ("process start to first frame, at most 0.8 s", f"{cold['first_frame_s']:.2f} s, least {cold['least_s']:.2f}",
         cold["first_frame_s"] <= 0.8),
        ("`import duomorph`, at most 0.25 s", f"{cold['import_s']:.3f} s", cold["import_s"] <= 0.25),
        ("cost of a second the same within 10 % from 10 s to an hour",
         f"{', '.join(f'{name} {value:.4f}' for name, value in costs.items())}: {apart:.0%}", apart <= 0.10),
        ("a voice in chunks of 16.7 ms, of so many in one thread",
         ", ".join(f"{name}: {value:.3f}" for name, value in b["cost_by_streams"].items()), None),
        ("peak after each step, MB", stages, None),
    ]  # fmt: skip
    lines = ["| | measured | |", "|---|---|---|"]
    verdict = {True: "held", False: "missed", None: ""}
    return "\n".join([*lines, *(f"| {aim} | {told} | {verdict[held]} |" for aim, told, held in rows)])


def buffers() -> str:
    """Every buffer of a live voice."""
    kept = _load("bench_long")["buffer_bytes"]
    lines = ["| buffer | bytes |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {size:,} |" for name, size in kept.items())])


TABLES = {
    "ablations": ablations, "claims": claims, "accuracy": accuracy, "delay": delay, "speed": speed, "voices": voices,
    "moods": moods, "left_out": left_out, "disturbed": disturbed, "live": live, "sources": sources,
    "life": life, "closures": closures, "small": small, "operations": operations, "floor": floor, "peers": peers,
    "footprint": footprint, "buffers": buffers, "dialogue": dialogue, "cloud": cloud,
}  # fmt: skip


def filled(text: str) -> str:
    """The text with each table between its two marks renewed."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        if begin in text:
            head, _, rest = text.partition(begin)
            _, found, tail = rest.partition(end)
            assert found, f"{end.strip()} is missing, or begins no line after {begin.strip()}"
            text = head + begin + table() + end + tail
    return text


def write() -> None:
    """Renew the tables of every target."""
    for path in TARGETS:
        files.write(path, filled(path.read_text()).encode())


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        measure(sys.argv[2:])
    else:
        write()
