"""The names that projects rely on are where the documentation says, and the example needs no others."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import polls

ETAG_MIXINS = [f"{part}ETAGMixin" for part in ("", "ReadOnly", "Retrieve", "List", "Update", "Destroy")]
FUNCTIONS = ("cache_key", "object_cache_key", "list_cache_key", "etag", "object_etag", "list_etag")
CONSTRUCTORS = ("Default", "DefaultObject", "DefaultList", "DefaultAPIModelInstance", "DefaultAPIModelList")
NAMES = {
    "core.routers": ["ExtendedSimpleRouter", "ExtendedDefaultRouter", "ExtendedRouterMixin", "NestedRouterMixin"],
    "core.viewsets": ["NestedViewSetMixin", "DetailSerializerMixin", "paginate"],
    "core.pagination": ["PaginateByMaxMixin"],
    "core.serializers": ["PartialUpdateSerializerMixin"],
    "core.fields": ["ResourceUriField"],
    "core.permissions": ["ExtendedDjangoObjectPermissions"],
    "core.conf": ["core_settings", "extensions_api_settings"],
    "core.keys": [
        *("KeyConstructor", "bits", *(f"{name}KeyConstructor" for name in CONSTRUCTORS)),
        *(f"default_{name}_func" for name in (*FUNCTIONS, "api_object_etag", "api_list_etag")),
    ],
    "core.keys.bits": [
        *("KeyBitBase", "FormatKeyBit", "LanguageKeyBit", "UserKeyBit", "RequestMetaKeyBit", "HeadersKeyBit"),
        *("ArgsKeyBit", "KwargsKeyBit", "QueryParamsKeyBit", "PaginationKeyBit", "ListSqlQueryKeyBit"),
        *("RetrieveSqlQueryKeyBit", "UniqueViewIdKeyBit", "UniqueMethodIdKeyBit", "ListModelKeyBit"),
        "RetrieveModelKeyBit",
    ],
    "core.caching": ["cache_response", "CacheResponseMixin", "ListCacheResponseMixin", "RetrieveCacheResponseMixin"],
    "core.etags": [
        *("etag", "api_etag", "ETAGProcessor", "APIETAGProcessor", "PreconditionRequiredException"),
        *(*ETAG_MIXINS, *(f"API{name}" for name in ETAG_MIXINS)),
        *("CacheResponseAndETAGMixin", "ReadOnlyCacheResponseAndETAGMixin"),
    ],
    "core.bulk": ["ListUpdateModelMixin", "ListDestroyModelMixin", "ListCreateModelMixin"],
    "core.batch": ["BatchView"],
    "core.reactive": [
        *("observable", "ClientConsumer", "WorkerConsumer", "PollObserversConsumer"),
        *("CHANNEL_WORKER_NOTIFY", "CHANNEL_POLL_OBSERVER"),
    ],
    "core.bindings": [
        *("ResourceBinding", "ReadOnlyResourceBinding", "WebsocketDemultiplexer", "detail_action", "list_action"),
        *("BasePermission", "AllowAny", "IsAuthenticated"),
    ],
    "core.changes": ["Change", "changes_committed", "record_change", "TrackedQuerySet", "TrackedManager"],
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_projects_import_them_from(module):
    found = import_module(module)
    assert [name for name in NAMES[module] if not hasattr(found, name)] == []
    assert set(NAMES[module]) <= set(getattr(found, "__all__", NAMES[module]))


def test_the_example_needs_no_other_names():
    """That is the proof that they are enough."""
    used = {
        (node.module, name.name)
        for file in Path(polls.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("core")
        for name in node.names
    }
    assert {module for module, _ in used} >= {"core.bulk", "core.bindings", "core.etags", "core.routers"}
    assert {(module, name) for module, name in used if name not in NAMES.get(module, [])} == set()
