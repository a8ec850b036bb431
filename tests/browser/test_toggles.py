"""The page with features switched off: it does what is left."""

import pytest
from stage import agrees, card, choice, is_live, log_in, served, votes

from scripts.generate import generate


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A site with none of the features that the page uses."""
    off = {f"CORE_{name}_ENABLED": "false" for name in ("REACTIVE", "BINDINGS", "BATCH")}
    with served(generate(tmp_path_factory.mktemp("plain")), **off) as site:
        yield site


@pytest.fixture(scope="module")
def reactive(tmp_path_factory):
    """A site with live queries, and without the resource socket and batches."""
    off = {f"CORE_{name}_ENABLED": "false" for name in ("BINDINGS", "BATCH")}
    with served(generate(tmp_path_factory.mktemp("reactive")), **off) as site:
        yield site


def test_without_live_queries_forms_do_the_work(plain, windows):
    page = windows.open(None)
    log_in(page, plain)
    assert not page.locator(".state").is_visible()
    assert not page.locator("#messages").is_visible()
    before = votes(page, "Tea")
    with page.expect_navigation():
        choice(page, "Tea").click()
    assert votes(page, "Tea") == before + 1
    page.fill("#ask [name=question_text]", "Still there?")
    for number, text in enumerate(("Yes", "No")):
        page.locator("#ask [name=choice_text]").nth(number).fill(text)
    with page.expect_navigation():
        page.click("#ask .primary")
    assert card(page, "Still there?").locator(".choice").count() == 2


def test_without_the_resource_socket_and_batches_owners_write_over_http(reactive, windows):
    page, watcher = windows.open(None), is_live(windows.open(f"{reactive.url}/"))
    log_in(page, reactive)
    is_live(page)
    card(page, "Tea or coffee?").get_by_role("button", name="Hide").click()
    card(watcher, "Tea or coffee?").wait_for(state="detached")
    card(page, "Tea or coffee?").get_by_role("button", name="Publish").click()
    card(watcher, "Tea or coffee?").wait_for()
    assert votes(watcher, "Tea") == votes(page, "Tea")
    assert agrees(watcher, reactive)
