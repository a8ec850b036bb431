"""Whose rights a commit may have touched."""

import pytest
from django.db import models
from django.test.utils import isolate_apps

from core import users
from core.changes import Change
from core.users import users_changed
from tests.testapp.models import BigNote, Cafe


def change(model, kind="updated", pks=(7,), fields=None):
    return Change(model, model.replace(".", "_"), kind, pks, fields, "default")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (change("testapp.cafe"), {"7"}),
        (change("testapp.place", pks=(7, 8)), {"7", "8"}),  # the table of the parent
        (change("testapp.place", kind="deleted"), {"7"}),
        (change("testapp.place", pks=None), None),
        (change("testapp.place", kind="created"), set()),
        (change("testapp.cafe", fields=frozenset({"last_login"})), set()),
        (change("testapp.cafe", fields=frozenset({"last_login", "seats"})), {"7"}),
        (change("testapp.kiosk"), set()),  # another child of the parent
        (change("auth.user"), set()),
    ],
)
def test_users_are_found_in_each_table_of_their_model(monkeypatch, told, expected):
    monkeypatch.setattr(users, "get_user_model", lambda: Cafe)
    assert users_changed([told]) == expected


def test_a_proxy_of_users_is_the_model_behind_it(monkeypatch):
    monkeypatch.setattr(users, "get_user_model", lambda: BigNote)
    assert users_changed([change("testapp.note")]) == {"7"}


@isolate_apps("tests.testapp")
def test_a_parent_that_counts_otherwise_says_that_some_users_have_changed(monkeypatch):
    class Person(models.Model):
        class Meta:
            app_label = "testapp"

    class Account(models.Model):
        class Meta:
            app_label = "testapp"

    class Member(Account, Person):
        account = models.OneToOneField(Account, models.CASCADE, parent_link=True, primary_key=True)
        person = models.OneToOneField(Person, models.CASCADE, parent_link=True)

        class Meta:
            app_label = "testapp"

    monkeypatch.setattr(users, "get_user_model", lambda: Member)
    assert users_changed([change("testapp.account")]) == {"7"}
    assert users_changed([change("testapp.person")]) is None
