"""The OpenAPI description of what ``core`` adds to views.

``operations`` is the class that drf-spectacular asks; what it adds to an operation is told by plain functions of
``answers`` (refusals), ``conditions`` (tags) and ``observing`` (live queries).
"""

from core.schema.operations import AutoSchema

__all__ = ["AutoSchema"]
