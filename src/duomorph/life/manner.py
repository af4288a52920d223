"""How lively a face is between the words: the numbers behind `calm` and `lively`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Manner:
    """One way to be alive.

    Attributes:
        blink_s: mean wait for a blink, beyond the least. pairs: share of blinks that a second one follows.
            phrase_blinks: share of ends of phrases that bring one.
        look_deg: the farthest that eyes go from where they rest.
        stay: how long eyes stay with the listener, in means of people who talk or listen.
        head: size of the head's motion; 1 is calm.
        nods: share of stresses that bring a nod.
    """

    blink_s: float
    pairs: float
    phrase_blinks: float
    look_deg: float
    stay: float
    head: float
    nods: float


CALM: Final = Manner(blink_s=3.8, pairs=0.08, phrase_blinks=0.3, look_deg=10.0, stay=1.3, head=1.0, nods=0.25)
LIVELY: Final = Manner(blink_s=3.2, pairs=0.12, phrase_blinks=0.2, look_deg=14.0, stay=0.8, head=1.7, nods=0.4)
