"""A whole game's dialogue: thousands of sounds to curves, overnight, and again after every re-record.

One promise: whatever stops it, full disks and kill -9 too, what the ledger calls done is there whole, and
`keep="times"` does the rest and nothing twice.

    lines = listed(["voices/"])
    with Ledger("curves/duomorph.sqlite") as ledger:
        outcome = run(lines, Work("curves/"), ledger, Local(2), duomorph.load(), keep="times")

Told from the top: `sources` finds the lines, `ledger` knows what is done, `engines` and `cluster` hand lines to workers
and no more than they can take, `work` does one line, `report` looks at all of them, `places` knows folders and URLs;
`overnight` is the loop over them.
"""

from duomorph.dialogue.cluster import Ray
from duomorph.dialogue.engines import Here, Local
from duomorph.dialogue.ledger import Ledger
from duomorph.dialogue.overnight import Outcome, run
from duomorph.dialogue.sources import Line, Own, listed
from duomorph.dialogue.work import Work

__all__ = ["Here", "Ledger", "Line", "Local", "Outcome", "Own", "Ray", "Work", "listed", "run"]
