"""``client.js`` in a browser: its own tests of its logic, and the examples of its documentation."""

import json
import re

import pytest
from harness import ROOT, TEMPLATE
from recipe import add_books
from stage import log_in, served, until

from scripts.generate import generate

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


GUIDE = (ROOT / "docs/client.md").read_text()


@pytest.fixture
def books(tmp_path):
    """A site with an application of its own, made as its README says, and the page that the documentation shows."""
    project = add_books(generate(tmp_path))
    html = re.search(r"```html\n(.*?)```", GUIDE, re.DOTALL)[1]
    assert len(html.strip().splitlines()) <= 10
    path = project / re.search(r"`(books/static/\S+\.html)`", GUIDE)[1]
    path.parent.mkdir(parents=True)
    path.write_text(html)
    with served(project) as site:
        yield site


def test_the_ten_lines_of_the_documentation_make_a_live_list_of_a_model_of_ones_own(books, windows):
    page = windows.open(books.url + re.search(r"http://127\.0\.0\.1:8000(/static/\S+\.html)", GUIDE)[1])

    def texts():
        return page.locator("#books li").all_inner_texts()

    def write(code):
        books.manage("shell", "--no-imports", "--command", f"from books.models import Book\n{code}")

    write("Book.objects.create(title='Emma')")
    until(lambda: texts() == ["Emma"])
    write("Book.objects.bulk_create([Book(title='Dubliners'), Book(title='Walden')])")
    until(lambda: texts() == ["Dubliners", "Emma", "Walden"])
    write("Book.objects.filter(title='Dubliners').update(title='Ulysses')")
    until(lambda: texts() == ["Emma", "Ulysses", "Walden"])
    write("Book.objects.get(title='Walden').delete()")
    until(lambda: texts() == ["Emma", "Ulysses"])
    rows = page.request.get(f"{books.url}/api/books/?ordering=title").json()["results"]
    assert texts() == [row["title"] for row in rows]


def test_streams_and_batches_of_the_documentation_do_what_it_says(site, windows):
    """The examples in JavaScript, run as the demo user, one after another."""
    page = windows.open(None)
    log_in(page, site)
    told = page.evaluate(
        """async () => {
            const { connect, ref } = await import("/static/core/client.js");
            const live = connect();
            const questions = live.stream("questions");
            const events = [];
            questions.on("update", ({ pk, data }) => events.push([pk, data.published]));
            const { tracked } = await questions.subscribe("update");
            const [first] = await questions.list({ ordering: "-id" });
            const made = await questions.create({ question_text: "Why?" });
            await questions.patch(made.id, { published: false });
            while (!events.length) await new Promise((done) => setTimeout(done, 20));
            const refusal = await questions.retrieve(0).catch((error) => [error.name, error.status, error.message]);
            const results = await live.batch([
                {
                    method: "POST", relative_url: "/api/choices/", name: "c",
                    body: { question: made.id, choice_text: "So" },
                },
                { method: "POST", relative_url: `/api/choices/${ref("c", "$.id")}/vote/` },
                { method: "DELETE", relative_url: `/api/questions/${made.id}/` },
            ], { atomic: true });
            const gone = await live.request("GET", `/api/questions/${made.id}/`).catch(({ status }) => status);
            live.close();
            const { votes } = results[1].data;
            return { tracked, above: made.id > first.id, events, made: made.id, refusal, votes, gone };
        }"""
    )
    assert told["tracked"] is True
    assert told["above"] is True
    assert told["events"] == [[told["made"], False]]
    assert told["refusal"][:2] == ["LiveError", 404]
    assert told["votes"] == 1
    assert told["gone"] == 404
    windows.forgive("404")
