"""Do mouth and expression choose their streams by themselves? Three trainings from three seeds, nothing forced.

    DUOMORPH_CORPUS=... python recipes/articulate.py -o articulated --corpora emodb
    DUOMORPH_CORPUS=... python benchmarks/specialisation.py articulated/emodb -o runs/specialisation

Six minutes a seed. GRID reads flat commands, so half of what is drawn is EMO-DB in style `articulate`, whose brows and
corners of the mouth follow the voice's mood; without a folder GRID is alone. Networks of half the width, as in
`duomorph ablate`; tau is annealed to 0.2. Of each seed: mean w_mel of the mouth less that of brows and cheeks, of the
shapes that move in the data, and what each group's error grows by when a stream hears nothing (held-out takes, 100 ms
of delay). Goes on where it was stopped. Writes benchmarks/results/specialisation.json; the last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from duomorph import arkit, files
from duomorph.dataset.takes import takes
from duomorph.evaluate.metrics import CALM
from duomorph.model.network import MEL_SILENCE
from duomorph.train import ablate, data
from duomorph.train.config import Settings, changed
from duomorph.train.data import Session
from duomorph.train.loop import train
from duomorph.train.publish import trained
from duomorph.train.validate import validate

RESULT = Path(__file__).parent / "results" / "specialisation.json"
STREAMS_RATE = 10.0
ALIVE = 0.02  # deviation of a shape that moves
SILENT = {
    "none": lambda one: one,
    "emotion": lambda one: dataclasses.replace(one, emotion=np.full_like(one.emotion, np.nan)),
    "mel": lambda one: dataclasses.replace(one, mel=np.full_like(one.mel, MEL_SILENCE)),
}


def settings(names: tuple[str, ...], epochs: int, seed: int) -> Settings:
    """Those of the ablations, both styles drawn alike, and a rate of its own for the choice between the streams."""
    more = {"balance": 1.0, "streams_rate": STREAMS_RATE}
    return changed(dataclasses.replace(ablate.base(epochs, seed), data=names), {"train": more})


def moving(sessions: list[Session]) -> NDArray[np.bool_]:
    """(52,) the shapes that move in any style."""
    shown = {
        style: np.concatenate([one.curves[one.known] for one in sessions if one.style == style]).astype(float)
        for style in {one.style for one in sessions}
    }
    return np.any([curves.std(axis=0) > ALIVE for curves in shown.values()], axis=0)


def scores(checkpoint: Path, sessions: list[Session]) -> dict[str, Any]:
    """What one training came to."""
    network, _ = trained(checkpoint)
    alive = moving(sessions)
    w_mel = network.stream_weights()[:, 0].numpy()
    means = {
        name: float(w_mel[group[alive[group]]].mean())
        for name, group in (("mouth", arkit.MOUTH), ("brows and cheeks", CALM))
    }
    errors = {name: validate(network, [change(one) for one in sessions]) for name, change in SILENT.items()}
    lost = {
        f"{stream} silent": {
            key.removeprefix("mae_"): round(errors[stream][key] / whole - 1, 4)
            for key, whole in errors["none"].items()
            if key.startswith(("mae_mouth", "mae_expression"))
        }
        for stream in ("emotion", "mel")
    }
    return {"w_mel": means, "apart": means["mouth"] - means["brows and cheeks"], "scores": errors["none"], "lost": lost}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("moods", nargs="?", help="data set of emotional speech, made by recipes/articulate.py")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=200, help="of GRID (200)")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, default=RESULT)
    asked = parser.parse_args()
    names = (ablate.CORPUS, *([asked.moods] if asked.moods else []))
    learned, held_out = ablate.parts(asked.clips)
    learned += [take for name in names[1:] for take in takes(name, "train")]
    held_out += [take for name in names[1:] for take in takes(name, "test")]
    found = {}
    for seed in asked.seeds:
        own = asked.output / f"seed{seed}"
        how, checkpoint = settings(names, asked.epochs, seed), own / "checkpoint.pt"
        checkpoint = train(how, own, checkpoint.exists(), (learned, held_out))
        test = data.build(held_out, how.augment, seed, asked.output / "cache" / "test", alone=True)
        with torch.no_grad():
            found[str(seed)] = scores(checkpoint, test)
        print(json.dumps({seed: found[str(seed)]}), flush=True)
    result = {
        "data": [Path(name).name for name in names], "clips": asked.clips, "epochs": asked.epochs, "tau": how.model.tau,
        "streams_rate": how.train.streams_rate,
        "apart": [one["apart"] for one in found.values()], "seeds": found,
    }  # fmt: skip
    files.write(asked.json, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
