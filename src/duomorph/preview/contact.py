"""All 52 shapes on one sheet, each alone at 1.0, and the face at rest.

One promise: what the sheet shows is what the film shows; both are drawn by `Painter`.

    sheet("sheet.png")
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np

from duomorph import arkit, files
from duomorph.preview.brush import need_skia
from duomorph.preview.face import Painter

CELL: Final = 240  # pixels
CAPTION: Final = 24
COLUMNS: Final = 9
INK: Final = 0xFF1C2530


def sheet(path: str | Path) -> None:
    """Draw the sheet as a PNG, whole or not at all.

    Raises:
        MissingExtra: skia-python is not installed. FormatError: the file cannot be written.
    """
    skia = need_skia()
    painter = Painter(CELL)
    shown = ["", *arkit.NAMES]
    surface = skia.Surface(COLUMNS * CELL, math.ceil(len(shown) / COLUMNS) * (CELL + CAPTION))
    ink = skia.Paint(Color=INK, AntiAlias=True)
    letters = skia.FontMgr().legacyMakeTypeface("sans-serif", skia.FontStyle())
    with surface as canvas:
        canvas.clear(0xFFFFFFFF)
        for place, name in enumerate(shown):
            x, y = place % COLUMNS * CELL, place // COLUMNS * (CELL + CAPTION)
            weights = np.zeros(arkit.COUNT)
            if name:
                weights[arkit.INDEX[name]] = 1
            picture = skia.Image.fromarray(painter.draw(weights), colorType=skia.kBGRA_8888_ColorType)
            canvas.drawImage(picture, x, y)
            if letters is not None:  # a machine without fonts
                canvas.drawString(name or "at rest", x + 8, y + CELL + 17, skia.Font(letters, 14), ink)
    with files.atomic(path) as temporary:
        temporary.write_bytes(bytes(surface.makeImageSnapshot().encodeToData()))
