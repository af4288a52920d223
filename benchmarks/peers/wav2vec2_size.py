"""A network of the size of wav2vec 2.0 base, which LAM_Audio2Expression and others put first; random weights.

`whole`: all of the sound at once, the cheapest way there is. `chunks`: a second at a time, with 2.1 s before it heard
again, as they do for live use. Only time is measured; what follows the network, they have on top.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from timing import Absent, main

STRIDES = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))  # kernels and steps: 50 rows a second
WIDTH, LAYERS, HEADS, INNER = 768, 12, 12, 3072
BEFORE_S = 2.1


def prepare(sound: NDArray[np.float32], fps: int, how: str = "whole") -> Callable[[], object]:
    try:
        import torch
        from torch import nn
    except ImportError:
        raise Absent("it needs torch: pip install 'duomorph[train]'") from None
    torch.set_num_threads(1)
    convolutions: list[nn.Module] = []
    for kernel, step in STRIDES:
        convolutions += [nn.Conv1d(512 if convolutions else 1, 512, kernel, step, bias=False), nn.GELU()]
    rows = nn.Sequential(*convolutions)
    project = nn.Sequential(nn.LayerNorm(512), nn.Linear(512, WIDTH))
    place = nn.Conv1d(WIDTH, WIDTH, 128, padding=64, groups=16)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, activation="gelu", batch_first=True)
    encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
    parts = nn.ModuleList([rows, project, place, encoder]).eval()
    assert 94e6 < sum(weight.numel() for weight in parts.parameters()) < 95e6

    def network(part: NDArray[np.float32]) -> object:
        x = project(rows(torch.from_numpy(part)[None, None]).transpose(1, 2))
        return encoder(x + nn.functional.gelu(place(x.transpose(1, 2))[:, :, : x.shape[1]]).transpose(1, 2))

    def work() -> object:
        with torch.no_grad():
            if how == "whole":
                return network(sound)
            return [
                network(sound[max(0, begin - round(BEFORE_S * 16_000)) : begin + 16_000])
                for begin in range(0, len(sound), 16_000)
            ]

    return work


if __name__ == "__main__":
    main(prepare)
