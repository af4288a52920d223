"""The command line: every verb is a few lines that call one module.

One promise: a failure is one sentence on stderr and exit code 1, whatever the user typed.

    duomorph animate speech.wav -o speech.csv
    duomorph animate a.wav b.flac -o out/ --fps 60 --plot
    duomorph convert take.csv -o take.json --fps 60
    duomorph info --json

Nothing heavy is imported before a verb is known. To add a verb: one `add_<verb>` with its arguments, one `_<verb>`
that imports its module and returns the exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from duomorph.errors import DuomorphError, MissingExtra, SettingError

if TYPE_CHECKING:
    from duomorph import batch, scenes
    from duomorph.shaping import Shaping

FORMATS: Final = ("livelink", "nim", "plain", "a2f", "beat", "jsonl", "npz")  # of curve files
SCENES: Final = ("glb", "vrma", "usda", "usdc", "anim")  # of curves on a character
_OUT: Final = "file (.csv, .json, .jsonl, .npz, .glb, ...) or folder"


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are our errors."""

    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{' '.join(message.split())}; see {self.prog} --help")


Verbs: TypeAlias = "argparse._SubParsersAction[_Parser]"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 after an error, 130 after Ctrl-C."""
    # numpy's matrices here are too small to share, and its sums would depend on how many cores there are
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Where they are closed, nothing else may get their numbers: what is printed would go there.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # replaced by something simpler
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # file names need not be text
    try:
        arguments, rest = _parser().parse_known_args(argv)
        if rest and not getattr(arguments, "more", False):
            raise SettingError(f"unrecognized arguments: {' '.join(rest)}; see duomorph --help")
        arguments.rest = rest
        run: Callable[[argparse.Namespace], int] = arguments.run
        code = run(arguments)
        sys.stdout.flush()
        return code
    except DuomorphError as problem:
        return _fail(problem)
    except KeyboardInterrupt:
        print("duomorph: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    from duomorph.cli.data import add_data  # which build on this module
    from duomorph.cli.dialogue import add_batch
    from duomorph.cli.live import add_live

    parser = _Parser(prog="duomorph", description="Speech in, the 52 ARKit face curves out.", allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.set_defaults(run=_version)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (
        add_animate, add_batch, add_live, add_studio, add_preview, add_convert, add_info, add_egemaps, add_data,
        add_train, add_finetune, add_evaluate, add_ablate, add_bench, add_export,
    ):  # fmt: skip
        add(verbs)
    return parser


def _version(arguments: argparse.Namespace) -> int:
    if not arguments.version:
        raise SettingError("no command given: expected animate, info, ...; see duomorph --help")
    from importlib.metadata import version

    print(f"duomorph {version('duomorph')}")
    return 0


def add_animate(verbs: Verbs) -> None:
    """Sound files to curve files."""
    verb = verbs.add_parser("animate", help="speech to face curves", allow_abbrev=False)
    verb.add_argument("inputs", metavar="IN", nargs="+", type=Path, help="sound file: wav, flac, ogg, opus, mp3, ...")
    verb.add_argument("-o", "--output", metavar="OUT", required=True, help=_OUT)
    _add_format(verb)
    verb.add_argument("--fps", default="30", help="frames a second, 24 to 120; 29.97 and 30000/1001 too (default 30)")
    verb.add_argument("--style", metavar="NAME", help="whose way of speaking; see duomorph info")
    _add_delay(verb)
    _add_model(verb)
    verb.add_argument("--plot", action="store_true", help="draw a PNG beside each result")
    _add_shaping(verb)
    _add_stage(verb)
    verb.set_defaults(run=_animate)


def _animate(arguments: argparse.Namespace) -> int:
    from duomorph import batch, clock

    fps = clock.frame_rate(arguments.fps)
    clock.delay_ticks(arguments.delay_ms)  # before the slow part
    shaping = _shaping(arguments)
    stage = _stage(arguments)
    beside = (arguments.avatar, arguments.mapping, arguments.shape_config, arguments.emotion)
    jobs = batch.plan(arguments.inputs, arguments.output, arguments.format, arguments.plot, stage is not None, beside)

    import duomorph

    face = duomorph.load(arguments.model)
    options = batch.Options(fps, arguments.delay_ms, arguments.style, arguments.plot, shaping, stage)
    with _Progress() as progress:
        report = batch.animate(face, jobs, options, progress.tell, progress.show)
    return _told(report, len(jobs))


def add_preview(verbs: Verbs) -> None:
    """Curves as a film, to be looked at."""
    about = "a drawn face that speaks, as mp4 (needs duomorph[preview] and ffmpeg)"
    verb = verbs.add_parser("preview", help=about, allow_abbrev=False)
    verb.add_argument("sound", metavar="SOUND", nargs="?", type=Path, help="sound file: what is spoken and heard")
    verb.add_argument("-o", "--output", metavar="OUT", required=True, help="film (.mp4); with --sheet a picture (.png)")
    verb.add_argument("--curves", metavar="FILE", type=Path, help="show these curves, not those made of SOUND")
    verb.add_argument("--sheet", action="store_true", help="draw each of the 52 shapes alone instead")
    verb.add_argument("--fps", help="frames a second, 24 to 120 (default 30; of --curves: as they are)")
    verb.add_argument("--size", type=int, default=720, metavar="N", help="width and height in pixels (720)")
    verb.add_argument("--style", metavar="NAME", help="whose way of speaking; see duomorph info")
    _add_delay(verb)
    _add_model(verb)
    _add_shaping(verb, "calm")
    verb.set_defaults(run=_preview, usual=verb.get_default)


def _preview(arguments: argparse.Namespace) -> int:
    from duomorph import clock, formats, load, preview

    fps = arguments.fps and clock.frame_rate(arguments.fps)
    clock.delay_ticks(arguments.delay_ms)  # before the slow part
    shaping = _shaping(arguments)
    inputs = [path for path in (arguments.sound, arguments.curves) if path]
    if bool(inputs) == arguments.sheet:
        got = "files and --sheet" if inputs else "nothing to show"
        raise SettingError(f"got {got}: expected SOUND, --curves FILE or both, or --sheet alone")
    if arguments.curves or arguments.sheet:
        what, heard = ("--curves", {"curves", "sound", "fps", "size"}) if arguments.curves else ("--sheet", {"sheet"})
        names = vars(arguments).keys() - heard - {"output", "rest", "version"}
        for name in sorted(names, key=lambda name: (name != "table", name)):  # a file of settings sets others too
            if getattr(arguments, name) != arguments.usual(name):
                flag = "--" + {"table": "settings"}.get(name, name).replace("_", "-")
                raise SettingError(f"got {what} and {flag}: {what} shows what it is given as it is; leave {flag} out")
    if os.path.realpath(arguments.output) in map(os.path.realpath, inputs):
        raise SettingError(f"OUT {arguments.output!r} is an input: expected another file; it would be lost")
    if arguments.sheet:
        if not arguments.output.lower().endswith(".png"):
            raise SettingError(f"cannot draw to {arguments.output!r}: expected a name that ends in .png; rename it")
        preview.sheet(arguments.output)
        print(arguments.output)
        return 0
    preview.ready(arguments.output, arguments.size)
    with _Progress() as progress:
        if arguments.curves:
            clip = formats.read(arguments.curves)
            clip = clip.resampled(fps or clip.fps)
        else:
            progress.show(f"listening to {arguments.sound.name}")
            clip = load(arguments.model).animate(
                arguments.sound, fps or 30, arguments.delay_ms, arguments.style, shaping=shaping
            )
        preview.film(
            clip, arguments.output, arguments.sound, arguments.size, lambda done, all: progress.show(f"{done}/{all}")
        )
        progress.tell(f"{arguments.output}  {len(clip)} frames at {float(clip.fps):.6g} fps")
    return 0


def add_studio(verbs: Verbs) -> None:
    """The page."""
    about = "a page on this machine: speak, and see the face (needs duomorph[studio])"
    verb = verbs.add_parser("studio", help=about, allow_abbrev=False)
    verb.add_argument("--port", type=int, default=8640, metavar="N", help="where to listen, 0 for any (8640)")
    host = "another address to listen on: who comes there needs the token that is printed (127.0.0.1)"
    verb.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=host)
    verb.add_argument("--open", action="store_true", help="open it in the browser")
    _add_model(verb)
    verb.set_defaults(run=_studio)


def _studio(arguments: argparse.Namespace) -> int:
    import webbrowser

    from duomorph import studio

    opened = webbrowser.open if arguments.open else lambda url: None

    def say(text: str) -> None:
        print(text, flush=True)

    studio.serve(arguments.host, arguments.port, say, arguments.model, opened)
    return 0


def add_convert(verbs: Verbs) -> None:
    """Curve files to curve files."""
    verb = verbs.add_parser("convert", help="curve files to another format or frame rate", allow_abbrev=False)
    verb.add_argument("inputs", metavar="IN", nargs="+", type=Path, help="curve file: csv, json, jsonl, npz")
    verb.add_argument("-o", "--output", metavar="OUT", required=True, help=_OUT)
    verb.add_argument("--from", dest="source", choices=FORMATS, metavar="NAME", help="format of IN, if not recognised")
    _add_format(verb)
    verb.add_argument("--fps", help="bring it to so many frames a second, 24 to 120; 29.97 too (default: as it is)")
    _add_stage(verb)
    verb.set_defaults(run=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    from duomorph import batch, clock

    fps = arguments.fps and clock.frame_rate(arguments.fps)
    stage = _stage(arguments)
    beside = (arguments.avatar, arguments.mapping)
    jobs = batch.plan(arguments.inputs, arguments.output, arguments.format, staged=stage is not None, beside=beside)
    with _Progress() as progress:
        report = batch.convert(jobs, fps, arguments.source, progress.tell, progress.show, stage)
    return _told(report, len(jobs))


def add_info(verbs: Verbs) -> None:
    """What the model is."""
    verb = verbs.add_parser("info", help="what the model is: sizes, styles, training data, licence", allow_abbrev=False)
    _add_model(verb)
    verb.add_argument("--json", action="store_true", help="as JSON")
    verb.set_defaults(run=_info)


def _info(arguments: argparse.Namespace) -> int:
    import json

    import duomorph
    from duomorph.describe import as_text, describe

    facts = describe(duomorph.load(arguments.model).info())
    print(json.dumps(facts, indent=2) if arguments.json else as_text(facts))
    return 0


def add_egemaps(verbs: Verbs) -> None:
    """The voice features of the emotion stream."""
    verb = verbs.add_parser("egemaps", help="voice features (eGeMAPS) of a sound file", allow_abbrev=False)
    verb.add_argument("input", metavar="IN", type=Path, help="sound file")
    verb.add_argument("-o", "--output", metavar="OUT", required=True, help="CSV file")
    verb.add_argument("--lld", action="store_true", help="the 25 descriptors every 10 ms, not the 88 functionals")
    verb.set_defaults(run=_egemaps)


def _egemaps(arguments: argparse.Namespace) -> int:
    from duomorph import features

    if os.path.realpath(arguments.output) == os.path.realpath(arguments.input):
        raise SettingError(f"OUT {arguments.output!r} is IN: expected another file; the sound would be lost")
    write = features.descriptors if arguments.lld else features.functionals
    write(arguments.input, arguments.output)
    print(arguments.output)
    return 0


def add_evaluate(verbs: Verbs) -> None:
    """How good the curves are."""
    verb = verbs.add_parser("evaluate", help="measure the curves on held-out recordings", allow_abbrev=False)
    data = "data sets (folders with a manifest) or corpora by name (default grid_s1 facegood)"
    verb.add_argument("--data", metavar="DATASET", nargs="+", default=["grid_s1", "facegood"], help=data)
    verb.add_argument("--fps", nargs="+", default=["30", "60"], help="frame rates (default 30 60)")
    verb.add_argument("--style", metavar="NAME", help="one for all takes (default: each take's own)")
    _add_delay(verb)
    _add_model(verb)
    windows = "frames of 1/30 s between windows that start cold; 1 is slow (default 32)"
    verb.add_argument("--stride", type=int, default=32, metavar="N", help=windows)
    sounds = "score P B M, silence, rounding: aligns GRID's words (needs duomorph[phones]), reads phones.json"
    verb.add_argument("--phones", action="store_true", help=sounds)
    _add_json(verb)
    verb.add_argument("--html", metavar="OUT", help="also write a page with pictures (needs duomorph[plot])")
    verb.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    from duomorph import clock, evaluate, files, load

    rates = [float(clock.frame_rate(fps)) for fps in arguments.fps]
    clock.delay_ticks(arguments.delay_ms)
    if arguments.stride < 1:
        raise SettingError(f"got --stride {arguments.stride}: expected at least 1 frame; try 32")
    _check_json(arguments)
    if arguments.html:
        _need("matplotlib", "plot")
        files.writable(arguments.html)  # before the slow part
    if arguments.phones and "grid_s1" in arguments.data:  # data sets bring their own
        _need("pocketsphinx", "phones")
    face, progress = load(arguments.model), _Progress()
    result, played = evaluate.measure(
        face, arguments.data, rates, arguments.delay_ms, arguments.style, arguments.stride, arguments.phones,
        progress.show,
    )  # fmt: skip
    progress.clear()
    print(evaluate.table(result))
    if arguments.html:
        from duomorph.evaluate import page

        page.write(arguments.html, result, played, face.info())
    return _save_json(arguments, result)


def add_bench(verbs: Verbs) -> None:
    """How fast the pipeline is."""
    verb = verbs.add_parser("bench", help="measure speed, memory and latency", allow_abbrev=False)
    verb.add_argument("--sound", metavar="FILE", type=Path, help="speech to use (default: the sample that came along)")
    verb.add_argument("--seconds", type=float, default=60.0, help="of speech, repeated as needed (default 60)")
    verb.add_argument("--live", action="store_true", help="how late live frames are, and how many streams fit")
    verb.add_argument("--long", action="store_true", help="also an hour of sound: memory, and cost against length")
    _add_model(verb)
    _add_json(verb)
    verb.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    from duomorph import bench

    if not 5 <= arguments.seconds <= 3600:
        raise SettingError(f"got --seconds {arguments.seconds:g}: expected 5 to 3600; try 60")
    if arguments.live and arguments.long:
        raise SettingError("got --live and --long: expected one; --live goes in real time, an hour would take one")
    _check_json(arguments)
    if arguments.live:
        from duomorph.live import bench as live

        return _save_json(arguments, live.main(arguments.model, arguments.seconds, arguments.sound))
    return _save_json(arguments, bench.main(arguments.model, arguments.seconds, arguments.sound, arguments.long))


def add_train(verbs: Verbs) -> None:
    """Learn weights."""
    more = "settings: --train.epochs 30 --model.d 64 --loss.mse 1 --augment.rounds 2 ... (see docs/training.md)"
    verb = verbs.add_parser("train", help="train a model (needs duomorph[train])", epilog=more, allow_abbrev=False)
    data = "data sets (folders with a manifest) or corpora by name (default grid_s1 facegood)"
    verb.add_argument("--data", metavar="DATASET", nargs="+", help=data)
    verb.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="run folder: checkpoint, log")
    verb.add_argument("--config", metavar="FILE", type=Path, help="settings in TOML")
    verb.add_argument("--resume", action="store_true", help="go on from the folder's last checkpoint")
    verb.set_defaults(run=_train, more=True)


def _train(arguments: argparse.Namespace) -> int:
    _need("torch", "train")
    from duomorph.train import config
    from duomorph.train.loop import train

    settings = config.read(arguments.config, arguments.rest)
    if arguments.data:
        settings = config.changed(settings, {"data": arguments.data})
    print(train(settings, arguments.output, arguments.resume))
    return 0


def add_finetune(verbs: Verbs) -> None:
    """Learn a style of one's own."""
    about = "add a style from minutes of own capture (needs duomorph[train])"
    more = "settings: --train.epochs 30 --augment.rounds 1 ... (see docs/training.md)"
    verb = verbs.add_parser("finetune", help=about, epilog=more, allow_abbrev=False)
    verb.add_argument("--data", metavar="DATASET", nargs="+", required=True, help="folders that `data import` made")
    verb.add_argument("--style", metavar="NAME", required=True, help="name of the new style")
    verb.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="run folder and new model")
    verb.add_argument("--resume", action="store_true", help="go on from the folder's last checkpoint")
    _add_model(verb)
    verb.set_defaults(run=_finetune, more=True)


