"""How a bulk operation is refused: one exception per status, and what each error of the database comes to."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError as InvalidValue
from django.db import DatabaseError, DataError, IntegrityError
from django.db.models import ProtectedError, RestrictedError
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.fields import get_error_detail

logger = logging.getLogger(__name__)


class BulkRefused(APIException):
    """400: the request cannot be carried out as it stands."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "bulk_refused"


class BulkConflict(APIException):
    """409: the data do not allow it."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "bulk_conflict"


def too_many(limit: int, count: str) -> BulkRefused:
    """Return the refusal of ``count`` rows (in words) where ``limit`` is the most that one request may touch."""
    return BulkRefused(f"This would touch {count} rows; at most {limit} are allowed in one request.", "too_many_rows")


@contextmanager
def database_errors_answered() -> "Iterator[None]":
    """Turn what the database refuses into an answer: 400 for a value, 409 for everything else.

    Stands outside of the transaction, so that it is rolled back, and so that what COMMIT refuses counts too.
    """
    try:
        yield
    except (DatabaseError, OverflowError, InvalidValue) as error:
        raise _answer(error) from error


def _answer(error: Exception) -> APIException:
    if isinstance(error, InvalidValue):
        return ValidationError(get_error_detail(error))
    for kinds, answer in _ANSWERS:
        if isinstance(error, kinds):
            return answer(error)
    logger.error("A bulk operation failed in the database.", exc_info=error)
    return BulkConflict("The database could not do this now; nothing was written. Try again.", "database")


def _in_use(error: Exception) -> APIException:
    rows: Any = getattr(error, "protected_objects", None) or getattr(error, "restricted_objects", None) or ()
    kinds = sorted({str(row._meta.verbose_name_plural) for row in rows})
    return BulkConflict(
        f"Rows among these are in use by {', '.join(kinds) or 'others'}; nothing was deleted.", "protected"
    )


def _constraint(_error: Exception) -> APIException:
    return BulkConflict("A constraint of the database refuses these values; nothing was written.", "constraint")


def _value(_error: Exception) -> APIException:
    return BulkRefused("The database refuses one of these values; nothing was written.", "value")


_ANSWERS: tuple[tuple[tuple[type[Exception], ...], Callable[[Exception], APIException]], ...] = (
    ((ProtectedError, RestrictedError), _in_use),
    ((IntegrityError,), _constraint),
    ((DataError, OverflowError), _value),
)
