"""All or nothing: what is undone says so, and what has to wait for the commit waits."""

from contextlib import nullcontext, suppress

import pytest
from django.db import OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from core.changes import changes_committed
from tests.core.batch import site
from tests.core.batch.conftest import get, write
from tests.testapp.models import Tag

pytestmark = pytest.mark.django_db(transaction=True)


def tag(name, **more):
    return write("/tag/", {"name": name, **more})


def names():
    return sorted(Tag.objects.values_list("name", flat=True))


@pytest.fixture(params=[False, True], ids=["", "ATOMIC_REQUESTS"])
def atomic_requests(request, monkeypatch):
    for connection in connections.all():
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", request.param)
    return request.param


@pytest.fixture
def quiet(api):
    api.raise_request_exception = False


def test_success_is_committed_at_once_and_hooks_run_then(post, served, atomic_requests):
    results = post(tag("a"), tag("b"), get("/tags/"), atomic=True)
    assert results.codes == [201, 201, 200]
    assert results.json(2) == {"names": ["a", "b"]}
    assert names() == ["a", "b"]
    assert served.calls == ["tag", "tag", "committed a", "committed b"]


def test_a_failure_undoes_all_and_nothing_undone_reports_success(post, served, atomic_requests):
    results = post(tag("a"), get("/tags/"), tag("b", fail=True), tag("c"), atomic=True)
    assert results.codes == [424, 424, 400, 424]
    for number in (0, 1, 3):
        assert results.json(number)["failed"] == {"index": 2, "name": None, "code": 400}
    assert results.json(0)["detail"] == "Rolled back: item 2 failed with 400."
    assert results.json(3)["detail"] == "Not run: item 2 failed with 400."
    assert names() == []
    assert served.calls == ["tag", "tag"]


def test_without_atomic_each_item_stands_for_itself(post, served, atomic_requests):
    """With ATOMIC_REQUESTS the peer undid items that had reported 201."""
    results = post(tag("a"), tag("b", fail=True), tag("c"))
    assert results.codes == [201, 400, 201]
    # As alone: without a transaction around the request, what was written before the refusal stays.
    assert names() == (["a", "c"] if atomic_requests else ["a", "b", "c"])


@pytest.mark.parametrize("ordered", [True, False])
def test_an_error_of_the_database_spares_the_others(post, served, quiet, atomic_requests, ordered):
    results = post(tag("a"), tag("a"), tag("c"), ordered=ordered)
    assert sorted(results.codes) == [201, 201, 500]
    assert names() == ["a", "c"]


def test_an_exception_undoes_all(post, served, quiet, atomic_requests):
    results = post(tag("a"), get("/boom/", name="boom"), tag("b"), atomic=True)
    assert results.codes == [424, 500, 424]
    assert results.json(0)["failed"] == {"index": 1, "name": "boom", "code": 500}
    assert names() == []


@pytest.mark.parametrize("kind", ["careless", "spoil"])
def test_an_item_that_breaks_the_transaction_and_reports_success_is_the_culprit(post, served, atomic_requests, kind):
    if kind == "careless" and connections["default"].vendor != "postgresql":
        pytest.skip("only PostgreSQL gives up a transaction for an error that was caught")
    if atomic_requests:
        pytest.skip("the item has a savepoint of its own then, which is what it breaks")
    results = post(tag("a"), write(f"/{kind}/"), tag("b"), atomic=True)
    assert results.codes == [424, 500, 424]
    assert names() == []


def test_a_reference_to_nothing_undoes_all(post, served):
    results = post({**tag("a"), "name": "a"}, write("/tag/", {"name": "{result=a:$.none}"}), atomic=True)
    assert results.codes == [424, 424]
    assert "matches nothing" in results.json(1)["detail"]
    assert results.json(0)["failed"]["index"] == 1
    assert names() == []


def test_items_depend_on_each_other_in_any_order(post, served):
    results = post(
        write("/tag/", {"name": "after {result=a:$.id}"}),
        {**tag("a"), "name": "a"},
        get("/tags/"),
        atomic=True,
        ordered=False,
    )
    assert results.codes == [201, 201, 200]
    assert len(names()) == 2


def test_a_hook_that_fails_does_not_make_a_committed_batch_fail(post, served, caplog):
    results = post(tag("a", hook_fails=True), tag("b"), atomic=True)
    assert results.codes == [201, 201]
    assert names() == ["a", "b"]
    assert "What waited for the commit of a batch failed" in caplog.text


