"""An evaluation as one web page with its pictures inside: it can be mailed, and opens anywhere.

One promise: the page fetches nothing, and where something could not be drawn it says why.

    result, played = measure(face, ["grid_s1"], [30.0], 100.0)
    write("report.html", result, played, face.info())       # needs the extra `plot`; attention needs `train`
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from duomorph import files
from duomorph.clock import SAMPLE_RATE, delay_ticks
from duomorph.errors import MissingExtra
from duomorph.evaluate import metrics, pictures
from duomorph.evaluate.attention import attention
from duomorph.evaluate.overview import SHOWN, facts, number
from duomorph.evaluate.report import Played
from duomorph.face import Info

LANES: Final = 6  # shapes drawn of a take
LONGEST_S: Final = 10  # drawn of a take
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2530; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.4rem } p, td, th { max-width: 46rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: right; font-weight: normal }
td:first-child, th:first-child { text-align: left } thead th { color: #66707c; border-bottom: 1px solid #e3e7ec }
img { max-width: 100%; height: auto } .faint { color: #66707c } b { font-size: 1.1em }
"""


def write(path: str | Path, result: dict[str, Any], played: dict[str, list[Played]], info: Info) -> None:
    """Put the page at `path`, whole or not at all.

    Args:
        result, played: of `duomorph.evaluate.measure`. info: of the face that was measured.
    Raises:
        MissingExtra: matplotlib is not installed. FormatError: the file cannot be written.
    """
    body = [
        "<h1>How good the curves are</h1>",
        f"<p class=faint>{escape(Path(info.path).name)}, weights {info.weights_sha256[:12]}, trained "
        f"{escape(info.provenance.trained)}. {escape(result['split'])}.</p>",
    ]
    for name, takes in played.items():
        own = [one for one in result["reports"] if one["corpus"] == name]
        body += _corpus(name, own, takes)
    body += _streams(result)
    body += _looks(result, played, info)
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>Duomorph: evaluation</title><style>{STYLE}</style>"
    files.write(path, "\n".join([head, *body, "</html>", ""]).encode())


def _corpus(name: str, reports: list[dict[str, Any]], takes: list[Played]) -> list[str]:
    first = reports[0]
    lines = [f"<h2>{escape(name)}</h2>"]
    for one in reports:
        lines.append(
            f"<p><b>MAE {one['mae']:.4f}, skill {number(one['skill']['all'], '+.3f')}</b> at {one['fps']:g} fps, delay "
            f"{one['delay_ms']:g} ms: {one['clips']} clips, {one['frames']} frames, {one['shapes']} shapes; the jaw "
            f"lags by {number(one['lag_ms'], '+.0f')} ms.</p>"
        )
        rows = [
            [group, *(number(value, ".4f") for value in (mae, *still.values())),
             number(one["skill"][group], "+.3f"), number(one["jitter"][group], ".2f")]
            for group, mae, still in (
                ("all", one["mae"], one["baselines"]),
                *((group, one["groups"][group], one["group_baselines"][group]) for group in ("mouth", "expression")),
            )
        ]  # fmt: skip
        lines.append(_table(["", "MAE", "zero", "train mean", "train median", "skill", "jitter"], rows))
        lines.append("<ul>" + "".join(f"<li>{escape(fact)}</li>" for fact in facts(one)) + "</ul>")
    ranked = sorted((one for one in takes if len(one.truth) > 1), key=_error)
    chosen = dict.fromkeys([0, len(ranked) // 2, len(ranked) - 1])
    shapes = [shape for shape in SHOWN if shape in first["r"]][:LANES] or list(first["r"])[:LANES]
    if shapes and ranked:
        lines.append("<p>The best, the middle and the worst take by MAE, against the capture.</p>")
        lines += [pictures.curves(ranked[k], shapes, LONGEST_S) for k in chosen]
    lines.append("<p>Error of each captured shape beside that of the median and the mean face, which never move.</p>")
    lines.append(pictures.bars(first))
    return lines


def _error(one: Played) -> float:
    return metrics.mean(np.abs(one.predicted - one.truth))


def _streams(result: dict[str, Any]) -> list[str]:
    streams = result["specialisation"]
    lines = [
        "<h2>Who listens to which stream</h2>",
        f"<p>Weight of the mel stream for each shape; the rest is emotion, 0.5 is equal. Mouth less brows and cheeks: "
        f"{streams['mouth_less_brows_cheeks']:+.2f}.</p>",
        pictures.streams(streams),
    ]
    rows = [
        [f"{one['corpus']}, {one['fps']:g} fps, without {stream}",
         *(number(loss[f"{group}_loss"], "+.1%") for group in ("all", "mouth", "expression"))]
        for one in result["reports"] for stream, loss in (one["silenced"] or {}).items()
    ]  # fmt: skip
    lines.append("<p>What is lost when a stream is silenced: growth of the error.</p>")
    lines.append(_table(["", "all", "mouth", "expression"], rows))
    return lines


def _looks(result: dict[str, Any], played: dict[str, list[Played]], info: Info) -> list[str]:
    """Attention at the widest, the roundest and the most closed moment of the first corpus' middle take."""
    title = "<h2>Where the shapes look</h2>"
    takes = sorted((one for one in next(iter(played.values())) if len(one.truth) > 1), key=_error)
    if not takes:
        return []
    one = takes[len(takes) // 2]
    early = one.times < LONGEST_S
    apart, lips = metrics.opening(one.truth[early]), metrics.rounding(one.truth[early])
    moments = {"widest": np.argmax(apart), "roundest": np.argmax(lips), "most closed": np.argmin(apart)}
    times = {name: float(one.times[early][index]) for name, index in moments.items()}
    delay = delay_ticks(result["reports"][0]["delay_ms"])
    weights = Path(info.path).with_suffix(".safetensors")
    try:
        sound = one.take.audio[: (LONGEST_S + 1) * SAMPLE_RATE]
        seen = attention(weights, sound, delay, result["style"] or one.take.style)
    except MissingExtra as problem:
        return [title, f"<p>Not drawn: {escape(str(problem))}.</p>"]
    return [
        title,
        f"<p>Attention over the 80 mel bands in take {escape(one.take.name)}, mean of the heads, at three moments "
        "of the capture.</p>",
        pictures.looks({f"{name}, {at:.2f} s": seen.at(at) for name, at in times.items()}, SHOWN),
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
