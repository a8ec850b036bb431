"""What sockets have missed, as the database tells it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from core.conf import core_settings
from core.models import Observer, Subscription
from core.reactive import store
from core.reactive.protocol import notice
from core.reactive.registry import Line


@dataclass(frozen=True, slots=True)
class Letter:
    """One thing that a socket is behind with: the differences up to ``seq``, or a message that ends them."""

    observer: str
    user: str | None = None  # who subscribed
    begun: int | None = None  # the answer that the client was given
    differences: Sequence[tuple[int, list[str]]] = ()
    end: str | None = None

    def deliver(self, line: Line) -> None:
        """Send it, unless it is for somebody else or has come another way meanwhile."""
        if not line.admits(self.user):
            return
        line.begin(self.observer, self.begun)
        for seq, messages in self.differences:
            line.send(self.observer, seq, messages)
        if self.end is not None:
            line.end(self.observer, self.end)


class State(NamedTuple):
    """A subscription: who made it, the answer that was given, the last one's number, and what ended it, if anything."""

    user: str | None
    given: int
    seq: int
    end: str


def missed(sent: Sequence[tuple[str, Mapping[str, int]]]) -> list[list[Letter]]:
    """Return for each socket, given as its subscriber and what it was sent, what it is behind with."""
    states = _states({subscriber for subscriber, _ in sent})
    differences = cache(store.differences)
    return [_letters(states.get(subscriber, {}), known, differences) for subscriber, known in sent]


_READ = ("subscriber_id", "caller", "seq", "ended", "observer__seq", "observer__status", "observer__detail")


def _states(subscribers: set[str]) -> dict[str, dict[str, State]]:
    found: dict[str, dict[str, State]] = {}
    for block in store.blocks(subscribers):
        rows = Subscription.objects.filter(subscriber__in=block, seq__isnull=False, observer__seq__isnull=False)
        for row in rows.select_related("observer").only(*_READ):
            end = row.ended
            if not end and row.observer.status == Observer.SUSPENDED:
                end = notice("suspended", row.observer_id, detail=row.observer.detail)
            given = row.seq or 0
            found.setdefault(row.subscriber_id, {})[row.observer_id] = State(
                row.caller["user_pk"], given, row.observer.seq, end
            )
    return found


def _letters(
    states: Mapping[str, State],
    known: Mapping[str, int],
    differences: Callable[[str, int, int], list[tuple[int, list[str]]] | None],
) -> list[Letter]:
    letters = [Letter(observer, end=notice("reload", observer)) for observer in known if observer not in states]
    # More at once would close a socket that is read well, again and again; then asking anew is less as well.
    room = core_settings.SOCKETS.MAX_OUTGOING // 2
    for observer, state in states.items():
        at = max(state.given, known.get(observer, state.given))
        if state.end:
            letters.append(Letter(observer, state.user, end=state.end))
        elif at == state.seq:
            letters.append(Letter(observer, state.user, begun=at))
        elif (found := differences(observer, at, state.seq)) is not None and (size := _size(found)) <= room:
            room -= size
            letters.append(Letter(observer, state.user, begun=at, differences=found))
        else:
            letters.append(Letter(observer, state.user, end=notice("reload", observer)))
    return letters


def _size(differences: Sequence[tuple[int, list[str]]]) -> int:
    """Return how many bytes the messages are."""
    return sum(len(text.encode(errors="replace")) for _, messages in differences for text in messages)