def test_a_commit_that_fails_reports_no_success(post, served, caplog):
    results = post(tag("a"), write("/dangling/"), atomic=True)
    assert results.codes == [424, 424]
    assert results.json(0) == {"detail": "Rolled back: the transaction failed."}
    assert names() == []
    assert "failed at its commit" in caplog.text
    assert served.calls == ["tag"]


def test_changes_are_published_once_after_the_commit_and_never_after_a_rollback(post, served):
    heard = []

    def listen(changes, **_):
        heard.append((sorted(change.table for change in changes), connections["default"].in_atomic_block))

    changes_committed.connect(listen)
    try:
        post(tag("a"), tag("b"), atomic=True)
        post(tag("c"), get("/nothing/"), atomic=True)
    finally:
        changes_committed.disconnect(listen)
    assert heard == [(["testapp_tag"], False)]


def test_the_view_of_the_batch_is_in_no_transaction_of_its_own(post, served, atomic_requests):
    with transaction.atomic():
        pass
    assert post(get("/slow/"), get("/slow/")).codes == [200, 200]


class TestDatabases:
    """One transaction on each database that is used, and none on any other."""

    @pytest.fixture(autouse=True)
    def _views(self, serve, served):
        own = ("both", "in_a_block", "hooked", "lost", "unfit", "uncommittable")
        serve([path(f"{name}/", globals()[name]) for name in own], served.urls)

    @pytest.fixture
    def second(self, monkeypatch, tmp_path):
        """Another database, connected, with a table ``t``; and a third that must not be connected to."""
        options = {**connections["default"].settings_dict, "ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}
        for alias in ("second", "third"):
            monkeypatch.setitem(connections.settings, alias, {**options, "NAME": tmp_path / f"{alias}.sqlite3"})
        connection = connections["second"]
        connection.connect()  # the tests' guard lets nobody connect to it later
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE t (n INTEGER UNIQUE, other INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)"
            )
        yield connection
        assert connections["third"].connection is None
        for alias in ("second", "third"):
            assert not connections[alias].in_atomic_block
            connections[alias].close()
            del connections[alias]

    @staticmethod
    def rows(connection):
        with connection.cursor() as cursor:
            return cursor.execute("SELECT n FROM t ORDER BY n").fetchall()

    @pytest.mark.parametrize("connected", [True, False])
    def test_a_batch_that_uses_none_sends_no_statement(self, post, second, connected):
        default = connections["default"]
        if not connected:
            default.close()
        with CaptureQueriesContext(default) if connected else nullcontext([]) as asked:
            assert post(get("/says/"), get("/says/"), atomic=True).codes == [200, 200]
            assert post(get("/says/"), get("/nothing/"), atomic=True).codes == [424, 404]
        assert list(asked) == []
        assert (default.connection is not None) == connected
        assert names() == []

    def test_only_those_that_are_used_have_a_transaction(self, post, second):
        with CaptureQueriesContext(second) as asked:
            assert post(tag("a"), get("/tags/"), atomic=True).codes == [201, 200]
        assert list(asked) == []
        assert names() == ["a"]

    def test_all_that_are_used_are_committed_together(self, post, served, second):
        results = post(tag("a"), write("/both/", {"name": "b"}), write("/hooked/"), atomic=True)
        assert results.codes == [201, 200, 200]
        assert names() == ["a", "b"]
        assert self.rows(second) == [(1,)]
        # Each hook finds the rows of both databases committed.
        assert served.calls == ["tag", "committed a", ("hook of second", [(1,)], ["a", "b"])]

    def test_all_that_are_used_are_rolled_back_together(self, post, served, second):
        results = post(tag("a"), write("/both/", {"name": "b"}), write("/hooked/"), get("/nothing/"), atomic=True)
        assert results.codes == [424, 424, 424, 404]
        assert names() == []
        assert self.rows(second) == []
        assert served.calls == ["tag"]

    def test_where_one_database_fails_to_commit_nothing_reports_success(self, post, second, caplog):
        results = post(tag("a"), write("/uncommittable/"), atomic=True)
        assert results.codes == [424, 424]
        detail = results.json(0)["detail"]
        assert detail == "Partly written: one database committed before another failed: the transaction failed."
        assert "failed at its commit on the database 'second'" in caplog.text
        assert names() == ["a"]  # there are no two phases
        assert self.rows(second) == []

    @pytest.mark.parametrize("connected", [True, False])
    def test_a_block_of_an_item_lies_within_that_of_the_batch(self, post, connected):
        """The item's own ``atomic`` is the first to touch the database, and must not commit."""
        if not connected:
            connections["default"].close()
        results = post(write("/in_a_block/", {"name": "a"}), tag("b"), get("/nothing/"), atomic=True)
        assert results.codes == [424, 424, 404]
        assert names() == []
        results = post(write("/in_a_block/", {"name": "a"}), tag("b"), atomic=True)
        assert results.json(0) == {"inside": [True, True], "after the savepoint": ["a", "a without savepoint"]}
        assert names() == ["a", "a without savepoint", "b"]

    def test_a_hook_without_any_statement_waits_for_the_commit(self, post, served):
        results = post(write("/hooked/", {"using": "default"}), get("/says/"), atomic=True)
        assert results.codes == [200, 200]
        assert served.calls == ["hook of default"]
        served.calls.clear()
        assert post(write("/hooked/", {"using": "default"}), get("/nothing/"), atomic=True).codes == [424, 404]
        assert served.calls == []

    def test_who_closes_the_connection_has_lost_the_transaction(self, post, api):
        api.raise_request_exception = False
        results = post(tag("a"), write("/lost/"), tag("b"), atomic=True)
        assert results.codes == [424, 500, 424]
        assert names() == []
        results = post(write("/lost/"), tag("b"), atomic=True)
        assert results.codes == [500, 424]
        assert names() == []

    def test_a_database_that_cannot_be_begun_on_fails_the_item(self, post, api, monkeypatch):
        api.raise_request_exception = False
        default = connections["default"]
        default.close()

        def refuse(*_):
            raise OperationalError("no connection")

        monkeypatch.setattr(default, "get_new_connection", refuse)
        results = post(get("/says/"), write("/unfit/"), tag("b"), atomic=True)
        assert results.codes == [424, 500, 424]
        monkeypatch.undo()
        assert not default.in_atomic_block
        assert names() == []

    def test_nothing_is_left_on_the_connections(self, post, second):
        hooked = {"ensure_connection", "close_if_health_check_failed", "run_and_clear_commit_hooks"}
        for last in ("/says/", "/nothing/"):
            post(tag(last), write("/both/", {"name": f"b {last}"}), get(last), atomic=True)
            for connection in connections.all():
                assert not hooked & set(vars(connection))
                assert (connection.atomic_blocks, connection.savepoint_ids, connection.run_on_commit) == ([], [], [])
                assert not connection.needs_rollback


