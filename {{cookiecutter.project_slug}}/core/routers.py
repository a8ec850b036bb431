"""Routers that register viewsets under each other.

``router.register("users", UserViewSet).register("groups", GroupViewSet, "users-group", ["user"])`` gives
``/users/<parent_lookup_user>/groups/``. Described in ``docs/routers.md``.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import module_has_submodule
from rest_framework.routers import APIRootView, BaseRouter, DefaultRouter, SimpleRouter
from rest_framework.viewsets import GenericViewSet, ViewSetMixin

from core.conf import core_settings
from core.nesting import Parent, UnderParents
from core.viewsets import NestedViewSetMixin

if TYPE_CHECKING:
    _Router = BaseRouter
else:
    _Router = object


class NestedRegistryItem:
    """A viewset that has been registered, under which others can be."""

    def __init__(
        self,
        router: "NestedRouterMixin",
        prefix: str,
        viewset: type[ViewSetMixin],
        basename: str,
        above: "NestedRegistryItem | None" = None,
    ) -> None:
        self.router = router
        self.prefix = prefix
        self.viewset = viewset
        self.basename = basename
        self.above = above

    def register(
        self,
        prefix: str,
        viewset: type[ViewSetMixin],
        basename: str | None = None,
        parents_query_lookups: Sequence[str] = (),
    ) -> "NestedRegistryItem":
        """Register ``viewset`` under this one and return it, so that others can be registered under it in turn.

        ``parents_query_lookups`` lead from the model of ``viewset`` to each of its parents, outermost first.
        ``basename`` begins the names of the routes; by default it is the parent's and the viewset's own.

        With the feature off nothing is registered. Raises ``ImproperlyConfigured`` if the viewset cannot be nested,
        if its parent cannot be asked for an object, or if the lookups do not fit the depth.
        """
        line = list(self._line())
        _require_nestable(prefix, viewset, line[0].viewset, len(line), parents_query_lookups)
        if not core_settings.ROUTERS.ENABLED:
            return NestedRegistryItem(self.router, prefix, viewset, basename or "", self)
        if basename is None:
            basename = f"{self.basename}-{self.router.get_default_basename(viewset)}"
        parents = tuple(item.as_parent(lookup) for item, lookup in zip(line[::-1], parents_query_lookups, strict=True))
        nested = _under(viewset, parents)
        path = [part for item, parent in zip(line[::-1], parents, strict=True) for part in item.path(parent.kwarg)]
        self.router.register_nested("/".join([*path, prefix]), nested, basename)
        return NestedRegistryItem(self.router, prefix, nested, basename, self)

    def _line(self) -> Iterator["NestedRegistryItem"]:
        """Yield this and everything above it, innermost first."""
        item: NestedRegistryItem | None = self
        while item:
            yield item
            item = item.above

    def as_parent(self, lookup: str) -> Parent:
        prefix = core_settings.ROUTERS.DEFAULT_PARENT_LOOKUP_KWARG_NAME_PREFIX
        viewset: Any = self.viewset
        return Parent(viewset, self.basename, lookup, f"{prefix}{lookup}")

    def path(self, kwarg: str) -> list[str]:
        """Return the parts of the path that lead to one of the objects of this viewset, named by ``kwarg``."""
        # The router's own way of writing a lookup, under the name that it has in the nested URL.
        named: Any = type(self.viewset.__name__, (self.viewset,), {"lookup_url_kwarg": kwarg})
        lookup: str = self.router.get_lookup_regex(named)
        return [self.prefix, lookup] if self.prefix else [lookup]


def _require_nestable(prefix: str, viewset: type[Any], parent: type[Any], depth: int, lookups: Sequence[str]) -> None:
    name = getattr(viewset, "__name__", viewset)
    if not prefix:
        raise ImproperlyConfigured(f"{name} cannot be nested without a prefix: its URLs would be those of its parent.")
    if not (isinstance(viewset, type) and issubclass(viewset, NestedViewSetMixin)):
        raise ImproperlyConfigured(f"{name} cannot be nested: put NestedViewSetMixin in front of its base class.")
    if not issubclass(parent, GenericViewSet):
        raise ImproperlyConfigured(
            f"{name} cannot be nested under {parent.__name__}: a parent has to be a GenericViewSet, which can be "
            "asked for the object that the URL names."
        )
    if isinstance(lookups, str) or len(lookups) != depth or len(set(lookups)) != depth:
        raise ImproperlyConfigured(
            f"parents_query_lookups of {name} has to be a list of one lookup for each of its {depth} parents, "
            f"outermost first; it is {lookups!r}."
        )


def _under(viewset: type[Any], parents: tuple[Parent, ...]) -> type[Any]:
    """Return ``viewset`` under ``parents``; to whoever looks it is called the same."""
    attributes = {name: getattr(viewset, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(viewset.__name__, (UnderParents, viewset), {**attributes, "nested_parents": parents})


class NestedRouterMixin(_Router):
    """Adds nesting to any router that writes its URLs as DRF's own do."""

    def register(  # type: ignore[override]
        self, prefix: str, viewset: type[ViewSetMixin], basename: str | None = None, **options: Any
    ) -> NestedRegistryItem:
        """Register a viewset and return what others can be registered under."""
        super().register(prefix, viewset, basename, **options)
        return NestedRegistryItem(self, prefix, viewset, self.registry[-1][2])

    def register_nested(self, prefix: str, viewset: type[ViewSetMixin], basename: str) -> None:
        """Register a viewset whose prefix holds the lookups of its parents."""
        super().register(prefix, viewset, basename)

    def get_lookup_regex(self, viewset: type[ViewSetMixin], lookup_prefix: str = "") -> str:
        """Return the part of the path that names an object, as the router writes it."""
        pattern: str = super().get_lookup_regex(viewset, lookup_prefix)  # type: ignore[misc]
        return pattern

    def get_api_root_view(self, api_urls: Any = None) -> Any:
        """Return the root view, which lists what needs no parent."""
        everything = self.registry
        self.registry = [entry for entry in everything if not issubclass(entry[1], UnderParents)]
        try:
            return super().get_api_root_view(api_urls)  # type: ignore[misc]
        finally:
            self.registry = everything


class ExtendedRouterMixin(NestedRouterMixin):
    """Every extension of the routers, to be mixed into one's own."""


class ExtendedSimpleRouter(ExtendedRouterMixin, SimpleRouter):
    """DRF's ``SimpleRouter`` with every extension."""


class APIRoot(APIRootView):
    """The resources of this API."""


class ExtendedDefaultRouter(ExtendedRouterMixin, DefaultRouter):
    """DRF's ``DefaultRouter`` with every extension."""

    APIRootView = APIRoot


def discovered() -> ExtendedDefaultRouter:
    """Return one router with all that applications register, so that its root lists the resources of each.

    An application registers on a ``router`` in its module ``api_urls``; the order is that of ``INSTALLED_APPS``.
    Raises ``ImproperlyConfigured`` if two of them use the same prefix or the same basename.
    """
    whole = ExtendedDefaultRouter()
    owners: dict[str, str] = {}
    for config in apps.get_app_configs():
        if config.module is None or not module_has_submodule(config.module, "api_urls"):
            continue
        router: BaseRouter | None = getattr(import_module(f"{config.name}.api_urls"), "router", None)
        for prefix, viewset, basename in router.registry if router else ():
            if owners.setdefault(prefix, config.name) != config.name:
                raise ImproperlyConfigured(
                    f"{owners[prefix]}.api_urls and {config.name}.api_urls both register {prefix!r}: rename one."
                )
            whole.register_nested(prefix, viewset, basename)
    return whole
