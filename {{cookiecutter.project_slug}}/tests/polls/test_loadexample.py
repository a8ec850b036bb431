"""``manage.py loadexample``."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from polls.models import Choice, Question


def load():
    out = StringIO()
    call_command("loadexample", stdout=out)
    return out.getvalue()


@pytest.mark.django_db
class TestLoadExample:
    def test_an_empty_database_gets_the_sample_data(self):
        assert "4 questions loaded, 1 not published" in load()
        assert Choice.objects.count() == 10
        assert Question.objects.filter(published=False).exists()

    def test_a_database_with_questions_is_left_as_it_is(self, question):
        assert "nothing loaded" in load()
        assert list(Question.objects.all()) == [question]

    def test_new_rows_get_keys_after_those_of_the_sample_data(self):
        load()
        assert Question.objects.create(question_text="New?").pk > 4

    def test_without_debug_nobody_is_made_and_nothing_printed(self, settings):
        settings.DEBUG = False
        assert "login" not in load()
        assert not User.objects.exists()

    def test_with_debug_the_printed_login_works_and_stays_the_same(self, settings, client):
        settings.DEBUG = True
        first, second = load().splitlines()[-1], load().splitlines()[-1]
        assert first == second
        password = first.split("/")[1].split()[0]
        assert client.login(username="demo", password=password)
        assert User.objects.get().is_superuser

    def test_another_secret_key_means_another_password(self, settings):
        settings.DEBUG = True
        settings.SECRET_KEY = "a" * 50
        first = load().splitlines()[-1]
        settings.SECRET_KEY = "b" * 50
        assert load().splitlines()[-1] != first
