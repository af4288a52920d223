"""eGeMAPSv02 without openSMILE: 25 low-level descriptors and 88 functionals of the voice, streaming and batch.

One promise: names and order are openSMILE's, the stream gives the same rows as the batch, and nothing is NaN.

    import duomorph.egemaps as egemaps

    row = egemaps.extract(audio)                        # (88,) of a whole utterance, 16 kHz float32
    table = dict(zip(egemaps.FUNCTIONAL_NAMES, row))
    rows = egemaps.lld(audio)                           # (T, 25), 100 rows a second

What each number means, where its formula comes from and how near it is to openSMILE's: docs/egemaps.md.
"""

from typing import Final

from duomorph.egemaps.functionals import functionals
from duomorph.egemaps.names import FUNCTIONAL_NAMES, LLD_NAMES
from duomorph.egemaps.stream import FunctionalTrack, LldStream, contours, extract, lld, vocal_tract

VERSION: Final = 2  # raised when a value changes: networks are trained on them

__all__ = [
    "FUNCTIONAL_NAMES",
    "LLD_NAMES",
    "VERSION",
    "FunctionalTrack",
    "LldStream",
    "contours",
    "extract",
    "functionals",
    "lld",
    "vocal_tract",
]
