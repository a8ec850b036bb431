"""Who may do what to many rows: exactly what they may do to each."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import Http404
from django.test.utils import CaptureQueriesContext
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated

from core.bulk.permissions import judges_rows
from core.viewsets import DetailSerializerMixin
from tests.bulk_app.api import PersonSerializer, PersonViewSet, serializer_of, viewset_of
from tests.bulk_app.models import Loose, Person


class NotCaptains(BasePermission):
    """Forbids to touch captains."""

    def has_object_permission(self, request, view, obj):
        return not obj.captain


class HidesCaptains(BasePermission):
    def has_object_permission(self, request, view, obj):
        if obj.captain:
            raise Http404
        return True


def with_permissions(*permissions, **more):
    return type("Guarded", (PersonViewSet,), {"permission_classes": permissions, **more})


REQUESTS = [
    ("delete", lambda rows: None),
    ("patch", lambda rows: {"age": 1}),
    ("patch", lambda rows: {"skills": []}),
    ("patch", lambda rows: [{"id": row.pk, "age": 1} for row in rows]),
]


@pytest.mark.parametrize("permission", [NotCaptains, HidesCaptains, NotCaptains & AllowAny])
@pytest.mark.parametrize(("method", "body"), REQUESTS)
def test_one_row_that_is_denied_refuses_the_whole(verbs, crowd, permission, method, body):
    people = verbs(with_permissions(permission))
    rows = crowd(3)
    Person.objects.filter(pk=rows[1].pk).update(captain=True)
    response = getattr(people, method)(data=body(rows))
    assert response.status_code == 403
    assert response.json() == {"detail": "You do not have permission to perform this action."}
    assert list(Person.objects.values_list("age", flat=True)) == [30] * 3


@pytest.mark.parametrize(("method", "body"), REQUESTS)
def test_rows_that_are_all_allowed_are_written(verbs, crowd, method, body):
    people = verbs(with_permissions(NotCaptains))
    response = getattr(people, method)(data=body(crowd(3)))
    assert (response.status_code, response["X-Bulk-Rows"]) == (204, "3")


def test_a_row_outside_of_the_filter_is_not_asked_about(verbs, crowd):
    people = verbs(with_permissions(NotCaptains))
    rows = crowd(3)
    Person.objects.filter(pk=rows[1].pk).update(captain=True)
    assert people.delete("?email__endswith=gmail.com")["X-Bulk-Rows"] == "2"


def test_no_row_is_fetched_where_no_permission_judges_rows(verbs):
    rows = verbs(viewset_of(serializer_of(Loose, "id", "text")))
    Loose.objects.bulk_create(Loose(text="a") for _ in range(30))
    with CaptureQueriesContext(connection) as context:
        assert rows.patch(data={"text": "b"}).status_code == 204
        assert rows.delete().status_code == 204
    fetched = [each["sql"] for each in context if each["sql"].startswith("SELECT") and "COUNT(" not in each["sql"]]
    assert len(fetched) == 1, fetched
    assert "LIMIT 1" in fetched[0]  # the row by which the serializer is made


class Asked(PersonViewSet):
    def check_object_permissions(self, request, obj):
        super().check_object_permissions(request, obj)


@pytest.mark.parametrize(
    ("view", "judges"),
    [
        (with_permissions(AllowAny), False),
        (with_permissions(IsAuthenticated), False),
        (with_permissions(AllowAny | IsAuthenticated), False),
        (with_permissions(NotCaptains), True),
        (with_permissions(AllowAny, AllowAny & (NotCaptains | AllowAny)), True),
        (with_permissions(~AllowAny), True),
        (Asked, True),
    ],
)
def test_permissions_judge_rows_if_any_part_of_them_does(view, judges):
    assert judges_rows(view()) is judges


def test_what_a_viewset_decides_by_the_action_holds_for_both(verbs, crowd):
    class Deciding(PersonViewSet):
        def get_permissions(self):
            return [IsAuthenticated()] if self.action in {"destroy", "partial_update"} else [AllowAny()]

    people = verbs(Deciding)
    crowd(2)
    assert people.delete().status_code == 403
    assert people.patch(data={"age": 1}).status_code == 403
    people.client.force_authenticate(User.objects.create_user("ann"))
    assert people.delete().status_code == 204


def test_the_serializer_and_the_queryset_of_single_rows_are_used(verbs, crowd):
    class Detailed(DetailSerializerMixin, PersonViewSet):
        serializer_detail_class = serializer_of(Person, "id", "age")
        queryset_detail = Person.objects.filter(captain=False)

    people = verbs(Detailed)
    rows = crowd(3)
    Person.objects.filter(pk=rows[0].pk).update(captain=True)
    assert list(people.patch(data={"captain": True}).json()) == ["captain"]
    assert people.patch(data={"age": 1})["X-Bulk-Rows"] == "2"
    assert people.delete()["X-Bulk-Rows"] == "2"


def test_rows_that_the_caller_may_not_see_are_not_in_the_set(verbs, crowd):
    class Seeing(PersonViewSet):
        def get_queryset(self):
            return super().get_queryset().filter(email__endswith="gmail.com")

    people = verbs(Seeing)
    rows = crowd(4)
    assert people.patch(data={"age": 1})["X-Bulk-Rows"] == "2"
    assert people.patch(data=[{"id": rows[1].pk, "age": 1}]).status_code == 400
    assert people.delete()["X-Bulk-Rows"] == "2"
    assert Person.objects.filter(age=30).count() == 2


def test_the_fields_of_the_serializer_are_all_that_can_be_written(verbs, crowd):
    class Narrow(PersonSerializer):
        class Meta(PersonSerializer.Meta):
            read_only_fields = ("captain",)

    people = verbs(type("V", (PersonViewSet,), {"serializer_class": Narrow}))
    (row,) = crowd(1)
    assert people.patch(data={"captain": True}).json() == {"captain": ["This field is read-only."]}
    assert people.patch(data=[{"id": row.pk, "captain": True}]).status_code == 400
    assert people.post(data=[{"email": "a@b.cd", "email_provider": "other", "captain": True}]).status_code == 201
    assert not Person.objects.filter(captain=True).exists()
