"""From a corpus to a moving face: a toy corpus trains, resumes, exports, streams, and beats its own mean face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

import duomorph as dm  # noqa: E402
from duomorph import arkit, corpus  # noqa: E402
from duomorph.errors import CorpusError, ModelError, SettingError  # noqa: E402
from duomorph.evaluate import evaluate  # noqa: E402
from duomorph.model.config import ModelConfig  # noqa: E402
from duomorph.train import losses, settings  # noqa: E402
from duomorph.train.loop import TrainConfig, train  # noqa: E402
from duomorph.train.publish import publish  # noqa: E402

SMALL = ModelConfig(d=16, front=24, band_channels=2, emotion=16, dropout=0.0)
QUICK = TrainConfig(
    corpora=("grid_s1",), epochs=16, rounds=1, batch=4, micro=4, crop_ticks=120, rate=1e-2, warm_up_steps=5,
    average=0.9, bf16=False, compile=False, dense_epochs=1,
)  # fmt: skip


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


def test_a_toy_corpus_becomes_a_face(run: Path) -> None:
    checkpoint = train(QUICK, SMALL, run)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, QUICK.epochs + 1))
    assert lines[-1]["total"] < lines[0]["total"]
    publish(checkpoint, run / "duomorph.onnx")
    face = dm.load(run / "duomorph.onnx")
    report = evaluate(face, "grid_s1", 60)
    assert report.mae < min(report.baselines.values())
    assert report.r["jawOpen"] > 0.7
    assert abs(report.lag_frames) <= 1
    assert report.shapes == 51
    assert face.info().provenance.sources[0].name == "grid_s1"


def test_a_resumed_run_is_the_uninterrupted_one(run: Path) -> None:
    one = TrainConfig(**vars(QUICK) | {"epochs": 2})
    whole = torch.load(train(one, SMALL, run), weights_only=True)
    again = run.with_name("again")
    stop = RuntimeError("pulled the plug")

    from duomorph.train import loop

    real, calls = loop.Trainer.train_epoch, []

    def interrupted(trainer: loop.Trainer) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise stop
        return real(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Trainer, "train_epoch", interrupted)
        with pytest.raises(RuntimeError, match="plug"):
            train(one, SMALL, again)
    resumed = torch.load(train(one, SMALL, again, resume=True), weights_only=True)
    for name, tensor in whole["average"].items():
        torch.testing.assert_close(resumed["average"][name], tensor, atol=1e-6, rtol=0)
    with pytest.raises(CorpusError, match="other settings"):
        train(QUICK, SMALL, again, resume=True)


def test_losses_weigh_only_what_was_captured() -> None:
    truth = torch.rand(2, 9, 52)
    mask = torch.ones_like(truth)
    mask[..., arkit.INDEX["tongueOut"]] = 0
    mask[:, :3] = 0
    wrong = truth.clone()
    wrong[..., arkit.INDEX["tongueOut"]] += 9
    wrong[:, :3] += 9
    alpha = torch.full((52,), 0.5)
    total, parts = losses.losses(wrong, truth, mask, alpha, 0.5, losses.LossWeights())
    assert total == 0
    assert set(parts) == {"mse", "l1", "perceptual", "temporal", "smoothing"}
    shifted = truth + 0.1
    assert losses.l1(shifted, truth, mask) == pytest.approx(0.1, abs=1e-6)
    assert losses.mse(shifted, truth, mask) == pytest.approx(0.01, abs=1e-6)
    assert losses.perceptual(shifted, truth, mask) == pytest.approx(0.1, abs=1e-6)
    assert losses.temporal(shifted, truth, mask) == pytest.approx(0, abs=1e-6)
    assert losses.smoothing(alpha, 0.25) == pytest.approx(0.0625)


def test_perceptual_loss_gives_each_group_the_same_say() -> None:
    truth, mask = torch.zeros(1, 4, 52), torch.ones(1, 4, 52)
    mouth, brows = truth.clone(), truth.clone()
    mouth[..., torch.as_tensor(arkit.MOUTH)] = 0.2
    brows[..., torch.as_tensor(arkit.EXPRESSION)] = 0.2
    assert losses.perceptual(mouth, truth, mask) == pytest.approx(0.1)
    assert losses.perceptual(brows, truth, mask) == pytest.approx(0.1)


def test_settings_are_checked() -> None:
    config, model = settings.parse(["train.epochs=7", "train.weights.mse=3", "model.front_late=[1,2]", "train.rate=1"])
    assert (config.epochs, config.weights.mse, model.front_late, config.rate) == (7, 3.0, (1, 2), 1.0)
    for bad in ("epochs=7", "train.speed=7", "train.epochs=many", "train.epochs=1.5", "model.front", "train.weights=3"):
        with pytest.raises(SettingError, match=r"setting|set"):
            settings.parse([bad])


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"not a checkpoint")
    for name in ("x.pt", "absent.pt"):
        with pytest.raises(ModelError, match="duomorph train"):
            publish(tmp_path / name, tmp_path / "m.onnx")


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
        train(QUICK, SMALL, run)
    with pytest.raises(ModelError, match="cannot read checkpoint"):
        train(QUICK, SMALL, run, resume=True)


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
def test_the_split_is_the_one_of_the_list() -> None:
    test, learned = corpus.load("grid_s1", "test"), corpus.load("grid_s1", "train")
    names = sorted(take.name for take in test + learned)
    assert [take.name for take in test] == names[::10]
    assert (len(test), len(learned)) == (89, 797)
    assert test[0].captured.sum() == 51
    assert [take.name for take in corpus.load("facegood", "test")] == ["1114_3_16"]
