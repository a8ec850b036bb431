"""All or nothing: what is undone says so, and what has to wait for the commit waits."""

import pytest
from django.db import connections, transaction

from core.changes import changes_committed
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
    assert "failed at its commit" in caplog.text


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


def test_every_database_of_the_project_takes_part(post, served, monkeypatch, tmp_path):
    entered = []
    original = transaction.Atomic.__enter__

    def enter(self):
        entered.append(self.using)
        return original(self)

    monkeypatch.setattr(transaction.Atomic, "__enter__", enter)
    monkeypatch.setitem(
        connections.settings, "second", {**connections["default"].settings_dict, "ENGINE": "django.db.backends.sqlite3",
                                        "NAME": tmp_path / "second.sqlite3", "OPTIONS": {}},
    )  # fmt: skip
    try:
        connections["second"].connect()  # the tests' guard only looks at who is not connected yet
        assert post(get("/echo/"), get("/nothing/"), atomic=True).codes == [424, 404]
        assert set(entered) == {"default", "second"}
        assert not connections["second"].in_atomic_block
    finally:
        connections["second"].close()
        del connections["second"]
