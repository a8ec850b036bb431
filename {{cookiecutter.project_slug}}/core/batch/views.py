"""``POST /api/batch/``. The wire format is described in ``docs/batch.md``."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.parsers import BaseParser, JSONParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.batch.answers import Answer, server_timing, told
from core.batch.execution import execute
from core.batch.forms import from_form
from core.batch.items import Batch, BatchError, Rules, read_batch
from core.batch.schema import describe
from core.batch.sending import Sender, inherited_names
from core.batch.uploads import upload_of
from core.conf import core_settings


class OtherParser(BaseParser):
    """Reads nothing. The check for CSRF looks into the body first, and has to come to its own answer."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> "Unread":
        """Return what stands for a body that nobody reads."""
        return Unread()


class Unread(dict[str, Any]):
    """A body of a type that is not supported."""


@describe
class BatchView(APIView):
    """Run many requests in one; see ``docs/batch.md``.

    Open to all: each item is held to the permissions of what it calls, as the caller's own request.
    """

    permission_classes = (AllowAny,)
    parser_classes = (JSONParser, MultiPartParser, OtherParser)
    runs_batches = True

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view, outside of ``ATOMIC_REQUESTS``: a batch has transactions of its own, or none."""
        view: Any = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a batch that is too large before anything reads it."""
        limit = core_settings.BATCH.MAX_BODY_SIZE
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
        if length > limit:
            raise ValidationError({"batch": [f"A batch has at most {limit} bytes, its files included."]})
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> Response:
        """Run the items and answer with one result for each, in the order of the items."""
        try:
            files: Any = request.FILES
        except RecursionError as error:
            raise ValidationError({"non_field_errors": ["The JSON is nested too deeply."]}) from error
        uploads = {part: [upload_of(file) for file in files.getlist(part)] for part in files}
        sender = Sender(request._request, uploads)
        limits = core_settings.BATCH
        rules = Rules(
            limits.MAX_REQUESTS,
            limits.MAX_REFERENCES,
            {part: sum(upload.size for upload in each) for part, each in uploads.items()},
            inherited_names(),
            sender.excluded,
            limits.MAX_BODY_SIZE,
        )
        batch = self._batch(request, rules)
        answers = execute(batch, sender)
        _renew_session(request._request, answers)
        entries = [told(item, answer) for item, answer in zip(batch.items, answers, strict=True)]
        response = Response(entries)
        if entries:
            response["Server-Timing"] = server_timing(batch.items, answers)
        for answer in answers:
            for cookie in answer.cookies:
                # Set as if the item had been alone; its page has no business to read it in the body.
                response.cookies[cookie.key] = cookie
        return response

    def _batch(self, request: Request, rules: Rules) -> Batch:
        data: Any = request.data
        if isinstance(data, Unread):
            raise UnsupportedMediaType(request.content_type)
        try:
            if hasattr(data, "getlist"):
                data = from_form({key: data[key] for key in data if key not in request.FILES})
            return read_batch(data, rules)
        except BatchError as error:
            raise ValidationError(error.errors) from error


def _renew_session(request: Any, answers: Iterable[Answer]) -> None:
    """Let go of the session as it was before the items: what is saved at the end is what they have left of it."""
    session = getattr(request, "session", None)
    if session is None:
        return
    cookies = (cookie for answer in answers for cookie in answer.cookies)
    keys = [cookie.value or None for cookie in cookies if cookie.key == settings.SESSION_COOKIE_NAME]
    request.session = type(session)(keys[-1] if keys else session.session_key)
    request.session.accessed = session.accessed
