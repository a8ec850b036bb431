"""A batch that came as a form, ``multipart/form-data``: the same batch as if it had come as JSON. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from core.batch.items import BatchError

# What Django's own forms carry.
_IGNORED = frozenset({"csrfmiddlewaretoken"})
_WORDS = {"true": True, "false": False, "1": True, "0": False}


def from_form(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the batch that the text fields of a form describe. Raises ``BatchError``.

    ``batch`` is the JSON of the list of items; ``atomic`` and ``ordered`` are ``true`` or ``false``.
    """
    raw: dict[str, Any] = {key: value for key, value in fields.items() if key not in _IGNORED}
    if "batch" in raw:
        try:
            raw["batch"] = json.loads(raw["batch"], parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise BatchError({"batch": [f"The field is not JSON: {error}"]}) from error
    for key in _present({"atomic", "ordered"}, raw):
        raw[key] = _WORDS.get(raw[key].strip().lower(), raw[key])
    return raw


def _present(keys: Iterable[str], raw: Mapping[str, Any]) -> list[str]:
    return [key for key in keys if key in raw]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON.")
