"""OpenUSD: the curves as a UsdSkel animation that weighs blend shapes, on the character's own meshes.

One promise: each weight, interpolated by USD, is within the tolerance of every frame.

    data = text(clip, avatar.read(), tolerance=0.01)       # .usda;  binary(...) gives .usdc

A SkelRoot holds what has morph targets (their offsets, where they move something), a skeleton of one joint, and the
animation, whose time is counted in frames. Materials, and meshes that nothing moves, stay in the .glb.

Source: https://openusd.org/release/api/_usd_skel__schemas.html
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph.clip import Clip
from duomorph.errors import FormatError, MissingExtra
from duomorph.scenes import gltf
from duomorph.scenes.avatar import Avatar
from duomorph.scenes.thin import kept


def text(clip: Clip, avatar: Avatar, tolerance: float) -> bytes:
    """The clip as a .usda file. Raises MissingExtra if usd-core is not installed."""
    return _written(clip, avatar, tolerance, ".usda")


def binary(clip: Clip, avatar: Avatar, tolerance: float) -> bytes:
    """The clip as a .usdc file. Raises MissingExtra if usd-core is not installed."""
    return _written(clip, avatar, tolerance, ".usdc")


def need() -> Any:
    """USD's modules. Raises MissingExtra if usd-core is not installed."""
    names = ("Gf", "Usd", "UsdGeom", "UsdSkel", "Tf", "Vt")
    try:
        return SimpleNamespace(**{name: importlib.import_module(f"pxr.{name}") for name in names})
    except ImportError:
        raise MissingExtra("USD files need usd-core: install it with  pip install 'duomorph[usd]'") from None


def _written(clip: Clip, avatar: Avatar, tolerance: float, suffix: str) -> bytes:
    pxr = need()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"take{suffix}"
        stage = pxr.Usd.Stage.CreateNew(str(path))
        first = float(clip.start * clip.fps)
        stage.SetTimeCodesPerSecond(float(clip.fps))
        stage.SetFramesPerSecond(float(clip.fps))
        stage.SetStartTimeCode(first)
        stage.SetEndTimeCode(first + max(len(clip) - 1, 0))
        pxr.UsdGeom.SetStageUpAxis(stage, pxr.UsdGeom.Tokens.y)
        pxr.UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        root = pxr.UsdSkel.Root.Define(stage, "/Character")
        stage.SetDefaultPrim(root.GetPrim())
        action = pxr.UsdSkel.Animation.Define(stage, "/Character/Duomorph")
        skeleton = pxr.UsdSkel.Skeleton.Define(stage, "/Character/Skeleton")
        skeleton.CreateJointsAttr(["root"])
        for create in (skeleton.CreateBindTransformsAttr, skeleton.CreateRestTransformsAttr):
            create([pxr.Gf.Matrix4d(1.0)])
        pxr.UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([action.GetPath()])
        labels: list[str] = []
        columns = []
        for node, weights in avatar.weights(clip).items():
            name = pxr.Tf.MakeValidIdentifier(avatar.path(node).replace("/", "_"))
            name = f"{name}_{node}" if stage.GetPrimAtPath(f"/Character/{name}") else name
            own = [pxr.Tf.MakeValidIdentifier(avatar.label(node, k)) for k in range(weights.shape[1])]
            own = [label if label not in labels and own.count(label) == 1 else f"{name}_{label}_{k}"
                   for k, label in enumerate(own)]  # fmt: skip
            _mesh(pxr, stage, f"/Character/{name}", avatar, node, own)
            labels += own
            columns.append(weights)
        action.CreateBlendShapesAttr(labels)
        attribute = action.CreateBlendShapeWeightsAttr()
        values = np.concatenate(columns, 1) if columns else np.zeros((len(clip), 0), np.float32)
        for k in np.flatnonzero(kept(values, values, tolerance)).tolist():
            attribute.Set(pxr.Vt.FloatArray.FromNumpy(values[k]), first + k)
        stage.GetRootLayer().Save()
        return path.read_bytes()


