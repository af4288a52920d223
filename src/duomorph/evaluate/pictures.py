"""The pictures of an evaluation, each as an HTML image that holds its own data.

One promise: what is drawn are the figures handed over; nothing is measured here.

    pictures.bars(report)        # '<img alt="..." src="data:image/svg+xml;base64,...">'
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.errors import MissingExtra
from duomorph.evaluate.report import Played
from duomorph.mel import MelConfig
from duomorph.plot import COLOURS, FAINT, GRID, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS: Final = "#c2410c"
HZ: Final = (100, 300, 1000, 3000, 7000)  # marked along the bands
GROUP_OF: Final = {arkit.NAMES[index]: group for group, members in arkit.GROUPS.items() for index in members}


def curves(one: Played, shapes: Sequence[str], longest_s: float) -> str:
    """Some curves of a take above each other, ours over the capture."""
    figure = _figure(10, 0.75 * len(shapes) + 0.6)
    early = one.times <= one.times[0] + longest_s
    times, predicted, truth = one.times[early], one.predicted[early], one.truth[early]
    for axes, shape in zip(np.ravel(figure.subplots(len(shapes), 1, sharex=True)), shapes, strict=True):
        index = arkit.INDEX[shape]
        axes.fill_between(times, truth[:, index], color="#475569", alpha=0.25, linewidth=0, label="captured")
        axes.plot(times, predicted[:, index], color=OURS, linewidth=1.3, label="ours")
        axes.set_ylim(0, 1.1 * max(0.02, float(np.nanmax(truth[:, index])), float(predicted[:, index].max())))
        axes.set_ylabel(shape, rotation=0, ha="right", va="center", fontsize=8, color=INK)
        _quiet(axes)
    axes.set_xlabel("seconds", color=FAINT, fontsize=8)
    figure.axes[0].legend(loc="upper right", fontsize=7, frameon=False, ncols=2)
    figure.suptitle(one.take.name, x=0.01, ha="left", fontsize=9, color=FAINT)
    return _image(figure, f"curves of take {one.take.name}")


def bars(report: dict[str, Any]) -> str:
    """Error of each shape, and those of the still faces."""
    shapes = list(report["mae_by_shape"])
    figure = _figure(10, 0.17 * len(shapes) + 0.8)
    axes = figure.subplots()
    rows = np.arange(len(shapes))[::-1]
    axes.barh(rows, list(report["mae_by_shape"].values()), color=[COLOURS[GROUP_OF[shape]] for shape in shapes])
    for face, mark in (("median", "|"), ("mean", ".")):
        still = [report["baselines_by_shape"][shape][face] for shape in shapes]
        axes.plot(still, rows, mark, color=INK, markersize=7, label=f"train {face}")
    axes.set_yticks(rows, shapes, fontsize=7)
    axes.set_ylim(-1, len(shapes))
    axes.set_xlabel("mean absolute error", color=FAINT, fontsize=8)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    _quiet(axes)
    return _image(figure, "error by shape")


def streams(specialisation: dict[str, Any]) -> str:
    """w_mel of each shape, and S of each group."""
    figure = _figure(10, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=(3.4, 1))
    shapes = [arkit.NAMES[index] for members in arkit.GROUPS.values() for index in members]
    shares = [specialisation["by_shape"][shape][0] for shape in shapes]
    left.bar(range(len(shapes)), shares, color=[COLOURS[GROUP_OF[shape]] for shape in shapes])
    left.axhline(0.5, color=INK, linewidth=0.8)
    left.set_xticks(range(len(shapes)), shapes, rotation=90, fontsize=5.5)
    left.set(ylim=(0, 1), xlim=(-1, len(shapes)))
    left.set_title("weight of the mel stream", fontsize=8, loc="left", color=FAINT)
    groups = list(arkit.GROUPS)
    right.bar(groups, [specialisation["s"][group] for group in groups], color=[COLOURS[group] for group in groups])
    right.set_ylim(0, 1)
    right.set_title("specialisation S", fontsize=8, loc="left", color=FAINT)
    right.tick_params(axis="x", rotation=60)
    for axes in (left, right):
        _quiet(axes)
    return _image(figure, "weights of the two streams")


def looks(moments: dict[str, dict[str, NDArray[np.float32]]], shapes: Sequence[str]) -> str:
    """Attention over the bands: a panel for each moment, a row for each shape."""
    figure = _figure(10, 0.22 * len(shapes) + 1.1)
    panels = np.ravel(figure.subplots(1, len(moments), sharey=True))
    highest = max(float(at[shape].max()) for at in moments.values() for shape in shapes)
    places = _band_of(np.array(HZ))
    for axes, (moment, at) in zip(panels, moments.items(), strict=True):
        rows = np.stack([at[shape] for shape in shapes])  # (shapes, 80)
        axes.imshow(rows, aspect="auto", interpolation="nearest", cmap="magma_r", vmin=0, vmax=highest)
        axes.set_xticks(places, [f"{hz:g}" for hz in HZ])
        axes.set_yticks(range(len(shapes)), shapes)
        axes.set_title(moment, fontsize=8, loc="left", color=FAINT)
        axes.set_xlabel("Hz", color=FAINT, fontsize=8)
        axes.tick_params(length=0, labelsize=7)
    return _image(figure, "attention over the mel bands")


def _band_of(hz: NDArray[np.int_]) -> NDArray[np.float64]:
    """Place of a frequency among the bands: mel is log(1 + f / 700), the bands lie evenly on it."""
    low, high, at = (np.log1p(np.asarray(f) / 700.0) for f in (MelConfig.low_hz, MelConfig.high_hz, hz))
    place: NDArray[np.float64] = (at - low) / (high - low) * (MelConfig.bands + 1) - 1
    return place


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("pictures need matplotlib: install it with  pip install 'duomorph[plot]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def _quiet(axes: Axes) -> None:
    axes.set_frame_on(False)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=FAINT, labelsize=6.5)


def _image(figure: Figure, about: str) -> str:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "duomorph"}):  # the same picture is the same file
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(about)}" src="data:image/svg+xml;base64,{data}">'
