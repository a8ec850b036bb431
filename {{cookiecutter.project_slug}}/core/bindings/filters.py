"""Reads the filter of a subscription strictly: a misspelt one would subscribe to everything."""

from collections.abc import Iterator
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter


def require_filters(view: Any, queryset: Any, names: list[str]) -> None:
    """Raise ``ValidationError``, by name, if ``names`` hold one that filters nothing in the request of ``view``.

    Filters that a view applies in its own way cannot be judged and are taken on trust.
    """
    if view.filters_by_itself():
        return
    known: dict[str, bool] = {}
    for backend_class in view.filter_backends:
        backend = backend_class()
        if hasattr(backend, "get_filterset"):
            filterset = backend.get_filterset(view.request, queryset, view)
            known |= dict(_of_filterset(filterset)) if filterset is not None else {}
        elif isinstance(backend, SearchFilter):
            if backend.get_search_fields(view, view.request):
                known[backend.search_param] = bool(backend.get_search_terms(view.request))
        elif not isinstance(backend, OrderingFilter):
            return
    if refused := {name: [sentence] for name in names if (sentence := _refusal(name, known))}:
        raise ValidationError(refused)


def _refusal(name: str, known: dict[str, bool]) -> str | None:
    if name not in known:
        return f"There is no filter of this name. Filters: {', '.join(sorted(known)) or 'none'}."
    return None if known[name] else "This value filters nothing. Leave the filter out, or give it a value."


def _of_filterset(filterset: Any) -> Iterator[tuple[str, bool]]:
    form = filterset.form
    form.is_valid()  # the backend refuses what is not, in the words of the form
    for name, field in form.fields.items():
        works = name in form.errors or form.cleaned_data.get(name) not in (None, "", [], ())
        for each in _names(form.add_prefix(name), field.widget):
            yield each, works


def _names(name: str, widget: Any) -> Iterator[str]:
    """Yield ``name`` and, of a widget made of several, the names of its parts."""
    yield name
    for number in range(len(getattr(widget, "widgets", ()))):
        if hasattr(widget, "suffixed"):
            yield widget.suffixed(name, widget.suffixes[number])
        else:
            yield f"{name}{widget.widgets_names[number]}"
