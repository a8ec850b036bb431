"""Views of every kind that are observed."""

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.shortcuts import get_object_or_404
from django.urls import path
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer, SerializerMethodField
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ReadOnlyModelViewSet

from core.checks import check_observables
from core.models import Observer, Subscription
from core.reactive import observable
from core.reactive.checking import observables
from core.routers import ExtendedSimpleRouter
from polls.models import Choice, Question
from tests.testapp.models import Quiet

pytestmark = pytest.mark.django_db(transaction=True)


class ChoiceSerializer(ModelSerializer):
    siblings = SerializerMethodField()

    class Meta:
        model = Choice
        fields = ("id", "choice_text", "votes", "siblings")

    def get_siblings(self, choice):
        return Choice.objects.filter(question=choice.question_id).count()


class OpenView(GenericViewSet):
    queryset = Choice.objects.all()
    serializer_class = ChoiceSerializer
    permission_classes = (AllowAny,)
    filter_backends = ()
    pagination_class = None


@pytest.fixture
def route(serve):
    """Returns a function that serves a view or viewset."""

    def use(view):
        if issubclass(view, GenericViewSet):
            router = ExtendedSimpleRouter()
            router.register("things", view, basename="thing")
            serve(router.urls)
        else:
            serve([path("things/", view.as_view())])

    return use


def vote():
    Choice.objects.filter(choice_text="Tea").vote()


def test_what_the_serializer_reads_by_itself_counts(world, question, route):
    """A count of the same table is no part of the listed rows: any change of it may matter."""

    @observable
    class View(ReadOnlyModelViewSet, OpenView):
        queryset = Choice.objects.filter(votes__gte=1)

    route(View)
    vote()
    live = world.page().observe("/things/")
    Choice.objects.create(question=question, choice_text="Juice")  # not in the list
    world.work()
    assert [item["siblings"] for item in live.items] == [3]


@pytest.mark.parametrize("order", ["above", "below"])
def test_an_action_can_be_observed(world, question, route, order):
    def top(self, request):
        rows = self.get_queryset().order_by("-votes", "pk")[:1]
        return Response(self.get_serializer(rows, many=True).data)

    class View(OpenView):
        top = None

    decorated = action(detail=False)(observable(top)) if order == "below" else observable(action(detail=False)(top))
    View.top = decorated
    route(View)
    live = world.page().observe("/things/top/")
    Choice.objects.filter(choice_text="Coffee").update(votes=4)
    world.work()
    assert [item["choice_text"] for item in live.items] == ["Coffee"]


def test_a_plain_view_with_a_key_of_its_own(world, question, route):
    @observable(primary_key="name")
    class View(APIView):
        permission_classes = (AllowAny,)

        def get(self, request):
            return Response([{"name": row.choice_text, "votes": row.votes} for row in Choice.objects.all()])

    route(View)
    live = world.page().observe("/things/")
    assert live.primary_key == "name"
    vote()
    world.work()
    assert live.items == [{"name": "Tea", "votes": 1}, {"name": "Coffee", "votes": 0}]


@pytest.mark.parametrize("paginator", [PageNumberPagination, CursorPagination])
def test_pages_of_every_kind(world, question, route, paginator):
    for number in range(6):
        Choice.objects.create(question=question, choice_text=str(number))

    @observable
    class View(ListAPIView):
        queryset = Choice.objects.order_by("-votes", "id")
        serializer_class = ChoiceSerializer
        permission_classes = (AllowAny,)
        filter_backends = ()
        pagination_class = type("Pages", (paginator,), {"page_size": 3, "ordering": ("-votes", "id")})

    route(View)
    query = {"page": 2} if paginator is PageNumberPagination else {}
    live = world.page().observe("/things/", **query)
    Choice.objects.filter(choice_text="5").update(votes=9)
    world.work()
    assert live.items == live.fresh
    Choice.objects.order_by("-votes").first().delete()
    world.work()
    assert live.items == live.fresh


def test_data_that_is_not_in_the_database_is_polled(world, route):
    @observable(primary_key="name", poll_interval=30)
    class View(APIView):
        permission_classes = (AllowAny,)

        def get(self, request):
            return Response([{"name": "temperature", "value": cache.get("temperature", 20)}])

    route(View)
    live = world.page().observe("/things/")
    cache.set("temperature", 25)
    assert world.work() == 0
    Observer.objects.update(due_at=0)
    assert world.work() == 1
    assert live.items == [{"name": "temperature", "value": 25}]
    assert Observer.objects.get().due_at is not None


@pytest.mark.parametrize("dependency", [Question, "polls.question", "polls_question"])
def test_what_a_view_is_said_to_depend_on_counts(world, question, route, dependency):
    values = iter(range(100))

    @observable(primary_key="n", dependencies=[dependency])
    class View(APIView):
        permission_classes = (AllowAny,)

        def get(self, request):
            return Response([{"n": next(values)}])

    route(View)
    live = world.page().observe("/things/")
    vote()
    assert world.work() == 0
    Question.objects.update(question_text="?")
    assert world.work() == 1
    assert live.keys == [1]


