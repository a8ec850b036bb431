"""What a socket's caller came by, and whether that still holds: a session, a token, an active user."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework.authtoken.models import Token

from core.callers import CallerGoneError, User

BLOCK: Final = 500
"""Rows asked for in one query: below every database's limit of parameters."""


class Credential(NamedTuple):
    """How somebody who is logged in came to be: ``kind`` is ``"session"`` or ``"token"``, ``key`` the key of either."""

    kind: str
    key: str
    user_pk: str


def credential_of(scope: Mapping[str, Any]) -> Credential | None:
    """Return what the caller of ``scope`` came by; None for somebody who is anonymous, and has nothing to lose."""
    user = scope.get("user")
    if user is None or not user.is_authenticated:
        return None
    if (key := scope.get("token")) is not None:
        return Credential("token", key, str(user.pk))
    return Credential("session", scope["session"].session_key or "", str(user.pk))


class Rights(NamedTuple):
    """What the database says of some credentials now: active users by key, and the credentials that hold no longer."""

    users: Mapping[str, AbstractBaseUser]
    lost: frozenset[Credential]


def rights_of(credentials: Collection[Credential]) -> Rights:
    """Look up whether ``credentials`` hold.

    A session holds until it ends or is logged out, or the password is changed; a token until it is deleted; both as
    long as the user is there and active. Costs a query for each kind and each 500 of them. Sessions that are not kept
    in the database are asked one by one.
    """
    users = _active_users({each.user_pk for each in credentials})
    sessions = _sessions({each.key for each in credentials if each.kind == "session"})
    tokens = _owners({each.key for each in credentials if each.kind == "token"})
    lost = set()
    for each in credentials:
        user = users.get(each.user_pk)
        if user is None:
            lost.add(each)
        elif each.kind == "token":
            if tokens.get(each.key) != each.user_pk:
                lost.add(each)
        elif not _is_of(sessions.get(each.key, {}), user):
            lost.add(each)
    return Rights(users, frozenset(lost))


def user_of(credential: Credential | None) -> User:
    """Return the user as the database has them now, for whom ``credential`` speaks: two queries, or none for nobody.

    Raises ``CallerGoneError`` if it holds no longer.
    """
    if credential is None:
        return AnonymousUser()
    users, lost = rights_of([credential])
    if lost:
        raise CallerGoneError(f"The {credential.kind} of user {credential.user_pk} holds no longer.")
    return users[credential.user_pk]


def _is_of(session: Mapping[str, Any], user: AbstractBaseUser) -> bool:
    told = session.get(HASH_SESSION_KEY, "")
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return session.get(SESSION_KEY) == str(user.pk) and any(constant_time_compare(told, each) for each in hashes)


def _active_users(pks: Collection[str]) -> dict[str, AbstractBaseUser]:
    manager = get_user_model()._default_manager
    found = (user for block in _blocks(pks) for user in manager.filter(pk__in=block))
    return {str(user.pk): user for user in found if user.is_active}


def _owners(keys: Collection[str]) -> dict[str, str]:
    pairs = (pair for block in _blocks(keys) for pair in Token.objects.filter(key__in=block).values_list("key", "user"))
    return {key: str(user) for key, user in pairs}


def _sessions(keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return what each session holds that has not ended."""
    if not keys:
        return {}
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    if not hasattr(store, "get_model_class"):
        return {key: store(key).load() for key in keys}
    model = store.get_model_class()
    found = (
        session
        for block in _blocks(keys)
        for session in model.objects.filter(session_key__in=block, expire_date__gt=timezone.now())
    )
    return {session.session_key: session.get_decoded() for session in found}


def _blocks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), BLOCK):
        yield ordered[start : start + BLOCK]
