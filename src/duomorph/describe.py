"""What a model is, in words and numbers, for `duomorph info`.

One promise: every number is read or computed from the model file; nothing is typed in here.

    facts = describe(duomorph.load().info())
    print(as_text(facts))
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from duomorph import arkit
from duomorph.clock import MAX_DELAY, TICK_RATE
from duomorph.face import Info


def describe(info: Info) -> dict[str, Any]:
    """The facts as plain values, ready for JSON."""
    config, provenance = info.config, info.provenance
    streams = np.array(provenance.streams)  # (52, 2): w_mel, w_emo
    return {
        "model": info.path,
        "megabytes": round(info.megabytes, 3),
        "parameters": provenance.parameters,
        "mmac_per_tick": round(info.macs_per_tick / 1e6, 3),
        "mac_parts": config.macs_per_tick(),
        "rates": {
            str(fps): {
                "bands": config.bands,
                "nominal_hop": info.hop(fps),
                "long_term_frames": config.d_mel(fps) // config.bands - config.detail_frames,
                "short_term_frames": config.detail_frames,
                "d_mel": info.d_mel(fps),
                "d_emotion": config.d_emotion,
                "ratio": round(info.balance(fps), 1),
            }
            for fps in (30, 60)
        },
        "delay_ms": [0, 1000 * MAX_DELAY // TICK_RATE],
        "smoothing_ms": round(1000 * float(np.mean(provenance.smoothing_s)), 2),
        "w_mel": {group: round(float(streams[members, 0].mean()), 3) for group, members in arkit.GROUPS.items()},
        "styles": list(config.styles),
        "default_style": provenance.default_style,
        "training_data": [
            {
                "name": source.name,
                "style": source.style,
                "hours": source.hours,
                "licence": source.licence,
                "credit": source.credit,
            }
            for source in provenance.sources
        ],
        "epochs": provenance.epochs,
        "runs": [json.loads(run) for run in provenance.runs],
        "trained": provenance.trained,
        "licence": provenance.licence,
    }


def as_text(facts: dict[str, Any]) -> str:
    """The same for people."""
    parts = sorted(facts["mac_parts"].items(), key=lambda part: -part[1])
    lines = [
        f"model            {facts['model']}",
        f"size             {facts['megabytes']:.2f} MB, {facts['parameters']:,} parameters",
        f"work             {facts['mmac_per_tick']:.2f} MMAC a tick of 1/60 s: "
        + ", ".join(f"{name} {macs / 1e6:.2f}" for name, macs in parts[:4])
        + ", ...",
    ]
    lines += [
        f"at {fps} fps        D_mel {rate['d_mel']:,} "
        f"({rate['long_term_frames']} + {rate['short_term_frames']} frames of {rate['bands']} bands), "
        f"D_emotion {rate['d_emotion']}, ratio {rate['ratio']}; hop {rate['nominal_hop']} samples"
        for fps, rate in facts["rates"].items()
    ]
    least, most = facts["delay_ms"]
    lines += [
        f"delay            {least} to {most} ms; smoothing adds {facts['smoothing_ms']} ms",
        "listens to mel   " + ", ".join(f"{group} {weight:.2f}" for group, weight in facts["w_mel"].items()),
        f"styles           {', '.join(facts['styles'])} (default {facts['default_style']})",
    ]
    lines += [
        f"trained on       {source['name']}: {source['hours']:.2f} h, style {source['style']}, {source['licence']}; "
        f"{source['credit']}"
        for source in facts["training_data"]
    ]
    lines += [
        f"trained          {facts['trained']}, {facts['epochs']} epochs",
        f"licence          {facts['licence']}",
    ]
    return "\n".join(lines)
