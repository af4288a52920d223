"""How well curves tell one emotion from another: one score for every benchmark that asks.

    separation(targets, heard)["anger/neutral"]

One half is chance, 1 the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.evaluate.metrics import auc

Floats = NDArray[np.floating[Any]]

WATCHED = ("browDownLeft", "mouthSmileLeft", "mouthFrownLeft", "eyeWideLeft")
PAIRS = (
    *((emotion, "neutral") for emotion in ("anger", "happiness", "sadness", "fear", "disgust")),
    ("anger", "happiness"),
)


def separation(targets: Mapping[str, Floats], heard: Mapping[str, Floats]) -> dict[str, float]:
    """AUC of each pair, from curves averaged over an utterance, (utterances, 52) of each emotion: what is heard is
    projected on the way from one emotion's mean target to the other's, over WATCHED."""
    watched = [arkit.INDEX[name] for name in WATCHED]
    scores = {}
    for one, other in PAIRS:
        way = targets[one].mean(axis=0)[watched] - targets[other].mean(axis=0)[watched]
        scores[f"{one}/{other}"] = auc(heard[one][:, watched] @ way, heard[other][:, watched] @ way)
    return scores
