"""How good the network is while it learns: whole sessions, tick by tick, in torch.

One promise: the curves are those that the published model would give.

    validate(trainer.average, sessions)     # {"mae_grid": 0.018, "r_jawOpen_grid": 0.9, ...}
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from duomorph import arkit
from duomorph.clock import ROWS_PER_TICK
from duomorph.evaluate import correlation
from duomorph.model.config import held_update
from duomorph.model.network import MEL_SILENCE, Network
from duomorph.train.data import Session
from duomorph.train.objective import filled


@torch.no_grad()
def predict(network: Network, session: Session, delay: int, block: int = 480) -> np.ndarray[Any, Any]:
    """Curves of a session's ticks, aligned with its own truth: (N, 52). The network's average mode."""
    network.eval()
    device = network.tau.device
    state = network.start(1)
    ticks = len(session) + delay
    mel = np.full((ticks, ROWS_PER_TICK, network.config.bands), MEL_SILENCE, dtype=np.float32)
    mel[: len(session)] = session.mel
    style = torch.tensor([network.config.styles.index(session.style)], device=device)
    wait = torch.tensor([delay], device=device)
    out = []
    for begin in range(0, ticks, block):
        piece = torch.from_numpy(mel[begin : begin + block])[None].to(device)
        updates = np.minimum(held_update(begin + np.arange(piece.shape[1])), len(session.emotion) - 1)
        held = min(held_update(max(0, begin - 1)), len(session.emotion) - 1)
        rows = filled(network, torch.from_numpy(session.emotion[held : updates[-1] + 1])[None].to(device))
        slot = torch.from_numpy(updates - held)[None].to(device)
        weights, state = network(piece, rows, slot, style, wait, state)
        out.append(weights[0].cpu().numpy())
    return np.concatenate(out)[delay:]


def validate(network: Network, sessions: list[Session], delay: int = 6) -> dict[str, float]:
    """MAE over what was captured and r(jawOpen), by style, tick by tick."""
    report: dict[str, float] = {}
    for style in dict.fromkeys(session.style for session in sessions):
        own = [session for session in sessions if session.style == style]
        predicted = np.concatenate([predict(network, s, delay)[s.known] for s in own])
        truth = np.concatenate([s.curves[s.known].astype(np.float32) for s in own])
        shapes = own[0].captured
        error = np.abs(predicted - truth)
        report[f"mae_{style}"] = float(error[:, shapes].mean())
        for name, group in (("mouth", arkit.MOUTH), ("expression", arkit.EXPRESSION)):
            if shapes[group].any():
                report[f"mae_{name}_{style}"] = float(error[:, group[shapes[group]]].mean())
        for shape in ("jawOpen", "mouthPucker", "mouthLowerDownLeft"):
            index = arkit.INDEX[shape]
            report[f"r_{shape}_{style}"] = correlation(predicted[:, index], truth[:, index])
    return report
