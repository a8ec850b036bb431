"""REST and subscriptions over one WebSocket.

A message (``messages``) goes to the binding of its stream (``demultiplexer``, ``streams``), which answers
(``calls``) by way of a view of REST (``asking``, ``resource``, ``views``, ``actions``), in a thread that keeps its
connections while it is busy (``workers``). Whoever may look may listen (``subscribing``): commits are told
(``dispatcher``, ``lane``, ``telling``) to each kind of caller (``audience``) as far as it sees the rows (``sight``).
"""

from core.bindings.decorators import detail_action, list_action
from core.bindings.demultiplexer import WebsocketDemultiplexer
from core.bindings.permissions import AllowAny, BasePermission, IsAuthenticated
from core.bindings.resource import ReadOnlyResourceBinding, ResourceBinding

__all__ = [
    "AllowAny",
    "BasePermission",
    "IsAuthenticated",
    "ReadOnlyResourceBinding",
    "ResourceBinding",
    "WebsocketDemultiplexer",
    "detail_action",
    "list_action",
]
