"""The three mixins: they fetch, ask and answer. What is decided is decided in the other modules of this package."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import router, transaction
from django.db.models import Model, QuerySet, prefetch_related_objects
from rest_framework import status
from rest_framework.exceptions import MethodNotAllowed, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, ListSerializer, ModelSerializer
from rest_framework.settings import api_settings

from core.blocks import block_size, blocks
from core.bulk import header, writing
from core.bulk.errors import BulkRefused, database_errors_answered, too_many
from core.bulk.foresight import prepared
from core.bulk.header import Intent
from core.bulk.judging import judges_each
from core.bulk.parameters import require_sound
from core.bulk.payload import differences, key_errors, listed
from core.bulk.permissions import judges_rows, require_each
from core.bulk.serializers import BulkListSerializer, of_one_body, require_writable, shown_many
from core.conf import core_settings
from core.keys.passing import transparent

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    _ViewSet = GenericViewSet[Any]
else:
    _ViewSet = object

_SINGLE = {"partial_update_bulk": "partial_update", "destroy_bulk": "destroy"}
"""What a bulk action is for one row. ``action`` says that, so that what a viewset decides by it holds for both."""


class BulkMixin(_ViewSet):
    """What the bulk verbs share."""

    bulk_filter_parameters: ClassVar[Sequence[str]] = ()
    """Query parameters by which the viewset's own ``get_queryset`` or filters narrow the list."""
    bulk_actions: ClassVar[Mapping[str, str]] = {}
    bulk_action: str | None = None  # what the route maps to, where ``action`` says what it is for one row

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        """Add the bulk verbs to the route of the list; other routes stay as they are."""
        is_list = actions is not None and not {"list", "create"}.isdisjoint(actions.values())
        if is_list and not initkwargs.get("detail") and core_settings.BULK.ENABLED:
            actions = {**cls._all_bulk_actions(), **actions}  # what the route maps by itself stays
        more = () if actions is None else (actions,)
        return super().as_view(*more, **initkwargs)

    @classmethod
    def bulk_actions_on(cls) -> set[str]:
        """Return the actions that take many rows, with the feature on: for the description of the API."""
        return set(cls._all_bulk_actions().values()) if core_settings.BULK.ENABLED else set()

    @classmethod
    def _all_bulk_actions(cls) -> dict[str, str]:
        own = (vars(each).get("bulk_actions", {}) for each in reversed(cls.__mro__))
        return {method: action for actions in own for method, action in actions.items()}

    @transparent
    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        """Call the action what it is for a single row: whoever may not do that may not do this."""
        initialized = super().initialize_request(request, *args, **kwargs)
        action: str | None = getattr(self, "action", None)  # generic views have none
        self.bulk_action = action
        if action in _SINGLE:
            self.action = _SINGLE[action]
            self.detail = True  # the queryset and the serializer of single rows, where they are others
        return initialized

    def _intent(self, *, required: bool) -> Intent:
        """Return what the header says. Raises the refusal if the feature is off, or the header missing or unknown."""
        if not core_settings.BULK.ENABLED:
            raise MethodNotAllowed(self.request.method or "")
        name = core_settings.BULK.DEFAULT_BULK_OPERATION_HEADER_NAME
        value = self.request.headers.get(name or header.USUAL_NAME)
        said = header.intent(value)
        if header.intent(self.request.headers.get(header.USUAL_NAME)) is Intent.DRY_RUN:
            return Intent.DRY_RUN  # whatever the header is called here: a rehearsal is never the real thing
        if said is Intent.UNKNOWN:
            raise BulkRefused(header.unknown(name or header.USUAL_NAME, value or ""), "bulk_header")
        if said is Intent.MISSING and name and required:
            raise BulkRefused(header.missing(name), "bulk_header")
        return said

    def _set(self, *, named: bool = False) -> QuerySet[Any]:
        """Return the rows that the request is about. ``named`` says that the body names each of them."""
        queryset = self.get_queryset()
        narrowed = require_sound(self, queryset)
        if core_settings.BULK.REQUIRE_FILTER and not narrowed and not named:
            raise BulkRefused("A filter is required: without one this would touch every row.", "filter_required")
        return writing.plain(self.filter_queryset(queryset))

    def _require_few(self, rows: int) -> int:
        limit = core_settings.BULK.MAX_ROWS
        if rows > limit:
            raise too_many(limit, str(rows))
        return rows

    def _locked(self, queryset: QuerySet[Any]) -> list[Any]:
        """Return the rows of ``queryset``, as the view fetches them, after nobody else can change them."""
        if not writing.lockable(queryset.db):
            rows = list(queryset)
        else:
            # Locked first and read then: who waited for a lock has to see what was done meanwhile.
            keys = writing.lock(queryset)
            self._require_few(len(keys))
            rows = [row for block in blocks(keys, block_size(queryset.db)) for row in queryset.filter(pk__in=block)]
        self._require_few(len(rows))
        return rows

    def _permitted(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of ``queryset`` that may be written: all of them, or the request is refused."""
        if not judges_rows(self):
            return queryset
        rows = self._locked(queryset)
        require_each(self, rows)
        return writing.pinned(queryset, [row.pk for row in rows]) if writing.lockable(queryset.db) else queryset

    def _require_conditions(self, queryset: QuerySet[Any]) -> None:
        """Ask a view whose list has tags whether the request's conditions hold for it; that raises if not."""
        require: Any = getattr(self, "require_list_conditions", None)
        if require is not None:
            require(queryset)

    def _answer(self, rows: int, said: Intent, body: Any = None, code: int = status.HTTP_204_NO_CONTENT) -> Response:
        headers = {header.ROWS: str(rows)}
        if said is Intent.DRY_RUN:
            return Response({"rows": rows}, status.HTTP_200_OK, headers=headers)
        return Response(body, code, headers=headers)


class ListDestroyModelMixin(BulkMixin):
    """DELETE on a list deletes what the list shows under the same filters."""

    bulk_actions = {"delete": "destroy_bulk"}

    def destroy_bulk(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete the rows of the filtered list in one transaction; 204 and their number in ``X-Bulk-Rows``."""
        said = self._intent(required=True)
        queryset = self._set()
        with database_errors_answered(), transaction.atomic(using=queryset.db):
            self._require_conditions(queryset)
            rows = self._require_few(queryset.count())
            queryset = self._permitted(queryset)
            if said is not Intent.DRY_RUN:
                self.pre_delete_bulk(queryset)
                rows = self._require_few(writing.delete_set(queryset, rows))
                self.post_delete_bulk(queryset)
        return self._answer(rows, said)

    def pre_delete_bulk(self, queryset: QuerySet[Any]) -> None:
        """Run before the rows of ``queryset`` are deleted, in the transaction. What it raises refuses the request."""

    def post_delete_bulk(self, queryset: QuerySet[Any]) -> None:
        """Run after the rows of ``queryset`` were deleted, in the transaction; it finds none of them."""


class ListUpdateModelMixin(BulkMixin):
    """PATCH on a list: one body for every row the list shows, or a list of objects, each for the row it names."""

    bulk_actions = {"patch": "partial_update_bulk"}

    def partial_update_bulk(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Update in one transaction; 204 and the number of rows in ``X-Bulk-Rows``."""
        said = self._intent(required=True)
        items = request.data
        queryset = self._set(named=isinstance(items, list))
        if isinstance(items, list):
            _require_items(items)
            self._require_few(len(items))
        with database_errors_answered(), transaction.atomic(using=queryset.db):
            self._require_conditions(queryset)
            if isinstance(items, list):
                rows = self._patch_rows(queryset, items, said)
            else:
                rows = self._patch_set(queryset, items, said)
        return self._answer(rows, said)

    def pre_save_bulk(self, queryset: QuerySet[Any], values: Any) -> None:
        """Run before the rows of ``queryset`` are written, in the transaction. What it raises refuses the request.

        ``values`` is what validation made of the body and may be changed in place: a dictionary for all rows, or, if
        the body was a list, a list of one dictionary per item.
        """

    def post_save_bulk(self, queryset: QuerySet[Any], values: Any) -> None:
        """Run after the rows were written, in the transaction. ``queryset`` is the list as it is filtered now."""

    # --- One body for all ---

    def _patch_set(self, queryset: QuerySet[Any], body: Any, said: Intent) -> int:
        count = self._require_few(queryset.count())
        queryset = self._permitted(queryset)
        first = next(iter(queryset.order_by().prefetch_related(None)[:1]), None)  # any: a list may be slow to order
        child: Any = self.get_serializer(queryset.model() if first is None else first, data=body, partial=True)
        require_writable(child, body)
        if isinstance(body, Mapping) and not body:
            raise BulkRefused("The body names no field: there is nothing to write.", "empty")
        if first is not None and judges_each(child, body):
            return self._patch_each(queryset, body, said)
        child.is_valid(raise_exception=True)
        values = dict(child.validated_data)
        if said is Intent.DRY_RUN or not count:
            return count
        self.pre_save_bulk(queryset, values)
        rows = self._require_few(writing.update_set(queryset, values)) if values else count
        self.post_save_bulk(queryset, values)
        return rows

    def _patch_each(self, queryset: QuerySet[Any], body: Any, said: Intent) -> int:
        """Judge the one body against each row, and write what comes of it."""
        rows = self._locked(queryset)
        if not rows:
            return 0
        serializer = self._for_rows(rows, [body] * len(rows))
        if not serializer.is_valid():
            raise ValidationError(of_one_body(serializer.errors_as_they_come, rows))
        if said is Intent.DRY_RUN:
            return len(rows)
        values = dict(serializer.validated_data[0])
        before = dict(values)
        queryset = writing.pinned(queryset, [row.pk for row in rows]) if writing.lockable(queryset.db) else queryset
        self.pre_save_bulk(queryset, values)
        changed, dropped = differences(before, values)
        for each in serializer.validated_data:
            each.update(changed)
            for name in dropped:
                each.pop(name, None)
        serializer.save()
        self.post_save_bulk(queryset, values)
        return len(rows)

    # --- A list of objects ---

    def _patch_rows(self, queryset: QuerySet[Any], items: list[Any], said: Intent) -> int:
        rows = self._named(queryset, items)
        if judges_rows(self):
            require_each(self, rows)
        name = self.bulk_key_name(queryset.model)
        serializer = self._for_rows(rows, [{key: item[key] for key in item if key != name} for item in items])
        serializer.is_valid(raise_exception=True)
        if said is Intent.DRY_RUN:
            return len(rows)
        self.pre_save_bulk(queryset, serializer.validated_data)
        _perform(self, "perform_update", serializer)
        self.post_save_bulk(queryset, serializer.validated_data)
        return len(rows)

    def _named(self, queryset: QuerySet[Any], items: list[Any]) -> list[Any]:
        """Return the row that each item names. Raises ``ValidationError`` if one names none, or another's."""
        name = self.bulk_key_name(queryset.model)
        keys = [writing.as_key(queryset.model, item, name) for item in items]
        found: dict[Any, Any] = {}
        for block in blocks(prepared(queryset.model._meta.pk, keys, queryset.db), block_size(queryset.db)):
            found.update({row.pk: row for row in self._locked(queryset.filter(pk__in=block))})
        given = [isinstance(item, Mapping) and name in item for item in items]
        if errors := key_errors(name, items, keys, given, found):
            shape = getattr(api_settings, "LIST_SERIALIZER_ERRORS_AS_DICT", False)
            raise ValidationError(listed(errors, len(items), as_dict=shape))
        return [found[key] for key in keys]

    def bulk_key_name(self, model: type[Model]) -> str:
        """Return the name under which items hold the key of their row: that of the serializer's field, else ``id``."""
        key: Any = model._meta.pk
        fields = getattr(self.get_serializer(), "fields", {}).values()
        named = (field.field_name for field in fields if field.source in {"pk", key.name})
        return str(next(named, key.name))

    def _for_rows(self, rows: list[Any], items: list[Any]) -> BulkListSerializer:
        child = self.get_serializer(rows[0], partial=True)
        context = self.get_serializer_context()
        return BulkListSerializer(instance=rows, data=items, child=child, partial=True, context=context)


class ListCreateModelMixin(BulkMixin):
    """POST of a list creates a row for each object in it, all or none. A single object is created as ever."""

    bulk_actions = {"post": "create"}

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create the rows; 201 with all of them, in order, and their number in ``X-Bulk-Rows``."""
        if not isinstance(request.data, list):
            response: Response = super().create(request, *args, **kwargs)  # type: ignore[misc]
            return response
        said = self._intent(required=False)
        items = request.data
        _require_items(items)
        self._require_few(len(items))
        serializer = self._for_new_rows(items)
        with database_errors_answered():
            serializer.is_valid(raise_exception=True)
            if said is Intent.DRY_RUN:
                return self._answer(len(items), said)
            with transaction.atomic(using=self._written_database(serializer)):
                _perform(self, "perform_create", serializer)
        self._prefetch(serializer)
        return self._answer(len(items), said, serializer.data, status.HTTP_201_CREATED)

    def _for_new_rows(self, items: list[Any]) -> Any:
        child = self.get_serializer()
        chosen = getattr(getattr(child, "Meta", None), "list_serializer_class", ListSerializer)
        if chosen is not ListSerializer:
            return self.get_serializer(data=items, many=True)
        return BulkListSerializer(data=items, child=child, context=self.get_serializer_context())

    def _written_database(self, serializer: Any) -> str | None:
        child = serializer.child
        return router.db_for_write(child.Meta.model) if isinstance(child, ModelSerializer) else None

    def _prefetch(self, serializer: Any) -> None:
        """Fetch for the answer what the view's list fetches and what the serializer shows, in as many queries."""
        rows = serializer.instance
        if not rows or not all(isinstance(row, Model) for row in rows):
            return
        lookups = list(getattr(self.get_queryset(), "_prefetch_related_lookups", ()))
        named = {getattr(each, "prefetch_to", each) for each in lookups}
        lookups += [name for name in shown_many(serializer.child, type(rows[0])) if name not in named]
        if lookups:
            prefetch_related_objects(rows, *lookups)


def _perform(view: Any, name: str, serializer: BaseSerializer[Any]) -> None:
    """Save by the hook that the view has for a single row: ``serializer.save(owner=…)`` is then for every row."""
    getattr(view, name, BaseSerializer.save)(serializer)


def _require_items(items: list[Any]) -> None:
    if not items:
        raise ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [ListSerializer.default_error_messages["empty"]]})
