"""Pictures and sound to an mp4, by ffmpeg: H.264 and AAC, which everything plays.

One promise: as many pictures as the clip has frames, at its exact rate; an error leaves no file.

    ready("take.mp4", 720)                       # all that can be known to fail, before the slow part
    film(clip, "take.mp4", "talk.wav", 720)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from duomorph import audio, ffmpeg, files
from duomorph.clip import Clip
from duomorph.errors import FormatError, MissingExtra, SettingError
from duomorph.ffmpeg import Ffmpeg
from duomorph.preview.brush import need_skia
from duomorph.preview.face import Painter

SIZE: Final = 720  # pixels
SMALLEST: Final = 64
LARGEST: Final = 2160
SUFFIXES: Final = (".mp4", ".m4v", ".mov")
H264: Final = {  # encoders, the best first, and what makes them quick
    "libx264": ("-preset", "veryfast", "-tune", "animation", "-crf", "20"),
    "libopenh264": ("-b:v", "3M"),
    "h264_videotoolbox": ("-b:v", "3M"),
    "h264_mf": ("-b:v", "3M"),
}
BT709: Final = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")


def ready(path: str | Path, size: int = SIZE) -> None:
    """Can a film of this size be written there?

    Raises:
        SettingError: `size` is odd or out of range. FormatError: another suffix, or `path` cannot be written.
        MissingExtra: skia-python or ffmpeg is not installed, or ffmpeg was built without H.264 or AAC.
    """
    if not (SMALLEST <= size <= LARGEST and size % 2 == 0):
        expected = f"expected an even number from {SMALLEST} to {LARGEST}"
        raise SettingError(f"size {size} is out of range: {expected}; try 720")
    if Path(path).suffix.lower() not in SUFFIXES:
        raise FormatError(f"cannot film to {str(path)!r}: expected a name that ends in .mp4; rename it")
    files.writable(path)
    need_skia()
    if not ffmpeg.there():
        raise MissingExtra("films need the program ffmpeg, which is not installed: install it")
    _h264()


def film(
    clip: Clip,
    path: str | Path,
    sound: str | Path | None = None,
    size: int = SIZE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Draw every frame of a clip and write them as a film.

    Args:
        sound: the file that the clip was made from, or captured with; None for a silent film.
        size: pixels, of width and height; even.
        progress: hears how many frames of how many are drawn.
    Raises:
        SettingError, MissingExtra: as `ready`. AudioError: the sound cannot be read.
        FormatError: the clip has no frames, or the film cannot be written.
    """
    ready(path, size)
    if not len(clip):
        raise FormatError(f"cannot film to {str(path)!r}: got a clip of 0 frames, expected at least one")
    if sound is not None:
        for _ in audio.blocks(sound):  # says in our words what is wrong with it
            pass
    clip = clip.resampled(clip.fps)  # pictures come evenly; the frames of a phone need not
    painter = Painter(size)
    with files.atomic(path) as temporary:
        arguments = [*_inputs(clip, sound, size), *_outputs(sound, temporary)]
        with Ffmpeg(arguments, feed=True) as program:
            with contextlib.suppress(BrokenPipeError):  # it gave up; its code tells
                for done, weights in enumerate(clip.weights):
                    if done % 30 == 0:
                        progress(done, len(clip))
                    program.into.write(painter.draw(weights).data)
            code = program.wait()
        if code or not _whole(temporary):  # on a full disk it ends with 0
            said = program.said(temporary)
            raise FormatError(f"cannot write {str(path)!r} (ffmpeg: {said}): free the disk or choose another place")


def _whole(path: Path) -> bool:
    """Whether the boxes of an mp4 (ISO 14496-12), its index among them, fill the file."""
    kinds, at, end = set(), 0, path.stat().st_size
    with path.open("rb") as file:
        while at < end:
            file.seek(at)
            head = file.read(16)
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if size == 1:
                size = int.from_bytes(head[8:], "big")
            if size < 8:
                return False
            kinds.add(kind)
            at += size
    return at == end and b"moov" in kinds


def _inputs(clip: Clip, sound: str | Path | None, size: int) -> list[str]:
    pictures = ["-f", "rawvideo", "-pixel_format", "bgra", "-video_size", f"{size}x{size}"]
    pictures += ["-framerate", str(clip.fps), "-i", "pipe:0"]
    if sound is None:
        return pictures
    begin = f"{abs(float(clip.start)):.6f}"  # of the pictures, in the sound's time
    shift = ["-ss", begin] if clip.start > 0 else ["-itsoffset", begin]
    return [*pictures, *shift, "-protocol_whitelist", "file", "-i", f"file:{os.fspath(sound)}"]


def _outputs(sound: str | Path | None, target: Path) -> list[str]:
    encoder = _h264()
    video = ["-map", "0:v", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", *BT709]
    video += ["-c:v", encoder, *H264[encoder], "-fps_mode", "passthrough"]
    if sound is not None:
        video += ["-map", "1:a:0", "-c:a", "aac", "-b:a", "128k"]
    return [*video, "-movflags", "+faststart", "-y", f"file:{target}"]


@cache
def _h264() -> str:
    """The best encoder that this ffmpeg was built with."""
    command = ["ffmpeg", "-v", "error", "-encoders"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    known = {words[1] for words in map(str.split, done.stdout.splitlines()) if len(words) > 1}
    for encoder in H264:
        if encoder in known and "aac" in known:
            return encoder
    raise MissingExtra("this ffmpeg was built without H.264 or AAC, which films need: install one with libx264")
