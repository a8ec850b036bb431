"""What a live query asks, as plain data: where, with which parameters, and as whom. No cookie, no token, no pickle."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode

from core.callers import Caller
from core.reactive.protocol import OBSERVE, SINCE
from core.release import release


@dataclass(frozen=True, slots=True)
class Question:
    """A request that can be made again. Equal questions to the same code are one observer.

    ``view`` names the route, for people. ``query`` holds the parameters in the order of their names, those of live
    queries left out. ``shared`` says that the answer is the same for all who may ask; ``caller`` has no user then.
    """

    view: str
    path: str
    query: tuple[tuple[str, str], ...]
    caller: Caller
    shared: bool = False

    @classmethod
    def of(cls, request: Any, *, shared: bool) -> Self:
        """Return what ``request`` asks."""
        plain = getattr(request, "_request", request)
        pairs = ((name, value) for name, values in plain.GET.lists() for value in values)
        query = tuple(sorted((pair for pair in pairs if pair[0] not in {OBSERVE, SINCE}), key=lambda pair: pair[0]))
        caller = Caller.of_request(request)
        match = plain.resolver_match
        return cls(
            view=(match.view_name or match._func_path) if match else "",  # noqa: SLF001 - the dotted path
            path=plain.path_info,
            query=query,
            caller=replace(caller, user_pk=None) if shared else caller,
            shared=shared,
        )

    @property
    def id(self) -> str:
        """The digest of all of it, and of the code that answers: the name of its observer."""
        told = json.dumps([release(), self.as_data()], sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @property
    def query_string(self) -> str:
        """The parameters as they stand in a URL."""
        return urlencode(self.query)

    def as_data(self) -> dict[str, Any]:
        """Return what JSON can hold; ``from_data`` reads it."""
        return {
            "view": self.view,
            "path": self.path,
            "query": [list(pair) for pair in self.query],
            "caller": self.caller.as_data(),
            "shared": self.shared,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the question that ``as_data`` has written down."""
        return cls(
            view=data["view"],
            path=data["path"],
            query=tuple((name, value) for name, value in data["query"]),
            caller=Caller.from_data(data["caller"]),
            shared=data["shared"],
        )
