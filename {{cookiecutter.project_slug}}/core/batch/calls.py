"""An item with its references filled in: what is to be called. Pure."""

from dataclasses import dataclass
from urllib.parse import quote

from core.batch import headers, urls
from core.batch.bodies import MULTIPART, encode_body, fields
from core.batch.items import Item
from core.batch.references import Resolver


class BadCallError(ValueError):
    """What came out is not allowed; the message says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, complete but for the contents of its files."""

    method: str
    target: urls.Target
    headers: tuple[tuple[str, str], ...]
    content: bytes = b""
    content_type: str | None = None
    fields: tuple[tuple[str, str], ...] | None = None
    """The text fields, if the body is multipart; then ``content`` is empty."""
    files: tuple[tuple[str, str], ...] = ()
    url_was_open: bool = False
    """Whether the URL had references, so that it could not be judged with the batch."""


def resolve(item: Item, resolver: Resolver) -> Call:
    """Fill in the references of ``item``. Raises ``UnresolvedError`` and ``BadCallError``."""
    target = item.target or _target(resolver.text(item.url, _quote))
    own = tuple((name, resolver.text(value)) for name, value in item.headers)
    for name, value in own:
        if message := headers.value_problem(name, value):
            raise BadCallError(message)
    content_type = next((value for name, value in own if name.lower() == "content-type"), None)
    rest = tuple((name, value) for name, value in own if name.lower() != "content-type")
    was_open = item.target is None
    if item.body is None:
        return Call(item.method, target, rest, content_type=content_type, url_was_open=was_open)
    if item.body.media_type == MULTIPART:
        form = tuple(fields(resolver.value(item.body.value)))
        return Call(item.method, target, rest, fields=form, files=item.files, url_was_open=was_open)
    content = encode_body(item.body, resolver)
    return Call(item.method, target, rest, content, content_type or item.body.media_type, url_was_open=was_open)


def _target(url: str) -> urls.Target:
    try:
        return urls.target(url)
    except ValueError as error:
        raise BadCallError(str(error)) from error


def _quote(text: str) -> str:
    return quote(text, safe="", errors="replace")
