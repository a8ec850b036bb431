"""Keys of cached answers and of tags: constructors, declared like forms, and the bits they are made of."""

from core.keys import bits
from core.keys.constructors import (
    DefaultAPIModelInstanceKeyConstructor,
    DefaultAPIModelListKeyConstructor,
    DefaultKeyConstructor,
    DefaultListKeyConstructor,
    DefaultObjectKeyConstructor,
    KeyConstructor,
)
from core.keys.functions import (
    default_api_list_etag_func,
    default_api_object_etag_func,
    default_cache_key_func,
    default_etag_func,
    default_list_cache_key_func,
    default_list_etag_func,
    default_object_cache_key_func,
    default_object_etag_func,
)

__all__ = [
    "DefaultAPIModelInstanceKeyConstructor",
    "DefaultAPIModelListKeyConstructor",
    "DefaultKeyConstructor",
    "DefaultListKeyConstructor",
    "DefaultObjectKeyConstructor",
    "KeyConstructor",
    "bits",
    "default_api_list_etag_func",
    "default_api_object_etag_func",
    "default_cache_key_func",
    "default_etag_func",
    "default_list_cache_key_func",
    "default_list_etag_func",
    "default_object_cache_key_func",
    "default_object_etag_func",
]
