"""``client.js`` in a browser: its own tests of its logic, and the examples of its documentation."""

import json

from harness import ROOT, TEMPLATE

CLIENT = TEMPLATE / "core/static/core/client.js"
LOGIC = ROOT / "tests/client/logic.test.mjs"
SCRIPTS = {
    "client.js": CLIENT,
    "logic.test.mjs": LOGIC,
    "test.mjs": ROOT / "tests/browser/stand-ins/test.mjs",
    "assert.mjs": ROOT / "tests/browser/stand-ins/assert.mjs",
}
IMPORTS = {"#client": "/client.js", "node:test": "/test.mjs", "node:assert/strict": "/assert.mjs"}
PAGE = f"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="importmap">{json.dumps({"imports": IMPORTS})}</script>"""


def answer(route):
    script = SCRIPTS.get(route.request.url.rpartition("/")[2])
    if script:
        route.fulfill(body=script.read_text(), content_type="text/javascript")
    else:
        route.fulfill(body=PAGE, content_type="text/html")


def test_its_logic_is_the_same_in_a_browser(windows):
    page = windows.open(None)
    page.route("http://logic.test/**", answer)
    page.goto("http://logic.test/")
    results = page.evaluate("import('/logic.test.mjs').then(() => import('/test.mjs')).then(({results}) => results())")
    assert len(results) == LOGIC.read_text().count("\ntest(")
    assert [each for each in results if each[1] is not None] == []
