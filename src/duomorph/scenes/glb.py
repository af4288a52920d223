"""glTF: a character with the curves as a morph-target animation, in one file.

One promise: the animation, played by linear interpolation, is within the tolerance of every frame.

    data = encode(clip, avatar.read("me.glb"), tolerance=0.01)

From a tolerance of 0.005 on weights are stored as bytes (an error of 0.002 at most, which counts), and keyframes that
the others imply are left out; 0 keeps every frame as float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph.clip import Clip
from duomorph.scenes import gltf
from duomorph.scenes.avatar import NAME, Avatar, Quaternion, head_turns, product
from duomorph.scenes.thin import kept

BYTES_FROM = 0.005  # of tolerance


def encode(clip: Clip, avatar: Avatar, tolerance: float) -> bytes:
    """The character's file with an animation named Duomorph."""
    out = gltf.Builder(avatar.document, avatar.buffer)
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []

    def add(node: int, path: str, kind: str, keys: NDArray[np.bool_], values: NDArray[Any], normalized: bool) -> None:
        times = out.accessor(clip.times[keys].astype(np.float32), "SCALAR", bounds=True)
        output = out.accessor(values[keys], kind, normalized=normalized)
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})

    def morph(node: int, weights: NDArray[np.float32]) -> None:
        small = tolerance >= BYTES_FROM
        stored = _levels(weights) if small else weights
        keys = kept(weights, stored, tolerance, unit=1 / 255 if small else 1)
        add(node, "weights", "SCALAR", keys, stored, small)

    if len(clip):
        moved = avatar.weights(clip)
        for node in list(moved):
            morph(node, moved.pop(node))  # and forgotten, an hour of them is large
        if clip.angles is not None and avatar.head is not None:
            turned = _turned(clip.angles, avatar).astype(np.float32)
            add(avatar.head, "rotation", "VEC4", kept(turned, turned, tolerance / 5), turned, False)
    animations = list(avatar.document.get("animations", ()))
    if channels:
        animations.append({"name": NAME, "channels": channels, "samplers": samplers})
    return out.pack(avatar.document | ({"animations": animations} if animations else {}))


def _levels(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    levels = np.empty(weights.shape, np.uint8)
    for column in range(weights.shape[1]):  # no second copy of all
        levels[:, column] = np.round(weights[:, column] * np.float32(255))
    return levels


def _turned(angles: NDArray[np.float32], avatar: Avatar) -> Quaternion:
    """(T, 4) rotation of the head's node, among its parents."""
    turn = head_turns(angles)
    if avatar.vrm == 0:  # which looks along -z
        turn = turn * [-1, 1, -1, 1]
    back = avatar.above * [-1, -1, -1, 1]
    turned = product(product(product(back, turn), avatar.above), avatar.rest)
    flips = np.cumprod(np.concatenate([[1.0], np.where((turned[1:] * turned[:-1]).sum(1) < 0, -1.0, 1.0)]))
    return np.asarray(turned * flips[:, None])
