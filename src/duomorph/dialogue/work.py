"""One line: a sound becomes curve files. The same function for every engine, on every machine.

One promise: a line's files depend on its sound, its settings and the weights alone; `duomorph animate` writes the same.

    work = Work("curves/", ("livelink", "glb"), batch.Options(Fraction(60)))
    result = Worker(work).do(Task(1, "voices/a.wav", "a"))          # curves/a.csv, curves/a.glb
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import __version__, audio, batch, clock, files, formats, scenes
from duomorph.clip import Clip, joined
from duomorph.clock import SAMPLE_RATE
from duomorph.dialogue import places
from duomorph.dialogue.sources import PLAIN, Own
from duomorph.errors import BatchError, DuomorphError, SettingError
from duomorph.face import Face, load
from duomorph.shaping import direction

PAUSES_S: Final = (0.5, 2.0)  # before a line is tried again
PASSING: Final = frozenset(
    {errno.EIO, errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT,
     errno.ECONNRESET, errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH}
)  # fmt: skip
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})  # no other line would do better
FULL_SCALE: Final = 0.99
TURNS: Final = 0.002  # of weight in a frame; less is a tremble


@dataclass(frozen=True)
class Work:
    """What is done with every line.

    Attributes:
        out: folder or URL. formats: keys of `formats.FORMATS` or `scenes.FORMATS`, no two of one suffix.
        options: as `duomorph animate` takes them; nothing is drawn. model: file, None for the one that ships.
        weights: checksum of what must be in it, if any. version: of duomorph that must do it.
    """

    out: str
    formats: tuple[str, ...] = (batch.DEFAULT_FORMAT,)
    options: batch.Options = field(default_factory=lambda: batch.Options(Fraction(30)))
    model: str | None = None
    weights: str = ""
    version: str = __version__

    def __post_init__(self) -> None:
        """Raises FormatError: no such format. SettingError: two would share a file. MissingExtra: USD is absent."""
        for name in self.formats:
            if name in scenes.FORMATS:
                scenes.FORMATS[name].ready()
        suffixes = [_suffix(name) for name in self.formats]
        if len(set(suffixes)) < len(suffixes) or not suffixes:
            raise SettingError(f"got the formats {', '.join(self.formats)}: expected some, each of another suffix")

    def targets(self, name: str) -> list[str]:
        """Where the files of a line stand, in the order of `formats`."""
        return [places.below(self.out, name + _suffix(form)) for form in self.formats]

    def asked(self, own: Own) -> batch.Options:
        """The options of one line. Raises SettingError: one is out of range."""
        shaping = self.options.shaping
        if own.emotion is not None:
            shaping = replace(shaping, emotion=direction.read(own.emotion))
        fps = self.options.fps if own.fps is None else clock.frame_rate(own.fps)
        return replace(self.options, fps=fps, style=own.style or self.options.style, shaping=shaping)

    def settings(self, own: Own) -> str:
        """All that a line's files depend on but its sound, as JSON. Raises SettingError as `asked` does."""
        about = {
            "duomorph": self.version, "weights": self.weights, "formats": list(self.formats), "gain": own.gain,
            "options": _plain(self.asked(own)),
        }  # fmt: skip
        return json.dumps(about, sort_keys=True)


@dataclass(frozen=True)
class Task:
    """A line to do; `known` is the checksum of the sound that its files were made of, if they are there."""

    id: int
    source: str
    name: str
    own: Own = PLAIN
    known: str | None = None


@dataclass(frozen=True)
class Result:
    """What became of a line.

    Attributes:
        state: done; same: its sound is the known one; failed: for the reason `error`; full: so would every other.
        sha: checksum of the sound. heard_s: of sound. cost_s: of work. tries: how often it was begun.
        level_db: root mean square below full scale. clipped: share of samples at full scale.
        jaw: the widest jawOpen. openness: its mean. motion: mean way of the 52 shapes in a second.
    """

    id: int
    state: str
    sha: str = ""
    error: str | None = None
    tries: int = 1
    heard_s: float = 0.0
    cost_s: float = 0.0
    level_db: float | None = None
    clipped: float | None = None
    jaw: float | None = None
    openness: float | None = None
    motion: float | None = None


