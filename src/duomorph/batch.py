"""Many files to as many curve files: sounds are animated, curves converted.

One promise: everything that can be known to fail is said before work begins; after that one bad file does not
stop the others.

    jobs = plan([Path("a.wav"), Path("b.flac")], "out/", format="livelink")
    report = animate(face, jobs, Options(fps=Fraction(30)), tell=print, progress=print)
    convert(plan([Path("out/b.csv")], "b.npz"), Fraction(60), None, tell=print, progress=print)
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Protocol

from duomorph import audio, files, formats, scenes
from duomorph.clip import Clip, joined
from duomorph.errors import DuomorphError, FormatError, MissingExtra, SettingError
from duomorph.shaping import SHIPPED, Shaping

DEFAULT_FORMAT: Final = "livelink"


class Animator(Protocol):
    """What a batch needs of a face."""

    def stream(self, fps: Fraction, delay_ms: float, style: str | None, shaping: Shaping) -> object: ...

    def parts(
        self, sound: str | Path, /, *, fps: Fraction, delay_ms: float, style: str | None, shaping: Shaping
    ) -> Iterator[Clip]: ...


@dataclass(frozen=True)
class Options:
    """How to animate: frames per second, delay of the curves' knowledge in ms, style, what is done to the curves,
    whether to draw, and on which character; None for the one that came along."""

    fps: Fraction
    delay_ms: float = 100.0
    style: str | None = None
    plot: bool = False
    shaping: Shaping = SHIPPED
    stage: scenes.Stage | None = None


@dataclass(frozen=True)
class Job:
    """One file to read, where its curves go, and the name of their format."""

    source: Path
    target: Path
    format: str

    @property
    def picture(self) -> Path:
        return self.target.with_suffix(".png")


@dataclass(frozen=True)
class Report:
    """What went wrong, each in the order of the jobs: files that gave no curves and left no file, pictures that could
    not be drawn beside curves that are there, and in a sentence each what a character could not show."""

    failed: tuple[DuomorphError, ...]
    undrawn: tuple[DuomorphError, ...]
    lacking: tuple[str, ...] = ()


def plan(
    sources: Sequence[Path],
    out: str,
    format: str | None = None,
    plot: bool = False,
    staged: bool = False,
    beside: Sequence[str | Path | None] = (),
) -> list[Job]:
    """Decide where every result goes. One source: `out` is a file, or a folder if it is one or ends in a slash;
    several: a folder, which is created; one whose name has a suffix needs the slash.

    Args:
        format: a key of `formats.FORMATS` or `scenes.FORMATS`; None for what the suffix of a file means, and Live Link
            Face in a folder.
        staged: something was said of a character.
        beside: other files that are read, if any, and must not be written over.
    Raises:
        FormatError: unknown format, one that disagrees with the suffix, or a target that cannot be written.
        SettingError: two sources would share a target, or the format knows no characters and one is given.
        MissingExtra: a picture or USD is wanted, and what draws or writes it is not installed.
    """
    if plot and importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("--plot needs matplotlib: install it with  pip install 'duomorph[plot]'")
    if out == "-":
        raise SettingError("got -o -: expected a file or a folder, not standard output; name one")
    is_folder = os.path.isdir(out) or out.endswith(("/", os.sep))
    if len(sources) > 1 and not is_folder and Path(out).suffix:
        raise SettingError(f"{len(sources)} files cannot share {out!r}: expected a folder; write -o {out}/")
    if len(sources) == 1 and not is_folder:
        meant = scenes.meant(out, format) or formats.meant(out, format, (f".{name}" for name in scenes.FORMATS))
        jobs = [Job(sources[0], Path(out), meant)]
    else:
        stems: dict[str, Path] = {}
        for source in sources:
            other = stems.setdefault(source.stem.casefold(), source)  # some file systems ignore case
            if other is not source:
                raise SettingError(
                    f"{str(other)!r} and {str(source)!r} would both become {source.stem!r}: "
                    "expected one result each; rename one or give it a folder of its own"
                )
        name = format or DEFAULT_FORMAT
        suffix = f".{name}" if name in scenes.FORMATS else formats.codec(name).suffix
        folder = files.folder(out)
        jobs = [Job(source, folder / f"{source.stem}{suffix}", name) for source in sources]
    if staged and jobs and jobs[0].format not in scenes.FORMATS:
        known = ", ".join(scenes.FORMATS)
        raise SettingError(f"--avatar, --mapping and --tolerance are for {known}: got {jobs[0].format}; leave them out")
    if jobs and jobs[0].format in scenes.FORMATS:
        scenes.FORMATS[jobs[0].format].ready()
    inputs = {_place(Path(source)) for source in (*sources, *beside) if source is not None}
    for job in jobs:
        for target in (job.target, job.picture) if plot else (job.target,):
            if files.writable(target) in inputs:
                raise FormatError(f"writing {str(target)!r} would destroy an input: expected another place; change -o")
    return jobs


def _place(source: Path) -> Path:
    """The real place of a source; its name where a link leads in a circle: reading it will say so."""
    try:
        return source.resolve()
    except (OSError, ValueError, RuntimeError):
        return source.absolute()


def animate(
    face: Animator, jobs: Sequence[Job], options: Options, tell: Callable[[str], None], progress: Callable[[str], None]
) -> Report:
    """Do every job; one that fails does not stop the others.

    Args:
        tell: hears of each file written.
        progress: hears of each file begun.
    Raises:
        SettingError: an option is out of range; nothing has been done.
    """
    fps, delay_ms, style, shaping = options.fps, options.delay_ms, options.style, options.shaping
    face.stream(fps, delay_ms, style, shaping)  # only to have the options checked
    failed: list[DuomorphError] = []
    lacking: list[str] = []
    undrawn: list[DuomorphError] = []
    for number, job in enumerate(jobs, 1):
        progress(f"{number}/{len(jobs)} {job.source.name}")
        try:
            parts: Iterable[Clip]
            parts = face.parts(job.source, fps=fps, delay_ms=delay_ms, style=style, shaping=shaping)
            if options.plot:
                parts = [joined(parts)]
            frames, missing = save(parts, job, options.stage)
            lacking += missing
        except DuomorphError as problem:
            failed.append(problem)
            continue
        tell(f"{job.target}  {frames} frames at {float(fps):.6g} fps")
        if not options.plot:
            continue
        from duomorph.plot import save_plot

        try:
            save_plot(joined(parts), audio.blocks(job.source), job.picture)
        except DuomorphError as problem:
            undrawn.append(problem)
            continue
        tell(f"{job.picture}")
    return Report(tuple(failed), tuple(undrawn), tuple(lacking))


def convert(
    jobs: Sequence[Job],
    fps: Fraction | None,
    format: str | None,
    tell: Callable[[str], None],
    progress: Callable[[str], None],
    stage: scenes.Stage | None = None,
) -> Report:
    """Read every job's curves and write them in its format; one that fails does not stop the others.

    Args:
        fps: bring them to that frame rate; None leaves it as it is.
        format: of the sources, a key of `formats.FORMATS`; None for what suffix and header say.
        tell: hears of each file written.
        progress: hears of each file begun.
    """
    failed: list[DuomorphError] = []
    lacking: list[str] = []
    for number, job in enumerate(jobs, 1):
        progress(f"{number}/{len(jobs)} {job.source.name}")
        try:
            clip = formats.read(job.source, format)
            clip = clip if fps is None else clip.resampled(fps)
            lacking += save([clip], job, stage)[1]
        except DuomorphError as problem:
            failed.append(problem)
            continue
        tell(f"{job.target}  {len(clip)} frames at {float(clip.fps):.6g} fps")
    return Report(tuple(failed), (), tuple(lacking))


@functools.cache
def _own_head() -> scenes.Stage:
    return scenes.Stage()


def save(parts: Iterable[Clip], job: Job, stage: scenes.Stage | None) -> tuple[int, list[str]]:
    """Write a clip that comes in parts, whole or not at all; its frames, and what is to be said of it.

    Args:
        stage: for a scene; None for the head that came along.
    Raises:
        DuomorphError: it cannot be written, or taking a part raises.
    """
    if job.format not in scenes.FORMATS:
        return formats.write_parts(parts, job.target, job.format), []
    clip, stage = joined(parts), stage or _own_head()
    missing = ", ".join(stage.write(clip, job.target, job.format))
    lacks = [f"{str(job.target)!r} is without {missing}: {stage.avatar.name} has no such shape"] if missing else []
    return len(clip), lacks
