"""What a worker does with an observer that it has taken: ask, keep the answer, tell whoever listens."""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from core.callers import Caller
from core.conf import core_settings
from core.models import Observer
from core.reactive import publishing, store
from core.reactive.differences import as_json
from core.reactive.evaluation import Answer, FailedError, RefusedError, evaluate, may_ask
from core.reactive.matching import profile_of, shown_keys
from core.reactive.protocol import notice
from core.reactive.question import Question
from core.reactive.store import Kept

logger = logging.getLogger(__name__)


def run(row: Observer, covered: Mapping[str, Any]) -> None:
    """Evaluate the observer ``row``, whose lease is held. Never raises for what the view does."""
    question = Question.from_data(row.question)
    try:
        answer = _ask(row, question)
    except RefusedError as error:
        revoke(row.pk, detail=f"It is answered with {error.status} now.")
        return
    except Exception as error:  # whatever a view may raise
        pause = store.fail(row, repr(error))
        level = logging.WARNING if isinstance(error, FailedError) else logging.ERROR
        if row.failures == 0:
            logger.log(level, "A live query failed; it is tried again: %s", _named(question), exc_info=error)
        else:
            logger.info("A live query failed again; the next try is in %s s: %s: %r", pause, _named(question), error)
        return
    if answer is None:
        return
    if (sentence := too_much(answer)) is not None and len(answer.items) > core_settings.REACTIVE.MAX_RESULT_LENGTH:
        suspend(row.pk, question, sentence)
        return
    _keep(row, question, answer, covered)
    if sentence is not None:
        suspend(row.pk, question, sentence)


def _ask(row: Observer, question: Question) -> Answer | None:
    """Have the question answered; a shared one as one of those who ask it and still may. None if none are left."""
    if not question.shared:
        return evaluate(question)
    answer, refusal = None, None
    for caller in store.callers(row.pk):
        try:
            if answer is None:
                answer = evaluate(question, caller)
                continue
            allowed = may_ask(question, caller)
        except RefusedError as error:
            allowed, refusal = False, error
        if not allowed:
            revoke(row.pk, caller, detail="It may not be asked any longer.")
    if answer is None and refusal is not None:
        raise refusal
    if answer is None:
        raise RefusedError(404)  # nobody asks any longer
    return answer


def _keep(row: Observer, question: Question, answer: Answer, covered: Mapping[str, Any]) -> None:
    try:
        finished = store.finish(row.pk, answer.items, kept_of(question, answer, covered), seq=row.seq, lease=row.lease)
    except Observer.DoesNotExist:
        return
    if finished is not None:
        publishing.publish(finished)


def kept_of(question: Question, answer: Answer, covered: Mapping[str, Any]) -> Kept:
    """Return what is kept of ``answer``, besides its items; warn of what its author should know."""
    watch, limits = answer.watch, core_settings.REACTIVE
    if answer.seconds > limits.WARNINGS_MAX_PROCESSING_TIME:
        logger.warning("A live query took %.1f s: %s", answer.seconds, _named(question))
    if len(answer.items) > limits.WARNINGS_MAX_RESULT_LENGTH:
        logger.warning("A live query has %d items: %s", len(answer.items), _named(question))
    if watch.sees_too_little() and question.view not in _warned:
        _warned.add(question.view)
        logger.warning(
            "The live query %s reads something whose changes nobody hears of: name dependencies or a poll_interval.",
            question.view,
        )
    return Kept(answer.primary_key, _matched(answer), sorted(watch.tables()), covered, answer.seconds)


def _matched(answer: Answer) -> dict[str, Any] | None:
    """Return what the index of the workers is to know of an answer, as JSON can hold it; None: its tables are all."""
    watch = answer.watch
    if watch.queryset is None:
        return None
    profile = profile_of(watch.queryset, tables=watch.other_tables(), offset=watch.offset)
    rows = watch.rows()
    keys = None if rows is None else [row.pk for row in rows]
    nested = None if rows is None else shown_keys(rows)
    matched: dict[str, Any] = json.loads(as_json({"profile": profile.as_data(), "keys": keys, "nested": nested}))
    return matched


_warned: set[str] = set()


def too_much(answer: Answer) -> str | None:
    """Return why a query cannot be live, if it is above a limit."""
    limits = core_settings.REACTIVE
    if len(answer.items) > limits.MAX_RESULT_LENGTH:
        return (
            f"The list has {len(answer.items)} items; a live query may have {limits.MAX_RESULT_LENGTH}. Ask for a page."
        )
    if answer.seconds > limits.ERRORS_MAX_PROCESSING_TIME:
        return f"The query took {answer.seconds:.1f} s; a live query may take {limits.ERRORS_MAX_PROCESSING_TIME:g} s."
    return None


def suspend(observer: str, question: Question, detail: str) -> None:
    """Evaluate ``observer`` no more until somebody asks anew, and tell its subscribers."""
    logger.error("A live query is suspended: %s %s", detail, _named(question))
    publishing.tell(observer, notice("suspended", observer, detail=detail), store.suspend(observer, detail))


def revoke(observer: str, caller: Caller | None = None, *, detail: str) -> None:
    """End the subscriptions to ``observer`` (those of ``caller``) and say so."""
    message = notice("revoked", observer, detail=detail)
    if caller is None:
        _tell({observer: message}, store.revoke_all({observer: message}))
    else:
        publishing.tell(observer, message, store.revoke(observer, message, caller))


def reload(observers: Iterable[str]) -> None:
    """End the subscriptions to ``observers``, at most ``store.BLOCK``, in a way that has clients ask again.

    Observers that are being written at this moment are left for another time.
    """
    messages = {observer: notice("reload", observer) for observer in observers}
    _tell(messages, store.revoke_all(messages, skip_locked=True))


def _tell(messages: Mapping[str, str], told: Mapping[str, Mapping[str, str | None]]) -> None:
    for observer, subscribers in told.items():
        publishing.tell(observer, messages[observer], subscribers)


def _named(question: Question) -> str:
    query = f"?{question.query_string}" if question.query else ""
    return f"{question.path}{query} ({question.view}, user {question.caller.user_pk or 'anonymous'})"
