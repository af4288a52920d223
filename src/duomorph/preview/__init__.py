"""A take as a film: a drawn face that all 52 curves move, with its sound.

One promise: picture k shows the face at k / fps, under the sound of that moment; a film is written whole or not at all.

    film(clip, "take.mp4", sound="talk.wav")     # needs the extra `preview` and the program ffmpeg
    sheet("sheet.png")                           # each shape alone

To check curves by eye. Left is the subject's own: on the viewer's right.
"""

from __future__ import annotations

from duomorph.preview.contact import sheet
from duomorph.preview.mp4 import film, ready

__all__ = ["film", "ready", "sheet"]
