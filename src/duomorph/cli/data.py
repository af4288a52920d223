"""`duomorph data`: takes in, a clean data set out.

One promise: a clip is in the data set whole or not at all.

    duomorph data import takes/ -o mydata --licence "own recordings"
    duomorph data check mydata
    duomorph data split mydata --by speaker
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from duomorph.cli import Verbs, _add_json, _check_json, _need, _Parser, _Progress, _save_json
from duomorph.errors import CorpusError, SettingError

if TYPE_CHECKING:
    from duomorph.dataset.importing import Captured
    from duomorph.video import Capturer


def add_data(verbs: Verbs) -> None:
    """Data sets."""
    about = "data sets: import, check, fix-lag, restore, stats, split"
    verb = verbs.add_parser("data", help=about, allow_abbrev=False)
    verb.set_defaults(run=_none)
    inner = verb.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for add in (add_import, add_check, add_fix_lag, add_restore, add_stats, add_split):
        add(inner)


def _none(arguments: argparse.Namespace) -> int:
    raise SettingError("no command: expected import, check, fix-lag, restore, stats or split; see duomorph data --help")


def add_import(verbs: Verbs) -> None:
    """Takes into a data set."""
    verb = verbs.add_parser("import", help="takes of a capture tool into a data set", allow_abbrev=False)
    verb.add_argument("sources", metavar="SRC", nargs="+", type=Path, help="folder of takes, curve file or video")
    verb.add_argument("-o", "--output", metavar="DATASET", type=Path, required=True, help="folder; may exist already")
    verb.add_argument("--style", metavar="NAME", default="", help="whose way of moving (default: the speaker)")
    verb.add_argument("--speaker", metavar="NAME", default="", help="who speaks (default: as takes or folders say)")
    verb.add_argument("--licence", metavar="TEXT", default="", help="under which the takes may be used")
    verb.add_argument("--resume", action="store_true", help="pass over takes that are in already")
    verb.add_argument("--landmarker", metavar="FILE", type=Path, help="face_landmarker.task, for videos without curves")
    verb.add_argument("--processes", metavar="N", type=int, default=1, help="for videos (default 1)")
    verb.set_defaults(run=_import)


def _import(arguments: argparse.Namespace) -> int:
    from duomorph.dataset import importing
    from duomorph.dataset.manifest import Writer

    labels = importing.Labels(arguments.style, arguments.speaker, arguments.licence)
    found = list(importing.find(arguments.sources))
    if not any(isinstance(take, importing.Found) for take in found):
        places = ", ".join(map(str, arguments.sources))
        raise CorpusError(f"found no take in {places:.200}: expected curves with a sound of the same name, or videos")
    progress = _Progress()
    brought = failed = 0
    with ExitStack() as stack:
        out = stack.enter_context(Writer(arguments.output))
        capture = _capturing(arguments, out.folder, stack, progress)
        for number, outcome in enumerate(importing.bring(found, out, labels, capture, arguments.resume), 1):
            progress.tell(str(outcome))
            progress.show(f"{number} of {len(found)}")
            brought += len(outcome.ids)
            failed += outcome.failed
    progress.tell(f"{brought} clips imported into {arguments.output}, {failed} takes failed")
    return 1 if failed else 0


def _capturing(
    arguments: argparse.Namespace, folder: Path, stack: ExitStack, progress: _Progress
) -> Callable[[Path], Captured]:
    """How videos are captured: the workers start with the first of them, and each goes on where it was cut off."""
    from hashlib import sha256

    capturers: list[Capturer] = []

    def capture(path: Path) -> Captured:
        from duomorph.video import Capturer

        if not capturers:
            capturers.append(stack.enter_context(Capturer(arguments.landmarker, arguments.processes)))
        part = folder / f".{sha256(str(path.resolve()).encode()).hexdigest()[:16]}.part"
        return capturers[0].capture(path, lambda done, all: progress.show(f"{path}: {done} of {all} frames"), part)

    return capture


def add_check(verbs: Verbs) -> None:
    """What is wrong."""
    verb = verbs.add_parser("check", help="everything that is wrong, by file and line", allow_abbrev=False)
    _add_dataset(verb)
    verb.add_argument("--no-audio", action="store_true", help="leave the sound files alone")
    _add_json(verb)
    verb.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from duomorph.dataset.check import check

    _check_json(arguments)
    with _Progress() as progress:
        report = check(arguments.dataset, not arguments.no_audio, progress.show)
    for problem in report.problems:
        print(problem)
    hours = report.seconds / 3600
    warnings = len(report.problems) - report.fatal
    print(f"{report.clips} clips, {report.frames} frames, {hours:.2f} h: {report.fatal} fatal, {warnings} warnings")
    _save_json(arguments, report.as_json())
    return 1 if report.fatal else 0


def add_fix_lag(verbs: Verbs) -> None:
    """Face and sound together."""
    verb = verbs.add_parser("fix-lag", help="measure how late the face is, and mend it", allow_abbrev=False)
    _add_dataset(verb)
    verb.add_argument("--apply", action="store_true", help="move the curves (default: tell only)")
    verb.set_defaults(run=_fix_lag)


def _fix_lag(arguments: argparse.Namespace) -> int:
    from duomorph.dataset.fix import fix

    with _Progress() as progress:
        moves = fix(arguments.dataset, arguments.apply, progress.show)
    for move in moves:
        lag = move.lag
        measured = f"{lag.ms:+.0f} ± {lag.error_ms:.0f} ms, confidence {lag.confidence:.3f}: " if lag else ""
        print(f"{move.id}: {measured}{'moved' if move.moves and arguments.apply else move.verdict}")
    print(f"{sum(move.moves for move in moves)} of {len(moves)} clips {'moved' if arguments.apply else 'to move'}")
    return 0


def add_restore(verbs: Verbs) -> None:
    """Flat shapes of captured videos in their real range."""
    about = "captured videos once more, in a style of their own, with the range that MediaPipe flattens"
    verb = verbs.add_parser("restore", help=about, allow_abbrev=False)
    _add_dataset(verb)
    verb.set_defaults(run=_restore)


def _restore(arguments: argparse.Namespace) -> int:
    from duomorph.dataset.restoring import restore_all

    added = restore_all(arguments.dataset, lambda text: print(f"duomorph: {text}", file=sys.stderr))
    print(f"{len(added)} clips added to {arguments.dataset}")
    return 0


def add_stats(verbs: Verbs) -> None:
    """How the shapes move."""
    verb = verbs.add_parser("stats", help="how each shape moves, style by style", allow_abbrev=False)
    _add_dataset(verb)
    verb.add_argument("--picture", metavar="OUT", help="also draw it, as PNG (needs duomorph[plot])")
    verb.set_defaults(run=_stats)


def _stats(arguments: argparse.Namespace) -> int:
    if arguments.picture:
        _need("matplotlib", "plot")
        from duomorph import files

        files.writable(arguments.picture)  # before the slow part
    from duomorph.dataset import stats

    with _Progress() as progress:
        found = stats.stats(arguments.dataset, progress.show)
    print(stats.table(found))
    if arguments.picture:
        stats.picture(found, arguments.picture)
    return 0


def add_split(verbs: Verbs) -> None:
    """What is held out."""
    verb = verbs.add_parser("split", help="hold clips out for testing", allow_abbrev=False)
    _add_dataset(verb)
    how = "speaker, clip, or list FILE with an id a line"
    verb.add_argument("--by", metavar="HOW", nargs="+", required=True, help=how)
    verb.add_argument("--test", metavar="SHARE", type=float, default=0.1, help="share held out (default 0.1)")
    verb.add_argument("--seed", type=int, default=0, help="another seed, another split (default 0)")
    verb.set_defaults(run=_split)


def _split(arguments: argparse.Namespace) -> int:
    from duomorph.dataset import split

    how, *names = arguments.by
    if len(names) != (how == "list"):
        raise SettingError(f"got --by {' '.join(arguments.by)}: expected speaker, clip, or list and one file")
    if how == "list":
        try:
            ids = Path(names[0]).read_text(encoding="utf-8").split()
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or problem
            raise SettingError(f"cannot read the list {names[0]!r} ({reason}): expected an id a line") from None
        made = split.listed(arguments.dataset, ids)
    else:
        made = split.draw(arguments.dataset, how, arguments.test, arguments.seed)
    print(f"{len(made.test)} clips held out: {split.save(arguments.dataset, made)}")
    return 0


def _add_dataset(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("dataset", metavar="DATASET", type=Path, help="folder with manifest.jsonl")
