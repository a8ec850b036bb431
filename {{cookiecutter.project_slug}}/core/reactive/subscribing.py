"""What ``GET ...?observe=<subscriber>`` does: subscribe first, then answer, so that no change falls in between."""

from functools import partial
from typing import Any, Final

from django.db import router, transaction
from rest_framework.exceptions import APIException, NotAuthenticated, NotFound, PermissionDenied, ValidationError
from rest_framework.response import Response

from core.callers import Caller
from core.models import Observer
from core.reactive import publishing, store
from core.reactive.consumers import SUBSCRIBER_ID
from core.reactive.coverage import coverage_now
from core.reactive.evaluating import kept_of, suspend, too_much
from core.reactive.evaluation import Answer, FailedError, RefusedError, evaluate
from core.reactive.options import Options
from core.reactive.owners import owner_of_request
from core.reactive.protocol import OBSERVE, SINCE
from core.reactive.question import Question
from core.reactive.store import Finished, NotOwnerError

ATTEMPTS: Final = 10
"""Times that a query is asked if each time another answer has come before."""


class BusyError(APIException):
    """The data changes faster than it can be read."""

    status_code = 503
    default_detail = "This changes faster than it can be read. Try again."
    default_code = "busy"


def subscribe(request: Any, options: Options) -> Any:
    """Answer ``request`` with the items and the ``seq`` from which differences go on.

    A client that comes back with ``since`` gets the messages it has missed instead, if they are still known. Raises
    what Django REST framework makes an answer of.
    """
    subscriber = subscriber_of(request)
    since = _since(request)
    question = Question.of(request, shared=options.shared)
    caller = Caller.of_request(request)
    try:
        seq = store.register(question, subscriber, owner_of_request(request), caller, options.poll_interval)
    except NotOwnerError:
        raise PermissionDenied("This subscriber id belongs to another caller. Make one of your own.") from None
    try:
        answer, finished = _answer(question, caller, subscriber, seq, lost_pages=since is not None)
    except RefusedError as error:
        store.unsubscribe(question.id, subscriber)
        return _refusal(error)
    except FailedError as error:
        store.unsubscribe(question.id, subscriber)
        if error.response is None:
            raise
        return Response(error.response.data, status=error.response.status_code)
    except Exception:
        store.unsubscribe(question.id, subscriber)
        raise
    using = router.db_for_write(Observer)
    transaction.on_commit(partial(publishing.publish, finished), using)
    if transaction.get_connection(using).in_atomic_block:
        # Nobody else could see the subscription while the query ran.
        transaction.on_commit(partial(store.mark, {question.id: "subscribed in a transaction"}), using)
    return Response(_told(answer, finished, since), headers={"Cache-Control": "no-store"})


def subscriber_of(request: Any, name: str = OBSERVE) -> str:
    """Return the subscriber id in a parameter of ``request``. Raises ``ValidationError`` if it is none."""
    given: str = request.query_params.get(name, "")
    if not SUBSCRIBER_ID.fullmatch(given):
        raise ValidationError({name: ["Write 1 to 100 letters, digits or any of . _ ~ - that nobody can guess."]})
    return given


def _since(request: Any) -> int | None:
    given: str | None = request.query_params.get(SINCE)
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise ValidationError({SINCE: ["Write the seq of the last message that was applied."]})
    return int(given)


def _answer(
    question: Question, caller: Caller, subscriber: str, seq: int, *, lost_pages: bool
) -> tuple[Answer, Finished]:
    for _ in range(ATTEMPTS):
        covered = coverage_now()
        answer = evaluate(question, caller, lost_pages=lost_pages)
        if (sentence := too_much(answer)) is not None:
            suspend(question.id, question, sentence)
            raise ValidationError({OBSERVE: [sentence]})
        kept = kept_of(question, answer, covered)
        finished = store.finish(question.id, answer.items, kept, seq=seq, subscriber=subscriber)
        if finished is not None:
            return answer, finished
        seq = Observer.objects.values_list("seq", flat=True).get(pk=question.id)
    raise BusyError


def _told(answer: Answer, finished: Finished, since: int | None) -> dict[str, Any]:
    head = {"observer": finished.observer, "primary_key": answer.primary_key, "seq": finished.seq}
    if since is not None and since <= finished.seq:
        missed = store.differences(finished.observer, since, finished.seq)
        if missed is not None:
            return {**head, "messages": [_parsed(text) for _, texts in missed for text in texts]}
    return {**head, "items": answer.watch.items}


def _parsed(text: str) -> Any:
    import json

    return json.loads(text)


def _refusal(error: RefusedError) -> Response:
    if error.response is not None:
        challenge = (
            {"WWW-Authenticate": error.response["WWW-Authenticate"]} if "WWW-Authenticate" in error.response else {}
        )
        return Response(error.response.data, status=error.status, headers=challenge)
    raise NotAuthenticated if error.status == 401 else NotFound
