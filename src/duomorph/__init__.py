"""Duomorph: speech in, the 52 ARKit face curves out, at 30 or 60 frames a second, on one CPU core.

    import duomorph as dm
    face = dm.load()
    clip = face.animate("speech.wav", fps=60)
    clip.save("speech.csv")
"""

from duomorph.clip import Clip
from duomorph.errors import DuomorphError
from duomorph.face import Face, load
from duomorph.stream import Stream

__version__ = "0.1.0"
__all__ = ["Clip", "DuomorphError", "Face", "Stream", "load"]
