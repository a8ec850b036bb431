"""The debugger of the resource socket, in a browser."""

from stage import PATIENCE, SCREENSHOTS, until

# The pixels that a drop-down has left beside what is chosen and its arrow.
ROOM = """(select) => {
    const shown = document.querySelector(select);
    const style = getComputedStyle(shown);
    const context = document.createElement("canvas").getContext("2d");
    context.font = style.font;
    const text = context.measureText(shown.value).width;
    return shown.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 16 - text;
}"""


def choose(page, stream, action, data="{}", pk=None):
    page.select_option("#stream", stream)
    page.select_option("#action", action)
    if pk is not None:
        page.fill("#pk", str(pk))
    page.fill("#data", data)
    page.click("#send")


def test_it_sends_and_receives(site, windows):
    page = windows.open(f"{site.url}/debugger/")
    page.locator("#state[data-state=live]").wait_for()
    choose(page, "questions", "list")
    reply = page.locator("#replies li").first
    reply.locator(".tag", has_text="200").wait_for(timeout=PATIENCE)
    assert "Tea or coffee?" in reply.inner_text()

    choose(page, "choices", "subscribe", '{"action": "update"}')
    page.locator("#replies li").first.locator(".tag", has_text="200").wait_for()
    voter = windows.open(None)
    pk = voter.request.get(f"{site.url}/api/choices/?choice_text=Tea").json()["results"][0]["id"]
    assert voter.request.post(f"{site.url}/api/choices/{pk}/vote/").ok
    event = page.locator("#events li").first
    event.wait_for()
    assert '"choice_text": "Tea"' in event.inner_text()

    choose(page, "choices", "vote", pk=pk)
    until(lambda: page.locator("#events li").count() == 2)


def test_what_it_looks_like_is_kept(site, windows):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for name, width in (("wide", 1200), ("phone", 360)):
        page = windows.open(f"{site.url}/debugger/", viewport={"width": width, "height": 800})
        page.locator("#state[data-state=live]").wait_for()
        choose(page, "questions", "list")
        page.locator("#replies li .tag", has_text="200").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(ROOM, "#stream") >= 0
        assert page.evaluate(ROOM, "#action") >= 0
        page.screenshot(path=SCREENSHOTS / f"debugger-{name}.png")
