"""From a corpus to a moving face: a toy corpus trains, resumes, exports, streams, and beats its own mean face."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from copy import deepcopy
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

import duomorph as dm  # noqa: E402
from duomorph import arkit, corpus  # noqa: E402
from duomorph.clip import Clip  # noqa: E402
from duomorph.corpus import Take  # noqa: E402
from duomorph.dataset import manifest  # noqa: E402
from duomorph.dataset.takes import parts, sessions, takes  # noqa: E402
from duomorph.errors import CorpusError, DuomorphError, ModelError, SettingError  # noqa: E402
from duomorph.evaluate import evaluate  # noqa: E402
from duomorph.model import graph  # noqa: E402
from duomorph.model.config import ModelConfig  # noqa: E402
from duomorph.model.network import Network  # noqa: E402
from duomorph.train import config, data, finetune, losses, windows  # noqa: E402
from duomorph.train.beginning import load_checkpoint, set_emotion_directions  # noqa: E402
from duomorph.train.config import AugmentConfig, LossConfig, Settings, TrainConfig  # noqa: E402
from duomorph.train.data import Session  # noqa: E402
from duomorph.train.loop import Trainer, has_bf16, train  # noqa: E402
from duomorph.train.objective import Objective  # noqa: E402
from duomorph.train.publish import publish  # noqa: E402

SMALL = ModelConfig(d=16, front=24, band_channels=2, emotion=16, dropout=0.0)
QUICK = Settings(
    data=("grid_s1",),
    train=TrainConfig(
        epochs=16, batch=4, micro=4, window_frames=60, alone=0.3, rate=1e-2, warm_up_steps=5, average=0.9,
        precision="fp32", compile=False, validate_every=8,
    ),
    model=SMALL,
    augment=AugmentConfig(rounds=1),
)  # fmt: skip


def with_train(**changes: object) -> Settings:
    return config.changed(QUICK, {"train": changes})


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in GRID's form whose jaw opens with the loudness of a buzz, and whose other shapes rest."""
    root = tmp_path_factory.mktemp("corpus")
    (root / "grid_s1" / "audio").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = ["_neutral", *(name for name in arkit.NAMES if name != "tongueOut")]
    held_out = corpus.held_out()["grid_s1"][:3]
    clips = [*held_out, *(f"toy{k:02}" for k in range(24))]
    weights = np.zeros((len(clips), 75, len(names)), np.float16)
    for clip, curves in zip(clips, weights, strict=True):
        knots = np.maximum(0, rng.normal(0.2, 0.4, 16))
        jaw = np.interp(np.arange(75) / 25, np.linspace(0, 3, 16), knots).clip(0, 1)
        loud = np.interp(np.arange(47648) / 16000, np.arange(75) / 25, jaw)
        buzz = ((np.arange(47648) * 140 / 16000) % 1 - 0.5) * 0.5 * loud + rng.normal(0, 1e-4, 47648)
        soundfile.write(root / "grid_s1" / "audio" / f"{clip}.opus", buzz, 16000, format="OGG", subtype="OPUS")
        curves[:, names.index("jawOpen")] = jaw
        curves[:, names.index("browInnerUp")] = 0.3
    np.savez(
        root / "grid_s1" / "faces.npz", clip=np.array(clips), shape=np.array(names), weights=weights, fps=np.array(25.0)
    )
    return root


