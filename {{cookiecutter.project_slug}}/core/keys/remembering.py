"""The keys of the default functions, remembered by what they are made of.

Taking a request apart into bits, writing them as JSON and digesting that costs more than the rest of a cached answer.
All that the default bits look at stands in the request, or is active in the thread, as it is: where that is equal, so
is the key. A key that is not known is built from the bits, as any other.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from django.core.signals import setting_changed
from django.utils import timezone
from django.utils.translation import get_language

from core.keys.bits import CallerKeyBit
from core.keys.constructors import DefaultKeyConstructor, KeyConstructor, SharedKeyConstructor

REMEMBERED = 4096
"""Keys that a process remembers; then it begins anew."""

_keys: dict[Hashable, str] = {}
_HOST = ("HTTP_HOST", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "SERVER_NAME", "SERVER_PORT")
_caller = CallerKeyBit()


def asked(plain: Any) -> tuple[Hashable, ...]:
    """Return what all bits of the default keys see of a request of Django, whoever asks: address, language, time zone.

    The header ``Host`` and its kin stand for the host: what Django makes of them depends on the settings alone.
    """
    meta, known = plain.META, vars(plain)
    # Whoever has read the parameters may have put others in their place.
    query: Hashable = (meta.get("QUERY_STRING"), plain.encoding)
    if "GET" in known:
        query = tuple((name, tuple(values)) for name, values in plain.GET.lists())
    host = plain.get_host() if "get_host" in known else tuple(map(meta.get, _HOST))
    return plain.path, query, plain.scheme, host, get_language(), str(timezone.get_current_timezone())


class Remembering(KeyConstructor):
    """Looks its keys up before it builds them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._declared = dict(self.bits)

    @property
    def is_untouched(self) -> bool:
        """Whether the bits are those that the class declares, of which it is known what they look at."""
        return self.bits == self._declared

    def get_key(
        self,
        *,
        request: Any,
        view_instance: Any = None,
        view_method: Any = None,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the key of ``request``; see ``KeyConstructor.get_key``."""
        if not self.is_untouched:
            return self._built(request, view_instance, view_method, args, kwargs)
        renderer, version = getattr(request, "accepted_renderer", None), getattr(request, "version", None)
        source = (
            self,
            type(view_instance),
            view_method,
            None if renderer is None else renderer.format,
            getattr(request, "accepted_media_type", None),
            None if version is None else str(version),
            texts(enumerate(args)) if args else (),
            texts(kwargs.items()) if kwargs else (),
            self._who(request),
            *asked(getattr(request, "_request", request)),
        )
        key = _keys.get(source)
        if key is None:
            if len(_keys) >= REMEMBERED:
                _keys.clear()
            key = _keys[source] = self._built(request, view_instance, view_method, args, kwargs)
        return key

    def _built(self, request: Any, view: Any, method: Any, args: Any, kwargs: Any) -> str:
        return super().get_key(request=request, view_instance=view, view_method=method, args=args, kwargs=kwargs)

    def _who(self, request: Any) -> Hashable:
        return None


class RememberingSharedKeyConstructor(Remembering, SharedKeyConstructor):
    """``SharedKeyConstructor``, remembering."""


class RememberingKeyConstructor(Remembering, DefaultKeyConstructor):
    """``DefaultKeyConstructor``, remembering."""

    def _who(self, request: Any) -> Hashable:
        return repr(_caller.get_data(request=request))


def texts(values: Iterable[tuple[Any, Any]]) -> Hashable:
    return tuple((name, None if value is None else str(value)) for name, value in values)


def _forget(**_: object) -> None:
    _keys.clear()


setting_changed.connect(_forget, dispatch_uid="core.keys.remembering")
