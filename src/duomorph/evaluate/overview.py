"""Every corpus at every rate, as plain data for JSON and as a table for the screen.

One promise: each take is animated once a rate; only windows that start cold and silenced streams need more runs.

    result = summary(load(), ["grid_s1", "facegood"], [30.0, 60.0], delay_ms=100.0)
    print(table(result))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from textwrap import fill
from typing import Any, Final

import numpy as np

from duomorph import arkit
from duomorph.clock import frame_rate
from duomorph.dataset.takes import takes
from duomorph.evaluate import metrics, phones
from duomorph.evaluate.again import STRIDE, even_frames_gap, sessions, silenced, smoothing, strided
from duomorph.evaluate.report import Played, Report, clean, held_out, predictions, report, trivial
from duomorph.face import Face

SHOWN: Final = (
    "jawOpen", "mouthClose", "mouthPucker", "mouthFunnel", "mouthLowerDownLeft", "mouthUpperUpLeft",
    "mouthSmileLeft", "mouthPressLeft", "eyeBlinkLeft", "browDownLeft",
)  # fmt: skip


def measure(
    face: Face,
    names: Sequence[str],
    rates: Sequence[float],
    delay_ms: float,
    style: str | None = None,
    stride: int = STRIDE,
    with_phones: bool = False,
    show: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, Any], dict[str, list[Played]]]:
    """Every corpus at every rate: plain data for JSON, and what was played at the first rate, for pictures.

    Raises:
        CorpusError: a corpus is absent, or nothing of it is held out.
        SettingError: a take's style is none of the model's. MissingExtra: phones of GRID without pocketsphinx.
    """
    reports: dict[str, list[Report]] = {}
    first: dict[str, list[Played]] = {}
    gaps = {}
    for name in names:
        test = held_out(name)
        faces = trivial(takes(name, "train") or test)
        spoken = phones.known(name, test) if with_phones else {}
        runs: dict[float, list[Played]] = {}
        reports[name] = []
        for fps in dict.fromkeys(rates):
            show(f"{name} at {fps:g} fps")
            played = predictions(face, test, frame_rate(fps), delay_ms, style)
            one = report(played, name, faces, delay_ms)
            one = replace(
                one,
                strided=strided(face, played, delay_ms, style, stride),
                sessions=None if runs else sessions(face, played, delay_ms, style),
                smoothing=smoothing(face, played),
                sounds=phones.figures([
                    (p.times, p.predicted, p.truth, spoken.get(p.take.name), p.take.recording) for p in played
                ]),
                silenced=None if runs else silenced(face, played, one, delay_ms, style),
            )
            runs[fps] = played
            reports[name].append(clean(one))
        first[name] = next(iter(runs.values()))
        pairs = [(runs[fps], runs[2 * fps]) for fps in runs if 2 * fps in runs]
        if pairs:
            gaps[name] = max(even_frames_gap(slow, fast) for slow, fast in pairs)
    info = face.info()
    return {
        "split": "held-out takes (corpus/split.json, or the data set's own), each animated alone, unsmoothed labels",
        "weights_sha256": info.weights_sha256,
        "style": style,
        "reports": [asdict(one) for own in reports.values() for one in own],
        "rate_gap": {name: max(r.mae for r in own) - min(r.mae for r in own) for name, own in reports.items()},
        "even_frames_gap": gaps,
        "specialisation": metrics.specialisation(np.array(info.provenance.streams)),
    }, first


def summary(face: Face, names: Sequence[str], rates: Sequence[float], delay_ms: float, **more: Any) -> dict[str, Any]:
    """`measure` without what was played."""
    return measure(face, names, rates, delay_ms, **more)[0]


def table(result: dict[str, Any]) -> str:
    """A summary for the screen: the headline of each corpus first."""
    lines = [line for one in result["reports"] for line in (*_told(one), "")]
    for name, gap in result["rate_gap"].items():
        even = result["even_frames_gap"].get(name)
        if even is not None:
            lines.append(f"{name}: MAE differs by {gap:.5f} between the rates, even frames by at most {even:.5f}")
    streams = result["specialisation"]
    shares = "  ".join(f"{group} {w:.2f}" for group, w in streams["w_mel"].items() if group in arkit.GROUPS)
    lines.append(f"listens to mel    {shares}")
    lines.append(f"w_mel of the mouth less that of brows and cheeks: {streams['mouth_less_brows_cheeks']:+.2f}")
    return "\n".join(lines)


def _told(one: dict[str, Any]) -> list[str]:
    base, skill = one["baselines"], one["skill"]
    lines = [
        f"{one['corpus']}  {one['fps']:g} fps  delay {one['delay_ms']:g} ms  "
        f"{one['clips']} clips, {one['frames']} frames, {one['shapes']} shapes",
        f"  MAE {one['mae']:.4f}  skill {number(skill['all'], '+.3f')}  r(jawOpen) {number(one['r'].get('jawOpen'))}"
        f"  lag {number(one['lag_ms'], '+.0f')} ms",
        "              MAE     zero    mean  median   skill  jitter",
    ]
    for group, mae, still in (
        ("all", one["mae"], base),
        ("mouth", one["groups"]["mouth"], one["group_baselines"]["mouth"]),
        ("expression", one["groups"]["expression"], one["group_baselines"]["expression"]),
    ):
        cells = "".join(f"{number(value, '.4f'):>8}" for value in (mae, *still.values()))
        jitter = one["jitter"][group]
        lines.append(f"  {group:<10}{cells}{number(skill[group], '+.3f'):>8}{number(jitter, '.2f'):>8}")
    return lines + [fill(fact, 110, initial_indent="  ", subsequent_indent="    ") for fact in facts(one)]


def facts(one: dict[str, Any]) -> list[str]:
    """What else a report holds, a sentence each; what this data cannot say is left out."""
    speed, calm = one["velocity"], one["consistency"]
    lines = [
        "r: " + ", ".join(f"{name} {one['r'][name]:.3f}" for name in SHOWN if name in one["r"]),
        f"speed error {number(speed['error'])}/s (still face {number(speed['still'])}), "
        f"variation in a file {number(calm['mean'], '.2f')} ± {number(calm['spread'], '.2f')} of the truth's",
    ]
    if cold := one["strided"]:
        lines.append(
            f"{cold['windows']} cold windows of {cold['window']} frames every {cold['stride']}: "
            f"MAE {cold['mae']:.4f} (not weighted {cold['plain']:.4f})"
        )
    if chain := one["sessions"]:
        lines.append(
            f"chained into {chain['sessions']} sessions of a minute: MAE {number(chain['mae'], '.4f')}, "
            f"r(jawOpen) {number(chain['r_jawOpen'])}"
        )
    if smooth := one["smoothing"]:
        lines.append(
            f"without its smoothing MAE {smooth['mae_without']:.4f} for {smooth['mae']:.4f}, "
            f"jitter {number(smooth['jitter_without'], '.2f')} for {number(smooth['jitter'], '.2f')}"
        )
    if said := one["sounds"]:
        titles = {"closure": "lips shut on P B M", "vowels": "on open vowels"}
        titles |= {"silence": "open in silence", "rounding": "rounding AUC"}
        lines.append(
            ", ".join(
                f"{title} {number(said[key]['ours'], '.2f')} (truth {number(said[key]['truth'], '.2f')})"
                for key, title in titles.items()
            )
        )
    for stream, loss in (one["silenced"] or {}).items():
        lines.append(
            f"without {stream}: error of the mouth {number(loss['mouth_loss'], '+.1%')}, "
            f"of the expression {number(loss['expression_loss'], '+.1%')}"
        )
    return lines


def number(value: float | None, form: str = ".3f") -> str:
    """For people: what is not known is a dash."""
    return "–" if value is None else format(value, form)
