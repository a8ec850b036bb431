"""Entries as bytes: what goes in comes out, and nothing else is taken for one."""

import pytest
from django.http import HttpResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from core.caching import entry as entries
from core.caching.entry import Entry, Head
from core.serialization import JSONCacheSerializer
from core.statements import read_statement

TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=5)
HEADERS = st.dictionaries(PRINTABLE, PRINTABLE, max_size=3)


@settings(max_examples=80, deadline=None)
@given(st.integers(200, 599), HEADERS, st.binary(max_size=50), TEXTS, st.booleans())
def test_an_entry_survives_the_cache(status, headers, body, versions, asks):
    entry = Entry(Head(status, headers, versions, 1.5, asks, {"x": None}), body)
    serializer = JSONCacheSerializer()
    assert entries.decode(serializer.loads(serializer.dumps(entries.encode(entry)))) == entry


@pytest.mark.parametrize(
    "data",
    [
        *(None, 5, "text", b"", b"\n", b"{}\n", b"[1]\n", b"[]", b"\x80\x04.\nx", b"[1,2,3,4,5,6]\nx"),
        b'[200,{"X":"a\\r\\nSet-Cookie: b"},{},1.5,false,{}]\nx',
    ],
)
def test_what_is_no_entry_is_a_miss(data):
    assert entries.decode(data) is None


@pytest.mark.parametrize("value", [b"", b"\x00", b"5", b'"x"', b"\xff"])
def test_bytes_are_told_from_all_else(value):
    serializer = JSONCacheSerializer()
    assert serializer.loads(serializer.dumps(value)) == value


@pytest.mark.parametrize(
    ("control", "timeout", "lifetime"),
    [("", 60, 60), ("max-age=5", 60, 5), ("max-age=500", 60, 60), ("max-age=5", None, 5), ("max-age=x", 60, 60)],
)
def test_an_entry_lives_no_longer_than_its_own_max_age(control, timeout, lifetime):
    response = HttpResponse(headers={"Cache-Control": control} if control else {})
    assert entries.lifetime(response, timeout) == lifetime


@pytest.mark.parametrize(
    ("sql", "tables", "flags"),
    [
        ('SELECT "caching_app_book"."id" FROM "caching_app_book"', {"caching_app_book"}, ""),
        ("select * from CACHING_APP_BOOK b join caching_app_city c", {"caching_app_book", "caching_app_city"}, ""),
        ("WITH x AS (SELECT 1) SELECT * FROM x, caching_app_city", {"caching_app_city"}, ""),
        ("UPDATE caching_app_city SET name = ''", {"caching_app_city"}, "writes"),
        ("WITH x AS (DELETE FROM caching_app_city RETURNING id) SELECT * FROM x", {"caching_app_city"}, "writes"),
        ("SELECT 1 FROM somewhere", set(), "opaque"),
        ("SELECT 1", set(), ""),
        ("SELECT count_cities()", set(), "opaque"),
        ("TABLE somewhere", set(), "opaque"),
        ("TABLE caching_app_city", {"caching_app_city"}, ""),
        ("SELECT * FROM django_session", set(), "unseen"),
        ("SELECT * FROM django_content_type", set(), ""),
        ("SAVEPOINT x", set(), ""),
        ("DROP TABLE caching_app_city", {"caching_app_city"}, "writes"),
    ],
)
def test_a_statement_is_known_by_its_words(sql, tables, flags):
    statement = read_statement(sql)
    assert statement.tables == tables
    assert [name for name in ("writes", "unseen", "opaque") if getattr(statement, name)] == flags.split()
