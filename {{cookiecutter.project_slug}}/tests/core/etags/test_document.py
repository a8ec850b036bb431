"""The document's viewset whose tags are made of a time in the cache: every method by its own decorators."""

import itertools

import pytest
from django.core.cache import cache
from django.db.models.signals import post_delete, post_save
from rest_framework.permissions import AllowAny
from rest_framework.viewsets import ModelViewSet

from core.caching import cache_response
from core.etags import etag
from core.keys import KeyConstructor, bits
from tests.caching_app.api import CitySerializer
from tests.caching_app.models import City

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "api_updated_at_timestamp"
clock = itertools.count()


def change_api_updated_at(sender=None, instance=None, *args, **kwargs):
    cache.set(KEY, str(next(clock)))


class UpdatedAtKeyBit(bits.KeyBitBase):
    def get_data(self, **kwargs):
        return cache.get_or_set(KEY, "never")


class CityListKeyConstructor(KeyConstructor):
    format = bits.FormatKeyBit()
    language = bits.LanguageKeyBit()
    pagination = bits.PaginationKeyBit()
    list_sql_query = bits.ListSqlQueryKeyBit()
    unique_view_id = bits.UniqueViewIdKeyBit()


class CityDetailKeyConstructor(KeyConstructor):
    format = bits.FormatKeyBit()
    language = bits.LanguageKeyBit()
    retrieve_sql_query = bits.RetrieveSqlQueryKeyBit()
    unique_view_id = bits.UniqueViewIdKeyBit()
    updated_at = UpdatedAtKeyBit()


class CityViewSet(ModelViewSet):
    queryset = City.objects.all()
    serializer_class = CitySerializer
    permission_classes = (AllowAny,)
    pagination_class = None

    list_key_func = CityListKeyConstructor(memoize_for_request=True)
    obj_key_func = CityDetailKeyConstructor(memoize_for_request=True)

    @etag(list_key_func)
    @cache_response(key_func=list_key_func)
    def list(self, request, *args, **kwargs):
        return super().list(request, *args, **kwargs)

    @etag(obj_key_func)
    @cache_response(key_func=obj_key_func)
    def retrieve(self, request, *args, **kwargs):
        return super().retrieve(request, *args, **kwargs)

    @etag(obj_key_func, rebuild_after_method_evaluation=True)
    def update(self, request, *args, **kwargs):
        return super().update(request, *args, **kwargs)

    @etag(obj_key_func)
    def destroy(self, request, *args, **kwargs):
        return super().destroy(request, *args, **kwargs)


@pytest.fixture
def city(use):
    use(cities=CityViewSet)
    post_save.connect(change_api_updated_at, sender=City)
    post_delete.connect(change_api_updated_at, sender=City)
    yield City.objects.create(name="Paris")
    post_save.disconnect(change_api_updated_at, sender=City)
    post_delete.disconnect(change_api_updated_at, sender=City)


@pytest.fixture(autouse=True)
def _database(transactional_db):
    """Before the row is made."""


def test_reading_saves_time_and_bandwidth(api, city):
    for url in ("/cities/", f"/cities/{city.pk}/"):
        first = api.get(url)
        again = api.get(url, HTTP_IF_NONE_MATCH=first["ETag"])
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert again["ETag"] == first["ETag"]


def test_an_update_answers_with_the_tag_of_what_it_has_made(api, city):
    """Though the constructor remembers its key for the request: a write makes it another."""
    url = f"/cities/{city.pk}/"
    old = api.get(url)["ETag"]
    response = api.put(url, {"name": "London"}, HTTP_IF_MATCH=old)
    assert response.status_code == 200
    assert response["ETag"] not in (None, old)
    assert response["ETag"] == api.get(url)["ETag"]
    assert api.get(url).json()["name"] == "London"
    assert api.put(url, {"name": "Rome"}, HTTP_IF_MATCH=old).status_code == 412
    assert api.put(url, {"name": "Rome"}, HTTP_IF_MATCH=response["ETag"]).status_code == 200


def test_a_delete_is_held_to_its_condition_and_has_no_tag_afterwards(api, city):
    url = f"/cities/{city.pk}/"
    tag = api.get(url)["ETag"]
    assert api.delete(url, HTTP_IF_MATCH='"another_etag_value"').status_code == 412
    assert api.delete(url, HTTP_IF_NONE_MATCH=tag).status_code == 412
    done = api.delete(url, HTTP_IF_MATCH=tag)
    assert done.status_code == 204
    assert "ETag" not in done
    assert api.delete(url, HTTP_IF_MATCH=tag).status_code == 404
