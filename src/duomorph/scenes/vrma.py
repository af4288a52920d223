"""VRMA, the animation of VRM avatars: an expression is a node whose x is its weight, beside the bones.

One promise: each curve, played by linear interpolation, is within the tolerance of every frame.

    data = encode(clip, avatar.read("me.vrm"), tolerance=0.01)

Without a VRM the 52 are written by ARKit's names, as avatars with Perfect Sync have them; for one that has none of them
its vowels, moods and blinks are. Where the eyes look is no expression here; what a mapping puts there is left out.

Source: https://github.com/vrm-c/vrm-specification/tree/master/specification/VRMC_vrm_animation-1.0
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.scenes import gltf
from duomorph.scenes.avatar import Avatar, Names, head_turns, signals
from duomorph.scenes.thin import kept

LOOKS: Final = ("lookUp", "lookDown", "lookLeft", "lookRight")  # which the format has no place for
# The bones that VRM requires, of a figure that looks along z, its arms stretched out: above it, and how far from there.
BONES: Final = {
    "hips": ("", (0.0, 1.0, 0.0)),
    "spine": ("hips", (0.0, 0.1, 0.0)),
    "head": ("spine", (0.0, 0.4, 0.0)),
    **{
        side + bone: (side + above if above[0].isupper() else above, (out * along, up, 0.0))
        for side, out in (("left", 1), ("right", -1))
        for bone, above, along, up in (
            ("UpperArm", "spine", 0.15, 0.3), ("LowerArm", "UpperArm", 0.25, 0.0), ("Hand", "LowerArm", 0.25, 0.0),
            ("UpperLeg", "hips", 0.1, 0.0), ("LowerLeg", "UpperLeg", 0.0, -0.45), ("Foot", "LowerLeg", 0.0, -0.45),
        )
    },
}  # fmt: skip
NODES: Final = {bone: node for node, bone in enumerate(BONES, 1)}  # the expressions follow


def shown(avatar: Avatar) -> Names:
    """The expressions, with their share, for each signal that has some."""
    if avatar.vrm is None:
        return {name: {name: 1.0} for name in arkit.NAMES}
    return {
        name: shares
        for name, shares in avatar.expressions.items()
        if not any(avatar.presets.get(label) in LOOKS for label in shares)
    }


def encode(clip: Clip, avatar: Avatar, tolerance: float) -> bytes:
    """The clip as a .vrma file."""
    out = gltf.Builder()
    names = shown(avatar)
    values, columns = signals(clip, avatar.by_presets and avatar.vrm is not None)
    labels = list(dict.fromkeys(label for name in columns for label in names.get(name, ())))
    weights = np.zeros((len(clip), len(labels)), np.float32)
    for column, name in enumerate(columns):
        for label, share in names.get(name, {}).items():
            weights[:, labels.index(label)] += np.float32(share) * values[:, column]
    np.clip(weights, 0, 1, out=weights)
    first = len(BONES) + 1
    nodes: list[dict[str, Any]] = [{"name": "Duomorph", "children": [1, *range(first, first + len(labels))]}]
    for bone, (_, place) in BONES.items():
        below = [NODES[other] for other, (above, _) in BONES.items() if above == bone]
        nodes.append({"name": bone, "translation": list(place), **({"children": below} if below else {})})
    nodes += [{"name": label} for label in labels]
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []

    def add(node: int, path: str, kind: str, times: gltf.Numbers, keys: gltf.Numbers) -> None:
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        places = {"input": out.accessor(times, "SCALAR", bounds=True), "output": out.accessor(keys, kind)}
        samplers.append({**places, "interpolation": "LINEAR"})

    if len(clip):
        times = clip.times.astype(np.float32)
        keys = kept(weights, weights, tolerance, apart=True)
        for k in range(len(labels)):
            own = keys[:, k]
            add(first + k, "translation", "VEC3", times[own], np.pad(weights[own, k : k + 1], ((0, 0), (0, 2))))
        if clip.angles is not None:
            turned = head_turns(clip.angles).astype(np.float32)
            own = kept(turned, turned, tolerance / 5)
            add(NODES["head"], "rotation", "VEC4", times[own], turned[own])
    expressions: dict[str, dict[str, Any]] = {"preset": {}, "custom": {}}
    for node, label in enumerate(labels, first):
        kind = "preset" if label in avatar.presets else "custom"
        expressions[kind][avatar.presets.get(label, label)] = {"node": node}
    extension = {
        "specVersion": "1.0",
        "humanoid": {"humanBones": {bone: {"node": node} for bone, node in NODES.items()}},
        "expressions": expressions,
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
