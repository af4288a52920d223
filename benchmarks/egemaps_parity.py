"""How near our eGeMAPS is to openSMILE's, descriptor by descriptor and functional by functional.

    pip install opensmile                    # the oracle: non-commercial licence, only for whoever runs this
    DUOMORPH_CORPUS=... python benchmarks/egemaps_parity.py [--table table.md]
    python benchmarks/egemaps_parity.py --golden tests/data/egemaps_golden.npz

60 LibriSpeech utterances (all readers), 60 EMO-DB, 10 LibriSpeech with noise at 10 dB. Descriptors: Pearson r pooled
over frames, over those both call voiced where a descriptor is voiced-only. Functionals: r over utterances. The last
line is JSON. `--golden` writes made-up voices and openSMILE's answers for the tests.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from duomorph import egemaps

Array = NDArray[np.float32]
BARS = {
    **dict.fromkeys(range(10), 0.98),  # loudness, spectral, MFCC
    10: 0.97,  # F0
    11: 0.70, 12: 0.70,  # jitter, shimmer
    13: 0.90, 14: 0.90, 15: 0.80,  # HNR, H1-H2, H1-A3
    16: 0.90, 19: 0.90, 22: 0.90,  # F1-F3
    17: 0.80, 18: 0.80, 20: 0.80, 21: 0.80, 23: 0.80, 24: 0.80,
}  # fmt: skip


def read(path: Path) -> Array:
    audio, rate = soundfile.read(path, dtype="float32")
    assert rate == 16000
    # openSMILE gets 16-bit samples: both sides hear the same.
    return (np.round(audio * 32767) / 32767).astype(np.float32)


def readable(path: Path) -> bool:
    """libsndfile refuses some of the noise files as malformed."""
    try:
        soundfile.read(path)
    except soundfile.LibsndfileError:
        return False
    return True


def utterances(corpus: Path, held_out: bool = False) -> list[tuple[str, Array]]:
    """130 sounds: name and samples. Held out: 65 others, which no constant was ever fitted to."""
    speech = corpus / "speech"
    by_reader: dict[str, list[str]] = {}
    for line in (speech / "librispeech.jsonl").read_text().splitlines():
        item = json.loads(line)
        by_reader.setdefault(item["speaker"], []).append(item["audio"])
    readers = sorted(by_reader)
    libri = [by_reader[readers[i % len(readers)]][5 * (i // len(readers))] for i in range(60)]
    emo = [json.loads(line)["audio"] for line in (speech / "emodb.jsonl").read_text().splitlines()]
    step = len(emo) // 60
    if held_out:
        return [(name, read(speech / name)) for name in [by_reader[r][13] for r in readers] + emo[4::step][:40]]
    emo = emo[::step][:60]
    out = [(name, read(speech / name)) for name in libri + emo]
    noises = [path for path in sorted((corpus / "noise").glob("*.opus")) if readable(path)]
    for i in range(10):
        name = by_reader[readers[2 * i]][7]
        audio = read(speech / name)
        path = noises[i * len(noises) // 10]
        noise = np.resize(read(path), len(audio))
        gain = np.sqrt((audio**2).mean() / max(float((noise**2).mean()), 1e-12) / 10.0)
        mixed = np.clip(audio + gain * noise, -1, 1)
        out.append((f"{name}+{path.stem}", mixed.astype(np.float32)))
    return out


def oracle(sounds: list[tuple[str, Array]], cache: Path | None) -> tuple[list[Array], Array]:
    """openSMILE's descriptors and functionals."""
    if cache is not None and cache.exists():
        with np.load(cache) as data:
            return [data[f"lld{i}"] for i in range(len(sounds))], data["functionals"]
    import opensmile

    low = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
    high = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    assert tuple(low.feature_names) == egemaps.LLD_NAMES
    assert tuple(high.feature_names) == egemaps.FUNCTIONAL_NAMES
    descriptors = [low.process_signal(audio, 16000).values for _, audio in sounds]
    functionals = np.concatenate([high.process_signal(audio, 16000).values for _, audio in sounds])
    if cache is not None:
        np.savez(cache, functionals=functionals, **{f"lld{i}": d for i, d in enumerate(descriptors)})
    return descriptors, functionals


def correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a.astype(float), b.astype(float))[0, 1])


