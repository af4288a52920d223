"""The names of eGeMAPSv02, once.

One promise: exactly the names and the order that openSMILE 2.6 gives for `eGeMAPSv02`, so tables made by either
can be compared column by column.

    row[FUNCTIONAL_INDEX["loudness_sma3_amean"]]

Source: Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research and
Affective Computing", IEEE Trans. Affective Computing 7(2), and the public eGeMAPSv02 configuration.
"""

from __future__ import annotations

from typing import Final

LLD_NAMES: Final[tuple[str, ...]] = (
    "Loudness_sma3", "alphaRatio_sma3", "hammarbergIndex_sma3", "slope0-500_sma3", "slope500-1500_sma3",
    "spectralFlux_sma3", "mfcc1_sma3", "mfcc2_sma3", "mfcc3_sma3", "mfcc4_sma3",
    "F0semitoneFrom27.5Hz_sma3nz", "jitterLocal_sma3nz", "shimmerLocaldB_sma3nz", "HNRdBACF_sma3nz",
    "logRelF0-H1-H2_sma3nz", "logRelF0-H1-A3_sma3nz",
    "F1frequency_sma3nz", "F1bandwidth_sma3nz", "F1amplitudeLogRelF0_sma3nz",
    "F2frequency_sma3nz", "F2bandwidth_sma3nz", "F2amplitudeLogRelF0_sma3nz",
    "F3frequency_sma3nz", "F3bandwidth_sma3nz", "F3amplitudeLogRelF0_sma3nz",
)  # fmt: skip

_PROFILE: Final = (
    "amean", "stddevNorm", "percentile20.0", "percentile50.0", "percentile80.0", "pctlrange0-2",
    "meanRisingSlope", "stddevRisingSlope", "meanFallingSlope", "stddevFallingSlope",
)  # fmt: skip
ALL_FRAMES: Final = ("spectralFlux", "mfcc1", "mfcc2", "mfcc3", "mfcc4")
VOICED_FRAMES: Final = tuple(name.removesuffix("_sma3nz") for name in LLD_NAMES[11:])
SPECTRAL: Final = (
    "alphaRatio", "hammarbergIndex", "slope0-500", "slope500-1500", "spectralFlux",
    "mfcc1", "mfcc2", "mfcc3", "mfcc4",
)  # fmt: skip


def _split(name: str, kind: str) -> str:
    """`slope0-500` of voiced frames is called `slopeV0-500`; every other name takes its letter at the end."""
    return name.replace("slope", f"slope{kind}") if name.startswith("slope") else name + kind


FUNCTIONAL_NAMES: Final[tuple[str, ...]] = (
    *(f"F0semitoneFrom27.5Hz_sma3nz_{statistic}" for statistic in _PROFILE),
    *(f"loudness_sma3_{statistic}" for statistic in _PROFILE),
    *(f"{name}_sma3_{statistic}" for name in ALL_FRAMES for statistic in _PROFILE[:2]),
    *(f"{name}_sma3nz_{statistic}" for name in VOICED_FRAMES for statistic in _PROFILE[:2]),
    *(f"{_split(name, 'V')}_sma3nz_{statistic}" for name in SPECTRAL for statistic in _PROFILE[:2]),
    *(f"{_split(name, 'UV')}_sma3nz_amean" for name in SPECTRAL[:5]),
    "loudnessPeaksPerSec",
    "VoicedSegmentsPerSec",
    "MeanVoicedSegmentLengthSec",
    "StddevVoicedSegmentLengthSec",
    "MeanUnvoicedSegmentLength",
    "StddevUnvoicedSegmentLength",
    "equivalentSoundLevel_dBp",
)

LLD_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(LLD_NAMES)}
FUNCTIONAL_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(FUNCTIONAL_NAMES)}
