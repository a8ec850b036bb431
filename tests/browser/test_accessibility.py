"""What axe finds wrong with the pages: contrast, names, structure. In light and dark, on a phone, logged in and not."""

import pytest
from harness import ROOT
from stage import is_live, log_in

AXE = ROOT / "node_modules/axe-core/axe.min.js"
PHONE = {"width": 360, "height": 740}


def violations(page):
    """Return what is wrong, with where it is."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [(each["id"], node["target"], node["failureSummary"]) for each in found for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_barriers(site, windows, scheme):
    page = is_live(windows.open(f"{site.url}/", color_scheme=scheme, reduced_motion="reduce"))
    assert violations(page) == []
    log_in(page, site)
    is_live(page)
    page.locator("#messages summary").click()
    page.locator(".choice").first.click()
    page.locator("#messages li").first.wait_for()
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["debugger/", "api/asyncapi/docs/"])
def test_the_pages_for_developers_have_no_barriers(site, windows, scheme, path):
    page = windows.open(f"{site.url}/{path}", color_scheme=scheme, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach((each, place) => (each.open = place < 3))")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert violations(page) == []
