"""Which clips of a data set are held out for testing.

One promise: the same seed holds out the same speakers or sounds, and goes on doing so when clips are added; two clips
that share a sound are never on different sides.

    split = draw("mydata", by="speaker", share=0.1, seed=0)
    save("mydata", split)
    held_out("mydata")             # frozenset of ids
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from duomorph import files
from duomorph.dataset import manifest
from duomorph.errors import CorpusError, SettingError

NAME: Final = "split.json"
KEYS: Final = {"speaker": "speaker", "clip": "audio"}  # what of an entry decides


@dataclass(frozen=True)
class Split:
    """How a data set is divided.

    Attributes:
        by: "speaker", "clip" or "list". share, seed: what was asked for; None where a list decides.
        test: ids of the clips held out, sorted.
    """

    by: str
    share: float | None
    seed: int | None
    test: tuple[str, ...]


def draw(folder: str | Path, by: str, share: float = 0.1, seed: int = 0) -> Split:
    """Hold out about a share of the speakers, or of the sounds, and at least one.

    A speaker or sound is held out if the SHA-256 of seed and name, as a fraction, is under the share: nothing depends
    on the others, but that speakers who share a sound are taken as one, by the first of their names.

    Args:
        by: "speaker" or "clip".
    Raises:
        CorpusError: no data set, or one with a single speaker or sound. SettingError: a share that is none.
    """
    if by not in KEYS:
        raise SettingError(f"cannot split by {by!r:.40}: expected speaker, clip or list")
    if not 0 < share < 1:
        raise SettingError(f"got a test share of {share}: expected more than 0 and less than 1; try 0.1")
    clips = [(entry.id, str(getattr(entry, KEYS[by])), entry.audio) for entry in manifest.read(folder)]
    keys = _apart(clips)
    order = sorted(set(keys.values()), key=lambda key: _place(seed, key))
    if len(order) < 2:
        named = len({key for _, key, _ in clips})
        told = f"{named} {by}s{', who share their sounds' * (named > 1)}"
        raise CorpusError(f"{str(folder)!r} holds {told}: expected two at least to split by {by}; add some")
    below = sum(_place(seed, key) < share for key in order)
    held = set(order[: min(max(below, 1), len(order) - 1)])
    return Split(by, share, seed, tuple(sorted(id for id, key in keys.items() if key in held)))


def _apart(clips: list[tuple[str, str, str]]) -> dict[str, str]:
    """Of (id, key, sound): what decides for each id, its key; of keys that have a sound in common the first by name."""
    root: dict[str, str] = {}

    def first(key: str) -> str:
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    heard: dict[str, str] = {}
    for _, key, sound in clips:
        one, other = first(key), first(heard.setdefault(sound, key))
        root[max(one, other)] = min(one, other)
    return {id: first(key) for id, key, _ in clips}


def listed(folder: str | Path, ids: Iterable[str]) -> Split:
    """Hold out the clips named.

    Raises:
        CorpusError: no data set, an id it does not hold, or a sound that would be on both sides.
    """
    wanted = set(ids)
    sounds = {entry.id: entry.audio for entry in manifest.read(folder)}
    if unknown := sorted(wanted - set(sounds)):
        raise CorpusError(f"{str(folder)!r} holds no clip {unknown[0]!r:.60}: expected ids of its manifest; mend it")
    test = {sounds[id] for id in wanted}
    if torn := sorted(id for id, sound in sounds.items() if sound in test and id not in wanted):
        raise CorpusError(f"the clip {torn[0]!r} shares its sound with a listed one: expected both or none; list both")
    return Split("list", None, None, tuple(sorted(wanted)))


def save(folder: str | Path, split: Split) -> Path:
    """Write split.json, whole or not at all; its path. Raises FormatError if it cannot be written."""
    path = Path(folder) / NAME
    files.write(path, (json.dumps(asdict(split), indent=2) + "\n").encode())
    return path


def hold_out(folder: str | Path, ids: Iterable[str]) -> None:
    """Hold out more clips, beside those that are held out already. Raises as `listed` and `save` do."""
    save(folder, listed(folder, held_out(folder).union(ids)))


def held_out(folder: str | Path) -> frozenset[str]:
    """Ids of the clips held out; none where the data set was never split.

    Raises:
        CorpusError: its split.json is damaged.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return frozenset()
    try:
        facts: Any = json.loads(path.read_bytes())
        test = facts["test"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        test = None
    if not isinstance(test, list) or not all(isinstance(id, str) for id in test):
        raise CorpusError(f"{str(path)!r} is no split: expected ids under test; split the data set again")
    return frozenset(test)


def _place(seed: int, key: str) -> float:
    """Of a key among all keys, even in [0, 1)."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