def _finetune(arguments: argparse.Namespace) -> int:
    _need("torch", "train")
    from duomorph.train import config
    from duomorph.train.finetune import finetune, settings_for

    settings = settings_for(arguments.data, arguments.style, Path(arguments.model) if arguments.model else None)
    settings = config.read(None, arguments.rest, settings)
    model, before, after = finetune(settings, arguments.output, arguments.resume)
    for when, report in (("before", before), ("after", after)):
        print(f"{when:7} MAE {report.mae:.4f}   r(jawOpen) {report.r.get('jawOpen', 0.0):.3f}")
    print(f"median  MAE {after.baselines['median']:.4f}   on {after.frames} held-out frames")
    print(model)
    return 0


def add_ablate(verbs: Verbs) -> None:
    """What each part of the design is worth."""
    about = "train the design without each of its parts (needs duomorph[train] and the corpus)"
    verb = verbs.add_parser("ablate", help=about, allow_abbrev=False)
    verb.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="goes on where it stopped")
    verb.add_argument("--rows", metavar="NAME", nargs="+", help="default: all")
    verb.add_argument("--seeds", metavar="N", nargs="+", type=int, default=[0, 1], help="default: 0 1")
    verb.add_argument("--clips", type=int, default=200, help="to learn from (default 200)")
    verb.add_argument("--epochs", type=int, default=17, help="default 17")
    verb.set_defaults(run=_ablate)


