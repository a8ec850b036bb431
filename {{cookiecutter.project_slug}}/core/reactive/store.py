"""The truth about observers: what is asked, what was answered, who evaluates, who listens. Statements, nothing else.

Two things keep observers right however many processes there are. A *lease* keeps two workers from evaluating one
observer at once; it is only thrift. What makes an answer right is that it is kept only if no other answer was kept
since its evaluation began (``finish`` compares ``seq``): ``seq`` never goes back, no old answer follows a new one.
"""

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from django.db import router, transaction
from django.db.models import Case, F, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce, Greatest, Least

from core.callers import Caller
from core.conf import core_settings
from core.models import Difference, Observer, Subscriber, Subscription
from core.reactive.differences import Item, Snapshot, difference
from core.reactive.owners import Owner
from core.reactive.protocol import difference_messages, joined
from core.reactive.question import Question
from core.release import release

LEASE: Final = 15.0
"""Seconds after which a worker that has not renewed its lease counts as dead."""
BLOCK: Final = 500
"""Keys in one statement."""
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts at most."""
REASON_LENGTH: Final = 200


class NotOwnerError(Exception):
    """The subscriber id belongs to another caller."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How an answer was kept. ``messages`` are none if nothing changed.

    ``subscribers`` are those to be told: their ids, with the ``seq`` of the answer each was given and their user.
    """

    observer: str
    seq: int
    messages: list[str] = field(default_factory=list)
    subscribers: dict[str, tuple[int | None, str | None]] = field(default_factory=dict)


def atomic() -> AbstractContextManager[None]:
    """Return a transaction on the database of the observers."""
    return transaction.atomic(using=router.db_for_write(Observer))


# --- Who listens ---


def admit(subscriber: str, owner: Owner, *, seconds: float | None = None) -> None:
    """Make sure that ``subscriber`` exists and belongs to ``owner``, and that it stays for a while.

    Raises ``NotOwnerError``.
    """
    now = time.time()
    expires_at = now + (core_settings.REACTIVE.SUBSCRIBER_TIMEOUT if seconds is None else seconds)
    while True:
        row = Subscriber.objects.filter(pk=subscriber).first()
        if row is None:
            fresh = Subscriber(pk=subscriber, session=owner.session, user=owner.user, expires_at=expires_at)
            Subscriber.objects.bulk_create([fresh], ignore_conflicts=True)
            continue
        if not owner.owns(row.session, row.user):
            raise NotOwnerError
        if Subscriber.objects.filter(pk=subscriber).update(expires_at=Greatest(F("expires_at"), expires_at)):
            return


def register(question: Question, subscriber: str, owner: Owner, caller: Caller, poll_interval: float | None) -> int:
    """Subscribe ``subscriber`` to the observer of ``question`` and return the observer's ``seq``.

    Raises ``NotOwnerError``.
    """
    with atomic():
        admit(subscriber, owner)
        seq = _observer(question, poll_interval)
        told: dict[str, Any] = {"caller": caller.as_data(), "ended": "", "ended_at": None}
        if not Subscription.objects.filter(observer=question.id, subscriber=subscriber).update(**told):
            fresh = Subscription(observer_id=question.id, subscriber_id=subscriber, **told)
            Subscription.objects.bulk_create([fresh], ignore_conflicts=True)
    return seq


def _observer(question: Question, poll_interval: float | None) -> int:
    now = time.time()
    rows = Observer.objects.filter(pk=question.id)
    # The row is locked from here on, so that nobody takes it for one without subscribers.
    if not rows.update(updated_at=now, poll_interval=poll_interval):
        # Above every number of an earlier observer of this name, unless it changed a thousand times per second.
        start = int(now * 1000)
        fresh = Observer(
            pk=question.id,
            question=question.as_data(),
            release=release(),
            seq=start,
            version=start,
            poll_interval=poll_interval,
            updated_at=now,
        )
        Observer.objects.bulk_create([fresh], ignore_conflicts=True)
    return rows.values_list("seq", flat=True).get()


def check_owner(subscriber: str, owner: Owner) -> None:
    """Raise ``NotOwnerError`` if ``subscriber`` belongs to somebody else."""
    row = Subscriber.objects.filter(pk=subscriber).first()
    if row is not None and not owner.owns(row.session, row.user):
        raise NotOwnerError


def unsubscribe(observer: str, subscriber: str) -> bool:
    """End a subscription; return whether there was one."""
    return bool(Subscription.objects.filter(observer=observer, subscriber=subscriber).delete()[0])


def callers(observer: str) -> list[Caller]:
    """Return the callers who have subscribed to ``observer``, each once."""
    active = Subscription.objects.filter(observer=observer, ended="")
    rows = active.order_by("pk").values_list("caller", flat=True)
    return list(dict.fromkeys(map(Caller.from_data, rows)))


# --- What is due ---


def mark(reasons: Mapping[str, str]) -> None:
    """Have the observers that are the keys of ``reasons`` evaluated as soon as the throttle lets them."""
    by_reason: dict[str, list[str]] = {}
    for observer, reason in reasons.items():
        by_reason.setdefault(reason[:REASON_LENGTH], []).append(observer)
    for reason, observers in by_reason.items():
        for block in blocks(observers):
            _mark(Observer.objects.filter(pk__in=block), reason)


def mark_all(reason: str) -> None:
    """Have every observer evaluated."""
    _mark(Observer.objects.all(), reason)


def _mark(observers: QuerySet[Observer], reason: str) -> None:
    due = Greatest(F("started_at") + core_settings.REACTIVE.THROTTLE_RATE, time.time())
    observers.filter(status=Observer.ACTIVE).update(due_at=Least(Coalesce(F("due_at"), due), due), reason=reason)


def _claimable(now: float) -> Q:
    return Q(due_at__lte=now, lease_until=None) | Q(lease_until__lt=now)


def claim(limit: int, code: str) -> list[Observer]:
    """Take at most ``limit`` of the observers of the release ``code`` that are due, for this worker alone."""
    now = time.time()
    due = Observer.objects.filter(_claimable(now), status=Observer.ACTIVE, release=code).order_by("due_at")[:limit]
    taken = []
    for row in due:
        row.lease = uuid.uuid4().hex
        took = {"lease": row.lease, "lease_until": now + LEASE, "due_at": None, "started_at": now}
        if Observer.objects.filter(_claimable(now), pk=row.pk, status=Observer.ACTIVE).update(**took):
            taken.append(row)
    return taken


def renew(leases: Iterable[str]) -> None:
    """Keep ``leases`` for a while longer."""
    if held := list(leases):
        Observer.objects.filter(lease__in=held).update(lease_until=time.time() + LEASE)


def left_alone(seconds: float, code: str) -> list[str]:
    """Return the observers of other releases than ``code`` that nobody has evaluated for ``seconds``, though due.

    Those that were due first come first.
    """
    waiting = _of_others(code).filter(_claimable(time.time() - seconds))
    return list(waiting.order_by("due_at", "pk").values_list("pk", flat=True))


def others_asked(code: str) -> bool:
    """Tell whether observers of other releases than ``code`` are live."""
    return _of_others(code).exists()


def _of_others(code: str) -> QuerySet[Observer]:
    return Observer.objects.filter(status=Observer.ACTIVE).exclude(release=code)


def next_due(code: str) -> float | None:
    """Return when the next observer of the release ``code`` is due, in seconds since 1970."""
    active = Observer.objects.filter(status=Observer.ACTIVE, release=code)
    due = active.filter(lease_until=None, due_at__isnull=False).order_by("due_at").values_list("due_at", flat=True)
    return due.first()


# --- How an evaluation ended ---


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an answer besides its items."""

    primary_key: str
    profile: Any
    tables: Sequence[str]
    covered: Mapping[str, Any]
    seconds: float


