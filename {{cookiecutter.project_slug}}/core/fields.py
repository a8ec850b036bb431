"""Serializer fields."""

from rest_framework.serializers import HyperlinkedIdentityField


class ResourceUriField(HyperlinkedIdentityField):
    """The address of the object's own page: ``resource_uri = ResourceUriField(view_name="city-detail")``.

    ``lookup_field`` and ``lookup_url_kwarg`` are those of DRF's hyperlinked fields. The serializer's context has to
    hold the request, which gives the host.
    """
