"""Which live queries a commit can concern: decided in memory, by an index of what each of them depends on.

``profile_of`` reads a queryset into a ``Profile``, plain data that is stored with the observer. An ``Index`` holds the
profiles of all observers with the keys of the rows that each of them shows, and is asked about the changes of each
commit. What it costs follows the number of observers concerned, not of those that there are.
"""

from core.reactive.matching.index import Index
from core.reactive.matching.profile import ANYTHING, Profile
from core.reactive.matching.reading import profile_of
from core.reactive.matching.rows import RowSource, fetch_rows, shown_keys

__all__ = ["ANYTHING", "Index", "Profile", "RowSource", "fetch_rows", "profile_of", "shown_keys"]