@pytest.fixture
def run(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DUOMORPH_CORPUS", str(toy))
    torch.set_num_threads(1)
    return tmp_path / "runs" / "toy"


@pytest.fixture(scope="module")
def taught(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned the toy corpus, and its model."""
    run = tmp_path_factory.mktemp("runs") / "taught"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUOMORPH_CORPUS", str(toy))
        torch.set_num_threads(1)
        publish(train(QUICK, run), run / "duomorph.onnx")
    return run


def test_bf16_is_used_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, expected in (({"avx2": True, "avx512_f": True}, False), ({"avx512_bf16": True}, True), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert has_bf16(torch.device("cpu")) is expected


def test_a_processor_without_bf16_learns_in_single_precision(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, able in enumerate(({}, {"avx512_bf16": True})):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        settings = with_train(precision="bf16")
        trainer = Trainer(settings, takes("grid_s1", "train"), run / str(number), run.parent / "cache")
        assert trainer.objective.bf16 is bool(able)


def test_the_choice_between_the_streams_has_a_rate_of_its_own(run: Path) -> None:
    moved, others = [], []
    for times in (1.0, 7.0):
        settings = with_train(streams_rate=times)
        trainer = Trainer(settings, takes("grid_s1", "train"), run / str(times), run.parent / "cache")
        before = deepcopy(trainer.network)
        trainer.train_step()
        for name, steps in (("streams", moved), ("queries", others)):
            change = (getattr(trainer.network, name) - getattr(before, name)).detach()
            steps.append(float(change.abs().max()))
    assert moved[0] > 0
    assert others[1] == pytest.approx(others[0])
    assert moved[1] == pytest.approx(7 * moved[0], rel=1e-3)


def test_short_clips_alone_have_a_number_of_copies_of_their_own(run: Path) -> None:
    counts = []
    for rounds in (1, 2):
        settings = config.changed(with_train(alone_rounds=rounds), {"augment": {"rounds": 2, "noise": 0.0}})
        trainer = Trainer(settings, takes("grid_s1", "train"), run / str(rounds), run.parent / "cache")
        counts.append(len(trainer.alone))
    assert counts[1] == 2 * counts[0] > 0


@pytest.mark.usefixtures("run")
def test_a_toy_corpus_becomes_a_face(taught: Path) -> None:
    run = taught
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, QUICK.train.epochs + 1))
    assert lines[-1]["total"] < lines[0]["total"]
    assert list((run / "tensorboard").glob("events*"))
    face = dm.load(run / "duomorph.onnx")
    report = evaluate(face, "grid_s1", 60)
    assert report.mae < min(report.baselines.values())
    assert report.r["jawOpen"] > 0.7
    assert abs(report.lag_frames) <= 1
    assert report.shapes == 51
    assert face.info().provenance.sources[0].name == "grid_s1"


COMMAND = [
    sys.executable, "-m", "duomorph", "train", "--data", "grid_s1", "--train.epochs", "3",
    "--train.window_frames", "60", "--train.compile", "false", "--train.precision", "fp32", "--augment.rounds", "1",
    "--train.warm_up_steps", "5", "--train.validate_every", "9", "--model.d", "16", "--model.front", "24",
    "--model.band_channels", "2", "--model.emotion", "16", "--model.dropout", "0.0", "-o",
]  # fmt: skip


def lines_of(run: Path) -> list[dict[str, float]]:
    log = run / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_the_front_end_can_learn_first_and_alone(run: Path) -> None:
    quick = config.changed(QUICK, {"train": {"learn": "front"}})
    short = train(config.changed(quick, {"train": {"epochs": 1}}), run)
    first = train(quick, run.with_name("first"))
    lines = lines_of(run.with_name("first"))
    assert lines[-1]["total"] < 0.7 * lines[0]["total"]
    before, after = (load_checkpoint(path)["average"] for path in (short, first))
    moved = {name for name in after if not torch.equal(after[name], before[name])} - {"tau"}
    assert moved
    assert all(name.startswith("mel.front.") for name in moved)
    with pytest.raises(SettingError, match="learned alone"):
        publish(first, run.with_name("model") / "duomorph.onnx")
    whole = train(config.changed(QUICK, {"train": {"epochs": 1, "start": str(first)}}), run.with_name("whole"))
    assert len(load_checkpoint(whole)["runs"]) == 2
    again = config.changed(quick, {"train": {"epochs": 1, "start": str(whole), "seed": 5}})
    other = load_checkpoint(train(again, run.with_name("again")))["average"]
    kept = load_checkpoint(whole)["average"]
    assert {name for name in kept if not torch.equal(kept[name], other[name])} - {"tau"} <= moved
    moved_on = train(config.changed(again, {"train": {"learn": "emotion"}}), run.with_name("mood"))
    mood = load_checkpoint(moved_on)["average"]
    heard = {name for name in kept if not torch.equal(kept[name], mood[name])} - {"tau"}
    assert {"emotion.compress.weight", "emotion.key_value.weight"} <= heard
    assert all(name == "age" or name.startswith("emotion.") for name in heard)
    rest = config.changed(again, {"train": {"learn": "back"}, "model": {"dropout": 0.5}})
    networks: list[Network] = []  # the one that learns comes first
    behind = load_checkpoint(train(rest, run.with_name("rest"), prepare=networks.append))["average"]
    assert networks[0].training
    assert not any(module.training for module in networks[0].mel.front.modules())  # what stands still drops nothing
    changed = {name for name in kept if not torch.equal(kept[name], behind[name])} - {"tau"}
    assert {"out", "queries", "mel.token.weight", "temporal.0.taps"} <= changed
    assert not any(name.startswith("mel.front.") for name in changed)
    for part in ("front", "back"):
        with pytest.raises(SettingError, match="without a front end"):
            config.changed(QUICK, {"train": {"learn": part, "start": "a.pt"}, "model": {"front": 0}})
    with pytest.raises(SettingError, match="'back' with a model"):
        config.changed(QUICK, {"train": {"learn": "back"}})


def test_a_killed_run_goes_on_as_if_nothing_had_been(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    subprocess.run([*COMMAND, str(run)], check=True, capture_output=True)
    killed = run.with_name("killed")
    process = subprocess.Popen([*COMMAND, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    assert len(lines_of(killed)) < 3
    subprocess.run([*COMMAND, str(killed), "--resume"], check=True, capture_output=True)
    for whole, mended in zip(lines_of(run), lines_of(killed), strict=True):
        assert mended == pytest.approx(whole, abs=1e-6)
    one, other = (torch.load(folder / "checkpoint.pt", weights_only=True)["average"] for folder in (run, killed))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, atol=1e-6, rtol=0)
    with pytest.raises(CorpusError, match="other settings"):
        train(QUICK, killed, resume=True)


def test_asked_to_stop_a_run_saves(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    many = [*COMMAND[:-1], "--train.epochs", "500", "-o", str(run)]
    process = subprocess.Popen(many, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (run / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "--resume" in said
    stored = torch.load(run / "checkpoint.pt", weights_only=True)
    assert stored["step"] > 0
    assert f"step {stored['step']} " in said


def test_two_processes_learn_what_one_learns(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    subprocess.run([*COMMAND, str(run)], check=True, capture_output=True)
    pair = run.with_name("pair")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launcher, *COMMAND[1:], str(pair)], check=True, capture_output=True)
    for one, two in zip(lines_of(run), lines_of(pair), strict=True):
        assert two == pytest.approx(one, rel=1e-4)


def test_a_new_style_is_learned_and_the_old_ones_stay(
    run: Path, taught: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "_traced", lambda network: None)  # minutes: the graph it began with serves
    run.parent.mkdir()
    mine = run.with_name("mine")
    with manifest.Writer(mine) as out:  # a face that opens its jaw half as far and raises its brows
        for take in takes("grid_s1", "train"):
            weights = take.weights.copy()
            weights[:, arkit.INDEX["jawOpen"]] *= 0.5
            weights[:, arkit.INDEX["browInnerUp"]] = 0.55
            clip = Clip(weights, take.fps, captured=take.captured)
            out.add(id=take.name, sound=take.path, clip=clip, speaker="me", style="any", licence="mine")
    settings = finetune.settings_for([str(mine)], "me", taught / "duomorph.onnx")
    settings = config.changed(settings, {"train": {"window_frames": 60, "precision": "fp32", "epochs": 40}})
    model, before, after = finetune.finetune(settings, run.with_name("tuned"))
    assert after.mae < 0.75 * before.mae
    assert after.mae_by_shape["browInnerUp"] < 0.5 * before.mae_by_shape["browInnerUp"]
    assert after.r["jawOpen"] > 0.6
    old, new = dm.load(taught / "duomorph.onnx"), dm.load(model)
    assert new.styles == (*old.styles, "me")
    assert new.info().provenance.default_style == "me"
    assert {source.name for source in new.info().provenance.sources} == {"grid_s1", "mine"}
    sound = takes("grid_s1", "test")[0].audio
    np.testing.assert_array_equal(new.animate(sound, style="grid").weights, old.animate(sound, style="grid").weights)
    with pytest.raises(SettingError, match="expected a new name"):
        finetune.settings_for([str(mine)], "grid", taught / "duomorph.onnx")


@pytest.mark.usefixtures("run")
def test_a_stretch_of_a_take_keeps_its_sound() -> None:
    take = takes("grid_s1", "train")[0]
    learned, test = parts([take])
    for part, begin, end in ((learned[0], 0.0, 0.8), (test[0], 0.8, 1.0)):
        first, last = (round(share * len(take.audio)) for share in (begin, end))
        own = dataclasses.replace(part, style="me")  # as a run with a style of its own makes it
        np.testing.assert_array_equal(own.audio, take.audio[first:last])
        times = 0.1 + np.arange(5) / 30  # a frame may begin a little after the cut
        np.testing.assert_allclose(own.curves_at(times), take.curves_at(times + first / 16000), atol=1e-6)
    (inner,) = parts(learned)[1]
    assert len(inner.audio) == round(len(learned[0].audio) * 0.2)


def test_losses_weigh_only_what_was_captured() -> None:
    truth = torch.rand(2, 9, 52)
    mask = torch.ones_like(truth)
    mask[..., arkit.INDEX["tongueOut"]] = 0
    mask[:, :3] = 0
    wrong = truth.clone()
    wrong[..., arkit.INDEX["tongueOut"]] += 9
    wrong[:, :3] += 9
    counts = losses.count(mask)
    alpha = torch.full((52,), 0.5)
    total, parts = losses.losses(wrong, truth, mask, counts, 1, alpha, 0.5, LossConfig())
    assert total == 0
    assert parts.shape == (len(losses.PARTS),)
    shifted = truth + 0.1
    assert losses.l1(shifted, truth, mask, counts) == pytest.approx(0.1, abs=1e-6)
    assert losses.mse(shifted, truth, mask, counts) == pytest.approx(0.01, abs=1e-6)
    assert losses.perceptual(shifted, truth, mask, counts, lips=0.0) == pytest.approx(0.1, abs=1e-6)
    assert losses.temporal(shifted, truth, mask, counts, 1, 100.0) == pytest.approx(0, abs=1e-6)
    assert losses.smoothing(alpha, 0.25) == pytest.approx(0.0625)


def test_the_parts_of_a_batch_add_up() -> None:
    torch.manual_seed(0)
    predicted, truth = torch.rand(4, 9, 52), torch.rand(4, 9, 52)
    mask = (torch.rand(4, 9, 1) < 0.7).float() * (torch.rand(4, 1, 52) < 0.8).float()
    counts, alpha = losses.count(mask), torch.full((52,), 0.4)
    whole, _ = losses.losses(predicted, truth, mask, counts, 1, alpha, 0.5, LossConfig())
    parts = [
        losses.losses(predicted[rows], truth[rows], mask[rows], counts, 1, alpha, 0.5, LossConfig())[0]
        for rows in (slice(0, 1), slice(1, 4))
    ]
    assert sum(parts) == pytest.approx(float(whole), rel=1e-6)


def test_the_temporal_loss_minds_a_tremble_more_than_a_slow_error() -> None:
    truth, mask = torch.zeros(1, 61, 52), torch.ones(1, 61, 52)
    counts = losses.count(mask)
    step = torch.arange(61.0)[None, :, None].expand_as(truth)
    slow, tremble = 0.01 * torch.sin(2 * torch.pi * step / 60), 0.001 * (-1) ** step
    loss = [float(losses.temporal(error, truth, mask, counts, 1, 100.0)) for error in (slow, tremble)]
    assert loss[1] > 2 * loss[0]
    at_30 = losses.count(mask[:, ::2])
    bends = [
        losses.temporal(error, truth[:, ::every], mask[:, ::every], of, every, 100.0) - error.diff(dim=1).abs().mean()
        for error, of, every in ((slow, counts, 1), (slow[:, ::2], at_30, 2))
    ]
    assert bends[1] == pytest.approx(float(bends[0]), rel=0.05)  # a bend is the same at both rates


def test_perceptual_loss_gives_each_group_the_same_say() -> None:
    truth, mask = torch.zeros(1, 4, 52), torch.ones(1, 4, 52)
    mouth, brows = truth.clone(), truth.clone()
    mouth[..., torch.as_tensor(arkit.MOUTH)] = 0.2
    brows[..., torch.as_tensor(arkit.EXPRESSION)] = 0.2
    counts = losses.count(mask)
    assert losses.perceptual(mouth, truth, mask, counts, lips=0.0) == pytest.approx(0.1)
    assert losses.perceptual(brows, truth, mask, counts, lips=0.5) == pytest.approx(0.1)


def test_what_seldom_moves_learns_its_mean_where_asked() -> None:
    """A shape at 0.2 one time in ten: an absolute error is least at 0, the square in tenths at the mean."""
    truth, mask = torch.zeros(2, 10, 52), torch.ones(2, 10, 52)
    truth[:, 0] = 0.2
    rare = losses.seldom(("captured", "drawn"), ("drawn",))[:, None]
    assert not rare[0].any()
    counts, levels = losses.count(mask), np.linspace(0, 0.1, 11)
    for name, best in (("tongueOut", 0.02), ("mouthFrownLeft", 0.02), ("jawOpen", 0.0), ("eyeBlinkLeft", 0.0)):
        for row, least in ((0, 0.0), (1, best)):
            only = torch.zeros_like(mask)
            only[row, :, arkit.INDEX[name]] = 1
            for loss in (losses.l1, partial(losses.perceptual, lips=0.0)):
                costs = [float(loss(torch.full_like(truth, level), truth, only, counts, rare=rare)) for level in levels]
                assert levels[int(np.argmin(costs))] == pytest.approx(least), (name, row)


@pytest.mark.parametrize("name", ["seldom", "sealed"])
def test_an_objective_knows_which_styles_are_meant(name: str) -> None:
    torch.manual_seed(0)
    network = Network(dataclasses.replace(SMALL, styles=("captured", "drawn")))
    steps, c = 4, network.config
    part = {
        "mel": torch.zeros(2, steps, 2, c.bands), "past": torch.zeros(2, c.context_ticks + 12, 2, c.bands),
        "emotion": torch.zeros(2, c.updates, 264), "slot": torch.zeros(2, steps, dtype=torch.long),
        "style": torch.tensor([0, 1]), "delay": torch.zeros(2, dtype=torch.long),
        "truth": torch.rand(2, steps, 52), "mask": torch.ones(2, steps, 52),
    }  # fmt: skip
    total = {}
    for of in ((), ("captured",), ("drawn",)):
        objective = Objective(network.eval(), dataclasses.replace(LossConfig(), **{name: of}), False, False)
        total[of] = float(objective(part, losses.count(part["mask"]), 1)[0].detach())
    assert len(set(total.values())) == 3
    if name == "sealed":  # none named: all
        assert total[()] > max(total[of] for of in total if of)


def test_lips_are_asked_to_seal_and_not_the_jaw() -> None:
    lips = {name for name, k in arkit.INDEX.items() if arkit.APERTURE[k]} - {"jawOpen"}
    for rests, expected in ((False, lips), (True, lips | {"jawOpen"})):  # a jaw that rests must not hang behind them
        truth = torch.zeros(1, 2, arkit.COUNT)
        if not rests:  # shut on a jaw that is open
            truth[..., arkit.INDEX["jawOpen"]] = truth[..., arkit.INDEX["mouthClose"]] = 0.1
        parted = truth.clone()
        parted[..., arkit.INDEX["jawOpen"]] += 0.2
        parted.requires_grad_()
        counts = losses.count(mask := torch.ones_like(truth))
        errors = [losses.perceptual(parted, truth, mask, counts, weight, seal=2.0) for weight in (0.5, 0.0)]
        (gradient,) = torch.autograd.grad(errors[0] - errors[1], parted)
        assert {name for name, k in arkit.INDEX.items() if gradient[..., k].abs().max() > 1e-6} == expected
    assert gradient[..., arkit.INDEX["mouthClose"]].max() < 0  # closing more would lessen the error


def test_perceptual_loss_minds_lips_that_do_not_seal() -> None:
    truth, mask = torch.zeros(1, 4, 52), torch.ones(1, 4, 52)
    pressed, parted = truth.clone(), truth.clone()
    pressed[..., [arkit.INDEX["jawOpen"], arkit.INDEX["mouthClose"]]] = 0.1  # the lips stay where they are
    parted[..., [arkit.INDEX["jawOpen"], arkit.INDEX["mouthSmileLeft"]]] = 0.1
    counts = losses.count(mask)
    assert losses.perceptual(pressed, truth, mask, counts, 0.5) == pytest.approx(0.1 * 2 / len(arkit.MOUTH) / 2)
    more = losses.perceptual(parted, truth, mask, counts, 0.5) - losses.perceptual(parted, truth, mask, counts, 0.0)
    assert more == pytest.approx(0.05)
    shut = losses.perceptual(parted, truth, mask, counts, 0.5, seal=2.0)
    assert shut - losses.perceptual(parted, truth, mask, counts, 0.0) == pytest.approx(0.15)  # where truth is shut
    open_lips = truth.clone()
    open_lips[..., arkit.INDEX["jawOpen"]] = 0.5
    wider = (open_lips + (parted - truth), open_lips, mask, counts, 0.5)
    assert losses.perceptual(*wider, seal=2.0) == losses.perceptual(*wider)
    mask[..., arkit.INDEX["mouthPressLeft"]] = 0  # not captured: nobody knows whether they seal
    assert losses.perceptual(parted, truth, mask, losses.count(mask), 0.5) == pytest.approx(
        float(losses.perceptual(parted, truth, mask, losses.count(mask), 0.0))
    )


def test_what_sounds_like_the_corpus_with_the_emotions_is_none() -> None:
    rng = np.random.default_rng(0)
    brow, network = arkit.INDEX["browDownLeft"], Network(SMALL)

    def session(collection: str, room: float, mood: float) -> Session:
        emotion = rng.normal(0, 0.3, (30, 264)).astype(np.float32)
        emotion[:, 3] += mood  # how it is said
        emotion[:, 7] += room  # where
        curves = np.zeros((30 * 18, 52), dtype=np.float16)
        curves[:, brow] = 0.4 * mood
        known, mel = np.ones(len(curves), dtype=bool), np.zeros((len(curves), 2, 80), dtype=np.float16)
        return Session("grid", f"{collection}-{mood}", mel, emotion, curves, known, np.ones(52, dtype=bool))

    acted = [session("acted", 1.0, mood) for mood in (0.0, 1.0, 0.0, 1.0)]
    heard = acted + [session("read", -1.0, 0.0) for _ in range(4)]
    set_emotion_directions(network, heard, np.full(8, 1 / 8))
    reach = network.emotion.compress.weight.norm(dim=0)
    assert reach[3] > 5 * reach[7]
    assert not network.emotion.compress.weight.requires_grad


def test_the_stride_falls_from_32_to_1() -> None:
    strides = [windows.stride_at(progress, TrainConfig()) for progress in np.linspace(0, 1, 101)]
    assert strides[0] == 32
    assert strides == sorted(strides, reverse=True)
    assert list(dict.fromkeys(strides)) == [32, 16, 8, 4, 2, 1]
    assert strides[50] == 1


@pytest.mark.usefixtures("run")
def test_windows_are_drawn_dense_sparse_and_alone(run: Path) -> None:
    settings = config.changed(QUICK, {"train": {"stride_start": 32, "dense": 0.2, "sixty": 0.0}})
    trainer = Trainer(settings, takes("grid_s1", "train"), run, run / "cache")
    kinds = {"dense": 0, "sparse": 0, "alone": 0}
    for step in range(300):
        drawn, every = trainer.draw(step, 0.0)
        begins = [window.begin for window in drawn]
        if every == 1:
            kinds["dense"] += 1
            assert np.diff(begins).tolist() == [windows.FRAME_TICKS] * 3  # neighbours, one frame apart
            assert len({id(window.session) for window in drawn}) == 1
        elif len(drawn) > 4:
            kinds["alone"] += 1
            assert set(begins) == {0}
        else:
            kinds["sparse"] += 1
            assert not any(begin % (32 * windows.FRAME_TICKS) for begin in begins)
    fast = config.changed(settings, {"train": {"sixty": 1.0}})
    assert {windows.Sampler(trainer.sessions, trainer.alone, fast)(step, 0.0)[1] for step in range(50)} == {1}
    assert kinds["dense"] == pytest.approx(60, abs=20)
    assert kinds["alone"] == pytest.approx(72, abs=25)
    assert [w.begin for w in trainer.draw(7, 0.5)[0]] == [w.begin for w in trainer.draw(7, 0.5)[0]]


def test_small_recordings_and_styles_are_drawn_more_often_than_their_share() -> None:
    def session(style: str, recording: str, ticks: int) -> Session:
        nothing = np.zeros(0, dtype=np.float32)
        mel, captured = np.zeros((ticks, 2, 80), dtype=np.float16), np.ones(52, dtype=bool)
        return Session(style, recording, mel, nothing, nothing.astype(np.float16), nothing.astype(bool), captured)

    heard = [session("many", "a", 400), session("many", "b", 100), session("few", "c", 100)]
    np.testing.assert_allclose(windows.chances(heard, TrainConfig(balance=0.0)), [4 / 6, 1 / 6, 1 / 6])
    np.testing.assert_allclose(windows.chances(heard, TrainConfig(balance=1.0)), [1 / 4, 1 / 4, 1 / 2])
    many, few = 30**0.5, 10**0.5
    half = np.array([many * 2 / 3, many / 3, few]) / (many + few)
    np.testing.assert_allclose(windows.chances(heard, TrainConfig(balance=0.5)), half)
    told = TrainConfig(balance=0.0, shares=("few=3", "other=9"))
    np.testing.assert_allclose(windows.chances(heard, told), [0.2, 0.05, 0.75])
    told = TrainConfig(balance=0.0, shares=("few=3",), often=("b=4",))
    np.testing.assert_allclose(windows.chances(heard, told), [0.125, 0.125, 0.75])


def test_a_voice_elsewhere_keeps_its_loud_bands_and_its_start() -> None:
    mel = np.full((400, 2, 80), -6.0, dtype=np.float16)
    mel[:, :, 30:40] = 4.0
    emotion, curves = np.zeros((30, 264), dtype=np.float32), np.zeros((400, 52), dtype=np.float16)
    session = Session("grid", "a", mel, emotion, curves, np.ones(400, dtype=bool), np.ones(52, dtype=bool))
    heard = windows.stack([windows.Window(session, 60, 300, 6, place=seed) for seed in range(1, 20)], ModelConfig())
    assert np.abs(heard.mel[:, :, :, 30:40] - 4.0).max() < 0.5
    assert np.ptp(heard.mel[:, 0, 0, 5]) > 1  # no two alike
    assert heard.mel[:, :, :, 75:].max() < 4.0
    unheard = heard.past[:, :-60]
    assert (unheard == unheard[0, 0, 0, 0]).all()  # what lies before the start stays silent
    again = windows.stack([windows.Window(session, 60, 300, 6, place=7)], ModelConfig())
    np.testing.assert_array_equal(again.mel[0], heard.mel[6])


def test_labels_are_softened_and_stay_where_they_were() -> None:
    ticks = 400
    curves = np.zeros((ticks, 52), dtype=np.float16)
    curves[200], curves[::2, 0], curves[1::2, 0] = 1.0, 0.2, 0.4  # a click, and a tremble at 30 Hz
    mel = np.zeros((ticks, 2, 80), dtype=np.float16)
    emotion = np.zeros((ticks // 18 + 2, 264), dtype=np.float32)
    session = Session("grid", "a", mel, emotion, curves, np.ones(ticks, dtype=bool), np.ones(52, dtype=bool))
    row = [windows.stack([windows.Window(session, 0, 300, 6, soften=n)], ModelConfig()).truth[0] for n in (1, 5)]
    np.testing.assert_array_equal(row[0][6:], curves[:294])
    np.testing.assert_allclose(row[1][204:209, 1], np.hanning(7)[1:-1] / 3, atol=1e-6)
    assert np.ptp(row[1][20:190, 0]) < 0.01


def test_sessions_keep_to_one_recording() -> None:
    def take(name: str, recording: str, seconds: int) -> Take:
        face, captured = np.zeros((2, 52), dtype=np.float32), np.ones(52, dtype=bool)
        one = Take(name, "grid", recording, Path(), face, captured, Fraction(30))
        one.__dict__["audio"] = np.zeros(16000 * seconds, dtype=np.float32)
        return one

    mixed = [take("a1", "a", 30), take("b1", "b", 50), take("a2", "a", 29), take("b2", "b", 20), take("a3", "a", 90)]
    assert [[one.name for one in group] for group in sessions(mixed)] == [["a1", "a2"], ["b1"], ["b2"], ["a3"]]


def test_features_are_kept_recording_by_recording(tmp_path: Path) -> None:
    def take(recording: str, k: int) -> Take:
        face, captured = np.zeros((30, 52), dtype=np.float32), np.ones(52, dtype=bool)
        one = Take(f"{recording}{k}", "grid", recording, Path(), face, captured, Fraction(30))
        one.__dict__["audio"] = np.random.default_rng(k).normal(0, 0.1, 16000).astype(np.float32)
        return one

    anna, ben = [take("anna", 0), take("anna", 1)], [take("ben", 2)]
    how = AugmentConfig(rounds=2, noise=0.0)
    first = data.build(anna, how, 0, tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 2  # rounds
    both = data.build([*anna, *ben], how, 0, tmp_path)
    now = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(now) == 4
    assert now | kept == now
    assert [session.recording for session in both] == ["anna", "ben"] * 2
    again = [session for session in both if session.recording == "anna"]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.mel, other.mel)
    assert len(first[0]) != len(first[1])  # the second round runs at another speed


def test_settings_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('data = ["grid_s1"]\n[train]\nepochs = 7\n[loss]\nmse = 3\n')
    settings = config.read(file, ["--model.front_late", "[1,2]", "--train.rate=1", "--loss.l1", "0.5"])
    assert (settings.train.epochs, settings.loss.mse, settings.model.front_late) == (7, 3.0, (1, 2))
    assert (settings.train.rate, settings.loss.l1, settings.data) == (1.0, 0.5, ("grid_s1",))
    for bad in (
        ["epochs", "7"], ["--train.speed", "7"], ["--train.epochs", "many"], ["--train.epochs", "1.5"],
        ["--model.front"], ["--loss", "3"], ["--train.precision", "int3"], ["--train.stride", "64"], ["--model.d", "7"],
        ["--train.shares", "[\"grid\"]"], ["--train.shares", "[3]"],
        ["--train.shares", "[\"grid=0\"]"], ["--train.often", "[\"a\"]"], ["--train.soften", "4"],
        ["--train.streams_rate", "0"],
    ):  # fmt: skip
        with pytest.raises(DuomorphError, match="expected"):
            config.read(None, bad)
    for text in ("[train", "[trian]\nepochs = 3", "[train]\nepochs = []"):
        file.write_text(text)
        with pytest.raises(SettingError, match="expected"):
            config.read(file, [])


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate((b"not a checkpoint", b"a letter", b"G\0", b"}.", b"")):
        (tmp_path / f"{number}.pt").write_bytes(content)
        with pytest.raises(ModelError, match=r"\(damaged or foreign\).*duomorph train"):
            publish(tmp_path / f"{number}.pt", tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"\(No such file or directory\).*duomorph train"):
        publish(tmp_path / "absent.pt", tmp_path / "m.onnx")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_helpers_end_with_a_training_that_is_killed(run: Path) -> None:
    """They make features, hours of them, and nobody would end them."""
    script = """if True:
        from pathlib import Path
        from duomorph.dataset.takes import takes
        from duomorph.train import config, data
        if __name__ == "__main__":
            data.POOL_S = 0
            data.build(takes("grid_s1", "train") * 40, config.AugmentConfig(noise=0.0), 0, Path("cache"))
    """
    file = run.parent.parent / "build.py"
    file.write_text(script)
    parent = subprocess.Popen([sys.executable, file], cwd=file.parent)
    try:
        deadline = time.monotonic() + 120
        while len(helpers := children(parent.pid)) < 2:
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in helpers):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def children(of: int) -> list[int]:
    """Processes that the process `of` started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, words = stat.read_text().rpartition(") ")
        except OSError:  # it has ended
            continue
        if int(words.split()[1]) == of:
            found.append(int(stat.parent.name))
    return found


def test_a_start_of_another_form_is_refused_before_anything_is_made(run: Path, taught: Path, tmp_path: Path) -> None:
    start = {"train": {"start": str(taught / "checkpoint.pt")}, "model": {"d": 32}}
    with pytest.raises(ModelError, match="its d is 16, this run's 32; expected the same"):
        train(config.changed(QUICK, start), run)
    stored = torch.load(taught / "checkpoint.pt", weights_only=True)
    stored["average"]["out_bias"] = torch.zeros(7)
    torch.save(stored, tmp_path / "foreign.pt")
    with pytest.raises(ModelError, match="do not fit"):
        train(with_train(start=str(tmp_path / "foreign.pt")), run)
    with pytest.raises(ModelError, match="do not fit"):
        publish(tmp_path / "foreign.pt", tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="cannot read checkpoint"):
        train(QUICK, run, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.pt"]


@pytest.mark.parametrize(
    "bad",
    [
        {"train": {"shares": ["gird=3"]}}, {"train": {"often": ["x=2"]}}, {"loss": {"seldom": ["x"]}},
        {"loss": {"sealed": ["x"]}},
    ],
)  # fmt: skip
def test_names_that_the_data_has_not_are_refused_at_once(bad: dict[str, object], run: Path) -> None:
    with pytest.raises(SettingError, match="of the data; change it"):
        train(config.changed(QUICK, bad), run)
    assert not run.parent.exists()


def test_no_corpus_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUOMORPH_CORPUS", raising=False)
    with pytest.raises(CorpusError, match="DUOMORPH_CORPUS"):
        corpus.load("grid_s1", "test")
    with pytest.raises(CorpusError, match="unknown"):
        corpus.load("nobody", "test")


def test_a_damaged_corpus_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DUOMORPH_CORPUS", str(tmp_path))
    with pytest.raises(CorpusError, match="is absent"):
        corpus.load("grid_s1", "train")
    for name in ("grid_s1", "facegood"):
        (tmp_path / name).mkdir()
        with pytest.raises(CorpusError, match="copy it there again"):
            corpus.load(name, "train")


def test_a_run_is_not_overwritten(run: Path) -> None:
    run.mkdir(parents=True)
    (run / "checkpoint.pt").write_bytes(b"hours of work")
    with pytest.raises(CorpusError, match="holds a run already"):
        train(QUICK, run)
    with pytest.raises(ModelError, match="cannot read checkpoint"):
        train(QUICK, run, resume=True)


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
def test_the_split_is_the_one_of_the_list() -> None:
    test, learned = corpus.load("grid_s1", "test"), corpus.load("grid_s1", "train")
    names = sorted(take.name for take in test + learned)
    assert [take.name for take in test] == names[::10]
    assert (len(test), len(learned)) == (89, 797)
    assert test[0].captured.sum() == 51
    assert [take.name for take in corpus.load("facegood", "test")] == ["1114_3_16"]
