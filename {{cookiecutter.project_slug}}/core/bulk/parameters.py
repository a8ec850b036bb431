"""Reads the query string of a bulk request strictly: what a list may ignore, a DELETE must not.

A list with a misspelt filter shows too much; a DELETE with one deletes too much. So every parameter has to be known to
a filter backend, to the paginator or to DRF itself, and a filter that is given has to filter: a blank value, or one
that the filter reads as nothing (``?published=perhaps``), is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.settings import api_settings
from rest_framework.versioning import QueryParameterVersioning


@dataclass(frozen=True, slots=True)
class Parameters:
    """The query parameters of a view.

    ``filters`` narrow the list: each name with whether the value given does so now. ``others`` (ordering, pages,
    format) do not.
    """

    filters: Mapping[str, bool]
    others: frozenset[str]


def judged(names: Iterable[str], known: Parameters) -> dict[str, list[ErrorDetail]]:
    """Return why some of the ``names`` in a query string are refused."""
    listing = ", ".join(sorted({*known.filters, *known.others})) or "none"
    found = {}
    for name in names:
        if name in known.others:
            continue
        if name not in known.filters:
            sentence = f"There is no parameter of this name. The parameters are: {listing}."
            found[name] = [ErrorDetail(sentence, code="unknown_parameter")]
        elif not known.filters[name]:
            sentence = "This value filters nothing. Leave the parameter out, or give it a value."
            found[name] = [ErrorDetail(sentence, code="idle_parameter")]
    return found


def require_sound(view: Any, queryset: Any) -> bool:
    """Return whether any filter narrows the list; raise ``ValidationError`` that names each parameter at fault."""
    given = view.request.query_params
    known = parameters(view, queryset)
    if refused := judged(given, known):
        raise ValidationError(refused)
    return any(name in known.filters for name in given)


def parameters(view: Any, queryset: Any) -> Parameters:
    """Return the parameters that ``view`` knows, judged by the values of its request."""
    given = view.request.query_params
    filters: dict[str, bool] = {name: _says_something(given, name) for name in view.bulk_filter_parameters}
    others = {name for name in _of_drf(view) if name}
    for backend_class in view.filter_backends:
        backend = backend_class()
        if hasattr(backend, "get_filterset"):
            filterset = backend.get_filterset(view.request, queryset, view)
            filters |= dict(_of_filterset(filterset, given)) if filterset is not None else {}
            others |= _orderings(filterset) if filterset is not None else set()
        elif isinstance(backend, OrderingFilter):
            others.add(backend.ordering_param)
        elif isinstance(backend, SearchFilter):
            if backend.get_search_fields(view, view.request):
                filters[backend.search_param] = bool(backend.get_search_terms(view.request))
        else:
            described: list[Any] = getattr(backend, "get_schema_operation_parameters", lambda _view: [])(view)
            filters |= {each["name"]: _says_something(given, each["name"]) for each in described}
    return Parameters({name: works for name, works in filters.items() if name not in others}, frozenset(others))


def _says_something(given: Any, name: str) -> bool:
    return any(value.strip() for value in given.getlist(name))


def _of_drf(view: Any) -> Iterator[str | None]:
    yield api_settings.URL_FORMAT_OVERRIDE
    if view.versioning_class is not None and issubclass(view.versioning_class, QueryParameterVersioning):
        yield view.versioning_class.version_param
    paginator = view.paginator
    for kind in ("page", "page_size", "limit", "offset", "cursor"):
        yield getattr(paginator, f"{kind}_query_param", None)


def _of_filterset(filterset: Any, given: Any) -> Iterator[tuple[str, bool]]:
    """Yield the names that the fields of a filter set answer to, each with whether it filters now."""
    form = filterset.form
    form.is_valid()  # the backend refuses what is not, in the words of the form
    for name, field in form.fields.items():
        value = form.cleaned_data.get(name)
        for each in _names(form.add_prefix(name), field.widget):
            yield each, name in form.errors or (_says_something(given, each) and not _is_blank(value))


def _names(name: str, widget: Any) -> Iterator[str]:
    """Yield ``name`` and, of a widget made of several, the names of its parts."""
    yield name
    parts = getattr(widget, "widgets", ())
    suffixed = getattr(widget, "suffixed", None)  # django-filter's way: price_min
    for number in range(len(parts)):
        if suffixed is not None:
            yield suffixed(name, widget.suffixes[number])
        else:
            yield f"{name}{widget.widgets_names[number]}"


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple | dict | set) and not value)


def _orderings(filterset: Any) -> set[str]:
    """Return the fields of a filter set that order and do not filter."""
    form = filterset.form
    return {form.add_prefix(name) for name, each in filterset.filters.items() if hasattr(each, "get_ordering_value")}
