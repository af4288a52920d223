"""Ablations: each row takes away what its name says, and what was measured is not measured again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from duomorph import arkit  # noqa: E402
from duomorph.emotion import FUNCTIONALS  # noqa: E402
from duomorph.errors import SettingError  # noqa: E402
from duomorph.model.config import ModelConfig  # noqa: E402
from duomorph.model.network import Network  # noqa: E402
from duomorph.train import ablate  # noqa: E402
from duomorph.train.config import changed  # noqa: E402

SMALL = ModelConfig(d=16, front=24, band_channels=2, emotion=16, dropout=0.0)


def curves(network: Network, emotion: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(1)
    mel = torch.randn(1, 6, 2, 80)
    zero = torch.zeros(1, dtype=torch.long)
    with torch.no_grad():
        weights, _ = network.eval()(mel, emotion, torch.zeros(1, 6, dtype=torch.long), zero, zero, network.start(1))
    return weights


def test_forced_roles_are_forced() -> None:
    network = Network(SMALL)
    ablate.roles(arkit.MOUTH, arkit.EXPRESSION)(network)
    w_mel = network.stream_weights()[:, 0]
    assert w_mel[list(arkit.MOUTH)].min() > 0.99
    assert w_mel[list(arkit.EXPRESSION)].max() < 0.01
    assert not network.streams.requires_grad


def test_one_window_hears_now_alone() -> None:
    torch.manual_seed(0)
    network, emotion = Network(SMALL), torch.randn(1, 1, 3 * FUNCTIONALS)
    before = emotion.clone()
    before[..., FUNCTIONALS:] += 1.0
    now = emotion.clone()
    now[..., :FUNCTIONALS] += 1.0
    assert not torch.equal(curves(network, before), curves(network, emotion))
    ablate.one_window(network)
    assert torch.equal(curves(network, before), curves(network, emotion))
    assert not torch.equal(curves(network, now), curves(network, emotion))


def test_without_detail_stays_without() -> None:
    network = Network(SMALL)
    ablate.without_detail(network)
    weight, rows = network.mel.token.weight, SMALL.detail_rows
    weight.sum().backward()
    assert weight.grad is not None
    assert not weight[:, :rows].any()
    assert not weight.grad[:, :rows].any()
    assert weight.grad[:, rows:].all()


def test_every_row_has_settings_of_its_own() -> None:
    plain = ablate.base(epochs=3, seed=0)
    rows = {row.name: changed(plain, row.sections) for row in ablate.ROWS}
    assert len(rows) == len(ablate.ROWS)
    assert all(row.prepare or rows[row.name] != plain for row in ablate.ROWS if row.name != "full")
    for settings in rows.values():
        Network(settings.model)


def test_what_is_measured_is_read(tmp_path: Path) -> None:
    score = {key: 0.5 for key, _, _ in ablate.SHOWN}
    for seed in (0, 1):
        folder = tmp_path / f"full-{seed}"
        folder.mkdir()
        asked = {"clips": 200, "settings": ablate.base(8, seed).to_dict()}
        (folder / "score.json").write_text(json.dumps({"asked": asked, "score": score | {"mae": 0.02 + 0.002 * seed}}))
    rows = ablate.ablate(tmp_path, ablate.ROWS[:1], epochs=8)
    assert "| **full**: nothing left out | 0.0210 ± 0.0010 |" in ablate.markdown(rows)
    assert json.loads((tmp_path / "ablations.json").read_text())["rows"] == rows
    with pytest.raises(SettingError, match="other settings"):
        ablate.ablate(tmp_path, ablate.ROWS[:1], epochs=9)
    with pytest.raises(SettingError, match="at least one of each"):
        ablate.ablate(tmp_path, [])
