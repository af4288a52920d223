"""Pictures out of a video file, at one constant frame rate, by the programs ffprobe and ffmpeg.

One promise: picture k is what the video shows k / fps seconds after its first picture, upright and with square
pixels, whatever the container says of rotation, pixel shape and uneven time stamps.

    film = probe(Path("talk.mp4"))         # film.fps is exact: Fraction(30000, 1001)
    for picture in pictures(film): ...     # (H, W, 3) uint8, RGB

A frame that the video lacks is shown by the one before it, bit for bit the same.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import ffmpeg
from duomorph.clock import MAX_FPS, MIN_FPS
from duomorph.errors import CorpusError, MissingExtra
from duomorph.ffmpeg import Ffmpeg

Picture = NDArray[np.uint8]

LONGEST: Final = 1920  # pixels; larger pictures are scaled down
COMMON: Final = (MIN_FPS, *(Fraction(rate) for rate in (24, 25, 30, 48, 50, 60, 90, 100, 120)))
SLACK: Final = Fraction(1, 20)  # relative; time stamps may be rounded to ms
UNEVEN: Final = Fraction(1, 10)  # relative


@dataclass(frozen=True)
class Film:
    """What a video is.

    Attributes:
        fps: frames per second, exact.
        frames: how many there will be, about.
        start: time of the first picture, in seconds of the sound track that ffmpeg decodes from the same file.
    """

    path: Path
    fps: Fraction
    frames: int
    start: Fraction


def probe(path: Path) -> Film:
    """Frame rate, length and start of a video.

    Raises:
        CorpusError: missing, empty, damaged, no video, or slower than 24 or faster than 120 frames a second.
        MissingExtra: ffmpeg is not installed.
    """
    for program in ("ffprobe", "ffmpeg"):
        if not ffmpeg.there(program):
            raise MissingExtra(f"video needs the program {program}, which is not installed: install ffmpeg")
    name = str(path)
    try:
        if not path.is_file():
            kind = "is no file" if path.exists() else "does not exist"
            raise CorpusError(f"{name!r} {kind}: expected a video; check the name")
        if path.stat().st_size == 0:
            raise CorpusError(f"{name!r} is empty: got 0 bytes, expected a video; record or copy it again")
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        raise CorpusError(f"cannot open {name!r} ({problem}): expected a video; check it") from None
    facts = "stream=codec_type,time_base,start_pts,r_frame_rate:stream_disposition=attached_pic"
    streams = _ask(path, facts)["streams"]
    video = next((s for s in streams if s.get("codec_type") == "video" and not _is_cover(s)), None)
    sound = next((s for s in streams if s.get("codec_type") == "audio"), None)
    if video is None:
        raise CorpusError(f"{name!r} has no picture track: expected a video; check the name")
    packets = _ask(path, "packet=pts,flags", "-select_streams", "V:0")["packets"]
    stamps = [packet.get("pts") for packet in packets if "D" not in packet["flags"]]  # D: cut away by an edit list
    if not stamps:
        raise CorpusError(f"{name!r} holds no pictures: expected a video; record or copy it again")
    tick = Fraction(video["time_base"])
    start = Fraction(0)
    if sound is not None and "start_pts" in sound:  # before 0 lies what the sound's decoder throws away
        start = video.get("start_pts", 0) * tick - max(Fraction(0), sound["start_pts"] * Fraction(sound["time_base"]))
    numerator, denominator = map(int, video["r_frame_rate"].split("/"))
    nominal = Fraction(numerator, denominator or 1)
    if None in stamps:  # avi and bare streams tell no times, but their rate
        return Film(path, _rate(path, nominal, nominal), len(stamps), start)
    stamps = sorted(set(stamps))
    usual = 1 / (tick * median(b - a for a, b in pairwise(stamps))) if len(stamps) > 1 else nominal
    fps = _rate(path, nominal, usual)
    return Film(path, fps, round((stamps[-1] - stamps[0]) * tick * fps) + 1, start)


def pictures(film: Film) -> Generator[Picture]:
    """Every picture of the film, (H, W, 3) uint8 RGB; the longer side has at most LONGEST pixels.

    Raises:
        CorpusError: the video is damaged or cut short.
    """
    shrink = f"min(1,{LONGEST}/max(iw*sar,ih))"
    filters = [
        "setpts=PTS-STARTPTS",
        f"fps=fps={film.fps}",
        f"scale=w='round(iw*sar*{shrink})':h='round(ih*{shrink})'",
    ]
    arguments = ["-protocol_whitelist", "file", "-i", f"file:{film.path}", "-map", "0:V:0", "-vf", ",".join(filters)]
    arguments += ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]
    with Ffmpeg(arguments) as program:
        while header := program.out.readline():  # b"P6\n", then b"width height\n" and b"255\n"
            width, height = map(int, program.out.readline().split())
            depth = program.out.readline()
            data = program.out.read(3 * width * height)
            if (header, depth) != (b"P6\n", b"255\n") or len(data) < 3 * width * height:
                break
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
        code = program.wait()
    if code or program.found_cut:
        raise CorpusError(
            f"{str(film.path)!r} is damaged or cut short (ffmpeg: {program.said(film.path)}): "
            "expected a whole video; copy it again"
        )


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _ask(path: Path, entries: str, *select: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-protocol_whitelist", "file", *select, "-show_entries", entries]
    done = subprocess.run([*command, "-of", "json", f"file:{path}"], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = ffmpeg.last(done.stderr.decode(errors="replace").splitlines(), path)
        raise CorpusError(f"cannot read {str(path)!r} as video (ffprobe: {said}): expected mp4, mov, webm, ...")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _rate(path: Path, nominal: Fraction, usual: Fraction) -> Fraction:
    """The rate that the container tells, if its time stamps bear it out; else the common one next to the usual step."""
    if not MIN_FPS * (1 - SLACK) <= usual <= MAX_FPS * (1 + SLACK):
        raise CorpusError(f"{str(path)!r} has {float(usual):.4g} frames a second: expected 24 to 120; film it anew")
    if abs(nominal - usual) <= UNEVEN * usual and MIN_FPS <= nominal <= MAX_FPS:
        return nominal
    return min(COMMON, key=lambda common: abs(common - usual))
