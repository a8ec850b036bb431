"""An audience: all who are told the same of the same rows. Plain state and decisions; no query, no socket."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from core.bindings.actions import CREATE, DELETE, UPDATE
from core.changes import Change

_Socket = TypeVar("_Socket", bound=Hashable)


class Subscription(NamedTuple):
    """What a client wants to hear: an event, of one row or (``pk`` None) of any."""

    action: str
    pk: Any = None


@dataclass(slots=True)
class Touched:
    """What a commit did to the rows of one model. ``unknown`` are the kinds of changes whose rows nobody knows."""

    pks: set[Any] = field(default_factory=set)
    created: set[Any] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.pks or self.unknown)

    def merged(self, later: "Touched", most: int) -> "Touched":
        """Return this and a later commit as one. Of more than ``most`` rows it is not said which they are."""
        made = Touched(self.pks | later.pks, self.created | later.created, self.unknown | later.unknown)
        return made if len(made.pks) <= most else Touched(unknown={"created", "updated", "deleted"})

    def add(self, change: Change, *, same_keys: bool = True) -> None:
        """Add one change. Without ``same_keys`` its keys are those of another table, and say nothing here."""
        if change.pks is None or not same_keys:
            self.unknown.add(change.kind)
            return
        self.pks.update(change.pks)
        if change.kind == "created":
            self.created.update(change.pks)


class Told(NamedTuple):
    """One event to be told."""

    action: str
    pk: Any
    shown: Any  # what clients call the row


@dataclass(slots=True)
class Audience(Generic[_Socket]):
    """The subscriptions of one kind of caller to one stream under one filter.

    ``seen`` are the rows that it has in sight, by key, with what clients call each. ``whole`` tells that those are all
    there are; if there are too many to remember, it holds those that an event has named. ``most`` is how many it
    may hold; ``outgrown`` tells that those were all, until they became too many. ``digests`` are of rows as last told.
    """

    detail: bool
    most: int
    seen: dict[Any, Any] = field(default_factory=dict)
    whole: bool = False
    digests: dict[Any, int] = field(default_factory=dict)
    outgrown: bool = False
    _sockets: dict[Any, dict[str, set[_Socket]]] = field(default_factory=dict)  # by row and event
    _subscriptions: dict[_Socket, set[Subscription]] = field(default_factory=dict)

    @property
    def tracked(self) -> bool:
        """Whether everything that goes out of sight will be told."""
        return self.detail or self.whole

    def __bool__(self) -> bool:
        return bool(self._sockets)

    def add(self, socket: _Socket, subscription: Subscription) -> None:
        """Add a subscription; one that is there already stays."""
        self._sockets.setdefault(subscription.pk, {}).setdefault(subscription.action, set()).add(socket)
        self._subscriptions.setdefault(socket, set()).add(subscription)

    def remove(self, socket: _Socket, subscription: Subscription) -> None:
        """Remove a subscription, if it is there."""
        if subscription not in self._subscriptions.get(socket, ()):
            return
        _discard(self._subscriptions, socket, subscription)
        events = self._sockets[subscription.pk]
        _discard(events, subscription.action, socket)
        if not events:
            del self._sockets[subscription.pk]
            if self.detail:
                self.forget(subscription.pk)

    def subscriptions(self, socket: _Socket) -> list[Subscription]:
        """Return what ``socket`` has subscribed to."""
        return list(self._subscriptions.get(socket, ()))

    def sockets(self) -> set[_Socket]:
        """Return all who have subscribed to anything here."""
        return set(self._subscriptions)

    def receivers(self, told: Told) -> set[_Socket]:
        """Return the sockets that an event goes to."""
        return self._sockets.get(told.pk if self.detail else None, {}).get(told.action, set())

    def concerned(self, pks: Iterable[Any]) -> list[Any]:
        """Return those of ``pks`` that somebody here may want to hear of."""
        if not self.detail:
            return list(pks)
        return [pk for pk in pks if pk in self._sockets]

    def everyone(self) -> set[Any]:
        """Return the keys of all rows that single subscriptions are about."""
        return {pk for pk in self._sockets if pk is not None}

    def see(self, pk: Any, shown: Any) -> None:
        """Remember that a row is in sight."""
        self.seen[pk] = shown
        if len(self.seen) > self.most and not self.detail:
            self.outgrow()
            self.forget(next(iter(self.seen)))

    def outgrow(self) -> None:
        """Take in that there are more rows in sight than can be remembered."""
        self.outgrown = self.outgrown or self.whole
        self.whole = False

    def forget(self, pk: Any) -> None:
        """Forget a row that is out of sight."""
        self.digests.pop(pk, None)
        self.seen.pop(pk, None)

    def judge(self, pks: Collection[Any], visible: Mapping[Any, Any], created: set[Any]) -> Iterator[Told]:
        """Yield what is to be told of ``pks``, of which those in ``visible`` are in sight now.

        What was in sight before decides what an event is: so the last one told of a row is always true, in whatever
        order commits of several processes are heard of. A row that clients call something else now is to them one that
        has gone and one that has come. A single row is never a new one: when it is back, it has changed.
        """
        gone = [pk for pk in pks if pk in self.seen and (pk not in visible or visible[pk] != self.seen[pk])]
        for pk in gone:  # before all others: two rows may have changed names
            yield Told(DELETE, pk, self.seen[pk])
        for pk in pks:
            if pk in visible:
                yield Told(CREATE if self._is_new(pk, visible[pk], created) else UPDATE, pk, visible[pk])

    def _is_new(self, pk: Any, shown: Any, created: set[Any]) -> bool:
        if self.detail:
            return False
        if pk in self.seen:
            return bool(self.seen[pk] != shown)
        return self.whole or pk in created  # where not everything is remembered, what is unknown is not always new

    def remember(self, told: Told, digest: int | None) -> None:
        """Take in an event. ``digest`` is of the row as it was told; None if nobody was told."""
        if told.action == DELETE:
            self.forget(told.pk)
            return
        self.see(told.pk, told.shown)
        if digest is None:
            self.digests.pop(told.pk, None)
        else:
            self.digests[told.pk] = digest


def _discard(sets: dict[Any, set[Any]], key: Any, value: Any) -> None:
    """Remove ``value`` from the set at ``key``, and the set with its last value."""
    sets[key].discard(value)
    if not sets[key]:
        del sets[key]
