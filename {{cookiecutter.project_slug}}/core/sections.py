"""The sections of the settings of ``core``, with the default of every key. ``core.conf`` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What the section of every feature holds."""

    ENABLED: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Feature):
    """Many requests in one."""

    # Items of one batch.
    MAX_REQUESTS: int = field(default=50, metadata={"minimum": 1})
    # Bytes of a batch with its files, of the files of one item, and of an item once its references have been filled in.
    MAX_BODY_SIZE: int = field(default=10 * 2**20, metadata={"minimum": 1})
    # Bytes of an answer that other items refer to.
    MAX_RESULT_SIZE: int = field(default=2**20, metadata={"minimum": 1})
    # References of one batch, and the steps (of about a microsecond) that all their JSONPaths may take.
    MAX_REFERENCES: int = field(default=1000, metadata={"minimum": 0})
    MAX_REFERENCE_STEPS: int = field(default=300_000, metadata={"minimum": 0})
    # Bytes that are taken from an answer that is streamed, and seconds that it may take.
    MAX_STREAM_SIZE: int = field(default=10 * 2**20, metadata={"minimum": 1})
    MAX_STREAM_SECONDS: float = field(default=10.0, metadata={"minimum": 0.05})
    # Items that run at the same time: those of one batch, and the threads that all batches of a process share.
    MAX_WORKERS: int = field(default=10, metadata={"minimum": 1})
    # What may not be batched: names of routes ("namespace:name"), or beginnings of paths ("/accounts/"). A batch
    # within a batch is refused in any case.
    EXCLUDE: tuple[str, ...] = ("token", "login", "rest_framework:login", "admin:login")
    # Headers of the batch that its items get too, besides the usual credentials: "X-Api-Key".
    INHERIT_HEADERS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Routers(Feature):
    """Nested routes."""

    # How the arguments of a nested URL begin that name its parents: parent_lookup_user.
    DEFAULT_PARENT_LOOKUP_KWARG_NAME_PREFIX: str = "parent_lookup_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching(Feature):
    """Cached responses."""

    # Seconds that an answer is kept; None: for ever. Whatever it is, an answer older than a write is never given.
    DEFAULT_CACHE_RESPONSE_TIMEOUT: int | None = field(default=3600, metadata={"minimum": 0})
    # Alias, in CACHES, of the cache that answers are kept in. Versions of tables lie in "default".
    DEFAULT_USE_CACHE: str = "default"
    # Whether answers with a status of 400 and above are kept.
    DEFAULT_CACHE_ERRORS: bool = False
    # Dotted paths of the functions that build keys: of the decorator, of one object, of lists.
    DEFAULT_CACHE_KEY_FUNC: str = "core.keys.default_cache_key_func"
    DEFAULT_OBJECT_CACHE_KEY_FUNC: str = "core.keys.default_object_cache_key_func"
    DEFAULT_LIST_CACHE_KEY_FUNC: str = "core.keys.default_list_cache_key_func"
    # Whether a key constructor works the key of a request out only once.
    DEFAULT_KEY_CONSTRUCTOR_MEMOIZE_FOR_REQUEST: bool = False
    # Seconds that a request waits for another one that is making the same answer.
    FILL_WAIT: float = field(default=2.0, metadata={"minimum": 0})
    # Seconds between two attempts to raise versions that could not be raised.
    REPAIR_INTERVAL: float = field(default=1.0, metadata={"minimum": 0.05})


