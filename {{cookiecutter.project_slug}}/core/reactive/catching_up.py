"""What sockets have missed, as the database tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.models import Observer, Subscription
from core.reactive import store
from core.reactive.protocol import notice
from core.reactive.registry import Line


@dataclass(frozen=True, slots=True)
class Letter:
    """One thing that a socket is behind with: the differences up to ``seq``, or a message that ends them."""

    observer: str
    begun: int | None = None  # the answer that the client was given
    differences: Sequence[tuple[int, list[str]]] = ()
    end: str | None = None

    def deliver(self, line: Line) -> None:
        """Send it, unless it has come another way meanwhile."""
        line.begin(self.observer, self.begun)
        for seq, messages in self.differences:
            line.send(self.observer, seq, messages)
        if self.end is not None:
            line.end(self.observer, self.end)


def missed(sent: Sequence[tuple[str, Mapping[str, int]]]) -> list[list[Letter]]:
    """Return for each socket, given as its subscriber and what it was sent, what it is behind with."""
    rows = _subscriptions({subscriber for subscriber, _ in sent})
    journals: dict[tuple[str, int, int], list[tuple[int, list[str]]] | None] = {}
    return [list(_letters(rows.get(subscriber, {}), known, journals)) for subscriber, known in sent]


def _subscriptions(subscribers: set[str]) -> dict[str, dict[str, tuple[int | None, int, str, str]]]:
    """Return by subscriber and observer: the answer given, the number of the last one, and the observer's state."""
    found: dict[str, dict[str, tuple[int | None, int, str, str]]] = {}
    for block in store.blocks(subscribers):
        rows = Subscription.objects.filter(subscriber__in=block).values_list(
            "subscriber_id", "observer_id", "seq", "observer__seq", "observer__status", "observer__detail"
        )
        for subscriber, observer, given, seq, status, detail in rows:
            if seq is not None:  # else the observer is just being removed
                found.setdefault(subscriber, {})[observer] = (given, seq, status, detail)
    return found


def _letters(
    rows: Mapping[str, tuple[int | None, int, str, str]],
    known: Mapping[str, int],
    journals: dict[tuple[str, int, int], list[tuple[int, list[str]]] | None],
) -> list[Letter]:
    letters = [Letter(observer, end=notice("reload", observer)) for observer in known if observer not in rows]
    for observer, (given, seq, status, detail) in rows.items():
        at = max((each for each in (given, known.get(observer)) if each is not None), default=None)
        if at is None:
            continue  # it has not been answered yet
        if at < seq:
            wanted = (observer, at, seq)
            if wanted not in journals:
                journals[wanted] = store.differences(*wanted)
            found = journals[wanted]
            if found is None:
                letters.append(Letter(observer, begun=at, end=notice("reload", observer)))
                continue
            letters.append(Letter(observer, begun=at, differences=found))
        elif observer not in known:
            letters.append(Letter(observer, begun=at))
        if status == Observer.SUSPENDED and observer in known:
            letters.append(Letter(observer, end=notice("suspended", observer, detail=detail)))
    return letters
