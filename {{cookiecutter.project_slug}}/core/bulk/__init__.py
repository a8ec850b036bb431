"""Operations on whole lists: PATCH and DELETE of what a list shows, POST of many rows at once.

Described in ``docs/bulk.md``. ``mixins`` is the shell. ``header`` and ``parameters`` judge what a request asks for,
``payload`` judges its rows; they are plain functions. ``foresight`` fetches what validation will ask for, a block of
rows at a time; ``serializers`` validates lists with it, ``judging`` one body for many rows. ``writing`` and ``links``
write, and see to it that the change stream hears of it.
"""

from core.bulk.mixins import ListCreateModelMixin, ListDestroyModelMixin, ListUpdateModelMixin

__all__ = ["ListCreateModelMixin", "ListDestroyModelMixin", "ListUpdateModelMixin"]