def finish(  # noqa: PLR0913 - what an evaluation ends with
    observer: str, items: Sequence[Item], kept: Kept, *, seq: int, lease: str = "", subscriber: str | None = None
) -> Finished | None:
    """Keep an answer, unless another one was kept since ``seq`` was read; then return None: ask again.

    An answer that says the same as the one that is kept is always welcome. ``lease`` is given back. ``subscriber`` is
    who will be given the answer itself. Raises ``Observer.DoesNotExist`` if nobody wants it any more.
    """
    with atomic():
        row = Observer.objects.select_for_update().get(pk=observer)
        old = None if row.keys is None else Snapshot.read(row.keys, bytes(row.digests))
        new = Snapshot.of(items)
        finished = Finished(observer, row.seq)
        if old != new or row.primary_key != kept.primary_key:
            if row.seq != seq:
                _give_back(row, lease)
                return None
            finished = _changed(row, old, items, new, kept)
        _keep(row, kept, lease)
        if subscriber is not None:
            Subscription.objects.filter(observer=observer, subscriber=subscriber).update(seq=finished.seq)
    return finished


def _changed(row: Observer, old: Snapshot | None, items: Sequence[Item], new: Snapshot, kept: Kept) -> Finished:
    row.seq += 1
    row.keys, row.digests = new.written()
    finished = Finished(row.pk, row.seq)
    if old is None:
        return finished
    steps = difference(old, items)
    finished.messages.extend(difference_messages(row.pk, kept.primary_key, row.seq, steps))
    if not finished.messages:  # nothing but the name of the key differs
        return finished
    Difference.objects.bulk_create(
        [Difference(observer=row, seq=row.seq, messages=joined(finished.messages), created_at=time.time())]
    )
    active = Subscription.objects.filter(observer=row.pk, ended="")
    for subscriber, given, caller in active.values_list("subscriber_id", "seq", "caller"):
        finished.subscribers[subscriber] = (given, caller["user_pk"])
    return finished


