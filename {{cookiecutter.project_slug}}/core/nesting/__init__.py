"""What lies under a nested route: whose child a row is, who may see the parent, and what a write has to keep to.

The inner part of ``core.routers`` and ``core.viewsets``. A nested URL such as ``/users/1/groups/2/permissions/``
names one parent per level. ``parents`` finds them, each through its own viewset; ``links`` tells how a row hangs on
them; ``binding`` holds the serializers of the nested viewset to it; ``views`` puts the three into a viewset.
"""

from core.nesting.parents import Parent
from core.nesting.views import UnderParents

__all__ = ["Parent", "UnderParents"]
