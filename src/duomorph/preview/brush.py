"""Smooth lines and areas through points, by Skia.

One promise: a line goes through every point it is given, and everything is anti-aliased.

    brush = Brush(720)
    brush.area(brush.loop([(100, 100), (200, 100), (150, 200)]), 0xFFCC6666)
    brush.line([(100, 100), (150, 130), (200, 100)], 0xFF333333, 6, alpha=0.5)

Colours are 0xAARRGGBB; lengths are thousandths of the picture's side.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duomorph.errors import MissingExtra

UNITS: Final = 1000

Pixels = NDArray[np.uint8]
Path: TypeAlias = Any  # skia comes without types


def need_skia() -> Any:
    """The module skia. Raises MissingExtra if it is not installed, or cannot be loaded."""
    try:
        return importlib.import_module("skia")
    except ModuleNotFoundError:
        raise MissingExtra("previews need skia-python: install it with  pip install 'duomorph[preview]'") from None
    except ImportError as problem:
        raise MissingExtra(f"skia-python cannot be loaded ({problem}): install the system's EGL and GL") from None


class Brush:
    """A square picture and what can be drawn on it."""

    def __init__(self, size: int) -> None:
        """`size`: pixels, of width and height."""
        self._skia = need_skia()
        self.pixels: Pixels = np.zeros((size, size, 4), dtype=np.uint8)  # BGRA
        self._surface = self._skia.Surface(self.pixels, colorType=self._skia.kBGRA_8888_ColorType)
        self._canvas = self._surface.getCanvas()
        self._canvas.scale(size / UNITS, size / UNITS)

    def copy(self) -> Any:
        """The picture as it is now, for `put_back`."""
        return self._surface.makeImageSnapshot()

    def put_back(self, picture: Any) -> None:
        self._canvas.save()
        self._canvas.resetMatrix()
        self._canvas.drawImage(picture, 0, 0)
        self._canvas.restore()

    @contextmanager
    def inside(self, path: Path) -> Iterator[None]:
        """Draw only within an area."""
        self._canvas.save()
        self._canvas.clipPath(path, doAntiAlias=True)
        yield
        self._canvas.restore()

    def area(self, path: Path, colour: int, alpha: float = 1.0) -> None:
        self._canvas.drawPath(path, self._paint(colour, alpha))

    def shaded(self, path: Path | None, colours: Sequence[int], centre: ArrayLike, radius: float) -> None:
        """An area, None for all, that runs from one colour at the centre to another."""
        x, y = np.asarray(centre, dtype=float).tolist()
        shader = self._skia.GradientShader.MakeRadial(center=(x, y), radius=radius, colors=list(colours))
        paint = self._skia.Paint(Shader=shader, AntiAlias=True)
        if path is None:
            self._canvas.drawPaint(paint)
        else:
            self._canvas.drawPath(path, paint)

    def glow(self, centre: ArrayLike, radius: float, colour: int, alpha: float) -> None:
        """A round spot that fades out."""
        self.shaded(self.disc(centre, radius), (_faded(colour, alpha), _faded(colour, 0)), centre, radius)

    def disc(self, centre: ArrayLike, radius: float) -> Path:
        x, y = np.asarray(centre, dtype=float).tolist()
        return self._skia.Path().addCircle(x, y, radius)

    def ring(self, centre: ArrayLike, radius: float, colour: int, width: float) -> None:
        self._canvas.drawPath(self.disc(centre, radius), self._pen(colour, width, 1.0))

    def line(self, points: ArrayLike, colour: int, width: float, alpha: float = 1.0) -> None:
        """A round-ended line; one too faint to see is not drawn."""
        if alpha > 0.01:
            self._canvas.drawPath(self.along(points), self._pen(colour, width, alpha))

    def along(self, points: ArrayLike) -> Path:
        """The way through points."""
        known = np.asarray(points, dtype=float)
        path = self._skia.Path()
        path.moveTo(*known[0].tolist())
        _through(path, known, known[0], known[-1])
        return path

    def between(self, above: ArrayLike, below: ArrayLike) -> Path:
        """The area between two lines that run the same way."""
        path, back = self.along(above), np.asarray(below, dtype=float)[::-1]
        path.lineTo(*back[0].tolist())
        _through(path, back, back[0], back[-1])
        path.close()
        return path

    def loop(self, points: ArrayLike) -> Path:
        """The area within a ring of points."""
        ring = np.asarray(points, dtype=float)
        path = self._skia.Path()
        path.moveTo(*ring[0].tolist())
        _through(path, np.concatenate([ring, ring[:1]]), ring[-1], ring[1])
        path.close()
        return path

    def _paint(self, colour: int, alpha: float) -> Any:
        return self._skia.Paint(Color=_faded(colour, alpha), AntiAlias=True)

    def _pen(self, colour: int, width: float, alpha: float) -> Any:
        paint = self._paint(colour, alpha)
        paint.setStyle(self._skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width)
        paint.setStrokeCap(self._skia.Paint.kRound_Cap)
        paint.setStrokeJoin(self._skia.Paint.kRound_Join)
        return paint


def _through(path: Path, points: NDArray[np.float64], before: ArrayLike, after: ArrayLike) -> None:
    """Catmull-Rom as cubics: on from the first of (n, 2) points through all others."""
    known = np.concatenate([[before], points, [after]])
    slope = (known[2:] - known[:-2]) / 6
    leave, arrive = points[:-1] + slope[:-1], points[1:] - slope[1:]
    for a, b, c in zip(leave.tolist(), arrive.tolist(), points[1:].tolist(), strict=True):
        path.cubicTo(*a, *b, *c)


def _faded(colour: int, alpha: float) -> int:
    return (round(255 * min(max(alpha, 0.0), 1.0)) << 24) | (colour & 0xFFFFFF)
