"""Characters made by script, for tests: a triangle with morph targets, as tools name them, or a VRM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duomorph.scenes import gltf

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
LIMBS = ("UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot")
HUMAN = ("hips", "spine", "chest", "neck", "head", *(side + bone for side in ("left", "right") for bone in LIMBS))


def save(
    path: Path,
    targets: Sequence[str],
    vrm: int | None = None,
    expressions: Mapping[str, Mapping[str, float]] | None = None,
    at_primitive: bool = False,
) -> Path:
    """A file with a mesh of these morph targets; with `vrm` 0 or 1 a VRM of that version, whose expressions are shares
    of targets: {"aa": {"MouthA": 1.0}}."""
    out = gltf.Builder()
    position = {"POSITION": out.accessor(TRIANGLE, "VEC3", target=34962, bounds=True)}
    primitive: dict[str, Any] = {
        "attributes": position,
        "targets": [{"POSITION": out.accessor(TRIANGLE * 0.1, "VEC3", target=34962, bounds=True)} for _ in targets],
    }
    mesh: dict[str, Any] = {"name": "Face", "primitives": [primitive]}
    (primitive if at_primitive else mesh)["extras"] = {"targetNames": list(targets)}
    nodes: list[dict[str, Any]] = [{"name": "Body", "mesh": 0}]
    nodes += [{"name": f"bone {bone}", "translation": [0.0, 0.1, 0.0]} for bone in HUMAN]
    for k in range(1, 5):
        nodes[k]["children"] = [k + 1]
    nodes[1]["children"] += list(range(6, len(nodes)))
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": nodes,
        "meshes": [mesh],
    }
    binds = {
        name: [(targets.index(target), share) for target, share in shares.items()]
        for name, shares in (expressions or {}).items()
    }
    if vrm == 1:
        entries = {
            name: {"morphTargetBinds": [{"node": 0, "index": index, "weight": share} for index, share in some]}
            for name, some in binds.items()
        }
        known = {name for name in entries if name in ("aa", "ih", "ou", "ee", "oh", "happy", "blink")}
        document["extensionsUsed"] = ["VRMC_vrm"]
        document["extensions"] = {
            "VRMC_vrm": {
                "specVersion": "1.0",
                "meta": {"name": "Test", "authors": ["nobody"], "licenseUrl": "https://vrm.dev/licenses/1.0/"},
                "humanoid": {"humanBones": {bone: {"node": k} for k, bone in enumerate(HUMAN, 1)}},
                "expressions": {
                    "preset": {name: entry for name, entry in entries.items() if name in known},
                    "custom": {name: entry for name, entry in entries.items() if name not in known},
                },
            }
        }
    if vrm == 0:
        groups = [
            {
                "name": name,
                "presetName": name.lower() if len(name) == 1 else "unknown",
                "binds": [{"mesh": 0, "index": index, "weight": 100 * share} for index, share in some],
            }
            for name, some in binds.items()
        ]
        document["extensionsUsed"] = ["VRM"]
        document["extensions"] = {
            "VRM": {
                "meta": {"title": "Test"},
                "materialProperties": [],
                "humanoid": {"humanBones": [{"bone": bone, "node": k} for k, bone in enumerate(HUMAN, 1)]},
                "blendShapeMaster": {"blendShapeGroups": groups},
            }
        }
    path.write_bytes(out.pack(document))
    return path
