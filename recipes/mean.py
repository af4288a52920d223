"""The mean of two trainings' weights, where one went on from the other: a step between what each does better.

    python recipes/mean.py shipped-before/duomorph.safetensors model/duomorph.safetensors --share 0.4 -o mean/

`--share` is that of the first. Both must have the same form; what the second says of itself stays, and its list of runs
ends with a line that tells of the mean. Source: Wortsman and others 2022, model soups.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from duomorph.errors import DuomorphError, SettingError
from duomorph.model.export import export, load_model
from duomorph.train.publish import constants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs=2, type=Path, metavar="MODEL.safetensors")
    parser.add_argument("--share", type=float, required=True, help="of the first, 0 to 1")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    if not 0 <= arguments.share <= 1:
        raise SettingError(f"got --share {arguments.share}: expected 0 to 1; try 0.5")
    (one, _), (network, told) = map(load_model, arguments.models)
    if one.config != network.config:
        raise SettingError("got models of two forms: expected one to have gone on from the other; choose such")
    with torch.no_grad():
        for own, other in zip(network.parameters(), one.parameters(), strict=True):
            own.lerp_(other, arguments.share)
        mean = json.dumps({"mean": {"share of the start of the last run": arguments.share}})
        told = replace(told, runs=(*told.runs, mean), **constants(network))
        export(network, told, arguments.output / "duomorph.onnx")


if __name__ == "__main__":
    try:
        main()
    except DuomorphError as problem:
        sys.exit(f"mean.py: {problem}")
