"""What has changed between two answers to the same question. Pure.

Of the old answer only the keys in order and a digest of each item are remembered.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rest_framework.utils.encoders import JSONEncoder

ADDED: Final = "added"
CHANGED: Final = "changed"
REMOVED: Final = "removed"
DIGEST_SIZE: Final = 12
"""Bytes of a digest: two items of one key that differ are told apart but for one case in 2**96."""


class ItemError(ValueError):
    """The items of an answer cannot be told apart: one has no key, or two have the same."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an answer: its key and itself as JSON, and the digest of that."""

    key: str
    text: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is remembered of an answer: the keys in order, as JSON, and the digests of the items."""

    keys: tuple[str, ...]
    digests: tuple[bytes, ...]

    @classmethod
    def of(cls, items: Sequence[Item]) -> "Snapshot":
        """Return what is to be remembered of ``items``."""
        return cls(tuple(item.key for item in items), tuple(item.digest for item in items))

    @classmethod
    def read(cls, keys: str, digests: bytes) -> "Snapshot":
        """Return what ``written`` has written."""
        raw = bytes(digests)
        parts = tuple(raw[at : at + DIGEST_SIZE] for at in range(0, len(raw), DIGEST_SIZE))
        return cls(tuple(map(as_json, json.loads(keys))), parts)

    def written(self) -> tuple[str, bytes]:
        """Return the keys as a JSON list and the digests in one."""
        return f"[{','.join(self.keys)}]", b"".join(self.digests)


@dataclass(frozen=True, slots=True)
class Step:
    """One step from the old answer to the new one; ``text`` is the item as JSON, None where it is gone."""

    msg: str
    order: int
    key: str
    text: str | None


def as_json(value: Any) -> str:
    """Return ``value`` as the JSON that Django REST framework would send.

    Raises ``ValueError`` for what JSON has no word for, such as NaN.
    """
    return json.dumps(value, cls=JSONEncoder, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def make_items(data: Iterable[Any], primary_key: str) -> list[Item]:
    """Return the items of an answer. Raises ``ItemError`` where keys are missing or come twice."""
    items = [_item(each, primary_key) for each in data]
    seen: set[str] = set()
    for item in items:
        if item.key in seen:
            raise ItemError(f"Two items have the key {item.key}: make the queryset distinct, or name another key.")
        seen.add(item.key)
    return items


def _item(data: Any, primary_key: str) -> Item:
    try:
        key = data[primary_key]
    except (KeyError, TypeError, IndexError):
        raise ItemError(
            f"An item has no {primary_key!r}: add it to the serializer, or name the key with "
            f'@observable(primary_key="...").'
        ) from None
    text = as_json(data)
    return Item(as_json(key), text, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest())


def difference(old: Snapshot, items: Sequence[Item]) -> list[Step]:
    """Return the steps that make the answer ``old`` the answer ``items``; none if they are the same.

    Applied one after the other they are right: removing, or removing and putting in at ``order``. Few as they are,
    each item is named once, but for rare shuffles.
    """
    now = {item.key: place for place, item in enumerate(items)}
    removed = [Step(REMOVED, place, key, None) for place, key in enumerate(old.keys) if key not in now]
    digests = dict(zip(old.keys, old.digests, strict=True))
    kept = [key for key in old.keys if key in now]
    same = [key for key in kept if items[now[key]].digest == digests[key]]
    still = {same[place] for place in _longest_rising([now[key] for key in same])}
    named = [place for place, item in enumerate(items) if item.key not in still]
    was = {key: place for place, key in enumerate(kept)}
    return [*removed, *_ordered(kept, items, named, was)]


def _ordered(kept: list[str], items: Sequence[Item], named: list[int], was: dict[str, int]) -> list[Step]:
    """Return the steps for the places ``named``, in an order in which each can be taken by itself."""
    target = [item.key for item in items]

    def steps(places: Iterable[int]) -> list[Step]:
        return [_step(items[place], place, was) for place in places]

    falling = [place for place in named if was.get(target[place], place) < place]
    rising = [place for place in named if was.get(target[place], place) >= place]
    for places in (named, [*reversed(falling), *rising], [*rising, *falling], list(reversed(named))):
        if _applied(kept, target, places) == target:
            return steps(places)
    return steps(_one_by_one(kept, target, set(named)))


def _step(item: Item, place: int, was: dict[str, int]) -> Step:
    return Step(CHANGED if item.key in was else ADDED, place, item.key, item.text)


def _applied(kept: list[str], target: list[str], places: Iterable[int]) -> list[str]:
    """Do what a client does."""
    state, present = list(kept), set(kept)
    for place in places:
        key = target[place]
        if key in present:
            state.remove(key)
        present.add(key)
        state.insert(place, key)
    return state


def _one_by_one(kept: list[str], target: list[str], named: set[int]) -> Iterator[int]:
    """Put the right key into each place, from the first on: always right, and seldom the fewest steps."""
    state, present = list(kept), set(kept)
    for place, key in enumerate(target):
        if place < len(state) and state[place] == key and place not in named:
            continue
        if key in present:
            state.remove(key)
        present.add(key)
        state.insert(place, key)
        yield place


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """Return the places of a longest rising subsequence of ``numbers``, all different, in order."""
    tails: list[int] = []
    ends: list[int] = []  # places of the tails
    before: list[int | None] = []
    for place, number in enumerate(numbers):
        at = bisect_left(tails, number)
        before.append(ends[at - 1] if at else None)
        if at == len(tails):
            tails.append(number)
            ends.append(place)
        else:
            tails[at], ends[at] = number, place
    found: list[int] = []
    here = ends[-1] if ends else None
    while here is not None:
        found.append(here)
        here = before[here]
    return found[::-1]
