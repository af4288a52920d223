"""What the descriptors say of sounds whose truth is known, and of sounds that openSMILE has described.

`data/egemaps_golden.npz` holds two made-up voices and openSMILE 2.6's descriptors and functionals of them, written by
`python benchmarks/egemaps_parity.py --golden tests/data/egemaps_golden.npz`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from duomorph import egemaps
from duomorph.egemaps.names import FUNCTIONAL_INDEX, LLD_INDEX

GOLDEN = np.load(Path(__file__).parent / "data" / "egemaps_golden.npz")
F0 = LLD_INDEX["F0semitoneFrom27.5Hz_sma3nz"]
NEAR = 0.035  # relative difference that a functional may have; wider where few frames decide, or a mean near zero
WIDER = {
    "F0semitoneFrom27.5Hz_sma3nz_meanRisingSlope": 0.6,
    "F0semitoneFrom27.5Hz_sma3nz_stddevRisingSlope": 0.2,
    "loudness_sma3_meanRisingSlope": 0.2,
    "loudness_sma3_stddevRisingSlope": 0.1,
    "loudness_sma3_percentile50.0": 0.1,
    "HNRdBACF_sma3nz_amean": 0.3,
    "HNRdBACF_sma3nz_stddevNorm": 1.8,
    "mfcc2_sma3_amean": 1.5,
    "mfcc2_sma3_stddevNorm": 0.7,
}


def golden(index: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    sound = (GOLDEN["sounds"][index] / 32767).astype(np.float32)
    return sound, GOLDEN["lld"][index], GOLDEN["functionals"][index]


def hertz(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    semitones = rows[:, F0].astype(float)
    return np.where(semitones > 0, 27.5 * 2 ** (semitones / 12), 0.0)


@pytest.mark.parametrize("index", [0, 1])
def test_descriptors_are_openSMILEs(index: int) -> None:
    sound, theirs, _ = golden(index)
    ours = egemaps.lld(sound)
    assert ours.shape == theirs.shape
    voiced = (ours[:, F0] > 0) & (theirs[:, F0] > 0)
    assert ((ours[:, F0] > 0) == (theirs[:, F0] > 0)).mean() > 0.98
    for name, column in LLD_INDEX.items():
        rows = voiced if column >= F0 else slice(None)
        r = np.corrcoef(ours[rows, column], theirs[rows, column])[0, 1]
        least = 0.65 if name.startswith("HNR") else 0.9
        assert r > least, f"{name}: r {r:.3f}"


@pytest.mark.parametrize("index", [0, 1])
def test_functionals_are_openSMILEs(index: int) -> None:
    sound, _, theirs = golden(index)
    ours = egemaps.extract(sound)
    for name, column in FUNCTIONAL_INDEX.items():
        near = WIDER.get(name, NEAR)
        assert ours[column] == pytest.approx(theirs[column], rel=near, abs=2e-3), name


@pytest.mark.parametrize("f0", [60, 80, 120, 180, 250, 360, 500])
def test_pitch_of_tones(f0: int) -> None:
    t = np.arange(16000) / 16000
    tone = sum(0.1 * np.sin(2 * np.pi * f0 * n * t) / n for n in range(1, 8))
    pure = 0.3 * np.sin(2 * np.pi * f0 * t)
    for sound in (tone, pure):
        found = hertz(egemaps.lld(sound.astype(np.float32)))[5:-5]
        np.testing.assert_allclose(found, f0, rtol=0.01)


def vowel(formants: tuple[int, int, int], f0: float) -> NDArray[np.float32]:
    """Half a second of pulses through a glottal slope and five resonators."""
    sound = np.diff(np.floor(np.arange(8001) * f0 / 16000))
    for centre, width in (*zip(formants, (60, 90, 150), strict=True), (3500, 200), (4500, 250), (0, 260)):
        radius = np.exp(-np.pi * width / 16000)
        a, b = 2 * radius * np.cos(2 * np.pi * centre / 16000), -(radius**2)
        if not centre:  # the glottis: one real pole
            a, b = radius, 0.0
        y1 = y2 = 0.0
        for i, x in enumerate(sound.tolist()):
            y1, y2 = x + a * y1 + b * y2, y1
            sound[i] = y1
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


@pytest.mark.parametrize("f0", [100, 120])
@pytest.mark.parametrize(
    "formants", [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)]
)
def test_the_vocal_tract_of_vowels(formants: tuple[int, int, int], f0: int) -> None:
    frequencies, bandwidths = egemaps.vocal_tract(vowel(formants, f0))
    assert frequencies.shape == bandwidths.shape == (49, 3)
    np.testing.assert_allclose(np.median(frequencies[10:-5], axis=0), formants, rtol=0.1)
    assert (np.median(bandwidths[10:-5], axis=0) < 400).all()


def test_silence_has_no_formants() -> None:
    assert not egemaps.vocal_tract(np.zeros(1600, np.float32))[0].any()
    assert egemaps.vocal_tract(np.zeros(100, np.float32))[0].shape == (0, 3)


def test_silence_has_no_voice_and_no_level() -> None:
    rows = egemaps.lld(np.zeros(16000, np.float32))
    assert not rows[:, LLD_INDEX["Loudness_sma3"]].any()
    assert not rows[:, F0 : F0 + 4].any()
    assert not rows[:, LLD_INDEX["alphaRatio_sma3"]].any()


def test_twice_as_loud_is_six_decibels() -> None:
    sound, _, _ = golden(0)
    level = FUNCTIONAL_INDEX["equivalentSoundLevel_dBp"]
    change = egemaps.extract(sound)[level] - egemaps.extract(sound / 2)[level]
    assert change == pytest.approx(20 * np.log10(2), abs=1e-3)


def test_functionals_of_nothing_and_of_one_frame() -> None:
    assert not egemaps.functionals(np.zeros((0, 36), np.float32)).any()
    one = egemaps.contours(golden(0)[0][4800:5760])
    assert len(one) == 1
    assert np.isfinite(egemaps.functionals(one)).all()
