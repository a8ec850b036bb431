"""Whose subscriber ids are, and what becomes of live queries when rights change."""

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from core import users
from core.models import Observer, Subscription
from core.reactive import housekeeping, store
from core.reactive.owners import Owner
from core.sockets.credentials import Credential
from polls.models import Choice, Question
from tests.testapp.models import Cafe, Place

pytestmark = pytest.mark.django_db(transaction=True)

QUESTIONS, CHOICES = "/api/questions/", "/api/choices/"


@pytest.mark.parametrize(
    ("noted", "caller", "owns"),
    [
        (("", ""), Owner(), True),  # known by whoever knows it
        (("", ""), Owner("s"), True),
        (("", ""), Owner("s", "1"), False),  # a link may have them ask with an id that somebody else knows
        (("", ""), Owner("", "1"), False),
        (("s", ""), Owner("s"), True),
        (("s", ""), Owner("t"), False),
        (("s", ""), Owner(), False),
        (("s", "1"), Owner("", "1"), True),  # the same user, from elsewhere
        (("s", "1"), Owner("s", "2"), True),  # the same session, after a login
        (("s", "1"), Owner("t", "2"), False),
        (("", "1"), Owner("s", ""), False),
    ],
)
def test_an_id_belongs_to_its_session_or_its_user(noted, caller, owns):
    assert caller.owns(*noted) is owns


def observe(client, subscriber, url=CHOICES):
    return client.get(url, {"observe": subscriber})


def client_of(user):
    client = APIClient()
    client.force_login(user)
    return client


def test_nobody_else_can_observe_with_an_id_or_end_its_subscriptions(author, stranger, question):
    mine, theirs = client_of(author), client_of(stranger)
    body = observe(mine, "mine").json()
    refused = observe(theirs, "mine")
    assert refused.status_code == 403
    assert "belongs to another caller" in refused.json()["detail"]
    assert observe(APIClient(), "mine").status_code == 403
    leave = f"/api/queryobserver/unsubscribe/?observer={body['observer']}&subscriber=mine"
    assert theirs.post(leave).status_code == 403
    assert Subscription.objects.count() == 1
    assert mine.post(leave).status_code == 200
    assert mine.post(leave).json() == {}
    assert not Subscription.objects.exists()


def test_an_id_of_a_session_survives_the_login(author, question):
    client = APIClient()
    session = client.session  # an anonymous caller who has a session
    session["basket"] = 1
    session.save()
    assert observe(client, "mine").status_code == 200
    assert observe(APIClient(), "mine").status_code == 403
    client.login(username="author", password="author-password")
    assert observe(client, "mine").status_code == 200


def test_nobody_can_have_who_is_logged_in_subscribe_for_them(world, author, hidden_question):
    """A link to the list with the id of a socket that is open already."""
    evil = world.page()
    store.admit(evil.subscriber, Owner())
    victim = client_of(author)
    refused = observe(victim, evil.subscriber, QUESTIONS)
    assert refused.status_code == 403
    assert "belongs to another caller" in refused.json()["detail"]
    assert not Subscription.objects.exists()
    Question.objects.filter(pk=hidden_question.pk).update(question_text="Secret?")
    world.work()
    world.processes[0].catch_up()
    assert evil.messages == []


@pytest.mark.parametrize("by", ["message", "journal", "end"])
def test_a_socket_opened_before_the_login_hears_nothing_of_the_user(world, author, hidden_question, by):
    page, other = world.page(), world.page(author)
    session = page.api.session
    session["basket"] = 1
    session.save()
    page.observe(CHOICES)
    other.disconnect()
    other.subscriber = page.subscriber  # another socket of that subscriber, opened after the login
    other.connect(world.processes[0])
    page.api.login(username="author", password="author-password")
    live = page.observe(QUESTIONS)
    page.api.logout()
    if by == "end":
        author.is_active = False
        author.save()
    Question.objects.filter(pk=hidden_question.pk).update(question_text="Secret?")
    for worker in world.workers:
        worker.work()
    if by == "journal":
        world.post.clear()
        world.processes[0].catch_up()
    world.deliver()
    assert (page.messages, page.barred) == ([], True)
    assert [(each["msg"], each["observer"]) for each in other.messages] == [
        ("revoked" if by == "end" else "changed", live.observer)
    ]
    assert not other.barred


def test_a_socket_of_a_user_hears_what_was_asked_before_the_login(world, author, question):
    page = world.page()
    session = page.api.session
    session["basket"] = 1
    session.save()
    live = page.observe(CHOICES)
    page.api.login(username="author", password="author-password")
    page.disconnect()
    page.credential = Credential("session", "", str(author.pk))
    page.connect(world.processes[0])
    Choice.objects.filter(choice_text="Tea").vote()
    world.work()
    assert live.items[0]["votes"] == 1
    assert not page.barred


def test_a_token_and_a_session_of_one_user_are_one_owner(author, question):
    observe(client_of(author), "mine")
    by_token = APIClient()
    by_token.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=author).key}")
    assert observe(by_token, "mine").status_code == 200


def test_to_leave_needs_both_names(api):
    assert list(api.post("/api/queryobserver/unsubscribe/?observer=x").json()) == ["subscriber"]
    assert list(api.post("/api/queryobserver/unsubscribe/?subscriber=x").json()) == ["observer"]


