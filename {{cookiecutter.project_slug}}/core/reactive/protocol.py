"""The names and messages of live queries, in one place. Pure.

A difference is told in messages ``{"msg": "added" | "changed" | "removed", "observer", "primary_key", "order", "item",
"seq", "last"}``. They can be applied one by one, in order:

| msg | what a client does |
|---|---|
| ``removed`` | takes the item with that key away; ``order`` is where it was before this evaluation |
| ``added`` | puts ``item`` in at ``order`` |
| ``changed`` | takes the item with that key away and puts ``item`` in at ``order``: it has changed or moved |

All messages of one evaluation have the same ``seq``; ``last`` marks the final one. The other messages say that no more
differences come: ``revoked`` (the caller may not see it any longer), ``suspended`` (the server gave up, for the reason
in ``detail``) and ``reload`` (ask again by GET: what was missed is not known any more).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from core.reactive.differences import Step

CHANNEL_WORKER_NOTIFY: Final = "core.reactive.worker"
"""The channel of ``WorkerConsumer``."""
CHANNEL_POLL_OBSERVER: Final = "core.reactive.poll_observer"
"""The channel of ``PollObserversConsumer``."""
NOTIFY: Final = "core.reactive.notify"
"""Type of a message on those channels: there may be something to do."""

GROUP: Final = "core.reactive"
"""The group that every server process joins."""
DIFFERENCE: Final = "core.reactive.difference"
"""Type of ``{"type", "observer", "seq", "messages": [text], "subscribers": {id: [seq of its answer or null, user]}}``.

A user is the key of who subscribed, as text, or null."""
NOTICE: Final = "core.reactive.notice"
"""Type of ``{"type", "observer", "message": text, "subscribers": {id: user}}``."""

OBSERVE: Final = "observe"
SINCE: Final = "since"
"""The query parameters: who subscribes, and the ``seq`` up to which a client that comes back has everything."""

MESSAGE_TYPES: Final = ("added", "changed", "removed", "revoked", "suspended", "reload")


def difference_messages(observer: str, primary_key: str, seq: int, steps: Sequence[Step]) -> list[str]:
    """Return the messages of one evaluation as text, in order."""
    name, head = json.dumps(primary_key), json.dumps(observer)
    last = len(steps) - 1
    return [
        f'{{"msg":"{step.msg}","observer":{head},"primary_key":{name},"order":{step.order},'
        f'"item":{_item(step, name)},"seq":{seq},"last":{"true" if place == last else "false"}}}'
        for place, step in enumerate(steps)
    ]


def _item(step: Step, name: str) -> str:
    return f"{{{name}:{step.key}}}" if step.text is None else step.text


def notice(msg: str, observer: str, **more: Any) -> str:
    """Return the text of ``revoked``, ``suspended`` or ``reload``."""
    return json.dumps({"msg": msg, "observer": observer, **more})


def joined(messages: Iterable[str]) -> str:
    """Return messages as the text of a JSON list."""
    return f"[{','.join(messages)}]"
