"""Video of a speaking face to curves: 51 shapes (all but tongueOut), head and eye angles, lip landmarks.

One promise: frame k of the clip is measured on the picture at k / fps and on no other; where that shows no face, it is
marked.

    take = capture(Path("talk.mp4"), Path("face_landmarker.task"))
    take.clip["jawOpen"]           # (T,) float32 at the video's own exact frame rate
    take.clip.save("talk.csv")     # ~take.missed: the frames to trust

Needs the extra `video` (MediaPipe), the program ffmpeg and MediaPipe's model file. See docs/video.md.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, files
from duomorph.clip import Clip
from duomorph.errors import CorpusError, FormatError, MissingExtra, ModelError, SettingError
from duomorph.video.face import LIPS, RECORD
from duomorph.video.film import Film, Picture, pictures, probe

__all__ = ["LIPS", "Capture", "Capturer", "capture"]

BLOCK: Final = 16  # pictures that share a crop, and that a worker gets at once
BRIDGE: Final = Fraction(1, 10)  # s, longest gap that is filled by interpolation
PAGE: Final = "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker"
NOWHERE: Final = "http://127.0.0.1:9"  # nobody listens at the discard port
# Radians of the eyes per unit of a look shape, fitted to a real Live Link Face take (r > 0.99).
LOOK_ASIDE: Final = 0.60
LOOK_DOWN: Final = 0.61
LOOK_UP: Final = 0.44

Float32 = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Capture:
    """What was measured on a video of T frames.

    Attributes:
        clip: the curves, with the nine angles.
        missed: (T,) bool, no face to measure for more than 100 ms: the clip holds the last frame before.
        bridged: (T,) bool, a shorter gap: interpolated between its neighbours.
        lips: (T, 40, 3) float32, the landmarks `LIPS`: x to the right and y down in fractions of the picture,
            z away from the camera in units of the picture's width.
        head: (T, 4, 4) float32, from the face's own axes to the camera's, in cm: x right, y up, z to the viewer.
    """

    clip: Clip
    missed: NDArray[np.bool_]
    bridged: NDArray[np.bool_]
    lips: Float32
    head: Float32


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
        if processes < 1:
            raise SettingError(f"got {processes} processes: expected at least 1")
        model = _model(landmarker)
        self._identity = sha256(model.read_bytes()).hexdigest()
        with ExitStack() as stack:
            self._workers = [_Worker(model) for _ in range(processes)]
            for worker in self._workers:
                stack.callback(worker.stop)
                worker.start()
            for worker in self._workers:
                worker.ready()
            self._stack = stack.pop_all()

    def __enter__(self) -> Capturer:
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def capture(self, path: Path, progress: Progress | None = None, part: Path | None = None) -> Capture:
        """As the function `capture`."""
        film = probe(path)
        done: list[NDArray[np.void]] = []
        count = 0
        with ExitStack() as stack:
            note: IO[bytes] | None = None
            if part is not None:
                earlier, note = _resume(part, film, self._identity)
                stack.callback(note.close)
                done.append(earlier)
                count = len(earlier)
            blocks = stack.enter_context(closing(_blocks(film, count)))
            for records in stack.enter_context(closing(self._run(blocks))):
                done.append(records)
                count += len(records)
                if note is not None:
                    note.write(records.tobytes())
                    note.flush()
                if progress is not None:
                    progress(count, max(film.frames, count))
        if progress is not None and count != film.frames:
            progress(count, count)
        if part is not None:
            part.unlink()
        return _take(film, np.concatenate([np.zeros(0, RECORD), *done]))

    def _run(self, blocks: Iterator[list[Picture | None]]) -> Generator[NDArray[np.void]]:
        """Records of every block, in order; the workers take turns."""
        busy: deque[_Worker] = deque()
        turns = cycle(self._workers)
        try:
            for block in blocks:
                if len(busy) == len(self._workers):
                    records = busy[0].answer()
                    busy.popleft()
                    yield records
                busy.append(next(turns))
                busy[-1].ask(block)
            while busy:
                records = busy[0].answer()
                busy.popleft()
                yield records
        finally:
            if busy:  # an error or Ctrl-C: what they would still answer belongs to no later video
                for worker in self._workers:
                    worker.stop()


class _Worker:
    """A process of worker.py; it starts anew when it is asked after a stop."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Let it load MediaPipe."""
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
        kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "duomorph.video.worker", str(self._model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | proxies,
        )

    def ready(self) -> None:
        """Wait until it has."""
        kind, _, text = str(self.answer()).partition(": ")
        text = " ".join(text.split())[:160]
        if kind == "import":
            raise MissingExtra(f"video needs MediaPipe, which cannot be loaded ({text}): see docs/video.md")
        if kind == "model":
            raise ModelError(f"the face landmarker cannot be used ({text}): get a fresh one from {PAGE}")

    def stop(self) -> None:
        """End it, whatever it is at."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(BrokenPipeError):  # it may not have read all
            process.stdin.close()

    def ask(self, block: list[Picture | None]) -> None:
        """Send pictures; it must not be at work on others."""
        if self._process is None:
            self.start()
            self.ready()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            pickle.dump(block, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def answer(self) -> Any:
        """What it makes of them."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._gone() from None

    def _gone(self) -> CorpusError:
        assert self._process is not None
        return CorpusError(
            f"the process that looks for faces ended (code {self._process.wait()}): expected it to live; "
            "free memory or take fewer processes"
        )