def test_what_is_stored_of_a_request_holds_neither_cookies_nor_tokens(author, question):
    client = client_of(author)
    key = Token.objects.create(user=author).key
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}", HTTP_X_SECRET="hidden", HTTP_ACCEPT_LANGUAGE="sl")
    client.get(CHOICES, {"observe": "mine", "votes__gte": 0})
    stored = Observer.objects.get().question
    assert stored == {
        "view": "choice-list",
        "path": CHOICES,
        "query": [["votes__gte", "0"]],
        "caller": {"user_pk": str(author.pk), "host": "testserver", "scheme": "http", "language": "sl"},
        "shared": False,
    }


# --- Rights ---


def test_every_caller_sees_their_own(world, author, stranger, question, hidden_question):
    lists = [world.page(user).observe(QUESTIONS) for user in (None, stranger, author)]
    assert [len(live.items) for live in lists] == [1, 1, 2]
    Question.objects.filter(pk=hidden_question.pk).update(published=True)
    world.work()
    assert [len(live.items) for live in lists] == [2, 2, 2]
    Question.objects.filter(pk=question.pk).update(published=False)
    world.work()
    assert [live.items for live in lists] == [live.fresh for live in lists]
    assert [len(live.items) for live in lists] == [1, 1, 2]


def test_callers_of_one_kind_share_an_observer_and_others_do_not(world, author, question):
    anonymous = {world.page().observe(CHOICES).observer for _ in range(3)}
    own = {world.page(author).observe(CHOICES).observer for _ in range(2)}
    assert (len(anonymous), len(own), len(anonymous | own)) == (1, 1, 2)
    Choice.objects.filter(choice_text="Tea").vote()
    assert world.work() == 2
    assert all(live.items == live.fresh for page in world.pages for live in page.lists.values())


def test_choices_of_a_question_that_is_hidden_go(world, question):
    live = world.page().observe(CHOICES)
    Question.objects.filter(pk=question.pk).update(published=False)
    world.work()
    assert live.items == []


def test_who_becomes_staff_sees_more_and_who_ceases_to_be_less(world, stranger, question, hidden_question):
    live = world.page(stranger).observe(QUESTIONS)
    stranger.is_staff = True
    stranger.save()
    world.work()
    assert len(live.items) == 2
    User.objects.get(pk=stranger.pk)
    stranger.is_staff = False
    stranger.save()
    world.work()
    assert len(live.items) == 1


def test_a_login_is_no_reason_to_ask_anew(world, stranger, question):
    world.page(stranger).observe(QUESTIONS)
    world.work()
    APIClient().login(username="stranger", password="stranger-password")
    assert world.work() == 0


def test_a_change_in_the_table_of_a_users_parent_is_a_change_of_the_user(world, stranger, question, monkeypatch):
    """Where a user is a row in several tables, any of them may say who is active."""
    other = User.objects.create_user("other")
    for user in (stranger, other):
        world.page(user).observe(QUESTIONS)
    world.work()
    cafe = Cafe.objects.create(pk=stranger.pk, name="of the stranger")
    monkeypatch.setattr(users, "get_user_model", lambda: Cafe)
    Place.objects.filter(pk=cafe.pk).update(rank=1)
    world.workers[0].look()
    row = Observer.objects.exclude(due_at=None).get()
    assert (row.question["caller"]["user_pk"], row.reason) == (str(stranger.pk), "its user has changed")


@pytest.mark.parametrize("loss", ["deactivated", "deleted", "parent hidden", "filter hidden"])
def test_who_has_lost_the_right_to_ask_is_told_so_and_nothing_else(world, stranger, question, loss):
    page = world.page(stranger)
    path, query = {
        "parent hidden": (f"/api/questions/{question.pk}/choices/", {}),
        "filter hidden": (CHOICES, {"question": question.pk}),
    }.get(loss, (CHOICES, {}))
    live = page.observe(path, **query)
    if loss == "deactivated":
        stranger.is_active = False
        stranger.save()
    elif loss == "deleted":
        stranger.delete()
    else:
        Question.objects.filter(pk=question.pk).update(published=False)
    Choice.objects.create(question=question, choice_text="Secret")
    world.work()
    assert [(each["msg"], each["observer"]) for each in page.messages] == [("revoked", live.observer)]
    assert Observer.objects.get().status == Observer.REVOKED
    Choice.objects.create(question=question, choice_text="Another")
    assert world.work() == 0
    world.processes[0].catch_up()
    assert len(page.messages) == 1


def test_who_did_not_hear_of_the_loss_finds_out_and_whoever_may_ask_again_goes_on(world, question):
    live = world.page().observe(f"/api/questions/{question.pk}/")
    Question.objects.filter(pk=question.pk).update(published=False)
    world.workers[0].work()
    world.post.clear()
    world.processes[0].catch_up()
    assert live.ended == "revoked"
    Question.objects.filter(pk=question.pk).update(published=True)
    again = live.page.observe(live.url)
    assert again.observer == live.observer
    Question.objects.filter(pk=question.pk).update(question_text="Water?")
    world.work()
    assert again.items == again.fresh
    assert again.ended is None


def test_what_was_revoked_is_forgotten_after_a_while(world, question, settings):
    world.page().observe(f"/api/questions/{question.pk}/")
    Question.objects.filter(pk=question.pk).update(published=False)
    world.work()
    housekeeping.tidy()
    assert Subscription.objects.count() == 1
    Subscription.objects.update(ended_at=0)
    Observer.objects.update(updated_at=0)
    housekeeping.tidy()
    assert not Subscription.objects.exists()
    assert not Observer.objects.exists()
