"""A bulk request leaves what the same single requests would leave."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tests.bulk_app.api import PersonViewSet, urls
from tests.bulk_app.models import Person, Skill, Team
from tests.core.bulk.conftest import HEADER

VALUES = {
    "email": st.sampled_from(["a@x.com", "b@x.com", "c@x.com", "d@x.com", "bad", "new1@x.com", "new2@x.com"]),
    "email_provider": st.sampled_from(["google", "yahoo", "myspace"]),
    "age": st.sampled_from([0, 7, -1, "8", "x", None]),
    "team": st.sampled_from([1001, 1002, "1001", 99, None, "x", True]),
    "number": st.sampled_from([1, 2, 3, None]),
    "skills": st.lists(st.sampled_from([2001, 2002, 2003]), unique=True),
}
BODY = st.fixed_dictionaries({}, optional=VALUES)
NEW = st.fixed_dictionaries(
    {name: VALUES[name] for name in ("email", "email_provider")},
    optional={name: VALUES[name] for name in ("age", "team", "number", "skills")},
)
STEP = st.one_of(
    st.tuples(st.just("post"), st.lists(NEW, min_size=1, max_size=3)),
    st.tuples(st.just("patch"), BODY.filter(bool)),
    st.tuples(st.just("rows"), st.dictionaries(st.integers(3001, 3004), BODY, min_size=1, max_size=3)),
    st.tuples(st.just("delete"), st.sampled_from(["?age=7", "?email=a@x.com", "?team=1001", ""])),
)


def fill():
    Person.objects.all().delete()
    for number, name in enumerate("abc"):
        Person.objects.create(pk=3001 + number, email=f"{name}@x.com", email_provider="other", age=5, number=number)


def table():
    """The rows, without keys that were drawn and times, with their links."""
    return sorted(
        (
            row.email,
            row.email_provider,
            row.age,
            row.team_id,
            row.number or 0,
            sorted(row.skills.values_list("pk", flat=True)),
        )
        for row in Person.objects.all()
    )


def in_bulk(client, step):
    verb, body = step
    if verb == "delete":
        return client.delete(f"/rows/{body}", headers=HEADER).status_code
    data = [{"id": key, **values} for key, values in body.items()] if verb == "rows" else body
    method = client.post if verb == "post" else client.patch
    return method("/rows/", data, format="json", headers=HEADER).status_code


def one_by_one(client, step):
    """Do the same with single requests; return the status of each."""
    verb, body = step
    if verb == "post":
        return [client.post("/rows/", each, format="json").status_code for each in body]
    if verb == "rows":
        return [client.patch(f"/rows/{key}/", each, format="json").status_code for key, each in body.items()]
    keys = [row["id"] for row in client.get(f"/rows/{body if verb == 'delete' else ''}").json()]
    if verb == "delete":
        return [client.delete(f"/rows/{key}/").status_code for key in keys]
    return [client.patch(f"/rows/{key}/", body, format="json").status_code for key in keys]


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEP)
def test_a_bulk_request_does_all_that_single_requests_do_or_nothing(serve, step):
    serve(urls(rows=PersonViewSet))
    client = APIClient(raise_request_exception=False)
    Person.objects.all().delete()
    for key in (1001, 1002):
        Team.objects.get_or_create(pk=key, defaults={"name": "t", "code": str(key)})
    for key in (2001, 2002, 2003):
        Skill.objects.get_or_create(pk=key, defaults={"name": "s"})
    fill()
    before = table()
    singles = one_by_one(client, step)
    after_singles = table()
    fill()
    status = in_bulk(client, step)
    assert status < 500
    if status >= 400:
        assert table() == before
        assert not singles or max(singles) >= 400 or step[0] in {"patch", "rows"}
    else:
        assert all(each < 400 for each in singles), (step, singles)
        assert table() == after_singles
