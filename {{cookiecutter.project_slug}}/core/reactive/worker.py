"""The worker: finds out which observers a commit concerns, and evaluates them.

Any number of workers may be there, in any process; each hears of every commit by reading the log. What one of them has
marked as due lies in the database, where whoever is free takes it. So nothing depends on a message or on a process:

- A worker remembers the entries of the last ``MEMORY`` seconds. Whenever somebody has kept a new answer of an observer,
  the entries that this answer does not cover are matched with it again: none can slip through between an evaluation
  that began too early and a match with what is known no longer.
- A new worker begins to read ``MEMORY`` seconds before the place that the bookmark names.
- A dead worker's leases run out, and what it had taken is taken again.
- A worker evaluates what servers of its own code have been asked, for another version of a view answers otherwise, or
  does not know the question at all. Where no worker of the right version is left, clients are told to ask their server.
"""

import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import DatabaseError

from core.changes import Change, log
from core.changes.position import Position
from core.conf import core_settings
from core.models import Bookmark, Observer
from core.reactive import store
from core.reactive.coverage import coverage, covers, reaches
from core.reactive.evaluating import reload, run
from core.reactive.matching import Index, Profile
from core.release import release
from core.users import users_changed

logger = logging.getLogger(__name__)

MEMORY: Final = 60.0
"""Seconds for which entries of the log are remembered; no evaluation takes as long."""
MOST_REMEMBERED: Final = 5000
"""Entries that are remembered at most."""
OVERLAP: Final = 10.0
"""Seconds that a look at the observers reaches back: for statements that commit late, and clocks that differ."""
MOST_RELOADED: Final = 200
"""Observers of other releases whose clients are sent away in one look, which must not outlast the leases."""
BOOKMARK_INTERVAL: Final = 10.0
"""Seconds between two times of writing down how far the log has been read."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An entry of the log of a database, or changes that came without one, numbered by the worker that heard them."""

    using: str
    number: int
    at: float
    changes: list[Change]


@dataclass(slots=True)
class Known:
    """What a worker remembers of an observer."""

    version: int
    covered: Mapping[str, Any]
    tables: frozenset[str] | None  # where there is no profile: None for any
    user: str | None


