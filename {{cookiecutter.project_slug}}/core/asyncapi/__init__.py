"""The description of the sockets, as AsyncAPI 3: at ``/api/asyncapi/``, with a page at ``/api/asyncapi/docs/``.

It is made of what is there: the streams of the resource socket with their actions and serializers (``resources``), the
observable views with their items (``observers``), and the words of both protocols. ``document`` puts it together.
"""

from core.asyncapi.document import document

__all__ = ["document"]
