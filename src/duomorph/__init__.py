"""Duomorph: speech in, the 52 ARKit face curves out, at 30 or 60 frames a second, on one CPU core.

    import duomorph as dm
    face = dm.load()
    clip = face.animate("speech.wav", fps=60)
    clip.save("speech.csv")

What stands behind a name is imported when it is first used, so that the command line and scripts start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duomorph.clip import Clip
    from duomorph.errors import DuomorphError
    from duomorph.face import Face, load
    from duomorph.live import live
    from duomorph.stream import Stream

__version__ = "0.1.0"
__all__ = ["Clip", "DuomorphError", "Face", "Stream", "live", "load"]

_HOMES = {
    "Clip": "clip", "DuomorphError": "errors", "Face": "face", "Stream": "stream", "live": "live", "load": "face",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'duomorph' has no attribute {name!r}")
    value = getattr(import_module(f"duomorph.{_HOMES[name]}"), name)
    return globals().setdefault(name, value)  # `live` is there by now: the package, which can be called


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