def babble(seed: int, f0: float, noise: float) -> Array:
    """Three seconds of vowels, breath and pauses, by pulses through three resonators; 16-bit."""
    rng = np.random.default_rng(seed)
    out = np.zeros(3 * 16000)
    start = 1600
    while start < len(out) - 8000:
        length = int(rng.integers(2400, 8000))
        t = np.arange(length) / 16000
        pitch = f0 * 2 ** (rng.uniform(-0.3, 0.3) + rng.uniform(-0.8, 0.8) * t + 0.02 * np.sin(2 * np.pi * 5 * t))
        pulses = np.diff(np.floor(np.cumsum(pitch / 16000)), prepend=0.0) * (1 + 0.05 * rng.standard_normal(length))
        sound = pulses if rng.random() < 0.8 else 0.1 * rng.standard_normal(length)
        for centre, width in zip(rng.uniform((300, 800, 2200), (800, 2200, 3200)), (80, 100, 140), strict=True):
            radius = np.exp(-np.pi * width / 16000)
            a, b = 2 * radius * np.cos(2 * np.pi * centre / 16000), -(radius**2)
            y1 = y2 = 0.0
            for i, x in enumerate(sound.tolist()):
                y1, y2 = x + a * y1 + b * y2, y1
                sound[i] = y1
        out[start : start + length] += sound / np.abs(sound).max() * np.hanning(length) * rng.uniform(0.1, 0.5)
        start += length + int(rng.integers(0, 4000))
    out += noise * rng.standard_normal(len(out))
    return (np.round(np.clip(out, -1, 1) * 32767) / 32767).astype(np.float32)


def write_golden(path: Path) -> None:
    sounds = [("low", babble(1, 110.0, 1e-3)), ("high", babble(2, 210.0, 1e-3))]
    descriptors, functionals = oracle(sounds, None)
    np.savez_compressed(
        path,
        sounds=np.stack([np.round(audio * 32767) for _, audio in sounds]).astype(np.int16),
        lld=np.stack([d[: (len(a) - 960) // 160 + 1] for d, (_, a) in zip(descriptors, sounds, strict=True)]),
        functionals=functionals,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path(os.environ.get("DUOMORPH_CORPUS", "corpus")))
    parser.add_argument("--cache", type=Path, help="keep openSMILE's answers in this npz file")
    parser.add_argument("--table", type=Path, help="write the table of all descriptors and functionals (markdown)")
    parser.add_argument("--held-out", action="store_true", help="65 other sounds, which no constant was fitted to")
    parser.add_argument("--golden", type=Path, help="write the tests' sounds and answers (npz), nothing else")
    args = parser.parse_args()
    if args.golden:
        write_golden(args.golden)
        return

    sounds = utterances(args.corpus, args.held_out)
    theirs_low, theirs_high = oracle(sounds, args.cache)
    ours_low = [egemaps.lld(audio) for _, audio in sounds]
    ours_high = np.stack([egemaps.extract(audio) for _, audio in sounds])

    size = [min(len(a), len(b)) for a, b in zip(ours_low, theirs_low, strict=True)]
    a = np.concatenate([x[:n] for x, n in zip(ours_low, size, strict=True)])
    b = np.concatenate([x[:n] for x, n in zip(theirs_low, size, strict=True)])
    voiced_a, voiced_b = a[:, 10] > 0, b[:, 10] > 0
    both = voiced_a & voiced_b
    agree = float((voiced_a == voiced_b).mean())

    lines = ["| descriptor | frames | r | bar | median absolute difference |", "|---|---|---|---|---|"]
    low, missed = {}, []
    for i, name in enumerate(egemaps.LLD_NAMES):
        rows = both if i >= 10 else np.ones(len(a), bool)
        r = correlation(a[rows, i], b[rows, i])
        low[name] = r
        if r < BARS[i]:
            missed.append(name)
        away = float(np.median(np.abs(a[rows, i] - b[rows, i])))
        lines.append(f"| {name} | {'voiced' if i >= 10 else 'all'} | {r:.4f} | {BARS[i]:.2f} | {away:.2g} |")
    lines += ["", f"Voicing decisions agree in {100 * agree:.2f} % of {len(a)} frames (bar 95 %).", ""]
    lines += ["| # | functional | r | median relative difference |", "|---|---|---|---|"]
    high = {}
    for i, name in enumerate(egemaps.FUNCTIONAL_NAMES):
        x, y = ours_high[:, i], theirs_high[:, i]
        high[name] = correlation(x, y)
        away = float(np.median(np.abs(x - y)) / max(float(np.median(np.abs(y))), 1e-12))
        lines.append(f"| {i + 1} | {name} | {high[name]:.4f} | {away:.2g} |")
    print("\n".join(lines))
    if args.table:
        args.table.write_text("\n".join(lines) + "\n")
    values = np.array(list(high.values()))
    result = {
        "sounds": len(sounds),
        "frames": len(a),
        "voicing_agreement": round(agree, 5),
        "descriptors_under_their_bar": missed,
        "functionals_at_0.95": int((values >= 0.95).sum()),
        "functionals_at_0.80": int((values >= 0.80).sum()),
        "functionals_under_0.95": {k: round(v, 4) for k, v in high.items() if v < 0.95},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
