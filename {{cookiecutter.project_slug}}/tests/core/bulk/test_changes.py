"""What the change stream tells of bulk operations: exactly what was committed."""

import pytest

from core import versions
from core.bulk.writing import delete_set, update_set
from core.changes import changes_committed
from tests.bulk_app.api import PersonViewSet, serializer_of, viewset_of
from tests.bulk_app.models import Binned, Loose, Person, Skill, Slugged
from tests.core.bulk.conftest import DRY

pytestmark = pytest.mark.django_db(transaction=True)


def told(ear):
    said = {(model, kind): None if pks is None else set(pks) for model, kind, pks, _ in ear}
    ear.clear()
    return said


def bodies(count):
    return [{"email": f"n{number}@x.com", "email_provider": "google"} for number in range(count)]


def test_every_verb_tells_its_rows_once(people, ear):
    assert people.post(data=bodies(4)).status_code == 201
    keys = set(Person.objects.values_list("id", flat=True))
    assert told(ear) == {("bulk.person", "created"): keys}
    people.patch(data={"age": 3})
    assert told(ear) == {("bulk.person", "updated"): keys}
    few = sorted(keys)[:2]
    people.patch(data=[{"id": key, "age": number} for number, key in enumerate(few)])
    assert told(ear) == {("bulk.person", "updated"): set(few)}
    people.delete(f"?id__in={few[0]},{few[1]}")
    assert told(ear)["bulk.person", "deleted"] == set(few)


def test_the_fields_written_are_told(people, ear):
    people.post(data=bodies(2))
    ear.clear()
    people.patch(data={"age": 3})
    assert [fields for *_, fields in ear] == [{"age", "written"}]


def test_what_is_refused_or_rehearsed_tells_nothing(people, ear):
    people.post(data=bodies(2))
    ear.clear()
    for response in (
        people.patch(data={"age": 200}),
        people.patch(data={"age": -1}),
        people.patch(data={"age": 5}, headers=DRY),
        people.delete(headers=DRY),
        people.delete(headers={}),
        people.post(data=[*bodies(2), {}]),
        people.post(data=[{"email": "o@x.com", "email_provider": "google", "age": 200}]),
    ):
        assert response.status_code in {200, 400, 409}
    assert ear == []


def test_links_are_told_at_both_ends(people, ear):
    people.post(data=bodies(2))
    tea, milk = (Skill.objects.create(name=name) for name in ("tea", "milk"))
    keys = set(Person.objects.values_list("id", flat=True))
    ear.clear()
    people.patch(data={"skills": [tea.pk, milk.pk]})
    said = told(ear)
    assert said["bulk.person", "updated"] == keys
    assert said["bulk.skill", "updated"] == {tea.pk, milk.pk}
    assert ("bulk.person_skills", "created") in said
    people.patch(data=[{"id": min(keys), "skills": [tea.pk]}])
    said = told(ear)
    assert said["bulk.person", "updated"] == {min(keys)}
    assert said["bulk.skill", "updated"] == {milk.pk}
    assert ("bulk.person_skills", "deleted") in said


def test_querysets_that_are_not_tracked_are_heard_all_the_same(verbs, ear):
    rows = verbs(viewset_of(serializer_of(Loose, "id", "text", "size")))
    rows.post(data=[{"text": "a"}, {"text": "b"}])
    keys = set(Loose.objects.values_list("id", flat=True))
    assert told(ear) == {("bulk.loose", "created"): keys}
    rows.patch(data={"size": 4})
    assert told(ear) == {("bulk.loose", "updated"): keys}
    rows.patch(data=[{"id": key, "size": number} for number, key in enumerate(keys)])
    assert told(ear) == {("bulk.loose", "updated"): keys}
    rows.delete()
    assert told(ear) == {("bulk.loose", "deleted"): keys}


def test_querysets_that_write_in_their_own_way_are_heard_as_some_rows(verbs, ear):
    rows = verbs(viewset_of(serializer_of(Binned, "id", "text")))
    Binned.objects.create(text="a")
    ear.clear()
    rows.delete()
    assert told(ear) == {("bulk.binned", "deleted"): None, ("bulk.binned", "updated"): None}


def test_rows_saved_one_by_one_are_told_together(verbs, ear):
    rows = verbs(viewset_of(serializer_of(Slugged, "id", "name")))
    rows.post(data=[{"name": "A"}, {"name": "B"}])
    assert told(ear) == {("bulk.slugged", "created"): set(Slugged.objects.values_list("id", flat=True))}


@pytest.mark.parametrize("model", [Person, Loose])
def test_the_versions_that_caches_rely_on_change_with_every_verb(verbs, model):
    changes_committed.connect(versions.on_changes, dispatch_uid="versions of bulk")
    try:
        if model is Person:
            rows, new = verbs(PersonViewSet), bodies(2)
        else:
            rows, new = verbs(viewset_of(serializer_of(Loose, "id", "text"))), [{"text": "a"}]
        table = model._meta.db_table
        seen = [versions.read([table])]
        rows.post(data=new)
        seen.append(versions.read([table]))
        rows.patch(data={"age": 4} if model is Person else {"text": "b"})
        seen.append(versions.read([table]))
        rows.patch(data=[{"id": model.objects.earliest("id").pk}])
        rows.patch(data=[{"id": model.objects.earliest("id").pk, **({"age": 9} if model is Person else {"text": "c"})}])
        seen.append(versions.read([table]))
        rows.delete(headers=DRY)
        assert versions.read([table]) == seen[-1]
        rows.delete()
        seen.append(versions.read([table]))
    finally:
        changes_committed.disconnect(dispatch_uid="versions of bulk")
    tokens = [each[table] for each in seen]
    assert len(set(tokens)) == len(tokens)


def test_ten_thousand_rows_are_one_change(ear):
    Loose.objects.bulk_create(Loose(text="x") for _ in range(300))
    ear.clear()
    assert update_set(Loose.objects.all(), {"size": 1}) == 300
    assert len(ear) == 1
    ear.clear()
    assert delete_set(Loose.objects.all(), 300) == 300
    assert len(ear) == 1
