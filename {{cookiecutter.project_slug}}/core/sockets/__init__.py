"""WebSockets: the gates that each passes, the consumer that all have in common, and who looks after the open ones.

``gates`` asks where a socket comes from and who opened it; ``consumer`` keeps the limits; ``keeper`` closes those whose
caller has lost the right to be there, and all at shutdown; ``codes`` says what a close means.
"""

from core.sockets.codes import CloseCode
from core.sockets.consumer import SocketConsumer
from core.sockets.gates import is_allowed_origin, refusal, websocket_application

__all__ = ["CloseCode", "SocketConsumer", "is_allowed_origin", "refusal", "websocket_application"]
