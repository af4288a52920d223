"""Ablations: the claims of the design, each trained with and without, on the same clips, steps and seeds.

One promise: a row differs from the full network in what its name says and in nothing else; what failed stays in.

    rows = ablate(Path("runs/ablations"), ROWS, seeds=(0, 1), clips=200)     # goes on where it was stopped
    print(markdown(rows))
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from duomorph import arkit, files
from duomorph.dataset.takes import takes
from duomorph.emotion import FUNCTIONALS
from duomorph.errors import SettingError
from duomorph.evaluate.metrics import CALM
from duomorph.model.network import Network
from duomorph.train.beginning import load_checkpoint
from duomorph.train.config import Settings, changed
from duomorph.train.loop import Parts, train

CORPUS: Final = "grid_s1"
_SURE: Final = 5.0  # of theta: a weight of 1 at any temperature


def roles(mel: Iterable[int], emotion: Iterable[int]) -> Callable[[Network], None]:
    """Shapes that must take one stream: nothing is left to learn about it."""

    theta = torch.zeros(arkit.COUNT, 2)
    theta[list(mel), 0] = theta[list(emotion), 1] = _SURE

    def prepare(network: Network) -> None:
        with torch.no_grad():
            network.streams.copy_(theta)
        network.streams.requires_grad_(False)

    return prepare


def without_detail(network: Network) -> None:
    """The three short-term frames of each band weigh nothing."""
    rows = network.config.detail_rows
    weight = network.mel.token.weight
    with torch.no_grad():
        weight[:, :rows] = 0.0
    keep = torch.ones_like(weight)
    keep[:, :rows] = 0.0
    weight.register_hook(lambda gradient: gradient * keep.to(gradient.device))


def without_long_mean(network: Network) -> None:
    """The front end does not hear the mean of 8.5 s."""
    network.mel.front.long.requires_grad_(False)
    with torch.no_grad():
        network.mel.front.long.weight.zero_()


def one_window(network: Network) -> None:
    """The emotion stream hears the functionals of now alone; the windows before stand at their mean."""

    def now(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        mean = network.emotion.mean.expand_as(inputs[0])
        return (torch.cat([inputs[0][..., :FUNCTIONALS], mean[..., FUNCTIONALS:]], dim=-1),)

    network.emotion.register_forward_pre_hook(now)


@dataclass(frozen=True)
class Row:
    """What is changed, and why one would."""

    name: str
    about: str
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    prepare: Callable[[Network], None] | None = None


EVERY: Final = range(arkit.COUNT)
TEXTBOOK: Final = {"front": 0, "temporal": 0, "history": "taps"}
ROWS: Final = (
    Row("full", "nothing left out"),
    Row("textbook", "frequency-wise encoder alone, one weight a tick of history", {"model": TEXTBOOK}),
    Row("textbook + front", "and bands and fine time meet before it", {"model": {"temporal": 0}}),
    Row("mel alone", "single stream", prepare=roles(EVERY, ())),
    Row("emotion alone", "single stream", prepare=roles((), EVERY)),
    Row("forced roles", "mouth from mel, expression from emotion", prepare=roles(arkit.MOUTH, arkit.EXPRESSION)),
    Row("tau 0.5", "temperature not annealed to 0.2", {"model": {"tau": 0.5}}),
    Row("one window", "functionals of now alone, as 232 : 1", prepare=one_window),
    Row("no detail", "without the three short-term frames", prepare=without_detail),
    Row("no long mean", "front end without the mean spectrum of the last 8.5 s", prepare=without_long_mean),
    Row("context 4 s", "128 frames of history", {"model": {"context_frames": 128}}),
    Row("sparse", "no dense steps", {"train": {"dense": 0.0}}),
    Row("dense", "dense steps alone, at 60 fps", {"train": {"dense": 1.0}}),
    Row("fixed stride", "windows anywhere from the start", {"train": {"stride_start": 1}}),
)


HALF: Final = {"d": 32, "front": 96, "band_channels": 8}  # of the default's width: a third of the work


def base(epochs: int, seed: int) -> Settings:
    """The common settings of all rows."""
    train = {
        "epochs": epochs, "seed": seed, "compile": False, "warm_up_steps": 20, "validate_every": epochs,
        "batch": 4, "micro": 4, "rate": 2e-3, "average": 0.98, "other_voice": 0.0,
    }  # fmt: skip
    return changed(Settings(data=(CORPUS,)), {"train": train, "augment": {"rounds": 1}, "model": HALF})


def parts(clips: int) -> Parts:
    """So many clips of GRID to learn from, and every third of those held out."""
    learned = takes(CORPUS, "train")
    return learned[:: max(1, len(learned) // clips)][:clips], takes(CORPUS, "test")[::3]


def run(row: Row, folder: Path, clips: int, epochs: int, seed: int) -> dict[str, float]:
    """Train and score one row with one seed; what is there already is read."""
    own = folder / f"{row.name.replace(' ', '_').replace('+', 'and')}-{seed}"
    done = own / "score.json"
    settings = changed(base(epochs, seed), row.sections)
    asked = {"clips": clips, "settings": settings.to_dict()}
    if done.exists():
        stored: dict[str, Any] = json.loads(done.read_text())
        if stored["asked"] != asked:
            raise SettingError(f"{str(own)!r} holds a run of other settings: expected the same; choose another folder")
        known: dict[str, float] = stored["score"]
        return known
    began = time.perf_counter()
    resume = (own / "checkpoint.pt").exists()
    checkpoint = train(settings, own, resume, parts(clips), row.prepare)
    stored_checkpoint = load_checkpoint(checkpoint)
    score = {key.removesuffix("_grid"): value for key, value in stored_checkpoint["history"][-1].items()}
    weights = (stored_checkpoint["average"]["streams"] / settings.model.tau).softmax(dim=1)[:, 0].numpy()
    score["specialisation"] = float(weights[arkit.MOUTH].mean() - weights[CALM].mean())
    score["minutes"] = round((time.perf_counter() - began) / 60, 2)
    files.write(done, json.dumps({"asked": asked, "score": score}).encode())
    return score


def ablate(
    folder: Path, rows: Sequence[Row] = ROWS, seeds: Sequence[int] = (0, 1), clips: int = 200, epochs: int = 17
) -> list[dict[str, Any]]:
    """All rows with all seeds: for each row its scores, one a seed.

    Raises:
        SettingError: nothing to run. CorpusError: GRID is absent.
    """
    if not rows or not seeds or clips < 1:
        raise SettingError(f"got {len(rows)} rows, {len(seeds)} seeds, {clips} clips: expected at least one of each")
    out = []
    for row in rows:
        scores = [run(row, folder, clips, epochs, seed) for seed in seeds]
        out.append({"row": row.name, "about": row.about, "seeds": list(seeds), "scores": scores})
        result = {"corpus": CORPUS, "clips": clips, "epochs": epochs, "model": HALF, "rows": out}
        files.write(folder / "ablations.json", (json.dumps(result, indent=1) + "\n").encode())
    return out


SHOWN: Final = (
    ("mae", "MAE", 4), ("mae_mouth", "mouth", 4), ("mae_expression", "expression", 4), ("r_jawOpen", "r jawOpen", 3),
    ("r_mouthPucker", "r pucker", 3), ("r_mouthLowerDownLeft", "r lowerDown", 3),
    ("specialisation", "w_mel mouth − brows, cheeks", 2), ("minutes", "minutes", 1),
)  # fmt: skip


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table: mean over seeds, and the range where it matters."""
    head = ["row", *(title for _, title, _ in SHOWN)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"**{row['row']}**: {row['about']}"]
        for key, _, digits in SHOWN:
            values = [score[key] for score in row["scores"]]
            spread = f" ± {(max(values) - min(values)) / 2:.{digits}f}" if len(values) > 1 and key != "minutes" else ""
            cells.append(f"{np.mean(values):.{digits}f}{spread}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
