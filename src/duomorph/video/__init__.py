"""Video of a speaking face to curves: 51 shapes (all but tongueOut), head and eye angles, lip landmarks.

One promise: frame k of the clip is measured on the picture at k / fps and on no other; where that shows no face, it is
marked.

    take = capture(Path("talk.mp4"), Path("face_landmarker.task"))
    take.clip["jawOpen"]           # (T,) float32 at the video's own exact frame rate
    take.clip.save("talk.csv")     # ~take.missed: the frames to trust

Needs the extra `video` (MediaPipe), the program ffmpeg and MediaPipe's model file. See docs/video.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.errors import CorpusError
from duomorph.video.face import LIPS, RECORD
from duomorph.video.film import Film, pictures, probe
from duomorph.video.notes import BLOCK, Notes
from duomorph.video.workers import Block, Workers

__all__ = ["LIPS", "Capture", "Capturer", "capture"]

BRIDGE: Final = Fraction(1, 10)  # s, longest gap that is filled by interpolation

Float32 = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Capture:
    """What was measured on a video of T frames.

    Attributes:
        clip: the curves, with the nine angles.
        missed: (T,) bool, no face to measure for more than 100 ms, or at an end: the clip holds the frame before (at
            the beginning the one after); leave these frames out.
        bridged: (T,) bool, a shorter gap: interpolated between its neighbours.
        lips: (T, 40, 3) float32, the landmarks `LIPS`: x to the right and y down in fractions of the picture,
            z away from the camera in units of the picture's width.
        head: (T, 4, 4) float32, from the face's own axes to the camera's, in cm: x right, y up, z to the viewer.
        size: width and height of the pictures.
    """

    clip: Clip
    missed: NDArray[np.bool_]
    bridged: NDArray[np.bool_]
    lips: Float32
    head: Float32
    size: tuple[int, int]


def capture(
    path: Path,
    landmarker: Path | None = None,
    *,
    processes: int = 1,
    progress: Progress | None = None,
    part: Path | None = None,
) -> Capture:
    """The curves of a video with one person's face in it; for many videos see `Capturer`.

    Args:
        path: what ffmpeg can read, of 24 to 120 frames a second.
        landmarker: MediaPipe's face_landmarker.task; by default the file named by DUOMORPH_LANDMARKER.
        processes: how many work at once; the result does not depend on it.
        progress: called with the frames done and the frames there are, about, until the two are equal.
        part: a file that notes what is done, so that the same call goes on there after an interruption; removed when
            all is done.
    Raises:
        CorpusError: the video cannot be read, or shows no face.
        ModelError: the landmarker is missing or damaged.
        MissingExtra: MediaPipe or ffmpeg is not installed.
        FormatError: `part` cannot be written.
        SettingError: less than one process.
    """
    with Capturer(landmarker, processes) as capturer:
        return capturer.capture(path, progress, part)


class Capturer:
    """Worker processes that capture one video after another; starting them takes a second or two.

    with Capturer(Path("face_landmarker.task"), processes=4) as capturer:
        takes = [capturer.capture(path) for path in paths]
    """

    def __init__(self, landmarker: Path | None = None, processes: int = 1) -> None:
        self._workers = Workers(landmarker, processes)
        self._model = sha256(self._workers.model.read_bytes()).hexdigest()

    def __enter__(self) -> Capturer:
        self._workers.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self._workers.stop()

    def capture(self, path: Path, progress: Progress | None = None, part: Path | None = None) -> Capture:
        """As the function `capture`."""
        film = probe(path)
        with ExitStack() as stack:
            notes = stack.enter_context(Notes(part, self._about(film))) if part is not None else None
            done = [notes.earlier if notes is not None else np.zeros(0, RECORD)]
            count = len(done[0])
            size: list[int] = []
            blocks = stack.enter_context(closing(_blocks(film, count, size)))
            for records in stack.enter_context(closing(self._workers.run(blocks))):
                done.append(records)
                count += len(records)
                if notes is not None:
                    notes.add(records)
                if progress is not None:
                    progress(count, max(film.frames, count))
        if progress is not None and count != film.frames:
            progress(count, count)
        if notes is not None:
            notes.remove()
        return _take(film, np.concatenate(done), (size[0], size[1]))

    def _about(self, film: Film) -> str:
        status = film.path.stat()
        video = [film.path.name, status.st_size, status.st_mtime_ns, str(film.fps)]
        return json.dumps([*video, self._model, version("mediapipe"), BLOCK, RECORD.itemsize])


def _blocks(film: Film, skip: int, size: list[int]) -> Generator[Block]:
    """The film's pictures from number `skip` on, by BLOCK; a picture that repeats the one before is None.

    Width and height are put into `size`.
    """
    with closing(pictures(film)) as shown:
        block: Block = []
        before = None
        for number, picture in enumerate(shown):
            size[:] = picture.shape[1::-1]
            if number >= skip:
                block.append(None if before is not None and np.array_equal(before, picture) else picture)
            before = picture
            if len(block) == BLOCK:
                yield block
                block = []
        if block:
            yield block


def _take(film: Film, records: NDArray[np.void], size: tuple[int, int]) -> Capture:
    """Records of all frames to curves: short gaps interpolated, long ones held."""
    seen = np.flatnonzero(records["seen"])
    if not len(seen):
        raise CorpusError(
            f"{str(film.path)!r} shows no face in its {len(records)} frames: expected one person, facing the camera, "
            "at least a twentieth of the picture; check it"
        )
    number = np.arange(len(records))
    place = np.searchsorted(seen, number, side="right")
    before, after = seen[np.maximum(place - 1, 0)], seen[np.minimum(place, len(seen) - 1)]
    gap = after - before - 1
    inside = (before < number) & (number < after)
    bridged = inside & (gap <= math.floor(film.fps * BRIDGE))
    share = np.where(bridged, (number - before) / np.maximum(after - before, 1), 0).astype(np.float32)

    def bridge(field: str) -> Float32:
        values = records[field]
        left = share.reshape(-1, *[1] * (values.ndim - 1))
        filled = values[before] * (1 - left) + values[after] * left
        return filled.astype(np.float32)

    weights, head = np.clip(bridge("weights"), 0, 1), bridge("head")
    captured = np.ones(arkit.COUNT, dtype=bool)
    captured[arkit.INDEX["tongueOut"]] = False
    clip = Clip(
        weights, film.fps, film.start, _angles(head, weights), captured, "MediaPipe FaceLandmarker, IMAGE mode"
    )
    return Capture(clip, ~records["seen"] & ~bridged, bridged, bridge("lips"), head, size)


def _angles(head: Float32, weights: Float32) -> Float32:
    """The nine of `arkit.ANGLES` from heads (T, 4, 4) and weights (T, 52), in Live Link's signs.

    Positive yaw turns to the subject's right, positive pitch looks down, positive roll tilts to the subject's left
    shoulder; head = yaw after pitch after roll.
    """
    turn = head[:, :3, :3]

    def look(direction: str) -> Float32:
        curve: Float32 = weights[:, arkit.INDEX[f"eyeLook{direction}"]]
        return curve

    angles = np.zeros((len(head), len(arkit.ANGLES)), np.float32)
    values = {
        "HeadYaw": -np.arctan2(turn[:, 0, 2], turn[:, 2, 2]),
        "HeadPitch": -np.arcsin(np.clip(turn[:, 1, 2], -1, 1)),
        "HeadRoll": -np.arctan2(turn[:, 1, 0], turn[:, 1, 1]),
        "LeftEyeYaw": arkit.LOOK_ASIDE * (look("InLeft") - look("OutLeft")),
        "RightEyeYaw": arkit.LOOK_ASIDE * (look("OutRight") - look("InRight")),
    }
    for eye in ("Left", "Right"):
        values[f"{eye}EyePitch"] = arkit.LOOK_DOWN * look(f"Down{eye}") - arkit.LOOK_UP * look(f"Up{eye}")
    for name, curve in values.items():
        angles[:, arkit.ANGLES.index(name)] = curve
    return angles
