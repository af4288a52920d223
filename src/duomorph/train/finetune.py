"""A face of one's own: a new style, learned from minutes of capture, on a model that stays as it is.

One promise: only what the new style owns changes; every old style gives the curves it gave.

    before, after = finetune(["mine/"], style="me", out=Path("runs/me"))     # Reports on what was held out
"""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any, Final

from duomorph.clock import SAMPLE_RATE
from duomorph.corpus import Take
from duomorph.dataset.takes import parts, takes
from duomorph.errors import CorpusError, SettingError
from duomorph.evaluate import Report, score
from duomorph.face import load
from duomorph.model.export import load_model
from duomorph.train.config import Settings, changed
from duomorph.train.loop import train
from duomorph.train.publish import publish

LEAST_S: Final = 20  # of capture
STEPS: Final = 500
DEFAULTS: Final[dict[str, dict[str, Any]]] = {  # 52 x 65 numbers learn fast, and cannot learn much by heart
    "train": {"rate": 2e-2, "warm_up_steps": 20, "average": 0.98, "dense": 0.0, "stride_start": 1,
              "compile": False, "learn": "style"},
    "model": {"dropout": 0.0},
    "augment": {"rounds": 2},
}  # fmt: skip


def settings_for(data: list[str], style: str, model: Path | None) -> Settings:
    """Settings of a fine-tuning, to be changed further; as many epochs as make 500 steps.

    Raises:
        SettingError: the style is there already. ModelError: no such model. CorpusError: too little data, or none.
    """
    start = model or Path(str(resources.files("duomorph") / "weights" / "duomorph.onnx"))
    network, _ = load_model(start.with_suffix(".safetensors"))
    if not style or style in network.config.styles:
        raise SettingError(f"got the style {style!r}, which the model has: expected a new name; choose another")
    settings = Settings(data=tuple(data), model=network.config)
    seconds = sum(len(take.audio) for take in split(settings.data)[0]) / SAMPLE_RATE
    epochs = math.ceil(STEPS * settings.train.batch * settings.train.window_frames / 30 / seconds)
    own = {**DEFAULTS["train"], "epochs": epochs, "validate_every": epochs, "style": style, "start": str(start)}
    still = {**DEFAULTS["model"], "tau_start": network.config.tau}  # the base is as it was when it had learned
    return changed(settings, DEFAULTS | {"train": own, "model": still})


def split(data: tuple[str, ...]) -> tuple[list[Take], list[Take]]:
    """What to learn from and what to test on: as the data's own split says, or a fifth held out.

    Raises:
        CorpusError: there is less than 20 s to learn from.
    """
    learned, test = ([take for name in data for take in takes(name, part)] for part in ("train", "test"))
    if not test:
        learned, test = parts(learned)
    seconds = sum(take.end_s - float(take.start) for take in learned)
    if seconds < LEAST_S:
        raise CorpusError(f"got {seconds:.1f} s of capture to learn from: expected at least {LEAST_S} s; record more")
    return learned, test


def finetune(settings: Settings, out: Path, resume: bool = False) -> tuple[Path, Report, Report]:
    """Learn the new style; the model file, and the scores of the default style and of the new one on held-out takes.

    Raises:
        CorpusError: too little data, or the folder holds a run. ModelError: no such model.
    """
    learned, test = split(settings.data)
    checkpoint = train(settings, out, resume, (learned, test))
    target = out / "duomorph.onnx"
    publish(checkpoint, target, like=Path(settings.train.start).with_suffix(".onnx"))
    base = load(settings.train.start)
    name, style = ", ".join(settings.data), settings.train.style
    before = score(base, name, learned, test, style=base.info().provenance.default_style)
    return target, before, score(load(target), name, learned, test, style=style)