@pytest.mark.parametrize("fails", [False, True])
def test_within_a_transaction_of_the_caller_a_batch_is_a_savepoint(post, served, fails):
    with transaction.atomic():
        Tag.objects.create(name="mine")
        post(tag("a"), get("/nothing/" if fails else "/says/"), atomic=True)
        assert names() == ["mine"] if fails else ["a", "mine"]
    assert names() == (["mine"] if fails else ["a", "mine"])


@api_view(["POST"])
@permission_classes([AllowAny])
def both(request):
    """Write to both databases."""
    Tag.objects.create(name=request.data["name"])
    with connections["second"].cursor() as cursor:
        cursor.execute("INSERT INTO t (n) SELECT count(*) + 1 FROM t")
    return Response()


@api_view(["POST"])
@permission_classes([AllowAny])
def in_a_block(request):
    """Write in blocks of one's own, with and without a savepoint, and undo a part."""
    inside, name = [], request.data["name"]
    with transaction.atomic(savepoint=False):
        inside.append(connections["default"].in_atomic_block)
        Tag.objects.create(name=f"{name} without savepoint")
    with transaction.atomic():
        inside.append(connections["default"].in_atomic_block)
        Tag.objects.create(name=name)
    with suppress(RuntimeError), transaction.atomic():
        Tag.objects.create(name="undone")
        raise RuntimeError
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic(durable=True):
        pass
    return Response({"inside": inside, "after the savepoint": names()})


@api_view(["POST"])
@permission_classes([AllowAny])
def hooked(request):
    """Ask to be called after the commit, and touch nothing."""
    using = request.data.get("using", "second")

    def hook():
        seen = (TestDatabases.rows(connections["second"]), names()) if using == "second" else ()
        site.calls.append((f"hook of {using}", *seen) if seen else f"hook of {using}")

    transaction.on_commit(hook, using=using)
    return Response()


@api_view(["POST"])
@permission_classes([AllowAny])
def lost(request):
    """Close the connection under the batch."""
    connections["default"].close()
    return Response()


@api_view(["POST"])
@permission_classes([AllowAny])
def unfit(request):
    """Try to use the database, and try again."""
    with suppress(OperationalError):
        Tag.objects.count()
    return Response(Tag.objects.count())


@api_view(["POST"])
@permission_classes([AllowAny])
def uncommittable(request):
    """Break a constraint that is looked at when the transaction is committed."""
    with connections["second"].cursor() as cursor:
        cursor.execute("INSERT INTO t (n, other) VALUES (1, 99)")
    return Response()
