"""How values are written to a cache that other processes share.

Django's default for Redis is pickle: whoever can write to the cache could then run code in every process. JSON
cannot do that, and carries all that is stored here.
"""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

_BYTES = b"\0"


class JSONCacheSerializer:
    """Serializer for ``RedisCache``, named in ``OPTIONS["serializer"]``.

    Integers are stored bare, as Redis needs them for ``incr``. Bytes are stored as they are, behind a NUL, with which
    no JSON begins. Dates, decimals and UUIDs come back as text, tuples as lists.
    """

    def dumps(self, obj: object) -> bytes | int:
        """Return ``obj`` as Redis stores it. Raises ``TypeError`` for what JSON cannot carry."""
        if type(obj) is int:
            return obj
        if isinstance(obj, bytes):
            return _BYTES + obj
        return json.dumps(obj, cls=DjangoJSONEncoder, separators=(",", ":")).encode()

    def loads(self, data: bytes | str | int) -> Any:
        """Return the object that ``dumps`` was given."""
        if isinstance(data, bytes) and data[:1] == _BYTES:
            return data[1:]
        return json.loads(data) if isinstance(data, bytes | str) else data