class Worker:
    """One worker. Its methods block, and are called by one thread at a time, but for ``evaluate`` and ``hear``."""

    def __init__(self, code: str | None = None) -> None:
        self.code = release() if code is None else code
        self.index = Index()
        self.known: dict[str, Known] = {}
        self._positions: dict[str, Position] = {}
        self._floors: dict[str, int] = {}
        self._heard: deque[Heard] = deque()
        self._fresh: list[Heard] = []  # heard, and not yet matched
        self._renewed: set[str] = set()  # observers with a new answer, not yet matched with what was heard
        self._told: deque[list[Change]] = deque()
        self._name = f"told {uuid.uuid4().hex}"  # stands for the alias of a database where there is no log
        self._count = 0
        self._looked_at = 0.0
        self._look_at_all = 0.0
        self._bookmark_at = 0.0
        self._look_after_others_at = 0.0
        self._others_noted = False

    # --- What has happened ---

    def hear(self, changes: list[Change]) -> None:
        """Take in changes that no log tells of. From any thread."""
        if unlogged := [change for change in changes if not log.writes_to(change.using)]:
            self._told.append(unlogged)

    def look(self) -> None:
        """Read on in the logs, see which observers have a new answer, and mark those that something concerns."""
        self._read()
        self._refresh()
        renewed = self._renewed & self.known.keys()
        reasons = self._concerned(self.known.keys() - renewed, self._fresh) | self._again(renewed)
        store.mark(reasons)
        # Not before they are marked: what fails on the way is done again by the next look.
        self._fresh.clear()
        self._renewed.clear()
        self._keep_bookmarks()
        self._look_after_others()

    def _take(self, heard: Heard) -> None:
        self._fresh.append(heard)
        self._heard.append(heard)

    def _read(self) -> None:
        now = time.monotonic()
        while self._told:
            self._count += 1
            self._take(Heard(self._name, self._count, now, self._told.popleft()))
        for using in log.aliases():
            self._read_log(using, now)
        while self._heard and (self._heard[0].at < now - MEMORY or len(self._heard) > MOST_REMEMBERED):
            old = self._heard.popleft()
            if old.using != self._name:
                self._floors[old.using] = max(self._floors.get(old.using, 0), old.number)

    def _read_log(self, using: str, now: float) -> None:
        position = self._positions.get(using)
        if position is None:
            position = self._begin(using)
        while True:
            reading = log.changes_since(position, using)
            if reading.missed:
                store.mark_all("the log was pruned before it was read")
                self._floors[using] = reading.position.last
            for entry in reading.entries:
                self._take(Heard(using, entry.id, now, entry.changes))
            self._positions[using] = position = reading.position
            if not reading.more:
                return

    def _begin(self, using: str) -> Position:
        """Return where to begin to read the log of ``using``: where the last worker left it, or at its end."""
        last = Bookmark.objects.filter(using=using).values_list("last", flat=True).first()
        if last is None:
            position = log.end(using)
            store.mark_all("the first look")
        else:
            position = Position(last)
        self._floors[using] = position.last
        return position

    def _keep_bookmarks(self) -> None:
        now = time.monotonic()
        if now < self._bookmark_at:
            return
        self._bookmark_at = now + BOOKMARK_INTERVAL
        for using, last in self._floors.items():
            Bookmark.objects.update_or_create(using=using, defaults={"last": last})

    def _look_after_others(self) -> None:
        """Have the clients of another release, of which no worker seems to be left, ask their own server anew."""
        now, patience = time.monotonic(), core_settings.REACTIVE.REPAIR_INTERVAL / 4
        if now < self._look_after_others_at:
            return
        waiting = store.left_alone(patience, self.code)
        if waiting:
            reload(waiting[:MOST_RELOADED])
        if len(waiting) <= MOST_RELOADED:  # the rest is for the next look
            self._look_after_others_at = now + patience / 2
        self._note_others(len(waiting))

    def _note_others(self, waiting: int) -> None:
        """Warn of ``waiting`` observers of other releases: once, until there are none of other releases at all."""
        if waiting and not self._others_noted:
            logger.warning("%d live queries were asked of servers that run other code; restart the workers.", waiting)
        self._others_noted = bool(waiting) or (self._others_noted and store.others_asked(self.code))

    # --- What is known of the observers ---

    def _refresh(self) -> None:
        """Take in what has become of the observers since the last look, and note those with a new answer."""
        now = time.time()
        everything = now >= self._look_at_all
        rows = (
            Observer.objects.all() if everything else Observer.objects.filter(updated_at__gte=self._looked_at - OVERLAP)
        )
        versions = dict(rows.values_list("pk", "version"))
        if everything:
            for gone in self.known.keys() - versions.keys():
                self._forget(gone)
        new = {pk for pk, version in versions.items() if pk not in self.known or self.known[pk].version != version}
        for block in store.blocks(new):
            for row in Observer.objects.filter(pk__in=block):
                self._learn(row)
        if everything:
            self._look_at_all = now + core_settings.REACTIVE.REPAIR_INTERVAL / 2
        self._looked_at = now

    def _learn(self, row: Observer) -> None:
        tables: frozenset[str] | None = frozenset()
        if row.profile is not None:
            matched = row.profile
            self.index.put(row.pk, Profile.from_data(matched["profile"]), matched["keys"], matched["nested"])
        else:
            self.index.discard(row.pk)
            tables = None if row.keys is None else frozenset(row.tables)
        self.known[row.pk] = Known(row.version, row.covered, tables, row.question["caller"]["user_pk"])
        self._renewed.add(row.pk)

    def _forget(self, observer: str) -> None:
        self.index.discard(observer)
        del self.known[observer]

    # --- What concerns whom ---

    def _again(self, renewed: set[str]) -> dict[str, str]:
        """Match observers that have a new answer with all that is remembered and that this answer does not cover."""
        reasons: dict[str, str] = {}
        for observer in renewed:
            covered = self.known[observer].covered
            if covered and any(not reaches(covered, using, floor) for using, floor in self._floors.items()):
                reasons[observer] = "its answer was older than what is remembered"
        open_ = [
            heard
            for heard in self._heard
            if any(not covers(self.known[each].covered, heard.using, heard.number) for each in renewed)
        ]
        return self._concerned(renewed, open_) | reasons

    def _concerned(self, among: AbstractSet[str], heard: list[Heard]) -> dict[str, str]:
        """Return which of the observers ``among`` the entries ``heard`` concern, with the reason."""
        if not heard or not among:
            return {}
        changes = [change for each in heard for change in each.changes]
        found = self._by_index(changes)
        found |= self._by_table(changes) | self._by_user(changes)
        return {
            observer: reason
            for observer, reason in found.items()
            if observer in among
            and not all(covers(self.known[observer].covered, each.using, each.number) for each in heard)
        }

    def _by_index(self, changes: list[Change]) -> dict[str, str]:
        try:
            return {str(observer): reason for observer, reason in self.index.concerned(changes).items()}
        except DatabaseError:
            raise  # the next look does it again
        except Exception:
            logger.exception("It cannot be told whom changes concern: everybody is evaluated.")
            return dict.fromkeys(self.known, "it could not be told whether this was concerned")

    def _by_table(self, changes: list[Change]) -> dict[str, str]:
        tables = {change.table for change in changes}
        found = {}
        for observer, known in self.known.items():
            if known.tables is None or known.tables & tables:
                found[observer] = f"changes of {', '.join(sorted(tables)[:3])}"
        return found

    def _by_user(self, changes: list[Change]) -> dict[str, str]:
        """Return the observers of users who have changed themselves: they may see more now, or less."""
        users = users_changed(changes)
        return {
            observer: "its user has changed"
            for observer, known in self.known.items()
            if known.user is not None and (users is None or known.user in users)
        }

    # --- Evaluating ---

    def claim(self, limit: int) -> list["Claim"]:
        """Take at most ``limit`` observers that are due."""
        covered = coverage(self._positions) | {self._name: [self._count, []]}
        return [Claim(row, covered) for row in store.claim(limit, self.code)]

    def work(self) -> int:
        """Look, and evaluate until nothing is due; return how many evaluations that took."""
        done = 0
        self.look()
        while claims := self.claim(core_settings.REACTIVE.MAX_WORKERS):
            for claim in claims:
                run(claim.row, claim.covered)
                done += 1
            self.look()
        return done


@dataclass(frozen=True, slots=True)
class Claim:
    """An observer that this worker has taken, and what its answer will cover."""

    row: Observer
    covered: Mapping[str, Any] = field(default_factory=dict)
