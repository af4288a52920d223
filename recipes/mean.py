"""The mean of two models' weights, where one's training went on from the other's: between what each does better.

    python recipes/mean.py shipped-before/duomorph.safetensors model/duomorph.safetensors --share 0.4 -o mean/

`--share` is that of the first; with `--seldom` what belongs to one shape alone (query, output, ...) is the second's for
shapes that mostly rest (`loss.seldom`): a mean of moving and resting is resting. Both must have the same form; what the
second says of itself stays, and its list of runs ends with a line that names the first by the SHA-256 of its file.
Source: Wortsman and others 2022, model soups.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from duomorph import arkit
from duomorph.errors import DuomorphError, SettingError
from duomorph.model.export import export, load_model
from duomorph.train.losses import seldom
from duomorph.train.publish import constants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs=2, type=Path, metavar="MODEL.safetensors")
    parser.add_argument("--share", type=float, required=True, help="of the first, 0 to 1")
    parser.add_argument("--seldom", action="store_true", help="what belongs to a shape that mostly rests: the second's")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    if not 0 <= arguments.share <= 1:
        raise SettingError(f"got --share {arguments.share}: expected 0 to 1; try 0.5")
    (one, _), (network, told) = map(load_model, arguments.models)
    if one.config != network.config:
        raise SettingError("got models of two forms: expected one to have gone on from the other; choose such")
    kept = seldom(["all"], ["all"])[0] if arguments.seldom else torch.zeros(arkit.COUNT, dtype=torch.bool)  # (52,)
    with torch.no_grad():
        for own, other in zip(network.parameters(), one.parameters(), strict=True):
            mean = own.lerp(other, arguments.share)
            if arkit.COUNT in own.shape:
                along = [-1 if size == arkit.COUNT else 1 for size in own.shape]
                mean = torch.where(kept.view(along), own, mean)
            own.copy_(mean)
        first = hashlib.sha256(arguments.models[0].read_bytes()).hexdigest()
        line = json.dumps({"mean": {"sha256": first, "share": arguments.share, "seldom": arguments.seldom}})
        told = replace(told, runs=(*told.runs, line), **constants(network))
        export(network, told, arguments.output / "duomorph.onnx")


if __name__ == "__main__":
    try:
        main()
    except DuomorphError as problem:
        sys.exit(f"mean.py: {problem}")
