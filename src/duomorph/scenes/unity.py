"""Unity's .anim: an animation clip as YAML text, for the blend shapes of a SkinnedMeshRenderer.

One promise: each curve is straight between its keys and within the tolerance of every frame.

    data = encode(clip, avatar.read("me.glb"), tolerance=0.01)

A curve names the object that has the shapes by its path below the Animator, and the shape by its name there; Unity
counts them from 0 to 100. The path is that of the character's file as importers build it.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from duomorph.clip import Clip
from duomorph.scenes.avatar import Avatar
from duomorph.scenes.thin import kept

PERCENT = 100.0
RENDERER = 137  # SkinnedMeshRenderer, among Unity's classes


def encode(clip: Clip, avatar: Avatar, tolerance: float) -> bytes:
    """The clip as a text asset."""
    curves = []
    for node, weights in avatar.weights(clip).items():
        moved = sorted({target for some in avatar.binds.values() for place, target, _ in some if place == node})
        keys = kept(weights[:, moved], weights[:, moved], tolerance, apart=True)
        for k, target in enumerate(moved):
            own = keys[:, k]
            path, name = avatar.path(node), avatar.label(node, target)
            curves.append(_curve(path, name, clip.times[own], PERCENT * weights[own, target].astype(np.float64)))
    text = "".join(curves)
    stop = float(clip.times[-1]) if len(clip) else 0.0
    return (
        "%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n--- !u!74 &7400000\nAnimationClip:\n  m_ObjectHideFlags: 0\n"
        "  serializedVersion: 7\n  m_Name: Duomorph\n  m_Legacy: 0\n  m_Compressed: 0\n  m_UseHighQualityCurve: 1\n"
        "  m_RotationCurves: []\n  m_CompressedRotationCurves: []\n  m_EulerCurves: []\n  m_PositionCurves: []\n"
        f"  m_ScaleCurves: []\n  m_FloatCurves:{' []' if not text else ''}\n{text}  m_PPtrCurves: []\n"
        f"  m_SampleRate: {float(clip.fps):.9g}\n  m_WrapMode: 0\n"
        f"  m_AnimationClipSettings:\n    serializedVersion: 2\n    m_StartTime: 0\n    m_StopTime: {stop:.9g}\n"
        "    m_LoopTime: 0\n  m_Events: []\n"
    ).encode()


def _curve(path: str, name: str, times: NDArray[np.float64], values: NDArray[np.float64]) -> str:
    slopes = np.diff(values) / np.diff(times)
    into, out = np.concatenate([slopes[:1], slopes]), np.concatenate([slopes, slopes[-1:]])
    if len(times) == 1:
        into = out = np.zeros(1)
    rows = "".join(
        f"      - serializedVersion: 3\n        time: {time:.9g}\n        value: {value:.7g}\n"
        f"        inSlope: {a:.7g}\n        outSlope: {b:.7g}\n        tangentMode: 69\n        weightedMode: 0\n"
        "        inWeight: 0.33333334\n        outWeight: 0.33333334\n"
        for time, value, a, b in zip(times, values, into, out, strict=True)
    )
    return (
        f"  - serializedVersion: 2\n    curve:\n      serializedVersion: 2\n      m_Curve:\n{rows}"
        "      m_PreInfinity: 2\n      m_PostInfinity: 2\n      m_RotationOrder: 4\n"
        f"    attribute: {json.dumps('blendShape.' + name)}\n    path: {json.dumps(path)}\n    classID: {RENDERER}\n"
        "    script: {fileID: 0}\n    flags: 0\n"
    )