class Worker:
    """A loaded model that does line after line."""

    def __init__(self, work: Work, face: Face | None = None) -> None:
        """Raises BatchError: this is another version, or the model has other weights. ModelError: it cannot be read."""
        if work.version != __version__:
            raise BatchError(f"a worker has duomorph {__version__}: expected {work.version}; install it everywhere")
        self._work = work
        self._face = face or load(work.model)
        weights = self._face.info().weights_sha256
        if work.weights not in ("", weights):
            raise BatchError(
                f"a worker has a model of the weights {weights[:12]}: expected {work.weights[:12]}; "
                "give every machine the same, and leave it as it is until the end"
            )
        self._asked = functools.lru_cache(256)(work.asked)

    def do(self, task: Task) -> Result:
        """Do a line; begin anew, after a pause, where its failure may pass."""
        begun = time.perf_counter()
        for tries, pause in enumerate((*PAUSES_S, None), 1):  # noqa: B007
            try:
                result = self._once(task)
                break
            except DuomorphError as problem:
                number = _number(problem)
                if number in PASSING and pause is not None:
                    time.sleep(pause)
                    continue
                result = Result(task.id, "full" if number in FULL else "failed", error=" ".join(str(problem).split()))
                break
        return replace(result, tries=tries, cost_s=time.perf_counter() - begun)

    def _once(self, task: Task) -> Result:
        options = self._asked(task.own)
        with places.fetched(task.source) as path:
            try:
                sha = _digest(path)
                if sha and sha == task.known:
                    return Result(task.id, "same", sha)
                heard = _Heard(task.own.gain)
                parts = self._face.parts(
                    heard.blocks(path), fps=options.fps, delay_ms=options.delay_ms, style=options.style,
                    shaping=options.shaping,
                )  # fmt: skip
                clip = joined(parts)
            except DuomorphError as problem:
                if not places.is_url(task.source):
                    raise
                raise type(problem)(str(problem).replace(str(path), task.source)) from problem
            self._write(clip, task, path, options.stage)
        return _measured(task.id, sha, heard, clip)

    def _write(self, clip: Clip, task: Task, source: Path, stage: scenes.Stage | None) -> None:
        """All files of a line, or none that this run wrote."""
        written = []
        try:
            for form, target in zip(self._work.formats, self._work.targets(task.name), strict=True):
                if not places.is_url(target):
                    files.folder(Path(target).parent)
                    batch.save([clip], batch.Job(source, Path(target), form), stage)
                else:
                    with tempfile.TemporaryDirectory(prefix="duomorph-") as folder:
                        local = Path(folder, target.rpartition("/")[2])
                        batch.save([clip], batch.Job(source, local, form), stage)
                        places.store(local, target)
                written.append(target)
        except DuomorphError:
            for target in written:
                places.remove(target)
            raise


class _Heard:
    """Sound on its way to the face: made louder, and looked at as it was."""

    def __init__(self, gain_db: float) -> None:
        self._gain = np.float32(10 ** (gain_db / 20))
        self.samples = self.full = 0
        self.power = 0.0

    def blocks(self, path: Path) -> Iterator[NDArray[np.float32]]:
        for block in audio.blocks(path):
            self.samples += len(block)
            self.full += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))
            self.power += float(np.dot(block, block))
            yield block if self._gain == 1 else block * self._gain


def _measured(id: int, sha: str, heard: _Heard, clip: Clip) -> Result:
    jaw = clip["jawOpen"]
    steps = np.abs(np.diff(clip.weights, axis=0))
    way = steps[steps > TURNS].sum(dtype=np.float64) * float(clip.fps) / max(1, steps.size)
    return Result(
        id, "done", sha, heard_s=heard.samples / SAMPLE_RATE,
        level_db=10 * float(np.log10(max(heard.power / heard.samples, 1e-12))), clipped=heard.full / heard.samples,
        jaw=float(jaw.max()), openness=float(jaw.mean()), motion=float(way),
    )  # fmt: skip


def _suffix(name: str) -> str:
    return f".{name}" if name in scenes.FORMATS else formats.codec(name).suffix


def _digest(path: Path) -> str:
    """SHA-256 of the file; nothing where it cannot be read, for reading it as sound says why."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def _number(problem: BaseException | None) -> int | None:
    """The system's number of what is behind an error, if it has one."""
    while problem is not None:
        if isinstance(problem, OSError):
            return errno.ETIMEDOUT if isinstance(problem, TimeoutError) else problem.errno
        problem = problem.__cause__ or problem.__context__
    return None


def _plain(value: Any) -> Any:
    """Settings as JSON, what is long as its checksum: equal for equal settings and for no others."""
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tobytes())
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, int | float | bool | None) else str(value)
