"""Many requests in one, with references between them: ``POST /api/batch/``.

A batch is read and judged as a whole (``items``, ``references``, ``urls``, ``headers``, ``bodies``, ``forms``), ordered
(``graph``), run (``execution``, ``workers``), item by item through the project's own middleware and views (``calls``,
``sending``, ``handler``, ``uploads``), and told (``answers``, ``views``, ``schema``).
"""

from core.batch.views import BatchView

__all__ = ["BatchView"]
