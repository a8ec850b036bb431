"""Permissions."""

from typing import Any

from django.http import Http404
from rest_framework.permissions import DjangoObjectPermissions
from rest_framework.request import Request
from rest_framework.views import APIView


class ExtendedDjangoObjectPermissions(DjangoObjectPermissions):
    """DRF's ``DjangoObjectPermissions``, which can say "forbidden" about objects that the caller may not read.

    With ``hide_forbidden_for_read_objects`` set to False a refusal is a 403, or a 401 to those who have not logged
    in, and not a 404.
    """

    hide_forbidden_for_read_objects = True

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Tell whether the caller has the permissions on ``obj``.

        Raises ``Http404`` if not, and not those for reading it either, unless that is switched off.
        """
        try:
            return super().has_object_permission(request, view, obj)
        except Http404:
            if self.hide_forbidden_for_read_objects:
                raise
            return False
