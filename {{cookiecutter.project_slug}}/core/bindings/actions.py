"""Which actions a binding has, and what each is to the viewset behind it. Worked out once per binding class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from core.bindings.decorators import MARK, Marked

if TYPE_CHECKING:
    from core.bindings.resource import ResourceBinding

CREATE: Final = "create"
UPDATE: Final = "update"
DELETE: Final = "delete"
SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"
EVENTS: Final = (CREATE, UPDATE, DELETE)
"""What can be subscribed to."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that clients can ask of a stream.

    ``name`` is what clients call it. ``detail`` tells whether it is about one row. ``method`` and ``view_action`` are
    what REST would call it. ``attributes`` are those that the viewset gives its view for this action alone.
    ``binding_method`` is the name of the method of the binding; None where the viewset's own does everything.
    ``permission_classes`` are asked instead of all others.
    """

    name: str
    detail: bool
    method: str
    view_action: str
    binding_method: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    permission_classes: Sequence[Any] | None = None

    @property
    def writes(self) -> bool:
        """Whether the action may change something."""
        return self.method not in SAFE

    @property
    def is_built_in(self) -> bool:
        """Whether the action is one of REST's own."""
        return self in _BUILT_IN


_BUILT_IN: Final = (
    Action(CREATE, False, "POST", "create", "create"),
    Action("retrieve", True, "GET", "retrieve", "retrieve"),
    Action("list", False, "GET", "list", "list"),
    Action(UPDATE, True, "PUT", "update", "update"),
    Action("patch", True, "PATCH", "partial_update", "patch"),
    Action(DELETE, True, "DELETE", "destroy", "delete"),
)
LOOKING: Final = {False: _BUILT_IN[2], True: _BUILT_IN[1]}
"""What a subscription amounts to in REST: looking at the list, or at one row."""


def actions_of(binding: "type[ResourceBinding]") -> Mapping[str, Action]:
    """Return the actions of ``binding`` by name, ``subscribe`` and ``unsubscribe`` not among them."""
    key: Any = binding
    return _actions_of(key)


@cache
def _actions_of(binding: Any) -> Mapping[str, Action]:
    found = {
        **{each.name: each for each in _built_in(binding)},
        **{each.name: each for each in _of_viewset(binding)},
        **{each.name: each for each in _of_binding(binding)},
    }
    return dict(sorted(found.items()))


def can_look(binding: "type[ResourceBinding]", *, detail: bool) -> bool:
    """Tell whether clients may subscribe to single rows, or to any: where REST shows them."""
    return LOOKING[detail].name in actions_of(binding) and binding.find_model() is not None


def _built_in(binding: "type[ResourceBinding]") -> Iterator[Action]:
    view = binding.view_class()
    if binding.viewset_class is None and binding.find_model() is None:
        return  # it has actions of its own only
    for action in _BUILT_IN:
        if action.name in binding.actions and hasattr(view, action.view_action) and _serves(view, action.method):
            yield action


def _of_viewset(binding: "type[ResourceBinding]") -> Iterator[Action]:
    view: Any = binding.view_class()
    for extra in view.get_extra_actions():
        methods = {method.upper(): name for method, name in extra.mapping.items() if _serves(view, method)}
        if binding.read_only:
            methods = {method: name for method, name in methods.items() if method in SAFE}
        # An action of several methods is called by the one that does something.
        for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
            if method in methods:
                yield Action(extra.__name__, extra.detail, method, methods[method], attributes=extra.kwargs)
                break


def _of_binding(binding: "type[ResourceBinding]") -> Iterator[Action]:
    for name in dir(binding):
        marked = getattr(getattr(binding, name, None), MARK, None)
        if isinstance(marked, Marked):
            yield Action(
                marked.name,
                marked.detail,
                "POST",
                marked.name,
                binding_method=name,
                permission_classes=marked.permission_classes,
            )


def _serves(view: Any, method: str) -> bool:
    return method.lower() in view.http_method_names
