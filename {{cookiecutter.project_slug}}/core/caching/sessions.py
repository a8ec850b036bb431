"""Whether a view looks into the session: then its answer is for that session, and not for all who are the same user."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Looked:
    """Notices whether a view looks into the session of ``request``, of Django or DRF.

    Who the user is was known before: that look is not the view's.
    """

    def __init__(self, request: Any) -> None:
        self._session: Any = getattr(request, "session", None)
        self.looked = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the view runs."""
        session = self._session
        if not hasattr(session, "accessed"):
            yield
            return
        before, session.accessed = session.accessed, False
        try:
            yield
        finally:
            self.looked = session.accessed
            session.accessed = before or self.looked