def test_a_shared_answer_is_made_once_for_all_who_may_ask(world, question, stranger, author, staff, route):
    calls = []

    @observable(shared=True)
    class View(ReadOnlyModelViewSet, OpenView):
        permission_classes = (IsAuthenticated,)

        def get_queryset(self):
            calls.append(self.request.user)
            return Choice.objects.all()

    route(View)
    lists = [world.page(user).observe("/things/") for user in (stranger, author, staff)]
    assert len({live.observer for live in lists}) == 1
    calls.clear()
    vote()
    world.work()
    assert len(calls) == 1
    assert all(live.items == live.fresh for live in lists)
    stranger.is_active = False
    stranger.save()
    vote()
    world.work()
    assert [live.ended for live in lists] == ["revoked", None, None]
    assert lists[1].items == lists[1].fresh
    assert Subscription.objects.filter(ended="").count() == 2


def test_permissions_are_asked_at_every_evaluation(world, question, staff, route):
    @observable
    class View(ReadOnlyModelViewSet, OpenView):
        permission_classes = (IsAdminUser,)

    route(View)
    live = world.page(staff).observe("/things/")
    staff.is_staff = False
    staff.save()
    world.work()
    assert live.ended == "revoked"


def test_evaluations_count_for_no_throttle(world, question, route):
    class Throttle(SimpleRateThrottle):
        rate = "2/hour"

        def get_cache_key(self, request, view):
            return "everybody"

    @observable
    class View(ReadOnlyModelViewSet, OpenView):
        throttle_classes = (Throttle,)

    route(View)
    live = world.page().observe("/things/")
    for _ in range(4):
        vote()
        world.work()
    assert live.items[0]["votes"] == 4
    assert live.page.get("/things/").status_code == 200
    assert live.page.get("/things/").status_code == 429


@pytest.mark.parametrize(
    ("rows", "sentence"), [([{"n": 1}], "has no 'id'"), ([{"id": 1}, {"id": 1}], "have the key 1")]
)
def test_items_that_cannot_be_told_apart_are_the_authors_mistake(api, route, rows, sentence):
    @observable
    class View(APIView):
        permission_classes = (AllowAny,)

        def get(self, request):
            return Response(rows)

    route(View)
    with pytest.raises(ValueError, match=sentence):
        api.get("/things/", {"observe": "me"})


def test_a_class_without_a_method_that_answers_is_refused():
    with pytest.raises(TypeError, match="Writer has no list, retrieve or get"):

        @observable
        class Writer:
            def post(self, request):
                raise NotImplementedError


def test_the_site_knows_its_observable_views():
    names = {(cls.__name__.removeprefix("Nested"), name) for cls, name, _ in observables()}
    assert {("QuestionViewSet", "list"), ("ChoiceViewSet", "list"), ("ChoiceViewSet", "retrieve")} <= names
    call_command("check")


def test_a_view_that_reads_what_nobody_hears_of_is_warned_of(route):
    @observable
    class View(ReadOnlyModelViewSet, OpenView):
        queryset = Quiet.objects.all()

    route(View)
    found = check_observables()
    assert {message.id for message in found} == {"core.W004"}
    assert "testapp.Quiet, which is excluded" in found[0].msg

    @observable(poll_interval=5)
    class Polled(ReadOnlyModelViewSet, OpenView):
        queryset = Quiet.objects.all()

    route(Polled)
    assert check_observables() == []


class Paged(ListAPIView):
    queryset = Choice.objects.order_by("id")
    serializer_class = ChoiceSerializer
    permission_classes = (AllowAny,)
    filter_backends = ()
    pagination_class = type("Pages", (PageNumberPagination,), {"page_size": 2})


def test_a_page_that_is_no_more_is_empty_and_fills_again(world, question, route):
    """The list has shrunk; nobody has lost a right."""
    extra = [Choice.objects.create(question=question, choice_text=text) for text in ("Juice", "Milk")]
    route(observable(type("View", (Paged,), {})))
    live = world.page().observe("/things/", page=2)
    Choice.objects.filter(pk__in=[row.pk for row in extra]).delete()
    world.work()
    assert [message["msg"] for message in live.page.messages] == ["removed", "removed"]
    assert (live.items, live.ended) == ([], None)
    assert live.page.get("/things/", page=2).status_code == 404
    assert world.work() == 0  # it has been answered, and waits for a write
    Choice.objects.create(question=question, choice_text="Water")
    world.work()
    assert [item["choice_text"] for item in live.items] == ["Water"]
    assert live.items == live.fresh


def test_who_comes_back_to_a_page_that_is_no_more_goes_on_with_it(world, question, route):
    extra = Choice.objects.create(question=question, choice_text="Juice")
    route(observable(type("View", (Paged,), {})))
    live = world.page().observe("/things/", page=2)
    live.page.disconnect()
    extra.delete()
    assert [message["msg"] for message in live.resume()["messages"]] == ["removed"]
    assert live.items == []
    live.page.connect(world.processes[0])
    Choice.objects.create(question=question, choice_text="Water")
    world.work()
    assert live.items == live.fresh != []


def test_a_page_that_was_never_there_is_refused_as_by_a_plain_get(world, question, route):
    route(observable(type("View", (Paged,), {})))
    page = world.page()
    answer, plain = page.get("/things/", page=2, observe=page.subscriber), page.get("/things/", page=2)
    assert (answer.status_code, answer.json()) == (404, plain.json())
    assert not Subscription.objects.exists()


def test_a_page_without_rows_of_who_may_see_none_of_it_is_revoked(world, question, route):
    """What makes the view answer 404 is another thing than a page."""

    class View(Paged):
        def get_queryset(self):
            get_object_or_404(Question, published=True)
            return super().get_queryset()

    route(observable(View))
    live = world.page().observe("/things/", page=1)
    Question.objects.update(published=False)
    world.work()
    assert live.ended == "revoked"
