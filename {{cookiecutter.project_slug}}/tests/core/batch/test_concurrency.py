"""Items that do not depend on each other run at the same time, and nothing is left behind."""

import threading
import time
from pathlib import Path

import pytest
from django.db import connection, connections
from rest_framework.test import APIRequestFactory

from core.batch import BatchView, workers
from core.batch.graph import Schedule
from tests.core.batch.conftest import get, write
from tests.testapp.models import Tag

concurrent = pytest.mark.django_db(transaction=True)


def threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("core-batch")}


@concurrent
class TestAtTheSameTime:
    @pytest.fixture(autouse=True)
    def meeting(self, served, monkeypatch):
        """Returns a function that says how many have to be there at the same time for those at ``/meet/`` to go on."""

        def of(number):
            monkeypatch.setattr(served, "barrier", threading.Barrier(number))

        of(2)
        return of

    def test_neighbouring_reads_meet_under_order(self, post):
        """Each waits for the other: one after another they would wait for ever."""
        assert post(get("/meet/"), get("/meet/")).codes == [200, 200]

    def test_without_order_writes_and_reads_meet(self, post):
        assert post(get("/meet/"), write("/echo/"), get("/meet/"), ordered=False).codes == [200, 200, 200]

    def test_ten_slow_reads_are_shared_out(self, post, meeting):
        meeting(5)
        results = post(*[get("/meet/")] * 10)
        assert results.codes == [200] * 10
        assert len({each["body"] for each in results}) >= 5

    def test_no_more_at_once_than_workers(self, post, settings, served, meeting):
        settings.CORE = {"BATCH": {"MAX_WORKERS": 3}}
        meeting(3)
        results = post(*[get("/meet/")] * 9)
        assert results.codes == [200] * 9
        running = most = 0
        for call in served.calls:
            running += 1 if call == "began" else -1
            most = max(most, running)
        assert most == 3
        assert len(workers.pool._executor._threads) == 2

    def test_with_one_worker_nothing_runs_at_once(self, post, settings, served):
        settings.CORE = {"BATCH": {"MAX_WORKERS": 1}}
        post(*[get("/slow/")] * 3)
        assert served.calls == ["began", "ended"] * 3

    def test_under_order_a_write_runs_by_itself(self, post, served):
        post(get("/slow/"), write("/slow/"), get("/slow/"))
        assert served.calls == ["began", "ended"] * 3

    def test_in_an_atomic_batch_everything_runs_one_after_another(self, post, served):
        post(*[get("/slow/")] * 3, atomic=True, ordered=False)
        assert served.calls == ["began", "ended"] * 3

    def test_on_sqlite_writes_take_turns(self, post, served):
        if connection.vendor != "sqlite":
            pytest.skip("for SQLite")
        post(*[write("/slow/")] * 3, ordered=False)
        assert served.calls == ["began", "ended"] * 3

    def test_a_dependent_starts_when_its_own_is_done(self, post, served):
        results = post(
            write("/tag/", {"name": "a"}, name="a"),
            get("/slow/"),
            write("/tag/", {"name": "{result=a:$.name}b"}, name="b"),
            get("/tags/", depends_on=["a", "b"]),
            ordered=False,
        )
        assert results.codes == [201, 200, 201, 200]
        assert results.json(3) == {"names": ["a", "ab"]}

    def test_many_writes_at_once_all_arrive(self, post, served):
        results = post(*[write("/tag/", {"name": str(number)}) for number in range(30)], ordered=False)
        assert results.codes == [201] * 30
        assert Tag.objects.count() == 30

    def test_a_helper_gives_its_connections_back(self, post, served, meeting):
        meeting(10)
        assert post(*[get("/meet/")] * 10).codes == [200] * 10
        left = []
        waiting = threading.Barrier(10)

        def look():
            waiting.wait(60)
            left.extend(each.connection for each in connections.all(initialized_only=True))

        size = 9
        futures = [workers.pool._sized(size).submit(look) for _ in range(size)]
        waiting.wait(60)
        for future in futures:
            future.result()
        assert left
        assert set(left) == {None}

    def test_a_helper_without_a_connection_leaves_the_work_to_the_others(self, post, served, monkeypatch):
        monkeypatch.setattr(workers, "_equip", lambda: False)
        results = post(*[get("/slow/")] * 3)
        assert results.codes == [200] * 3
        assert served.calls == ["began", "ended"] * 3

    def test_what_a_helper_activates_stays_with_its_item(self, post, served):
        items = [get("/activate/", headers={"Accept-Language": "fr"}), get("/slow/"), get("/says/")]
        results = post(*items * 5)
        assert [results.json(number)["zone"] for number in range(2, 15, 3)] == ["UTC"] * 5
        assert {results.json(number)["language"] for number in range(2, 15, 3)} == {"en"}


