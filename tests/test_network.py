"""The network: causal, any chunking, rows apart, one set of weights for both rates, and ONNX gives what torch gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import onnx  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import duomorph as dm  # noqa: E402
from duomorph import arkit  # noqa: E402
from duomorph.errors import ModelError  # noqa: E402
from duomorph.model import graph, runtime  # noqa: E402
from duomorph.model.card import Provenance  # noqa: E402
from duomorph.model.config import UPDATE_TICKS, ModelConfig  # noqa: E402
from duomorph.model.engine import Engine  # noqa: E402
from duomorph.model.export import export, load_model  # noqa: E402
from duomorph.model.network import STATE_NAMES, Network  # noqa: E402

FORMS = {
    "shipped": ModelConfig(),
    "textbook": ModelConfig(front=0, temporal=0, history="taps", d=16),
    "front only": ModelConfig(temporal=0, front=32),
}
TICKS = 150


def shaken(config: ModelConfig) -> Network:
    """A network whose every weight matters."""
    torch.manual_seed(3)
    network = Network(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


@pytest.fixture(scope="module", params=FORMS)
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    torch.set_num_threads(1)
    with torch.no_grad():
        yield shaken(FORMS[request.param])


def inputs(config: ModelConfig, batch: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "mel": torch.randn(batch, TICKS, 2, 80, generator=generator) * 3 - 5,
        "emotion": torch.randn(batch, TICKS // UPDATE_TICKS + 1, config.emotion_inputs, generator=generator),
        "slot": (torch.arange(TICKS) // UPDATE_TICKS).expand(batch, -1).contiguous(),
        "style": torch.zeros(batch, dtype=torch.long),
        "delay": torch.full((batch,), 6),
    }


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "form",
    [{}, {"front_taps": 2, "front_late": ()}, {"front_taps": 1, "front_smooth": 1}, {"temporal": 2, "history": "taps"}],
    ids=str,
)
def test_the_form_that_runs_gives_the_networks_curves(form: dict[str, object], stride: int) -> None:
    network = shaken(ModelConfig.from_dict(ModelConfig(d=16, front=24, band_channels=2, emotion=16).to_dict() | form))
    given = inputs(network.config)
    mel, style, delay = given["mel"], given["style"], torch.tensor([2, 9])
    emotion, slot = given["emotion"][:, :1], torch.zeros_like(given["slot"])  # one update, from the first tick on
    sizes = runtime.shapes(network.config)
    with torch.no_grad():
        expected, _ = network(mel, emotion, slot, style, delay, network.start(2, stride), stride)
        heard = [torch.zeros(2, *sizes[name]) for name in runtime.HEARD]
        *_, keys, moods = runtime.Mood(network)(emotion, style, delay, *heard)
        memory = [torch.zeros(2, *sizes[name]) for name in runtime.MEMORY]
        found = []
        for begin, end in pairwise(np.cumsum([0, 1, 2, 4, 1 if stride == 1 else 2, 40, 100]).tolist()):
            ticks = runtime.Ticks(network, stride if begin else 1)
            row = slot[:, begin:end] + (1 if begin == 0 else 0)  # 0 is what was held before
            weights, *memory = ticks(mel[:, begin:end], moods, keys, row, style, delay, *memory)
            moods = moods[:, -1:]
            found.append(weights)
    curves = torch.cat(found, dim=1)
    np.testing.assert_allclose(curves, expected[:, : curves.shape[1]], atol=1e-5)


def test_one_tap_over_time_is_refused() -> None:
    with pytest.raises(ModelError, match="temporal_taps 1"):
        ModelConfig(temporal_taps=1)
    ModelConfig(temporal=0, temporal_taps=1)


def test_a_shape_that_rests_at_0_learns_to_leave_it() -> None:
    torch.manual_seed(0)
    network = Network(FORMS["front only"]).train()
    with torch.no_grad():
        network.out_bias.fill_(-9.0)
    given = inputs(network.config)
    weights, _ = network(**given, state=network.start(2))
    assert float(weights.detach().abs().max()) == 0.0
    (weights - 1.0).square().sum().backward()
    assert network.out_bias.grad is not None
    assert float(network.out_bias.grad[0].max()) < 0  # pulled up, though the clamp holds
    network.eval()
    with torch.no_grad():
        network.out_bias.fill_(9.0)
        assert float(network(**given, state=network.start(2))[0].min()) == pytest.approx(1.0, abs=1e-5)


def chunked(network: Network, given: dict[str, torch.Tensor], cuts: list[int]) -> torch.Tensor:
    state, out, held = network.start(len(given["mel"])), [], 0
    for begin, end in zip([0, *cuts], [*cuts, TICKS], strict=True):
        if begin == end:
            continue
        slot = given["slot"][:, begin:end]
        rows = given["emotion"][:, held : int(slot.max()) + 1]
        part = {"mel": given["mel"][:, begin:end], "emotion": rows, "slot": slot - held}
        weights, state = network(**given | part, state=state)
        held = int(slot.max())
        out.append(weights)
    return torch.cat(out, dim=1)


def test_shapes_and_range(network: Network) -> None:
    given = inputs(network.config)
    weights, state = network(**given, state=network.start(2))
    assert weights.shape == (2, TICKS, 52)
    assert (weights >= 0).all()
    assert (weights <= 1).all()
    for name in STATE_NAMES:
        assert getattr(state, name).shape == getattr(network.start(2), name).shape
    key, value, _ = network.mel(given["mel"], given["delay"], network.start(2), 1)
    assert key.shape == value.shape == (2 * 80, TICKS, network.config.d)  # frequency-wise: (B*80, T, d)


@given(cuts=st.lists(st.integers(0, TICKS), max_size=6).map(sorted))
@settings(max_examples=8)
def test_any_chunking_is_the_whole(network: Network, cuts: list[int]) -> None:
    given = inputs(network.config)
    whole, _ = network(**given, state=network.start(2))
    torch.testing.assert_close(chunked(network, given, cuts), whole, atol=1e-5, rtol=0)


def test_causal(network: Network) -> None:
    given = inputs(network.config)
    whole, _ = network(**given, state=network.start(2))
    changed = {name: value.clone() for name, value in given.items()}
    changed["mel"][:, 100:] += 3
    changed["emotion"][:, 6:] += 3  # update 6 stands at tick 108
    moved, _ = network(**changed, state=network.start(2))
    assert torch.equal(moved[:, :100], whole[:, :100])
    assert not torch.equal(moved[:, 100], whole[:, 100])


def test_rows_of_a_batch_do_not_see_each_other(network: Network) -> None:
    given = inputs(network.config)
    whole, _ = network(**given, state=network.start(2))
    alone, _ = network(**{name: value[1:] for name, value in given.items()}, state=network.start(1))
    torch.testing.assert_close(whole[1:], alone, atol=1e-6, rtol=0)


def test_every_second_tick_alone_is_the_same(network: Network) -> None:
    """30 fps with half the work."""
    given = inputs(network.config)
    full, _ = network(**given, state=network.start(2))
    half, _ = network(**given, state=network.start(2, stride=2), stride=2)
    torch.testing.assert_close(half, full[:, ::2], atol=1e-6, rtol=0)


def test_context_reaches_back_eight_and_a_half_seconds() -> None:
    with torch.no_grad():
        network = shaken(ModelConfig())
        given = inputs(network.config, batch=1)
        long = {name: value for name, value in given.items() if name not in ("mel", "slot")}
        ticks = 900
        mel = torch.randn(1, ticks, 2, 80)
        slot = torch.zeros(1, ticks, dtype=torch.long)
        last = network(**long, mel=mel, slot=slot, state=network.start(1))[0][:, -1]
        past = network.config.context_ticks + network.config.warm_up_ticks  # and what the convolutions hold
        for back, seen in ((505, True), (past + 10, False)):
            other = mel.clone()
            other[:, ticks - back] += 5
            moved = network(**long, mel=other, slot=slot, state=network.start(1))[0][:, -1]
            assert bool((moved - last).abs().max() > 1e-6) is seen


def test_delay_style_and_both_streams_matter() -> None:
    with torch.no_grad():
        network = shaken(ModelConfig())
        given = inputs(network.config)
        base, _ = network(**given, state=network.start(2))
        for other in (
            {"delay": torch.full((2,), 2)},
            {"style": torch.ones(2, dtype=torch.long)},
            {"emotion": given["emotion"] + 1},
            {"mel": given["mel"] + 1},
        ):
            assert (network(**given | other, state=network.start(2))[0] - base).abs().max() > 1e-4


def test_stream_weights_start_equal_and_sum_to_one() -> None:
    network = Network(ModelConfig())
    assert torch.equal(network.stream_weights(), torch.full((52, 2), 0.5))
    with torch.no_grad():
        network.streams[arkit.INDEX["jawOpen"]] = torch.tensor([1.0, 0.0])
    w = network.stream_weights()
    torch.testing.assert_close(w.sum(dim=1), torch.ones(52))
    assert w[arkit.INDEX["jawOpen"], 0] == pytest.approx(1 / (1 + np.exp(-1 / network.config.tau_start)), abs=1e-6)


def test_smoothing_is_the_recursion() -> None:
    """Of 30 fps, in two steps, with the curve between halfway; each tick has the one of 1/30 s before it."""
    network = Network(ModelConfig())
    x = torch.rand(1, 140, 52)
    with torch.no_grad():
        network.log_smoothing_s.uniform_(-5, -2)
        alpha, expected = network.alpha(), [x[:, 0], x[:, 1]]
        for t in range(2, 140):
            between = alpha * (x[:, t] + x[:, t - 2]) / 2 + (1 - alpha) * expected[t - 2]
            expected.append(alpha * x[:, t] + (1 - alpha) * between)
        for stride, sizes in ((1, (1, 1, 2, 97, 39)), (2, (1, 2, 67))):
            start = network.start(1, stride)
            state, found = (start.smooth, start.started), []
            for part in x[:, ::stride].split(sizes, dim=1):
                y, *state = network.smoothed(part, *state)
                found.append(y)
            torch.testing.assert_close(
                torch.cat(found, dim=1), torch.stack(expected, dim=1)[:, ::stride], atol=1e-6, rtol=0
            )


def test_multiply_adds_are_counted_right() -> None:
    """torch's own counter sees at most what we publish, and most of it (it does not count pooling and sums)."""
    network = Network(ModelConfig()).eval()
    config = network.config
    given = {name: value[:, :1] if value.ndim > 1 else value for name, value in inputs(config, batch=1).items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(**given, state=network.start(1))
    counted = counter.get_total_flops() / 2
    published = sum(config.macs_per_tick().values())
    assert 0.9 * published <= counted <= published
    assert published <= 6e6


def test_information_balance_is_computed() -> None:
    config = ModelConfig()
    assert config.d_mel(30) == 80 * 256 + 80 * 3 == 20_720
    assert config.d_mel(30) / config.d_emotion == pytest.approx(80.9, abs=0.05)
    assert config.d_mel(60) / config.d_emotion == pytest.approx(160.9, abs=0.05)


def test_onnx_and_safetensors_are_the_network(network: Network, tmp_path: Path) -> None:
    learned = (((0.5, 0.5),) * 52, (0.0,) * 52)
    provenance = Provenance("MIT", "2026-01-01", 0, ("{}",), (), (0.0,) * 88, "grid", 1, *learned)
    path = tmp_path / "m.onnx"
    export(network, provenance, path)
    engine = Engine.open(path)
    assert (engine.config, engine.provenance) == (network.config, provenance)
    given = inputs(network.config, batch=1)
    whole, _ = network(**given, state=network.start(1))
    again = load_model(path.with_suffix(".safetensors"))[0].eval()
    assert torch.equal(again(**given, state=again.start(1))[0], whole)
    for stride, sizes in ((1, (1, 1, 17, 60, 1, 70)), (2, (1, 2, 40, 20, 86))):
        whole, _ = network(**given, state=network.start(1, stride), stride=stride)
        state, at, held, out = engine.start(), 0, 0, []
        for size in sizes:  # of stride 2 the last tick of each is asked for: 0, 2, 42, ...
            slot = given["slot"][0, at : at + size].numpy()
            rows = given["emotion"][0, held : slot[-1] + 1].numpy()
            part = given["mel"][0, at : at + size].numpy()
            weights = engine.step(part, rows, slot - held, 0, 6, state, stride)
            at, held = at + size, int(slot[-1])
            out.append(weights)
        np.testing.assert_allclose(np.concatenate(out), whole[0, : sum(map(len, out))].numpy(), atol=1e-5)
        assert sum(map(len, out)) == whole.shape[1]
    stored, foreign = path.with_suffix(".safetensors"), tmp_path / "foreign.safetensors"
    with safe_open(stored, framework="pt") as opened:
        save_file(load_file(stored) | {"out_bias": torch.zeros(52)}, foreign, metadata=opened.metadata())
    with pytest.raises(ModelError, match="do not fit the network"):
        load_model(foreign)


def test_a_network_of_the_form_that_ships_gets_the_graph_that_ships(
    tmp_path: Path, face: dm.Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: list[Network] = []
    monkeypatch.setattr(graph, "_traced", traced.append)  # and nothing comes of it
    known, provenance = load_model(Path(face.info().path).with_suffix(".safetensors"))
    network = shaken(replace(known.config, styles=("one", "two", "three", "four", "five"), dropout=0.3))
    export(network, provenance, tmp_path / "m.onnx")
    assert not traced
    engine, given = Engine.open(tmp_path / "m.onnx"), inputs(network.config, batch=1)
    slot = given["slot"][0].numpy()
    weights = engine.step(given["mel"][0].numpy(), given["emotion"][0].numpy(), slot, 4, 6, engine.start())
    with torch.no_grad():
        expected, _ = network(**given | {"style": torch.tensor([4])}, state=network.start(1))
    np.testing.assert_allclose(weights, expected[0].numpy(), atol=1e-5)
    network.norm.eps = 0.1  # as if its code had changed
    with pytest.raises(ModelError, match="gives other curves"):
        export(network, provenance, tmp_path / "other.onnx")
    assert traced == [network]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "m.safetensors"]


def test_the_graph_is_written_anew_from_the_weights_alone(
    tmp_path: Path, face: dm.Face, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "SHIPPED", None)
    shipped, copy = Path(face.info().path), tmp_path / "anew" / "duomorph.onnx"
    weights = shipped.with_suffix(".safetensors")
    export(*load_model(weights), copy, weights=weights)
    assert copy.with_suffix(".safetensors").read_bytes() == weights.read_bytes()
    assert np.array_equal(dm.load(copy).animate(speech).weights, face.animate(speech).weights)
    network, _ = load_model(weights)
    assert graph._known(copy, network) is not None
    model = onnx.load(copy, load_external_data=False)
    entry = next(entry for entry in model.metadata_props if entry.key == "layout")
    entry.value = "1"
    before = copy.with_name("before.onnx")
    before.write_bytes(model.SerializeToString())
    assert graph._known(before, network) is None  # it runs, but what is exported now is to be as quick as it can be
    older = copy.read_bytes().replace(b"stride 1 or 2", b"stride 0 or 0")
    assert older != copy.read_bytes()
    copy.write_bytes(older)
    with pytest.raises(ModelError, match="exported by another version"):
        Engine.open(copy)