def _ablate(arguments: argparse.Namespace) -> int:
    _need("torch", "train")
    from duomorph.train import ablate

    known = {row.name: row for row in ablate.ROWS}
    unknown = [name for name in arguments.rows or () if name not in known]
    if unknown:
        raise SettingError(f"got the row {unknown[0]!r}: expected one of {', '.join(known)}")
    rows = [known[name] for name in arguments.rows] if arguments.rows else ablate.ROWS
    print(ablate.markdown(ablate.ablate(arguments.output, rows, arguments.seeds, arguments.clips, arguments.epochs)))
    return 0


def add_export(verbs: Verbs) -> None:
    """Weights to ONNX."""
    about = "weights to a model file (needs duomorph[train])"
    verb = verbs.add_parser("export", help=about, allow_abbrev=False)
    about = "checkpoint of a training run; or a .safetensors file, for a graph of this version with its weights"
    verb.add_argument("checkpoint", metavar="WEIGHTS", type=Path, help=about)
    verb.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where model files go")
    kinds = ("onnx", "onnx-fp16", "onnx-int8", "executorch")
    about = f"{', '.join(kinds)} (onnx); the last needs duomorph[mobile]; see docs/mobile.md"
    verb.add_argument("--format", choices=kinds, default="onnx", metavar="NAME", help=about)
    verb.add_argument("--sound", action="store_true", help="one file that takes sound itself, as executorch's does")
    verb.add_argument("--style", metavar="NAME", help="what animate uses unless told otherwise (default: as trained)")
    verb.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    _need("torch", "train")
    if arguments.format == "executorch":
        _need("executorch", "mobile")
    weights = arguments.checkpoint if arguments.checkpoint.suffix == ".safetensors" else None
    if weights and arguments.style is not None:
        raise SettingError("--style is for checkpoints: weights that are exported keep theirs; leave it out")
    from duomorph.model import export
    from duomorph.train.publish import trained

    network, provenance = export.load_model(weights) if weights else trained(arguments.checkpoint, arguments.style)
    folder = Path(arguments.output)
    print(export.write(network, provenance, folder, arguments.format, arguments.sound, weights))
    return 0


