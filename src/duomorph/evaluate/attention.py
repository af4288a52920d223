"""Where along the 80 mel bands each shape looks, frame by frame, read from the torch network (extra `train`).

One promise: the weights shown are those that the network computes, softmax and all, averaged over its heads.

    seen = attention(Path("duomorph.safetensors"), sound, delay=6, style="grid")
    seen.at(1.5)["jawOpen"]      # (80,), sums to 1

Torch is imported by name when it is called: nothing on the way from audio to curves needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import TICK_RATE
from duomorph.emotion import EmotionTrack
from duomorph.errors import MissingExtra
from duomorph.mel import log_mel
from duomorph.model.config import held_update

Float32 = NDArray[np.float32]

NEEDS: Final = ("torch", "onnx", "safetensors")


@dataclass(frozen=True)
class Attention:
    """Attention of each tick's moment: `weights` (N, 52, 80); tick n shows the moment n - delay."""

    weights: Float32
    delay: int

    def at(self, seconds: float) -> dict[str, Float32]:
        """(80,) of each shape for the frame at that time."""
        tick = min(round(seconds * TICK_RATE) + self.delay, len(self.weights) - 1)
        return {shape: self.weights[tick, index] for shape, index in arkit.INDEX.items()}


def attention(weights: Path, sound: Float32, delay: int, style: str) -> Attention:
    """Run the network over a short sound, (S,) at 16 kHz, and keep its attention over the bands.

    Raises:
        MissingExtra: torch is not installed. ModelError: no weights of ours.
    """
    if not all(map(find_spec, NEEDS)):
        raise MissingExtra("attention needs torch: install it with  pip install 'duomorph[train]'")
    torch: Any = import_module("torch")
    network, provenance = import_module("duomorph.model.export").load_model(weights)
    network.eval()
    c = network.config
    mel = log_mel(sound)
    updates = EmotionTrack(np.array(provenance.neutral, dtype=np.float32)).feed(sound)
    slot = np.minimum(held_update(np.arange(len(mel))), len(updates) - 1)
    kept: dict[str, Any] = {}
    hooks = [
        network.query.register_forward_hook(lambda _, __, out: kept.update(query=out)),  # (1, C, d)
        network.mel.register_forward_hook(lambda _, __, out: kept.update(key=out[0])),  # (80, N, d)
    ]
    try:
        with torch.no_grad():
            network(
                torch.from_numpy(mel)[None], torch.from_numpy(updates)[None], torch.from_numpy(slot)[None],
                torch.tensor([c.styles.index(style)]), torch.tensor([delay]), network.start(1),
            )  # fmt: skip
            query = kept["query"][0].unflatten(1, (c.heads, -1)).transpose(0, 1)  # (H, C, dh)
            key = kept["key"].unflatten(2, (c.heads, -1)).permute(1, 2, 3, 0)  # (N, H, dh, 80)
            scores = (query * (c.d // c.heads) ** -0.5) @ key  # (N, H, C, 80)
            mean: Float32 = scores.softmax(dim=-1).mean(dim=1).numpy()
    finally:
        for hook in hooks:
            hook.remove()
    return Attention(mean, delay)
