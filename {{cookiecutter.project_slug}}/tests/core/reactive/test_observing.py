"""A list that is observed: the answer over HTTP, and the differences after it."""

import pytest
from django.db import transaction
from django.db.models import F

from core.models import Observer, Subscription
from polls.models import Choice, Question

pytestmark = pytest.mark.django_db(transaction=True)

QUESTIONS, CHOICES = "/api/questions/", "/api/choices/"


def test_the_answer_names_the_observer_the_key_and_the_number_from_which_differences_go_on(api, question):
    answer = api.get(QUESTIONS, {"observe": "me"})
    body = answer.json()
    assert list(body) == ["observer", "primary_key", "seq", "items"]
    assert body["items"] == api.get(QUESTIONS).json()["results"]
    assert (body["primary_key"], answer["Cache-Control"]) == ("id", "no-store")
    assert "ETag" not in answer
    row = Observer.objects.get()
    assert (row.pk, row.seq, row.evaluations) == (body["observer"], body["seq"], 1)


def test_without_the_parameter_nothing_is_written_and_nothing_is_read(api, question, django_assert_num_queries):
    api.get(QUESTIONS)
    with django_assert_num_queries(
        1
    ):  # looks whether its question or its choices have changed: answered from the cache
        api.get(CHOICES, {"votes__gte": 1000})
    assert not Observer.objects.exists()


def test_every_kind_of_change_is_told(world, question):
    live = world.page().observe(CHOICES)
    tea, coffee = Choice.objects.all()

    def told():
        page = world.pages[0]
        page.messages.clear()
        world.work()
        assert live.items == live.fresh
        return [(message["msg"], message["order"], message["last"]) for message in page.messages]

    juice = Choice.objects.create(question=question, choice_text="Juice")
    assert told() == [("added", 2, True)]
    Choice.objects.filter(pk=tea.pk).vote()
    assert told() == [("changed", 0, True)]
    coffee.delete()
    assert told() == [("removed", 1, True)]
    with transaction.atomic():
        Choice.objects.filter(pk__in=[tea.pk, juice.pk]).update(votes=F("votes") + 5)
    assert told() == [("changed", 0, False), ("changed", 1, True)]
    question.delete()
    assert told() == [("removed", 0, False), ("removed", 1, True)]


def test_the_number_grows_by_one_with_each_evaluation_that_changed_something(world, question):
    page = world.page()
    live = page.observe(CHOICES)
    before = live.seq
    Choice.objects.create(question=question, choice_text="Juice")
    world.work()
    Choice.objects.update(choice_text=F("choice_text"))  # nothing is different afterwards
    world.work()
    Choice.objects.update(choice_text="x")
    world.work()
    assert {message["seq"] for message in page.messages} == {before + 1, before + 2}
    assert live.seq == before + 2


def test_a_commit_of_many_rows_is_one_evaluation_and_one_that_concerns_nobody_is_none(world, question):
    live = world.page().observe(CHOICES, question=question.pk)
    other = Question.objects.create(question_text="?")
    world.work()
    before = Observer.objects.get().evaluations
    with transaction.atomic():
        for number in range(50):
            Choice.objects.create(question=question, choice_text=str(number))
    world.work()
    assert Observer.objects.get().evaluations == before + 1
    assert len(live.items) == 25  # a page
    del other


def test_rows_that_are_rolled_back_were_never_told(world, question):
    live = world.page().observe(CHOICES)
    with pytest.raises(RuntimeError), transaction.atomic():
        Choice.objects.all().delete()
        raise RuntimeError
    assert world.work() == 0
    assert live.items == live.fresh


def test_a_row_that_leaves_the_filter_is_removed_and_one_that_enters_it_is_added(world, question):
    page = world.page()
    live = page.observe(CHOICES, votes__gte=1)
    assert live.items == []
    tea = Choice.objects.first()
    Choice.objects.filter(pk=tea.pk).vote()
    world.work()
    assert live.keys == [tea.pk]
    Choice.objects.filter(pk=tea.pk).update(votes=0)
    world.work()
    assert live.items == []
    assert [message["msg"] for message in page.messages] == ["added", "removed"]
    assert page.messages[1]["item"] == {"id": tea.pk}


def test_a_window_moves_along_when_rows_before_it_go(world, question):
    for number in range(8):
        Choice.objects.create(question=question, choice_text=str(number))
    live = world.page().observe(CHOICES, limit=3, offset=4)
    Choice.objects.first().delete()
    world.work()
    assert live.items == live.fresh
    assert len(live.items) == 3


def test_an_ordering_moves_rows(world, question):
    live = world.page().observe(CHOICES, ordering="-votes,id")
    Choice.objects.filter(choice_text="Coffee").update(votes=7)
    world.work()
    assert [item["choice_text"] for item in live.items] == ["Coffee", "Tea"]
    assert [(each["msg"], each["order"]) for each in live.page.messages] == [("changed", 0)]


