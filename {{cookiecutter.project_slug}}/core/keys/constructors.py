"""Key constructors: declared like forms, with key bits for fields.

The data of all bits becomes one dictionary, that becomes JSON, and that an md5, which is there to be short, not secret.
"""

import copy
import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.serializers.json import DjangoJSONEncoder

from core.conf import core_settings
from core.keys import bits
from core.keys.bits import KeyBitBase

_MEMO = "_core_keys"
_encoder = DjangoJSONEncoder(separators=(",", ":"))


class KeyConstructor:
    """Builds a key from the bits that its class declares.

    Bits are inherited; ``name = None`` in a subclass takes one away. ``params`` gives bits other params by their names.
    With ``memoize_for_request`` the key of a request is worked out once; None means as ``CORE["CACHING"]`` says.
    """

    base_bits: ClassVar[dict[str, KeyBitBase]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the bits of the class and of those it inherits from."""
        super().__init_subclass__(**kwargs)
        cls.base_bits = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                if isinstance(value, KeyBitBase):
                    cls.base_bits[name] = value
                elif value is None:
                    cls.base_bits.pop(name, None)

    def __init__(self, memoize_for_request: bool | None = None, params: Mapping[str, Any] | None = None) -> None:
        self.memoize_for_request = memoize_for_request
        self.params = dict(params or {})
        self.bits: dict[str, KeyBitBase] = copy.deepcopy(self.base_bits)

    def __call__(self, **kwargs: Any) -> str:
        """Return the key; see ``get_key``."""
        return self.get_key(**kwargs)

    def get_key(
        self,
        *,
        request: Any,
        view_instance: Any = None,
        view_method: Any = None,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the key of ``request`` as 32 hexadecimal digits.

        ``view_instance`` is the view, None for a function; ``view_method`` the method or function; ``args`` and
        ``kwargs`` are what it was called with after the request.
        """
        given = {
            "view_instance": view_instance,
            "view_method": view_method,
            "request": request,
            "args": args,
            "kwargs": {} if kwargs is None else kwargs,
        }
        if not self._memoizes():
            return self.prepare_key(self.get_data_from_bits(**given))
        # On the request itself: it belongs to one thread, and goes when the request goes.
        memo = vars(getattr(request, "_request", request)).setdefault(_MEMO, {})
        which = (self, type(view_instance), getattr(view_method, "__name__", ""), repr(args), repr(kwargs))
        if which not in memo:
            memo[which] = self.prepare_key(self.get_data_from_bits(**given))
        key: str = memo[which]
        return key

    def _memoizes(self) -> bool:
        if self.memoize_for_request is None:
            return core_settings.CACHING.DEFAULT_KEY_CONSTRUCTOR_MEMOIZE_FOR_REQUEST
        return self.memoize_for_request

    def get_data_from_bits(self, **kwargs: Any) -> dict[str, Any]:
        """Return the data of all bits, by their names."""
        found = {}
        for name, bit in self.bits.items():
            if bit.takes_params:
                found[name] = bit.get_data(params=self.params.get(name, bit.params), **kwargs)
            else:
                found[name] = bit.get_data(**kwargs)
        return found

    def prepare_key(self, key_dict: Mapping[str, Any]) -> str:
        """Make the key of the data: JSON, then md5."""
        text = _encoder.encode(key_dict)
        return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def forget_keys(request: Any) -> None:
    """Have the keys of ``request`` built anew: what was remembered is from before a write."""
    vars(getattr(request, "_request", request)).pop(_MEMO, None)


class SharedKeyConstructor(KeyConstructor):
    """Tells apart all that an answer that is the same for everybody may depend on."""

    unique_method_id = bits.UniqueMethodIdKeyBit()
    format = bits.FormatKeyBit()
    media_type = bits.MediaTypeKeyBit()
    language = bits.LanguageKeyBit()
    time_zone = bits.TimeZoneKeyBit()
    version = bits.VersionKeyBit()
    location = bits.LocationKeyBit()
    args = bits.ArgsKeyBit()
    kwargs = bits.KwargsKeyBit()
    query_params = bits.QueryParamsKeyBit()


class DefaultKeyConstructor(SharedKeyConstructor):
    """Tells apart all that, and the callers."""

    user = bits.CallerKeyBit()


class DefaultObjectKeyConstructor(DefaultKeyConstructor):
    """Adds the SQL that finds the object."""

    retrieve_sql_query = bits.RetrieveSqlQueryKeyBit()


class DefaultListKeyConstructor(DefaultKeyConstructor):
    """Adds the SQL of the list, and the page."""

    list_sql_query = bits.ListSqlQueryKeyBit()
    pagination = bits.PaginationKeyBit()


class DefaultAPIModelInstanceKeyConstructor(KeyConstructor):
    """The stored values of the view's object, whoever asks, and in which format."""

    retrieve_model_values = bits.RetrieveModelKeyBit()


class DefaultAPIModelListKeyConstructor(KeyConstructor):
    """The stored values of all rows of the view's list."""

    list_model_values = bits.ListModelKeyBit()