def _keep(row: Observer, kept: Kept, lease: str) -> None:
    row.primary_key, row.profile, row.tables, row.covered = (
        kept.primary_key,
        kept.profile,
        list(kept.tables),
        dict(kept.covered),
    )
    row.version += 1
    row.evaluations += 1
    row.failures, row.detail, row.duration = 0, "", kept.seconds
    row.status = Observer.ACTIVE
    row.updated_at = time.time()
    if row.poll_interval is not None and row.due_at is None:
        row.due_at, row.reason = row.updated_at + row.poll_interval, "poll interval"
    if lease and row.lease == lease:
        row.lease, row.lease_until = "", None
    row.save()


def _give_back(row: Observer, lease: str) -> None:
    if lease and row.lease == lease:
        Observer.objects.filter(pk=row.pk).update(lease="", lease_until=None, due_at=time.time())


def fail(observer: Observer, detail: str) -> float:
    """Take note that an evaluation failed, and have it tried again after a pause; return its seconds."""
    pause = min(2.0**observer.failures, LONGEST_PAUSE)
    Observer.objects.filter(pk=observer.pk, lease=observer.lease).update(
        lease="", lease_until=None, failures=F("failures") + 1, detail=detail[:1000], due_at=time.time() + pause,
        reason="tried again",
    )  # fmt: skip
    return pause


def suspend(observer: str, detail: str) -> dict[str, str | None]:
    """Evaluate ``observer`` no more until somebody asks anew; return its subscribers with their users."""
    gone = {"status": Observer.SUSPENDED, "detail": detail, "lease": "", "lease_until": None, "due_at": None}
    Observer.objects.filter(pk=observer).update(**gone)
    active = Subscription.objects.filter(observer=observer, ended="")
    return {subscriber: caller["user_pk"] for subscriber, caller in active.values_list("subscriber_id", "caller")}


def revoke(observer: str, message: str, caller: Caller) -> dict[str, str | None]:
    """End the subscriptions of ``caller`` to ``observer`` by ``message``; return who had them, with their users."""
    with atomic():
        _lock([observer])
        active = Subscription.objects.filter(observer=observer, ended="")
        told = active.values_list("pk", "subscriber_id", "caller")
        gone = {pk: subscriber for pk, subscriber, asked in told if Caller.from_data(asked) == caller}
        for block in blocks(gone):
            Subscription.objects.filter(pk__in=block).update(ended=message, ended_at=time.time())
    return dict.fromkeys(gone.values(), caller.user_pk)


def revoke_all(messages: Mapping[str, str], *, skip_locked: bool = False) -> dict[str, dict[str, str | None]]:
    """End all subscriptions to each of the observers ``messages``, at most ``BLOCK``, by the message given for it.

    Returns for each who had them, with their users. Costs the same statements for one and for many. With
    ``skip_locked`` those that somebody else is writing at this moment are passed over: whoever holds several rows and
    waits for more could wait for ever.
    """
    with atomic():
        told: dict[str, dict[str, str | None]] = {pk: {} for pk in _lock(messages, skip_locked=skip_locked)}
        active = Subscription.objects.filter(observer__in=told, ended="")
        for observer, subscriber, caller in active.values_list("observer_id", "subscriber_id", "caller"):
            told[observer][subscriber] = caller["user_pk"]
        texts = (When(observer=pk, then=Value(messages[pk], output_field=TextField())) for pk in told)
        if any(told.values()):
            active.update(ended=Case(*texts), ended_at=time.time())
        gone = {"status": Observer.REVOKED, "lease": "", "lease_until": None, "due_at": None}
        Observer.objects.filter(pk__in=told).update(**gone)
    return told


def _lock(observers: Iterable[str], *, skip_locked: bool = False) -> list[str]:
    """Lock the rows of ``observers`` to the end of the transaction, and return which there are.

    ``register`` locks the row as well. So whoever subscribes has done so before, and is seen, or begins afterwards.
    """
    rows = Observer.objects.select_for_update(skip_locked=skip_locked).filter(pk__in=list(observers))
    return list(rows.values_list("pk", flat=True))


# --- What was told ---


def differences(observer: str, after: int, upto: int) -> list[tuple[int, list[str]]] | None:
    """Return the differences of ``observer`` above ``after``, up to ``upto``, by number; None if any is gone."""
    rows = Difference.objects.filter(observer=observer, seq__gt=after, seq__lte=upto).order_by("seq")
    found = [(seq, list(map(_as_text, json.loads(text)))) for seq, text in rows.values_list("seq", "messages")]
    # Counted, not listed: `after` is a client's word.
    return found if len(found) == max(upto - after, 0) else None


def _as_text(message: object) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def blocks(keys: Iterable[Any], size: int = BLOCK) -> Iterable[list[Any]]:
    """Yield ``keys`` in blocks that fit into a statement."""
    remaining = iter(keys)
    while block := list(islice(remaining, size)):
        yield block
