"""What becomes of an exception that an action raises: a status, and what the reply lists under ``errors``."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404
from rest_framework import exceptions

from core.bindings.messages import NOT_FOUND, SERVER_ERROR

logger = logging.getLogger(__name__)

UNAUTHORIZED = 401
FORBIDDEN = 403
CONFLICT = 409


def described(error: BaseException, *, anonymous: bool) -> tuple[int, list[Any]]:
    """Return the status of ``error`` and its words: validation errors as one object, anything else as sentences.

    ``anonymous`` tells that the caller has not logged in: then a refusal is a 401. What nobody has foreseen is logged
    and told as a 500 that says nothing of the server's inside.
    """
    match error:
        case Http404():
            return NOT_FOUND, [str(exceptions.NotFound().detail)]
        case PermissionDenied() | exceptions.PermissionDenied() | exceptions.NotAuthenticated():
            return _refused(error, anonymous=anonymous)
        case exceptions.APIException():
            return error.status_code, listed(error.detail)
        case ProtectedError() | RestrictedError():
            return CONFLICT, ["Other rows refer to this one, so that it cannot be deleted."]
        case _:
            logger.error("An action on a socket failed.", exc_info=error)
            return SERVER_ERROR, ["The server could not do this. The failure has been logged."]


def listed(detail: Any) -> list[Any]:
    """Return the words of an error as the list that a reply holds."""
    if isinstance(detail, dict):
        # What REST calls the detail of an error is a sentence here.
        return [str(detail["detail"])] if set(detail) == {"detail"} else [detail]
    if isinstance(detail, list):
        return [each if isinstance(each, dict | list) else str(each) for each in detail]
    return [str(detail)]


def _refused(error: Exception, *, anonymous: bool) -> tuple[int, list[Any]]:
    if anonymous:
        return UNAUTHORIZED, [str(exceptions.NotAuthenticated().detail)]
    detail = getattr(error, "detail", None) or exceptions.PermissionDenied().detail
    return FORBIDDEN, listed(detail)
