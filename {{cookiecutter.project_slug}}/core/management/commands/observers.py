"""``manage.py observers``: shows which live queries there are."""

from typing import Any

from django.core.management.base import BaseCommand

from core.callers import Caller
from core.models import Observer
from core.reactive.housekeeping import live_observers
from core.reactive.question import Question


class Command(BaseCommand):
    """Lists every live query: what it asks, for whom, and why it was evaluated last."""

    help = "Show the live queries: view, query, caller, subscribers, tables, evaluations, seq."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one paragraph per observer."""
        del args, options
        observers = live_observers()
        for observer in observers:
            self.stdout.write(described(observer))
        self.stdout.write(f"{len(observers)} live {'query' if len(observers) == 1 else 'queries'}.")


def described(observer: Observer) -> str:
    """Return what there is to know of ``observer`` as a few lines."""
    question = Question.from_data(observer.question)
    subscribers = sorted(each.subscriber_id for each in observer.subscriptions.all())
    shown = ", ".join(subscribers[:3]) + (f" and {len(subscribers) - 3} more" if len(subscribers) > 3 else "")
    query = f"?{question.query_string}" if question.query else ""
    failed = f", {observer.failures} failed since" if observer.failures else ""
    lines = [
        f"{observer.pk}  {question.view}  {question.path}{query}",
        f"  caller       {_caller(question.caller, shared=question.shared)}",
        f"  subscribers  {shown or 'none'}",
        f"  tables       {', '.join(observer.tables) or 'none'}",
        f"  evaluations  {observer.evaluations}, the last took {observer.duration * 1000:.0f} ms{failed}",
        f"  seq          {observer.seq}",
        f"  last reason  {observer.reason or 'subscribed'}",
    ]
    if observer.status != Observer.ACTIVE or observer.detail:
        lines.append(f"  {observer.status:<12} {observer.detail}")
    return "\n".join(lines)


def _caller(caller: Caller, *, shared: bool) -> str:
    who = "anyone" if shared else "anonymous" if caller.user_pk is None else f"user {caller.user_pk}"
    return f"{who} at {caller.scheme}://{caller.host} ({caller.language})"