@dataclass(frozen=True, slots=True, kw_only=True)
class Etags(Feature):
    """Conditional requests."""

    # Dotted paths of the functions that make tags. By default: the digest of what GET answers, for the first three;
    # the digest of the stored values, for the two of the API mixins.
    DEFAULT_ETAG_FUNC: str = "core.keys.default_etag_func"
    DEFAULT_OBJECT_ETAG_FUNC: str = "core.keys.default_object_etag_func"
    DEFAULT_LIST_ETAG_FUNC: str = "core.keys.default_list_etag_func"
    DEFAULT_API_OBJECT_ETAG_FUNC: str = "core.keys.default_api_object_etag_func"
    DEFAULT_API_LIST_ETAG_FUNC: str = "core.keys.default_api_list_etag_func"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk(Feature):
    """Operations on whole lists."""

    # The header that says a request is meant for a whole list; None does without it.
    DEFAULT_BULK_OPERATION_HEADER_NAME: str | None = "X-BULK-OPERATION"
    # Rows that one request may touch.
    MAX_ROWS: int = field(default=10_000, metadata={"minimum": 1})
    # Refuse a PATCH or DELETE of a list that no filter narrows.
    REQUIRE_FILTER: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactive(Feature):
    """Live queries."""

    # Seconds between the beginnings of two evaluations of one query: what changes meanwhile waits and counts as one.
    THROTTLE_RATE: float = field(default=0.1, metadata={"minimum": 0})
    # Items of one answer, and seconds of one evaluation, above which the log has a warning.
    WARNINGS_MAX_RESULT_LENGTH: int = field(default=1000, metadata={"minimum": 1})
    WARNINGS_MAX_PROCESSING_TIME: float = field(default=1.0, metadata={"minimum": 0})
    # The same, above which a query is live no longer: its clients are told.
    MAX_RESULT_LENGTH: int = field(default=10_000, metadata={"minimum": 1})
    ERRORS_MAX_PROCESSING_TIME: float = field(default=20.0, metadata={"minimum": 0})
    # Seconds within which everything that was lost on the way is made good.
    REPAIR_INTERVAL: float = field(default=30.0, metadata={"minimum": 0.1})
    # Seconds that a query stays live without anybody being connected: time to come back and ask what was missed.
    SUBSCRIBER_TIMEOUT: float = field(default=90.0, metadata={"minimum": 1})
    # Differences of one query that are kept for those who come back.
    JOURNAL_LENGTH: int = field(default=100, metadata={"minimum": 1})
    # Queries that one worker evaluates at the same time.
    MAX_WORKERS: int = field(default=4, metadata={"minimum": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bindings(Feature):
    """REST and subscriptions over a WebSocket."""

    # Dotted path of the demultiplexer behind /ws/. This one has every stream that the applications declare.
    DEMULTIPLEXER: str = "core.bindings.WebsocketDemultiplexer"
    # Rows of a page, where no viewset says how many.
    DEFAULT_PAGE_SIZE: int = field(default=25, metadata={"minimum": 1})
    # Threads that answer requests, and requests of one socket that wait for one.
    MAX_WORKERS: int = field(default=10, metadata={"minimum": 1})
    MAX_PENDING: int = field(default=100, metadata={"minimum": 1})
    # Subscriptions of one socket.
    MAX_SUBSCRIPTIONS: int = field(default=1000, metadata={"minimum": 1})
    # Keys that the subscriptions of one kind of caller remember, to tell what has gone out of sight.
    MAX_TRACKED: int = field(default=100_000, metadata={"minimum": 0})
    # The same of all kinds of callers together; a million takes some 80 MB.
    MAX_TRACKED_IN_ALL: int = field(default=2_000_000, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The change stream. Not a feature: it is there when something reads it, and idle when nothing does."""

    # Write what every transaction has changed to a log, with the transaction. Only while a feature reads it.
    LOG: bool = True
    # Applications and models ("app" or "app.model") whose rows nobody needs to hear of.
    EXCLUDE: tuple[str, ...] = ("sessions", "admin.logentry", "contenttypes", "migrations", "core")
    # Keys that a transaction remembers per table; above that it publishes "some rows".
    MAX_PKS: int = field(default=10_000, metadata={"minimum": 1})
    # Seconds between two looks at the log when no doorbell rings.
    POLL_INTERVAL: float = field(default=1.0, metadata={"minimum": 0.05})
    # Seconds that the log keeps an entry, and between two prunings.
    PRUNE_AGE: float = field(default=3600.0, metadata={"minimum": 10})
    PRUNE_INTERVAL: float = field(default=60.0, metadata={"minimum": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """What every WebSocket of the site is held to. Not a feature: there are sockets where a feature has some."""

    # Bytes of a message from a client. Servers close a socket by themselves above 1 MiB.
    MAX_MESSAGE_SIZE: int = field(default=64 * 2**10, metadata={"minimum": 1})
    # Messages that a client may send per second; more are refused, many more close the socket.
    MESSAGE_RATE: float = field(default=50.0, metadata={"minimum": 0.1})
    # Bytes that a client may be sent per PING_INTERVAL (seconds); more close the socket, since it may not be reading.
    MAX_OUTGOING: int = field(default=16 * 2**20, metadata={"minimum": 1024})
    PING_INTERVAL: float = field(default=20.0, metadata={"minimum": 1})
    # Seconds between two looks at whether the callers of open sockets are still logged in and active.
    CHECK_INTERVAL: float = field(default=30.0, metadata={"minimum": 0.5})


SECTIONS: Mapping[str, type] = {
    "BATCH": Batch,
    "ROUTERS": Routers,
    "CACHING": Caching,
    "ETAGS": Etags,
    "BULK": Bulk,
    "REACTIVE": Reactive,
    "BINDINGS": Bindings,
    "CHANGES": Changes,
    "SOCKETS": Sockets,
}
