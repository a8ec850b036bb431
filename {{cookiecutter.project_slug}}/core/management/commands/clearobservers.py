"""``manage.py clearobservers``: removes all live queries."""

from typing import Any

from django.core.management.base import BaseCommand

from core.reactive.housekeeping import clear


class Command(BaseCommand):
    """Removes all observers and subscribers. Connected clients are told to ask again."""

    help = "Remove all live queries and their subscribers; connected clients ask again."

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove them and say how many there were."""
        del args, options
        removed = clear()
        self.stdout.write(f"Removed {removed} live {'query' if removed == 1 else 'queries'}.")
