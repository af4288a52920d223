"""VRMA, the animation of VRM avatars: an expression is a node whose x is its weight, beside the bones.

One promise: each curve, played by linear interpolation, is within the tolerance of every frame.

    data = encode(clip, avatar.read("me.vrm"), tolerance=0.01)

Without a VRM the 52 are written by ARKit's names, as avatars with Perfect Sync have them; for one that has none of them
its vowels, moods and blinks are.

Source: https://github.com/vrm-c/vrm-specification/tree/master/specification/VRMC_vrm_animation-1.0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.scenes import gltf
from duomorph.scenes.avatar import PRESETS, Avatar, head_turns, signals
from duomorph.scenes.thin import kept

HIPS, HEAD = 1, 2  # nodes; the expressions follow


def shown(avatar: Avatar) -> Mapping[str, str]:
    """The name of the expression for each signal that has one."""
    return avatar.expressions if avatar.vrm is not None else {name: name for name in arkit.NAMES}


def encode(clip: Clip, avatar: Avatar, tolerance: float) -> bytes:
    """The clip as a .vrma file."""
    out = gltf.Builder()
    names = shown(avatar)
    values, columns = signals(clip, avatar.by_presets and avatar.vrm is not None)
    driven = [name for name in columns if name in names]
    nodes: list[dict[str, Any]] = [
        {"name": "Duomorph", "children": [HIPS, *range(HEAD + 1, HEAD + 1 + len(driven))]},
        {"name": "hips", "translation": [0.0, 1.0, 0.0], "children": [HEAD]},
        {"name": "head", "translation": [0.0, 0.5, 0.0]},
        *({"name": names[name]} for name in driven),
    ]
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []

    def add(node: int, path: str, kind: str, times: gltf.Numbers, keys: gltf.Numbers) -> None:
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        places = {"input": out.accessor(times, "SCALAR", bounds=True), "output": out.accessor(keys, kind)}
        samplers.append({**places, "interpolation": "LINEAR"})

    if len(clip):
        times = clip.times.astype(np.float32)
        chosen = values[:, [columns.index(name) for name in driven]]
        keys = kept(chosen, chosen, tolerance, apart=True)
        for k in range(len(driven)):
            own = keys[:, k]
            weights = np.zeros((int(own.sum()), 3), np.float32)
            weights[:, 0] = chosen[own, k]
            add(HEAD + 1 + k, "translation", "VEC3", times[own], weights)
        if clip.angles is not None:
            turned = head_turns(clip.angles).astype(np.float32)
            own = kept(turned, turned, tolerance / 5)
            add(HEAD, "rotation", "VEC4", times[own], turned[own])
    preset = {PRESETS[name]: {"node": HEAD + 1 + k} for k, name in enumerate(driven) if name in PRESETS}
    custom = {names[name]: {"node": HEAD + 1 + k} for k, name in enumerate(driven) if name not in PRESETS}
    extension = {
        "specVersion": "1.0",
        "humanoid": {"humanBones": {"hips": {"node": HIPS}, "head": {"node": HEAD}}},
        "expressions": {"preset": preset, "custom": custom},
    }
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Duomorph"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "extensionsUsed": ["VRMC_vrm_animation"],
        "extensions": {"VRMC_vrm_animation": extension},
    }
    if channels:
        document["animations"] = [{"name": "Duomorph", "channels": channels, "samplers": samplers}]
    return out.pack(document)
