"""How the shapes of a data set move, style by style.

One promise: rows are streamed and counted, so a data set of any size takes the same memory; percentiles are exact to a
thousandth.

    found = stats("mydata")
    print(table(found))
    found[0].percentile(0.95)[INDEX["jawOpen"]]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, files
from duomorph.dataset import manifest
from duomorph.errors import CorpusError, MissingExtra
from duomorph.formats import jsonl

STEPS: Final = 1000  # of [0, 1]
BINS: Final = STEPS + 1  # one around each thousandth, 0 and 1 too
ACTIVE: Final = 0.05  # a shape above this is at work

Float64 = NDArray[np.float64]


@dataclass
class Style:
    """The shapes of one style; arrays are (52,) in the order of `arkit.NAMES`, over the clips that captured the shape.

    `rows` counts the frames behind each shape, `histogram` (52, BINS) their values.
    """

    name: str
    clips: int = 0
    frames: int = 0
    seconds: float = 0.0
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(arkit.COUNT, np.int64))
    sums: Float64 = field(default_factory=lambda: np.zeros(arkit.COUNT))
    squares: Float64 = field(default_factory=lambda: np.zeros(arkit.COUNT))
    max: Float64 = field(default_factory=lambda: np.zeros(arkit.COUNT))
    active_rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(arkit.COUNT, np.int64))
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros((arkit.COUNT, BINS), np.int64))

    def add(self, weights: Float64, captured: NDArray[np.bool_]) -> None:
        """Count (n, 52) weights."""
        self.frames += len(weights)
        self.rows += len(weights) * captured
        self.sums += weights.sum(axis=0) * captured
        self.squares += (weights**2).sum(axis=0) * captured
        self.max = np.maximum(self.max, weights.max(axis=0, initial=0.0) * captured)
        self.active_rows += (weights > ACTIVE).sum(axis=0) * captured
        places = np.rint(weights * STEPS).astype(np.int64).clip(0, STEPS) + np.arange(arkit.COUNT) * BINS
        counted = np.bincount(places.ravel(), minlength=arkit.COUNT * BINS).reshape(arkit.COUNT, BINS)
        self.histogram += counted * captured[:, None]

    @property
    def mean(self) -> Float64:
        """(52,)."""
        return self.sums / np.maximum(self.rows, 1)

    @property
    def sd(self) -> Float64:
        """(52,)."""
        deviation: Float64 = np.sqrt(np.maximum(self.squares / np.maximum(self.rows, 1) - self.mean**2, 0.0))
        return deviation

    @property
    def active(self) -> Float64:
        """(52,) share of frames above `ACTIVE`."""
        return self.active_rows / np.maximum(self.rows, 1)

    @property
    def captured(self) -> Float64:
        """(52,) share of frames in which the shape was captured."""
        return self.rows / max(self.frames, 1)

    def percentile(self, share: float) -> Float64:
        """(52,) the value that `share` of the frames stay under."""
        below = np.cumsum(self.histogram, axis=1)
        place = (below >= np.maximum(share * self.rows, 1)[:, None]).argmax(axis=1)
        value: Float64 = np.minimum(place / STEPS, self.max)
        return value


def stats(folder: str | Path, show: Callable[[str], None] | None = None) -> list[Style]:
    """Count a data set.

    Args:
        show: called with a word on how far it is.
    Raises:
        CorpusError: no data set, an empty one, or a clip of it is damaged.
        FormatError: a clip has a damaged header.
    """
    styles: dict[str, Style] = {}
    for done, entry in enumerate(manifest.read(folder), 1):
        style = styles.setdefault(entry.style, Style(entry.style))
        captured = np.array([name in entry.captured for name in arkit.NAMES])
        path = Path(folder) / entry.curves
        try:
            with path.open("rb") as file:
                for block in jsonl.stream(file)[1]:
                    if block.faults or not np.isfinite(block.weights).all():
                        raise CorpusError(f"{str(path)!r} is damaged: expected whole frames; see  duomorph data check")
                    style.add(block.weights, captured)
        except OSError as problem:
            raise CorpusError(f"cannot read {str(path)!r} ({problem.strerror}): expected curves; put it back") from None
        style.clips += 1
        style.seconds += entry.duration_s
        if show is not None:
            show(f"{done} clips")
    if not styles:
        raise CorpusError(f"{str(folder)!r} holds no clip: expected one at least; import takes")
    return list(styles.values())


def table(styles: list[Style]) -> str:
    """The numbers as text."""
    lines = []
    for style in styles:
        hours = style.seconds / 3600
        lines.append(f"style {style.name}: {style.clips} clips, {style.frames} frames, {hours:.2f} h of sound")
        lines.append(f"  {'shape':<22}{'mean':>8}{'sd':>8}{'p50':>8}{'p95':>8}{'max':>8}{'active':>9}{'captured':>10}")
        columns = style.mean, style.sd, style.percentile(0.5), style.percentile(0.95), style.max
        for k, name in enumerate(arkit.NAMES):
            if style.rows[k]:
                numbers = "".join(f"{column[k]:8.3f}" for column in columns)
                lines.append(f"  {name:<22}{numbers}{style.active[k]:9.1%}{style.captured[k]:10.0%}")
        absent = [name for name, rows in zip(arkit.NAMES, style.rows, strict=True) if not rows]
        if absent:
            lines.append(f"  not captured: {', '.join(absent)}")
        lines.append("")
    return "\n".join(lines).rstrip()


def picture(styles: list[Style], path: str | Path) -> None:
    """Draw each shape's range, style beside style: a bar from the median to 95 %, a point at the greatest.

    Raises:
        MissingExtra: matplotlib is not installed. FormatError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("pictures need matplotlib: install it with  pip install 'duomorph[plot]'") from None
    figure = Figure(figsize=(9.0, 12.0 + 2.0 * len(styles)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rows = np.arange(arkit.COUNT)
    height = 0.8 / len(styles)
    for k, style in enumerate(styles):
        there = style.rows > 0
        y = (rows - 0.4 + (k + 0.5) * height)[there]
        middle, high = style.percentile(0.5)[there], style.percentile(0.95)[there]
        colour = f"C{k % 10}"
        axes.barh(y, high - middle, height, left=middle, color=colour, label=style.name)
        axes.plot(style.max[there], y, "o", color=colour, markersize=3)
        axes.plot(style.mean[there], y, "|", color="black", markersize=7)
    axes.set_yticks(rows, arkit.NAMES, fontsize=8)
    axes.set_ylim(arkit.COUNT - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.grid(axis="x", alpha=0.4)
    axes.set_axisbelow(True)
    axes.set_title("bar: median to 95 %    |: mean    •: greatest", fontsize=9)
    axes.legend(loc="lower right", fontsize=8)
    with files.atomic(path) as temporary:
        figure.savefig(temporary, format="png")