def test_a_list_under_a_parent_is_live(world, question):
    live = world.page().observe(f"/api/questions/{question.pk}/choices/")
    Choice.objects.create(question=question, choice_text="Juice")
    Choice.objects.create(question=Question.objects.create(question_text="?"), choice_text="Elsewhere")
    world.work()
    assert [item["choice_text"] for item in live.items] == ["Tea", "Coffee", "Juice"]


def test_one_object_is_a_list_of_one(world, question):
    live = world.page().observe(f"/api/questions/{question.pk}/")
    assert live.keys == [question.pk]
    Question.objects.filter(pk=question.pk).update(question_text="Water?")
    world.work()
    assert [item["question_text"] for item in live.items] == ["Water?"]


def test_what_is_shown_under_a_row_counts(world, question):
    live = world.page().observe(QUESTIONS)
    Choice.objects.filter(choice_text="Tea").vote()
    world.work()
    assert [choice["votes"] for choice in live.items[0]["choices"]] == [1, 0]


def test_a_write_between_the_reading_and_the_answer_is_not_lost(world, question, monkeypatch):
    from core.reactive import store

    finish = store.finish

    def slow(*args, **kwargs):
        monkeypatch.setattr(store, "finish", finish)
        Choice.objects.create(question=question, choice_text="In between")
        return finish(*args, **kwargs)

    monkeypatch.setattr(store, "finish", slow)
    live = world.page().observe(CHOICES)
    assert len(live.items) == 2
    world.work()
    assert [item["choice_text"] for item in live.items] == ["Tea", "Coffee", "In between"]


def test_a_write_between_the_reading_and_the_answer_of_another_worker_is_not_lost(world, question, monkeypatch):
    """The other worker has looked before the answer was kept, with what it knew of the answer before."""
    from core.reactive import store

    live = world.page().observe(CHOICES, votes__gte=5)
    world.work()
    finish, other = store.finish, world.workers[0].__class__()
    other.look()
    Choice.objects.filter(choice_text="Tea").update(votes=5)

    def slow(*args, **kwargs):
        monkeypatch.setattr(store, "finish", finish)
        Choice.objects.filter(choice_text="Coffee").update(votes=5)
        other.look()
        return finish(*args, **kwargs)

    monkeypatch.setattr(store, "finish", slow)
    world.work()
    other.work()
    world.deliver()
    assert live.items == live.fresh
    assert len(live.items) == 2


def test_a_page_that_subscribes_to_the_same_again_goes_on_from_its_new_answer(world, question):
    page = world.page()
    page.observe(CHOICES)
    Choice.objects.filter(choice_text="Tea").vote()
    world.work()
    again = page.observe(CHOICES)
    assert len(page.lists) == 1
    Choice.objects.filter(choice_text="Tea").vote()
    world.work()
    assert again.items == again.fresh
    assert Subscription.objects.count() == 1


def test_who_subscribes_in_a_transaction_misses_nothing(world, question, settings, monkeypatch):
    """Nobody sees the subscription before the commit, so the query is asked once more after it."""
    with transaction.atomic():
        live = world.page().observe(CHOICES)
    assert world.work() == 1
    Choice.objects.filter(choice_text="Tea").vote()
    world.work()
    assert live.items == live.fresh


@pytest.mark.parametrize("subscriber", ["", "a b", "x" * 101, "<script>"])
def test_a_subscriber_that_is_no_id_is_refused_by_name(api, question, subscriber):
    answer = api.get(CHOICES, {"observe": subscriber})
    assert answer.status_code == 400
    assert list(answer.json()) == ["observe"]
    assert not Observer.objects.exists()


@pytest.mark.parametrize("since", ["", "x", "-1", "1" * 19, "²"])
def test_a_number_to_go_on_from_that_is_none_is_refused_by_name(api, question, since):
    answer = api.get(CHOICES, {"observe": "me", "since": since})
    assert answer.status_code == 400
    assert list(answer.json()) == ["since"]


def test_questions_that_differ_are_different_observers(world, question):
    """``?c=at`` is not ``?ca=t``; the order of parameters makes no difference."""
    page = world.page()
    urls = [{"c": "at"}, {"ca": "t"}, {"c": "a", "t": ""}, {"limit": 2, "ordering": "votes"}]
    observers = [page.observe(CHOICES, **query).observer for query in urls]
    assert len(set(observers)) == 4
    assert page.observe(CHOICES, ordering="votes", limit=2).observer == observers[-1]


def test_what_is_refused_without_the_parameter_is_refused_with_it(api, hidden_question):
    for path in (f"/api/questions/{hidden_question.pk}/", f"/api/questions/{hidden_question.pk}/choices/"):
        plain, live = api.get(path), api.get(path, {"observe": "me"})
        assert (live.status_code, live.json()) == (plain.status_code, plain.json()) == (404, plain.json())
    assert api.get(CHOICES, {"question": hidden_question.pk, "observe": "me"}).status_code == 400
    assert not Subscription.objects.exists()


def test_with_the_feature_off_the_parameter_means_nothing(api, question, settings):
    settings.CORE = {**settings.CORE, "REACTIVE": {"ENABLED": False}}
    assert api.get(CHOICES, {"observe": "me"}).json() == api.get(CHOICES).json()
    assert not Observer.objects.exists()
