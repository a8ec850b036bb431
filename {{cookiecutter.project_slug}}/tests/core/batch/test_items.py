"""A batch is judged as a whole, and every bad item is named."""

import pytest

from core.batch.items import BatchError, Rules, read_batch

RULES = Rules(5, 20, {"a.jpg": 1}, {"x-api-key"}, lambda path: "No." if path.startswith(b"/no/") else None)


def item(**changes):
    return {"method": "GET", "relative_url": "/x/", **changes}


def read(*items, **flags):
    return read_batch({"batch": list(items), **flags}, RULES)


def refused(*items, **flags):
    with pytest.raises(BatchError) as raised:
        read(*items, **flags)
    return raised.value.errors


def test_an_item_is_read():
    batch = read(
        item(name="first"),
        item(
            method="post",
            relative_url="/x/{result=first:$.id}/",
            headers={"If-Match": "{result=first:$headers.ETag}"},
            body={"a": "{result=first:$.a}"},
            depends_on="first",
            omit_response_on_success=True,
            attached_files={"file": "a.jpg"},
        ),
    )
    second = batch.items[1]
    assert (second.index, second.method, second.omit, second.files) == (1, "POST", True, (("file", "a.jpg"),))
    assert second.named() == {key: ["first"] for key in ("depends_on", "relative_url", "headers", "body")}
    assert batch.depends_on == (frozenset(), frozenset({0}))
    assert (batch.atomic, batch.ordered) == (False, True)


def test_null_is_the_same_as_nothing():
    nothing = dict.fromkeys(("name", "headers", "body", "depends_on", "omit_response_on_success", "attached_files"))
    assert read(item(**nothing)).items == read(item()).items


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"method": None}, "method"),
        ({"method": "BREW"}, "method"),
        ({"method": "TRACE"}, "method"),
        ({"method": 5}, "method"),
        ({"relative_url": None}, "relative_url"),
        ({"relative_url": 5}, "relative_url"),
        ({"relative_url": "http://x/"}, "relative_url"),
        ({"relative_url": "/a#b"}, "relative_url"),
        ({"relative_url": "/no/"}, "relative_url"),
        ({"relative_url": "{result=b:$.url}"}, "relative_url"),
        ({"relative_url": "/{result=nobody:$.id}/"}, "relative_url"),
        ({"relative_url": "/{result=b:$.[}/"}, "relative_url"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a:b"}, "name"),
        ({"name": "a}b"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "b"}, "name"),
        ({"headers": []}, "headers"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"remote_user": "root"}}, "headers"),
        ({"headers": {"X-Api-Key": "x"}}, "headers"),
        ({"headers": {"X-A": 5}}, "headers"),
        ({"headers": {"If-Match": "a", "if-match": "b"}}, "headers"),
        ({"headers": {"X-A": "{result=nobody:$.id}"}}, "headers"),
        ({"headers": {"X-A": "{result=b}"}}, "headers"),
        ({"body": ["{result=nobody:$.id}"]}, "body"),
        ({"body": "\ud800"}, "body"),
        ({"body": {"a": "{result=b:$.[}"}}, "body"),
        ({"depends_on": "nobody"}, "depends_on"),
        ({"depends_on": ["b", "nobody"]}, "depends_on"),
        ({"depends_on": 5}, "depends_on"),
        ({"depends_on": [5]}, "depends_on"),
        ({"omit_response_on_success": "yes"}, "omit_response_on_success"),
        ({"attached_files": ["b.jpg"]}, "attached_files"),
        ({"attached_files": {"f": "b.jpg"}}, "attached_files"),
        ({"attached_files": "a.jpg"}, "attached_files"),
        ({"attached_files": [5]}, "attached_files"),
        ({"attached_files": ["a.jpg"], "body": [1]}, "body"),
        ({"dependson": "b"}, "dependson"),
    ],
)
def test_a_bad_item_is_named_by_its_place_and_its_key(changes, key):
    errors = refused(item(name="b"), item(**changes), item())["batch"]
    assert list(errors[1]) == [key]
    assert errors[0] == errors[2] == {}


def test_every_bad_item_is_named_at_once():
    errors = refused(item(method="x", name="first"), 3, item(depends_on=["first", "none"]))["batch"]
    assert [list(each) for each in errors] == [["method"], ["non_field_errors"], ["depends_on"]]
    assert "'none'" in errors[2]["depends_on"][0]


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (None, "non_field_errors"),
        ([], "non_field_errors"),
        ({}, "batch"),
        ({"batch": {}}, "batch"),
        ({"batch": [item()] * 6}, "batch"),
        ({"batch": [], "atomic": "yes"}, "atomic"),
        ({"batch": [], "ordered": 1}, "ordered"),
        ({"batch": [], "order": True}, "order"),
    ],
)
def test_a_batch_that_is_none_is_refused(raw, key):
    with pytest.raises(BatchError) as raised:
        read_batch(raw, RULES)
    assert list(raised.value.errors) == [key]


def test_what_is_no_key_is_answered_with_the_keys_that_there_are():
    says = "A batch has no such key. The keys are: batch, atomic, ordered."
    assert refused(item(), order=True) == {"order": [says]}
    says = (
        "An item has no such key. The keys are: method, relative_url, name, headers, body, depends_on, "
        "omit_response_on_success, attached_files."
    )
    assert refused(item(dependson="b"))["batch"] == [{"dependson": [says]}]


def test_an_empty_batch_is_one():
    assert read().items == ()


def test_a_batch_has_so_many_references_at_most():
    """Each is read before anything runs, and to read one costs as much as many bytes."""
    many = "{result=a:$.id}"
    assert read(item(name="a"), item(body=[many] * 19, relative_url=f"/{many}"))
    errors = refused(item(name="a"), item(body=[many] * 20, relative_url=f"/{many}"))
    assert errors == {"batch": ["A batch has at most 20 references; this one has 21."]}


@pytest.mark.parametrize("ordered", [True, False])
def test_a_cycle_is_refused_and_told(ordered):
    items = [
        item(name="a", depends_on="c"),
        item(name="b", relative_url="/{result=a:$.id}"),
        item(name="c", depends_on="b"),
    ]
    errors = refused(*items, item(), ordered=ordered)["batch"]
    assert [list(each) for each in errors] == [["depends_on"]] * 3 + [[]]
    assert "a \u2192 c \u2192 b \u2192 a" in errors[0]["depends_on"][0]


def test_an_item_cannot_wait_for_itself():
    assert refused(item(name="a", body="{result=a:$.id}"))["batch"][0]["depends_on"]


def test_in_order_nothing_refers_to_a_later_item():
    items = [item(relative_url="/{result=b:$.id}"), item(name="b")]
    assert list(refused(*items)["batch"][0]) == ["relative_url"]
    assert list(refused(item(depends_on="b"), item(name="b"))["batch"][0]) == ["depends_on"]
    assert read(*items, ordered=False).depends_on[0] == {1}