def _mesh(pxr: Any, stage: Any, path: str, avatar: Avatar, node: int, labels: list[str]) -> None:
    """The mesh of a node with all its primitives as one, and its blend shapes below it."""
    try:
        points, corners, shapes = _geometry(avatar, node, len(labels))
    except gltf.DAMAGE as problem:
        raise FormatError(
            f"a mesh of {avatar.name} is damaged ({problem!r}): expected points; export it again"
        ) from None
    mesh = pxr.UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(pxr.Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexIndicesAttr(pxr.Vt.IntArray.FromNumpy(corners))
    mesh.CreateFaceVertexCountsAttr(pxr.Vt.IntArray.FromNumpy(np.full(len(corners) // 3, 3, np.int32)))
    mesh.CreateSubdivisionSchemeAttr("none")
    mesh.AddTransformOp().Set(_placed(pxr, avatar, node))
    targets = []
    for label, offsets in zip(labels, shapes, strict=True):
        moved = np.flatnonzero(np.abs(offsets).max(1)).astype(np.int32)
        shape = pxr.UsdSkel.BlendShape.Define(stage, f"{path}/{label}")
        shape.CreateOffsetsAttr(pxr.Vt.Vec3fArray.FromNumpy(offsets[moved]))
        shape.CreatePointIndicesAttr(pxr.Vt.IntArray.FromNumpy(moved))
        targets.append(shape.GetPath())
    binding = pxr.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets(["/Character/Skeleton"])
    binding.CreateBlendShapesAttr(labels)
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)


def _geometry(
    avatar: Avatar, node: int, count: int
) -> tuple[NDArray[np.float32], NDArray[np.int32], list[NDArray[np.float32]]]:
    """Points, corners of the triangles, and what each of `count` morph targets adds to the points."""
    document, buffer = avatar.document, avatar.buffer
    primitives = document["meshes"][document["nodes"][node]["mesh"]]["primitives"]
    points = [gltf.numbers(document, buffer, primitive["attributes"]["POSITION"]) for primitive in primitives]
    faces = [
        gltf.numbers(document, buffer, primitive["indices"])[:, 0] if "indices" in primitive else np.arange(len(some))
        for primitive, some in zip(primitives, points, strict=True)
    ]
    if not all(((some >= 0) & (some < len(own))).all() for some, own in zip(faces, points, strict=True)):
        raise ValueError("corners without a point")
    starts = np.cumsum([0, *(len(some) for some in points)])
    corners = np.concatenate([some + start for some, start in zip(faces, starts, strict=False)]).astype(np.int32)
    shapes = []
    for k in range(count):
        places = [primitive["targets"][k].get("POSITION") for primitive in primitives]
        offsets = [
            np.zeros_like(some) if place is None else gltf.numbers(document, buffer, place)
            for place, some in zip(places, points, strict=True)
        ]
        shapes.append(np.concatenate(offsets).astype(np.float32))
    return np.concatenate(points).astype(np.float32), corners, shapes


def _placed(pxr: Any, avatar: Avatar, node: int) -> Any:
    """Where the file puts a node, as USD's matrix of row vectors."""
    whole = pxr.Gf.Matrix4d(1.0)
    for place in avatar.way(node):
        own = avatar.document["nodes"][place]
        if "matrix" in own:
            whole *= pxr.Gf.Matrix4d(*map(float, own["matrix"]))  # columns of columns: the same order
            continue
        x, y, z, w = own.get("rotation", (0, 0, 0, 1))
        turn = pxr.Gf.Rotation(pxr.Gf.Quatd(w, x, y, z))
        whole *= pxr.Gf.Matrix4d().SetScale(pxr.Gf.Vec3d(*own.get("scale", (1, 1, 1))))
        whole *= pxr.Gf.Matrix4d().SetRotate(turn)
        whole *= pxr.Gf.Matrix4d().SetTranslate(pxr.Gf.Vec3d(*own.get("translation", (0, 0, 0))))
    return whole
