"""Which headers an item may set, and which it has from the batch. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping

_NAME = re.compile(r"[A-Za-z0-9-]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# Who the caller is, and where they came in. Items get these from the batch and cannot set them.
CALLER = frozenset(
    [
        "authorization",
        "cookie",
        "host",
        "origin",
        "referer",
        "forwarded",
        "via",
        "x-csrftoken",
        "x-real-ip",
        "x-client-ip",
        "client-ip",
        "x-cluster-client-ip",
        "x-proxyuser-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "fastly-client-ip",
        "forwarded-for",
        "x-forwarded",
        "x-host",
        "x-http-host-override",
        "x-scheme",
        "x-url-scheme",
        "x-script-name",
        "front-end-https",
        "x-client-cert",
        "x-client-dn",
        "x-client-verify",
    ]
)
# Those of proxies that vouch for who the caller is among them.
CALLER_PREFIXES = (
    *("x-forwarded-", "sec-", "x-auth-", "x-authenticated-", "x-webauth-", "x-ssl-", "ssl-", "x-envoy-"),
    *("x-amzn-oidc-", "x-goog-authenticated-", "x-goog-iap-", "x-ms-client-", "x-appengine-"),
)
# Items get these from the batch unless they set their own.
DEFAULTS = frozenset(
    [
        "accept-language",
        "user-agent",
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-request-id",
        "x-correlation-id",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
    ]
)
DEFAULT_PREFIXES = ("x-b3-",)
# What belongs to the connection or to the framing of the body, or is a proxy's to say.
REFUSED = frozenset(
    [
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "connection",
        "keep-alive",
        "upgrade",
        "expect",
        "cookie2",
        "set-cookie",
        "set-cookie2",
        "script-name",
        "path-info",
        "x-accel-redirect",
        "x-sendfile",
    ]
)
REFUSED_PREFIXES = ("proxy-", "remote-", "x-remote-", "x-original-", "x-rewrite-")


def problem(name: str, value: object, inherited: Collection[str] = ()) -> str | None:
    """Return what is wrong with a header of an item, or None.

    ``inherited``: names, in lower case, that are the caller's in this project besides the usual ones.
    """
    lowered = name.lower()
    if not _NAME.match(name):
        # An underscore would be taken for a hyphen further in: remote_user for REMOTE_USER.
        return f"{name!r} is not the name of a header: letters, digits and hyphens."
    if _belongs(lowered, REFUSED | CALLER | set(inherited), REFUSED_PREFIXES + CALLER_PREFIXES):
        return f"An item cannot set {name}."
    if not isinstance(value, str):
        return f"The value of {name} is not a string."
    return value_problem(name, value)


def value_problem(name: str, value: str) -> str | None:
    """Return what is wrong with the value of a header, or None."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return f"The value of {name} has characters that a header cannot hold."
    return f"The value of {name} has control characters." if _CONTROL.search(value) else None


def variable(name: str) -> str:
    """Return the key of a header in ``request.META``."""
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def inherited(meta: Mapping[str, object], extra: Iterable[str] = ()) -> dict[str, object]:
    """Return what an item has from the batch: from ``meta``, the ``request.META`` of the batch.

    The variables of the server (address, port, user) and the caller's headers; ``extra`` names more of them, in
    lower case. What describes the batch itself (its length, type, path, conditions) is left behind.
    """
    names, prefixes = CALLER | DEFAULTS | set(extra), CALLER_PREFIXES + DEFAULT_PREFIXES
    kept = {}
    for key, value in meta.items():
        if key.startswith("HTTP_"):
            if _belongs(key[5:].replace("_", "-").lower(), names, prefixes):
                kept[key] = value
        elif key not in _OF_THE_BATCH:
            kept[key] = value
    return kept


_OF_THE_BATCH = frozenset(
    [
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "PATH_INFO",
        "QUERY_STRING",
        "REQUEST_METHOD",
        "REQUEST_URI",
        "RAW_URI",
        "UNENCODED_URL",
        "PATH_TRANSLATED",
        "wsgi.input",
        "wsgi.input_terminated",
        "wsgi.file_wrapper",
        "CSRF_COOKIE",
        "CSRF_COOKIE_NEEDS_UPDATE",
    ]
)


def _belongs(name: str, names: Collection[str], prefixes: tuple[str, ...]) -> bool:
    return name in names or name.startswith(prefixes)
