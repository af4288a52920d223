"""JSON text to objects and numbers: what the JSON formats share.

One promise: what comes out has the shape that was asked for, or is refused in one sentence.

    whole = read(data, "BEAT JSON")                       # a dict
    values = matrix(whole["weightMat"], len(names))       # (rows, columns) float64
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph.errors import FormatError


def read(data: bytes, kind: str) -> dict[str, Any]:
    """The object that the text is.

    Raises:
        FormatError: no JSON, or no object.
    """
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        raise FormatError(f"this is no {kind}: expected JSON text; the file is cut or foreign") from None
    if not isinstance(whole, dict):
        raise FormatError(f"this is no {kind}: got a JSON {type(whole).__name__}, expected an object; export it again")
    return whole


def names(value: object, key: str) -> list[str]:
    """The list of texts under `key`. Raises FormatError if it is none."""
    if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        raise FormatError(f"{key} is no list of names: expected ARKit shapes; export it again")
    return value


def matrix(rows: object, columns: int) -> NDArray[np.float64]:
    """Rows of numbers, (rows, columns).

    Raises:
        FormatError: they are none, or a row has another length.
    """
    if not isinstance(rows, list):
        raise FormatError("the weights are no list: expected one list of numbers a frame; export it again")
    values = np.empty((len(rows), columns))
    for frame, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != columns:
            got = f"{len(row)} weights" if isinstance(row, list) else "no list of weights"
            raise FormatError(f"frame {frame} has {got}: expected {columns}; the file is damaged")
        if not all(isinstance(value, int | float) for value in row):
            raise FormatError(f"frame {frame} has a weight that is no number: expected 0.0 to 1.0; mend it")
        try:
            values[frame - 1] = row
        except OverflowError:
            raise FormatError(f"frame {frame} has a weight beyond all numbers: expected 0 to 1; mend it") from None
    return values


def numbers(row: NDArray[np.float32]) -> str:
    """A JSON list of the shortest numbers that mean the same float32."""
    return f"[{', '.join(row.astype('U16').tolist())}]"
