"""Every example of the original document's chapter, as it is printed."""

import pytest
from rest_framework.viewsets import ModelViewSet

from core.bulk import ListDestroyModelMixin, ListUpdateModelMixin
from tests.bulk_app.api import PersonSerializer, PersonViewSet, urls
from tests.bulk_app.models import Person
from tests.core.bulk.conftest import Verbs


@pytest.fixture
def users(serve, crowd):
    class UserViewSet(ListDestroyModelMixin, ListUpdateModelMixin, ModelViewSet):
        queryset = Person.objects.all()
        serializer_class = PersonSerializer
        permission_classes = ()
        filterset_fields = {"email": ["endswith"]}

    serve(urls(users=UserViewSet))
    crowd(4)
    return Verbs("/users/")


def providers():
    return list(Person.objects.order_by("id").values_list("email_provider", flat=True))


def test_one_user_is_deleted_without_a_header(users):
    first = Person.objects.earliest("id")
    response = users.delete(f"{first.pk}/", headers={})
    assert response.status_code == 204
    assert Person.objects.count() == 3


def test_deleting_the_list_without_the_header_is_refused_in_the_documents_words(users):
    response = users.delete(headers={})
    assert response.status_code == 400
    assert response.json() == {"detail": "Header 'X-BULK-OPERATION' should be provided for bulk operation."}
    assert Person.objects.count() == 4


def test_patching_the_list_without_the_header_is_refused_in_the_same_words(users):
    response = users.patch(data={"email_provider": "google"}, headers={})
    assert response.status_code == 400
    assert response.json() == {"detail": "Header 'X-BULK-OPERATION' should be provided for bulk operation."}
    assert providers() == ["other"] * 4


def test_deleting_the_list_with_the_header_deletes_all(users):
    response = users.delete()
    assert response.status_code == 204
    assert response.content == b""
    assert not Person.objects.exists()


def test_the_header_can_be_given_another_name(users, settings):
    settings.CORE = {"BULK": {"DEFAULT_BULK_OPERATION_HEADER_NAME": "X-CUSTOM-BULK-OPERATION"}}
    response = users.delete()
    assert response.status_code == 400
    assert response.json() == {"detail": "Header 'X-CUSTOM-BULK-OPERATION' should be provided for bulk operation."}
    assert users.delete(headers={"x-custom-bulk-operation": "true"}).status_code == 204
    assert not Person.objects.exists()


def test_none_as_the_name_turns_the_protection_off(users, settings):
    settings.CORE = {"BULK": {"DEFAULT_BULK_OPERATION_HEADER_NAME": None}}
    assert users.delete(headers={}).status_code == 204
    assert not Person.objects.exists()


def test_users_whose_address_ends_with_gmail_are_deleted(users):
    response = users.delete("?email__endswith=gmail.com")
    assert response.status_code == 204
    assert list(Person.objects.order_by("id").values_list("email", flat=True)) == ["p1@yahoo.com", "p3@yahoo.com"]


def test_users_whose_address_ends_with_gmail_get_their_provider(users):
    response = users.patch("?email__endswith=gmail.com", {"email_provider": "google"})
    assert response.status_code == 204
    assert response.content == b""
    assert providers() == ["google", "other", "google", "other"]


def test_the_original_hooks_are_called_around_the_statement(verbs, crowd):
    calls = []

    class Hooked(PersonViewSet):
        def pre_delete_bulk(self, queryset):
            calls.append(("pre_delete_bulk", queryset.count()))

        def post_delete_bulk(self, queryset):
            calls.append(("post_delete_bulk", queryset.count()))

        def pre_save_bulk(self, queryset, values):
            calls.append(("pre_save_bulk", queryset.count(), dict(values)))
            values["email_provider"] = "yahoo"

        def post_save_bulk(self, queryset, values):
            calls.append(("post_save_bulk", queryset.count(), dict(values)))

    users = verbs(Hooked)
    crowd(2)
    assert users.patch(data={"age": 5}).status_code == 204
    assert set(Person.objects.values_list("age", "email_provider")) == {(5, "yahoo")}
    assert users.delete().status_code == 204
    assert calls == [
        ("pre_save_bulk", 2, {"age": 5}),
        ("post_save_bulk", 2, {"age": 5, "email_provider": "yahoo"}),
        ("pre_delete_bulk", 2),
        ("post_delete_bulk", 0),
    ]


def test_no_serializer_and_no_model_is_saved_and_no_signal_is_sent(verbs, crowd):
    from django.db.models.signals import post_save

    sent = []
    users = verbs(PersonViewSet)
    crowd(3)
    post_save.connect(lambda **_: sent.append(1), sender=Person, weak=False, dispatch_uid="bulk test")
    try:
        assert users.patch(data={"age": 5}).status_code == 204
    finally:
        post_save.disconnect(sender=Person, dispatch_uid="bulk test")
    assert sent == []