def _add_format(verb: argparse.ArgumentParser) -> None:
    about = "default: what the suffix means; .csv and folders: livelink, .json: a2f"
    names = (*FORMATS, *SCENES)
    verb.add_argument("--format", choices=names, metavar="NAME", help=f"{', '.join(names)} ({about})")


def _add_delay(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--delay-ms", type=float, default=100.0, metavar="MS", help="0 to 200, more is better (100)")


def _add_model(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--model", metavar="FILE", help="another model than the one that came along")


def _add_shaping(verb: argparse.ArgumentParser, idle: str = "off") -> None:
    """`idle`: how the face lives unless told otherwise."""
    group = verb.add_argument_group("shaping", "after the network; see docs/shaping.md")
    group.add_argument("--no-gate", action="store_true", help="let the mouth move while nobody speaks")
    group.add_argument("--no-close-limit", action="store_true", help="let mouthClose exceed jawOpen + 0.02")
    group.add_argument("--intensity", type=float, default=1.0, metavar="X", help="of the mouth's motion, 0 to 3 (1)")
    group.add_argument("--expressiveness", type=float, default=1.0, metavar="X", help="of brows, lids, smile (1)")
    group.add_argument("--shape-config", metavar="FILE", help="TOML: gain, offset, min, max by shape or group")
    group.add_argument("--hold-ms", type=float, default=0.0, metavar="MS", help="closures last so long, 0 to 200 (0)")
    group.add_argument("--smooth", type=float, default=0.0, metavar="HZ", help="one-euro smoothing, 0.5 to 30 (none)")
    group = verb.add_argument_group("life and direction", "what no voice tells; see docs/life.md")
    about = f"blinks, gaze, head: off, calm or lively ({idle})"
    group.add_argument("--idle", choices=("off", "calm", "lively"), metavar="HOW", default=idle, help=about)
    group.add_argument("--seed", type=int, default=0, metavar="N", help="another number lives otherwise (0)")
    about = "joy=0.6,sad=0.2, or a CSV file with time,joy,sad,... (none)"
    group.add_argument("--emotion", metavar="WHAT", help=about)
    about = "TOML: these flags and --style, --delay-ms by name, and --shape-config; flags after it win"
    group.add_argument("--settings", metavar="FILE", action=_Settings, help=about)
    verb.set_defaults(table=None)


class _Settings(argparse.Action):
    """A file of settings stands for the flags that it names."""

    def __call__(self, parser: object, namespace: argparse.Namespace, path: Any, option: object = None) -> None:
        from duomorph.shaping import settings
        from duomorph.shaping.table import table

        given = settings.read(path)
        namespace.table = table(given.pop("shapes", {}))
        if "emotion" in given:
            given["emotion"] = ",".join(f"{name}={strength}" for name, strength in given["emotion"].items())
        for flag in ("gate", "close_limit"):
            if flag in given:
                setattr(namespace, f"no_{flag}", not given.pop(flag))
        for flag, value in given.items():
            setattr(namespace, flag, value)


def _shaping(arguments: argparse.Namespace) -> Shaping:
    from duomorph.shaping import Life, Shaping, direction, read

    return Shaping(
        smooth_hz=arguments.smooth,
        intensity=arguments.intensity,
        expressiveness=arguments.expressiveness,
        hold_ms=arguments.hold_ms,
        gate=not arguments.no_gate,
        table=read(arguments.shape_config) if arguments.shape_config else arguments.table,
        close_limit=not arguments.no_close_limit,
        emotion=direction.read(arguments.emotion) if arguments.emotion is not None else None,
        life=Life(arguments.idle, arguments.seed),
    )


def _add_stage(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("character", f"for {', '.join(SCENES)}; see docs/scenes.md")
    group.add_argument("--avatar", metavar="FILE", help="whose shapes move, .glb or .vrm (the head that came along)")
    group.add_argument("--mapping", metavar="FILE", help="TOML: shape = name in the avatar, where names differ")
    about = "how far a curve may be from a frame, 0 to 0.1; 0 keeps every frame (0.01)"
    group.add_argument("--tolerance", type=float, metavar="X", help=about)


def _stage(arguments: argparse.Namespace) -> scenes.Stage | None:
    """What was said of the character; None if nothing was."""
    if arguments.avatar is arguments.mapping is arguments.tolerance is None:
        return None
    from duomorph import scenes

    return scenes.Stage.of(arguments.avatar, arguments.mapping, arguments.tolerance)


def _add_json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", metavar="OUT", help="also write the numbers to a JSON file")


def _check_json(arguments: argparse.Namespace) -> None:
    from duomorph import files

    if arguments.json:
        files.writable(arguments.json)  # before the slow part


def _save_json(arguments: argparse.Namespace, result: dict[str, Any]) -> int:
    import json

    from duomorph import files

    if arguments.json:
        files.write(arguments.json, (json.dumps(result, indent=2) + "\n").encode())
    return 0


def _need(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingExtra(f"this command needs {module}: install it with  pip install 'duomorph[{extra}]'")


def _told(report: batch.Report, jobs: int) -> int:
    """The exit code, after every failure has been said."""
    for problem in (*report.failed, *report.undrawn):
        _fail(problem)
    for sentence in report.lacking:
        print(f"duomorph: {sentence}", file=sys.stderr)
    for things, problems in (("files", report.failed), ("pictures", report.undrawn)):
        if problems and jobs > 1:
            print(f"duomorph: {len(problems)} of {jobs} {things} failed", file=sys.stderr)
    return 1 if report.failed or report.undrawn else 0


class _Progress:
    """One line on a terminal that the next message wipes; nothing on a pipe."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *problem: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        if self._live:
            with contextlib.suppress(OSError):  # the terminal was closed this moment
                print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        self.show("")

    def tell(self, text: str) -> None:
        self.clear()
        print(text, flush=True)


def _fail(problem: DuomorphError) -> int:
    print(f"duomorph: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