@pytest.mark.django_db
def test_in_a_transaction_of_the_caller_nothing_runs_at_once(post, served):
    """Threads would not see what the caller has written."""
    Tag.objects.create(name="mine")
    results = post(*[get("/slow/")] * 3)
    assert served.calls == ["began", "ended"] * 3
    assert {results.json(number)["count"] for number in range(3)} == {1}


class TestCrew:
    @pytest.fixture(autouse=True)
    def _no_database(self, monkeypatch):
        monkeypatch.setattr(workers, "_equip", lambda: True)
        monkeypatch.setattr(workers, "_give_back", lambda: None)

    def test_an_exception_ends_the_work_and_reaches_the_caller(self):
        done = []

        def work(item):
            time.sleep(0.02)
            done.append(item)
            if item == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            workers.run(Schedule([set() for _ in range(1000)]), work, 3)
        assert len(done) < 500

    def test_quick_items_need_no_helper(self, monkeypatch):
        monkeypatch.setattr(workers, "PATIENCE", 60)  # whatever else the machine does meanwhile, this is quick
        names = set()
        workers.run(Schedule([set() for _ in range(200)]), lambda item: names.add(threading.current_thread().name), 4)
        assert names == {threading.current_thread().name}

    def test_where_no_thread_can_be_had_the_caller_does_all(self, monkeypatch):
        monkeypatch.setattr(workers.pool, "submit", lambda work, size: False)
        done = []
        workers.run(Schedule([set() for _ in range(20)]), done.append, 4)
        assert done == list(range(20))

    def test_every_item_runs_once_whatever_the_timing(self):
        done = []
        waits = [set() if item < 5 else {item - 5} for item in range(60)]
        lock = threading.Lock()

        def work(item):
            time.sleep(0.002 * (item % 5))
            with lock:
                assert waits[item] <= set(done)
                done.append(item)

        workers.run(Schedule(waits), work, 6)
        assert sorted(done) == list(range(60))


class Held:
    """What a process holds: threads, open files and sockets, sessions of the database."""

    def __init__(self):
        self.threads = threading.active_count()
        descriptors = Path("/proc/self/fd")
        self.descriptors = len(list(descriptors.iterdir())) if descriptors.exists() else 0
        self.sessions = 0
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
                (self.sessions,) = cursor.fetchone()


@pytest.mark.slow
@concurrent
def test_ten_thousand_batches_leave_neither_thread_nor_connection(served, settings, monkeypatch):
    """Real batches: items that read the database, on the thread of the caller and on those of helpers."""
    helped, equipped = set(), []
    equip = workers._equip
    monkeypatch.setattr(workers, "PATIENCE", 0)
    monkeypatch.setattr(workers, "_equip", lambda: equip() and not equipped.append(1))
    settings.CORE = {"BATCH": {"MAX_WORKERS": 4}}
    settings.MIDDLEWARE = []
    view = BatchView.as_view()
    apart, together = ({"batch": [get(path)] * 2} for path in ("/reads/", "/meet/"))

    def run(number):
        # How often a helper comes in time is up to the machine; where both items have to meet, there is one.
        batch = apart if number % 8 else together
        response = view(APIRequestFactory().post("/api/batch/", batch, format="json"))
        assert [each["code"] for each in response.data] == [200] * 2
        helped.update(each["body"] for each in response.data)

    for number in range(50):
        run(number)
    before = Held()
    for number in range(10_000):
        run(number)
    after = Held()
    deadline = time.monotonic() + 60
    while after.sessions > before.sessions + 4 and time.monotonic() < deadline:  # they take a moment to end
        time.sleep(0.1)
        after = Held()
    assert len(equipped) > 1000  # helpers took part, with connections of their own
    assert {name.startswith("core-batch") for name in helped} == {True, False}
    assert len([thread for thread in threads() if thread in workers.pool._executor._threads]) <= 3
    assert after.threads <= before.threads + 3  # the pool may not have been full
    assert after.descriptors <= before.descriptors + 4  # nor that of the database
    assert after.sessions <= before.sessions + 4
    left = []
    waiting = threading.Barrier(4)

    def look():
        waiting.wait(60)
        left.extend(each.connection for each in connections.all(initialized_only=True))

    looks = [workers.pool._sized(3).submit(look) for _ in range(3)]
    waiting.wait(60)
    for each in looks:
        each.result()
    assert set(left) <= {None}
