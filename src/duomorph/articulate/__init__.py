"""The articulator: phones in, face curves out.

One promise: given the same phones and sound it gives the same curves, for any language whose phones are known.

    said = spoken([(0.0, 0.1, "m"), (0.1, 0.4, "ɑː")], "ipa", duration_s=0.5)
    weights = curves(said, loudness(samples), times, shipped())       # (n, 52)
"""

from duomorph.articulate.model import AHEAD_S, DRIVEN, Fit, curves, loudness, peak_db, shipped
from duomorph.articulate.phones import SETS, Spoken, arpabet, features, spoken

__all__ = [
    "AHEAD_S", "DRIVEN", "SETS", "Fit", "Spoken", "arpabet", "curves", "features", "loudness", "peak_db", "shipped",
    "spoken",
]  # fmt: skip
