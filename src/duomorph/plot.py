"""A picture of a take: the sound on top, the curves that move most below it, all 52 at the bottom.

One promise: time runs along one axis for all three, so a closed lip stands exactly under its /p/.

    save_plot(clip, blocks("talk.wav"), "talk.png")     # of duomorph.audio; needs the extra `plot`
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, files
from duomorph.clip import Clip
from duomorph.clock import SAMPLE_RATE
from duomorph.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LANES: Final = ((("jaw", "lips", "tongue"), 8), (("eyes", "brows", "cheeks"), 4))  # curves drawn one by one
ALWAYS: Final = ("jawOpen", "mouthClose")  # drawn even when still
COLUMNS: Final = 1600  # the picture has fewer; longer takes are drawn by their extremes
SIZE: Final = (13.0, 11.4)  # inches
DPI: Final = 110
FLOOR: Final = 0.05  # least full height of a lane

INK, FAINT, GRID, PAPER = "#1c2530", "#66707c", "#e3e7ec", "#ffffff"
COLOURS: Final = {
    "jaw": "#c2410c",
    "lips": "#be185d",
    "tongue": "#7c3aed",
    "eyes": "#0369a1",
    "brows": "#0f766e",
    "cheeks": "#a16207",
}
HEAT: Final = ("#ffffff", "#fde4cf", "#f7a072", "#d1495b", "#6d2e6e", "#1d1a3f")

Curve = NDArray[np.float32]


def save_plot(clip: Clip, sound: Iterable[Curve], path: str | Path) -> None:
    """Draw a take as a PNG, whole or not at all.

    Args:
        clip: the curves.
        sound: what they were made from, (n,) float32 at 16 kHz, block by block; no more than a block is kept.
        path: the picture's file.
    Raises:
        MissingExtra: matplotlib is not installed.
        FormatError: the file cannot be written.
        AudioError: from `sound`, if that reads a file.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("pictures need matplotlib: install it with  pip install 'duomorph[plot]'") from None
    wave = _extremes(sound)
    figure = Figure(figsize=SIZE, dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    top, lanes, heat = figure.subplots(
        3, 1, sharex=True, height_ratios=(1.0, 3.8, 5.0),
        gridspec_kw={"left": 0.12, "right": 0.945, "top": 0.955, "bottom": 0.06, "hspace": 0.06},
    )  # fmt: skip
    start = float(clip.start)
    end = max(start + len(clip) / float(clip.fps), wave.samples / SAMPLE_RATE, start + 1e-3)
    for axes in (top, lanes, heat):
        axes.set_xlim(min(0.0, start), end)
        axes.tick_params(length=0, colors=FAINT, labelsize=8)
        axes.tick_params(axis="x", labelbottom=axes is heat)
        axes.set_frame_on(False)
    for axes in (top, lanes):
        axes.grid(axis="x", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
    _draw_wave(top, wave)
    _draw_lanes(lanes, clip)
    _draw_heat(heat, clip)
    heat.set_xlabel("seconds", color=FAINT, fontsize=9)
    title = f"{len(clip)} frame{'' if len(clip) == 1 else 's'} at {float(clip.fps):.6g} fps"
    figure.text(0.12, 0.972, "Speech and the 52 ARKit curves", color=INK, fontsize=12, weight="bold")
    figure.text(0.945, 0.972, title, color=FAINT, fontsize=9, ha="right")
    with files.atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


class _Wave(NamedTuple):
    """Lowest and highest sample of each column, (columns,); samples in a column, and in all."""

    low: Curve
    high: Curve
    width: int
    samples: int


def _draw_wave(axes: Axes, wave: _Wave) -> None:
    times = (np.arange(len(wave.low)) + 0.5) * wave.width / SAMPLE_RATE
    peak = max(float(-wave.low.min(initial=0.0)), float(wave.high.max(initial=0.0)), 1e-3)
    axes.fill_between(times, wave.low / peak, wave.high / peak, color="#475569", linewidth=0.4)
    axes.set_ylim(-1.08, 1.08)
    axes.set_yticks([0], ["sound"])


def _draw_lanes(axes: Axes, clip: Clip) -> None:
    lanes = _lanes(clip)
    times = clip.times
    for row, (_, group, curve) in enumerate(lanes):
        base = len(lanes) - 1 - row
        peak = float(curve.max(initial=0.0))
        height = 0.88 * curve / max(peak, FLOOR)
        colour = COLOURS[group]
        axes.axhline(base, color=GRID, linewidth=0.7, zorder=1)
        axes.fill_between(times, base, base + height, color=colour, alpha=0.22, linewidth=0, zorder=2)
        axes.plot(times, base + height, color=colour, linewidth=1.2, zorder=3)
        axes.text(
            1.006, base + 0.3, f"{peak:.2f}", color=colour, fontsize=8, va="center",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    axes.text(1.006, len(lanes), "peak", color=FAINT, fontsize=8, va="center", transform=axes.get_yaxis_transform())
    axes.set_ylim(-0.12, len(lanes) + 0.1)
    axes.set_yticks([len(lanes) - 1 - row + 0.3 for row in range(len(lanes))], [label for label, _, _ in lanes])
    for tick, (_, group, _) in zip(axes.get_yticklabels(), lanes, strict=True):
        tick.set_color(COLOURS[group])
        tick.set_fontsize(8.5)


def _draw_heat(axes: Axes, clip: Clip) -> None:
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    pairs = [(group, sorted({name, arkit.mirror(name)})) for group, name in _shapes(arkit.GROUPS)]
    rows = [arkit.INDEX[name] for _, names in pairs for name in names]
    picture = _pooled(clip.weights)[:, rows].T  # (52, columns)
    start, end = float(clip.start), float(clip.start + len(clip) / clip.fps)
    image = axes.imshow(
        picture if picture.size else np.zeros((len(rows), 1)),
        extent=(start, max(end, start + 1e-3), len(rows), 0),
        aspect="auto",
        interpolation="nearest",
        cmap=LinearSegmentedColormap.from_list("skin", HEAT),
        norm=PowerNorm(0.6, vmin=0.0, vmax=max(0.4, float(picture.max(initial=0.0)))),
    )
    edges = np.cumsum([0, *(len(names) for _, names in pairs)])
    axes.set_yticks((edges[:-1] + edges[1:]) / 2, [_label(names[0]) for _, names in pairs])
    for tick, (group, _) in zip(axes.get_yticklabels(), pairs, strict=True):
        tick.set_color(COLOURS[group])
        tick.set_fontsize(6.6)
    edge = 0
    for group, members in arkit.GROUPS.items():
        axes.text(
            1.006, edge + len(members) / 2, group, color=COLOURS[group], fontsize=8, va="center",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
        edge += len(members)
        axes.axhline(edge, color=FAINT, linewidth=0.5)
    bar = axes.inset_axes((0.80, -0.075, 0.2, 0.016))
    colorbar = axes.figure.colorbar(image, cax=bar, orientation="horizontal")
    colorbar.outline.set_visible(False)
    bar.tick_params(length=0, colors=FAINT, labelsize=7, pad=1)


def _lanes(clip: Clip) -> list[tuple[str, str, Curve]]:
    """The liveliest curves as (label, group, (T,)), in the order of the groups; left and right are one curve."""
    chosen = []
    for groups, count in LANES:
        lanes = [(name, group, _curve(clip, name)) for group, name in _shapes(groups)]
        travel = [float(np.ptp(curve)) if len(curve) else 0.0 for _, _, curve in lanes]
        activity = [np.inf if lane[0] in ALWAYS else way for lane, way in zip(lanes, travel, strict=True)]
        keep = sorted(np.argsort(activity, kind="stable")[-count:])
        chosen += [(_label(lanes[k][0]), lanes[k][1], lanes[k][2]) for k in keep]
    return chosen


def _shapes(groups: Iterable[str]) -> list[tuple[str, str]]:
    """(group, name) of each shape that is drawn: the middle ones, and the left one of a pair for both."""
    return [
        (group, arkit.NAMES[index]) for group in groups for index in arkit.GROUPS[group] if index <= arkit.MIRROR[index]
    ]


def _label(name: str) -> str:
    if arkit.mirror(name) == name:
        return name
    return f"{name.removesuffix('Left')} L/R"


def _curve(clip: Clip, name: str) -> Curve:
    """(T,) of a middle shape, or the mean of both sides; of jaw and mouth moving aside, how far."""
    other = arkit.mirror(name)
    if name in ("jawLeft", "mouthLeft"):
        aside: Curve = np.abs(clip[name] - clip[other])
        return aside
    mean: Curve = (clip[name] + clip[other]) * np.float32(0.5)
    return mean


def _extremes(sound: Iterable[Curve]) -> _Wave:
    """The sound in at most 2 * COLUMNS columns; each becomes twice as wide whenever they would be more."""
    low = high = np.zeros(0, dtype=np.float32)
    width, samples = 1, 0
    for block in sound:
        if not len(block):
            continue
        while samples + len(block) > 2 * COLUMNS * width:
            width *= 2
            pairs = np.arange(0, len(low), 2)
            if len(low):
                low, high = np.minimum.reduceat(low, pairs), np.maximum.reduceat(high, pairs)
        begun = -samples % width  # samples that the last column still lacks
        edges = np.array([*([0] if begun else []), *range(begun, len(block), width)])
        below, above = np.minimum.reduceat(block, edges), np.maximum.reduceat(block, edges)
        if begun:
            below[0], above[0] = min(below[0], low[-1]), max(above[0], high[-1])
            low, high = low[:-1], high[:-1]
        low, high = np.concatenate([low, below]), np.concatenate([high, above])
        samples += len(block)
    return _Wave(low, high, width, samples)


def _pooled(weights: Curve) -> Curve:
    """(T, 52) -> (at most COLUMNS, 52) by the highest value, so that no closed lip is lost."""
    if len(weights) <= COLUMNS:
        return weights
    edges = np.linspace(0, len(weights), COLUMNS, endpoint=False, dtype=np.intp)
    return np.maximum.reduceat(weights, edges, axis=0)