def _model(landmarker: Path | None) -> Path:
    """The model file that was named, or a word on where to get it."""
    if importlib.util.find_spec("mediapipe") is None:
        raise MissingExtra("video needs mediapipe: install it with  pip install 'duomorph[video]'")
    named = landmarker or os.environ.get("DUOMORPH_LANDMARKER")
    if not named:
        raise ModelError(f"no face landmarker: get face_landmarker.task from {PAGE} and set DUOMORPH_LANDMARKER to it")
    if not Path(named).is_file():
        raise ModelError(f"no face landmarker at {str(named)!r}: expected face_landmarker.task; get it from {PAGE}")
    return Path(named)


def _blocks(film: Film, skip: int) -> Generator[list[Picture | None]]:
    """The film's pictures from number `skip` on, by BLOCK; a picture that repeats the one before is None."""
    with closing(pictures(film)) as shown:
        block: list[Picture | None] = []
        before = None
        for number, picture in enumerate(shown):
            if number >= skip:
                block.append(None if before is not None and np.array_equal(before, picture) else picture)
            before = picture
            if len(block) == BLOCK:
                yield block
                block = []
        if block:
            yield block


def _resume(part: Path, film: Film, model: str) -> tuple[NDArray[np.void], IO[bytes]]:
    """Records of whole blocks that `part` holds of this film, and the file, open to go on."""
    place = files.writable(part)
    status = film.path.stat()
    about = [film.path.name, status.st_size, status.st_mtime_ns, str(film.fps), model, BLOCK, RECORD.itemsize]
    head = (json.dumps(about) + "\n").encode()
    try:
        note = place.open("r+b" if place.exists() else "w+b")
        whole = 0
        data = note.read()
        if data.startswith(head):
            whole = (len(data) - len(head)) // RECORD.itemsize // BLOCK * BLOCK
        records = np.frombuffer(data, RECORD, whole, len(head)) if whole else np.zeros(0, RECORD)
        note.seek(0)
        note.write(head)
        note.truncate(len(head) + records.nbytes)
        note.seek(0, os.SEEK_END)
    except OSError as problem:
        raise FormatError(f"cannot write {str(part)!r}: {problem.strerror}; choose another place") from None
    return records, note


def _take(film: Film, records: NDArray[np.void]) -> Capture:
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
    return Capture(clip, ~records["seen"] & ~bridged, bridged, bridge("lips"), head)


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
        "LeftEyeYaw": LOOK_ASIDE * (look("InLeft") - look("OutLeft")),
        "RightEyeYaw": LOOK_ASIDE * (look("OutRight") - look("InRight")),
    }
    for eye in ("Left", "Right"):
        values[f"{eye}EyePitch"] = LOOK_DOWN * look(f"Down{eye}") - LOOK_UP * look(f"Up{eye}")
    for name, curve in values.items():
        angles[:, arkit.ANGLES.index(name)] = curve
    return angles
