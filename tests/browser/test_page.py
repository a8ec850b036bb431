"""The example's page, as visitors have it: in windows of their own, on a server that comes and goes."""

import re
import signal

import pytest
from stage import PATIENCE, SCREENSHOTS, agrees, card, choice, is_live, log_in, shown, until, votes

LOST = r"WebSocket|ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def visit(windows, site, **options):
    return is_live(windows.open(f"{site.url}/", **options))


def ask(page, question, *choices):
    page.fill("#ask [name=question_text]", question)
    for number, text in enumerate(choices):
        page.locator("#ask [name=choice_text]").nth(number).fill(text)
    page.click("#ask .primary")


def test_two_windows_see_each_others_votes(site, windows):
    one, other = visit(windows, site), visit(windows, site)
    before = votes(other, "Tea")
    choice(one, "Tea").click()
    until(lambda: votes(one, "Tea") == votes(other, "Tea") == before + 1)
    before = votes(one, "Coffee")
    choice(other, "Coffee").click()
    until(lambda: votes(one, "Coffee") == votes(other, "Coffee") == before + 1)
    until(lambda: agrees(one, site) and agrees(other, site))
    percent = choice(one, "Tea").locator(".percent").inner_text()
    assert choice(one, "Tea").locator("rect").get_attribute("width") == percent
    until(lambda: one.locator("#said").inner_text() == "You voted for Tea.")


def test_a_question_appears_changes_and_vanishes_everywhere(site, windows):
    asker, watcher = windows.open(None), visit(windows, site)
    log_in(asker, site)
    is_live(asker)
    ask(asker, "Cats or dogs?", "Cats", "Dogs", "Both")
    card(watcher, "Cats or dogs?").wait_for()
    assert shown(watcher)[0][1:] == ["Cats or dogs?", [["Cats", 0], ["Dogs", 0], ["Both", 0]]]
    until(lambda: asker.locator("#ask [name=question_text]").input_value() == "")  # once it has its own answer
    assert watcher.locator("#said").inner_text() == "New question: Cats or dogs?"

    site.shell("Question.objects.filter(question_text='Cats or dogs?').update(question_text='Cats, or dogs?')")
    card(watcher, "Cats, or dogs?").wait_for()

    mine = card(asker, "Cats, or dogs?")
    mine.get_by_role("button", name="Hide").click()
    mine.locator(".badge").wait_for()
    card(watcher, "Cats, or dogs?").wait_for(state="detached")
    mine.get_by_role("button", name="Publish").click()
    card(watcher, "Cats, or dogs?").wait_for()
    # Both clicks at once: after some seconds the button asks again.
    asked = mine.get_by_role("button", name="Delete").evaluate(
        "(button) => { button.click(); const asked = button.textContent; button.click(); return asked; }"
    )
    assert asked == "Really delete?"
    for page in (asker, watcher):
        card(page, "Cats, or dogs?").wait_for(state="detached")
        until(lambda page=page: agrees(page, site))


FOLLOW_BY_TEXT = """async () => {
    const { connect } = await import("/static/core/client.js");
    const show = (questions) => { window.texts = questions.map((question) => question.question_text); };
    await connect().query("/api/questions/?ordering=question_text&limit=200", show);
}"""


def test_a_question_moves_to_its_place_when_its_text_changes(site, windows):
    """On the page questions stand by age and stay where they are; here they stand by their text."""
    page = visit(windows, site)
    page.evaluate(FOLLOW_BY_TEXT)
    before = page.evaluate("texts")
    site.shell("Question.objects.create(question_text='!First?')")
    until(lambda: page.evaluate("texts") == ["!First?", *before])
    site.shell("Question.objects.filter(question_text='!First?').update(question_text='~Last?')")
    until(lambda: page.evaluate("texts") == [*before, "~Last?"])
    site.shell("Question.objects.filter(question_text='~Last?').delete()")
    until(lambda: page.evaluate("texts") == before)
    assert before == sorted(before)


def test_a_question_that_is_refused_says_why_and_is_not_lost(site, windows):
    page = windows.open(None)
    log_in(page, site)
    is_live(page)
    page.evaluate("document.querySelector('#ask [name=question_text]').removeAttribute('maxlength')")
    ask(page, "x" * 201, "Yes", "No")
    page.locator("#ask-error").wait_for()
    assert "no more than 200 characters" in page.locator("#ask-error").inner_text()
    assert page.locator("#ask [name=question_text]").input_value() == "x" * 201


def test_windows_come_back_by_themselves_when_the_server_does(site, windows):
    pages = [visit(windows, site), visit(windows, site)]
    site.stop()
    for page in pages:
        page.locator(".state[data-state=offline]").wait_for()
    site.shell("Choice.objects.filter(choice_text='NumPy').update(votes=77)")
    choice(pages[0], "NumPy").click()
    pages[0].locator("#trouble", has_text="was not counted").wait_for()
    site.start()
    for page in pages:
        is_live(page)
        until(lambda page=page: votes(page, "NumPy") == 77 and agrees(page, site))
    choice(pages[0], "NumPy").click()
    until(lambda: votes(pages[0], "NumPy") == votes(pages[1], "NumPy") == 78)
    assert all(agrees(page, site) for page in pages)
    windows.forgive(LOST)


def test_windows_survive_a_server_that_is_killed(site, windows):
    page = visit(windows, site)
    before = votes(page, "Tea")
    site.stop(signal.SIGKILL)
    page.locator(".state[data-state=offline]").wait_for()
    site.start()
    choice(is_live(page), "Tea").click()
    until(lambda: votes(page, "Tea") == before + 1)
    assert agrees(page, site)
    windows.forgive(LOST)


def test_a_window_that_was_offline_catches_up(site, windows):
    page, other = visit(windows, site), visit(windows, site)
    page.context.set_offline(True)
    page.locator(".state[data-state=offline]").wait_for()
    before = votes(page, "pytest")
    choice(other, "pytest").click()
    until(lambda: votes(other, "pytest") == before + 1)
    page.context.set_offline(False)
    is_live(page)
    assert votes(page, "pytest") == before + 1
    assert agrees(page, site)
    windows.forgive(LOST)


def test_a_burst_of_changes_ends_in_the_right_list(site, windows):
    page = visit(windows, site)
    site.shell(
        "questions = [Question.objects.create(question_text=f'Burst {n}') for n in range(20)]\n"
        "for n in range(260):\n"
        "    question = questions[n % 20]\n"
        "    if n % 3 == 0: Choice.objects.create(question=question, choice_text=f'Choice {n}')\n"
        "    elif n % 3 == 1: Question.objects.filter(pk=question.pk).update(question_text=f'Burst, {n}')\n"
        "    else: Choice.objects.filter(question=question).vote()\n"
        "for question in questions: question.delete()\n"
    )
    until(lambda: "Burst" not in str(shown(page)) and agrees(page, site))
    assert page.locator(".state").get_attribute("data-state") == "live"


def test_logging_in_and_out_shows_what_each_may_see(site, windows):
    hidden = "Not yet published: which topic comes first?"
    page, stranger = windows.open(None), visit(windows, site)
    log_in(page, site)
    card(is_live(page), hidden).wait_for()
    assert not card(stranger, hidden).count()
    site.shell(f"Question.objects.filter(question_text='{hidden}').get().choices.update(votes=3)")
    until(lambda: votes(page, "Live queries") == 3)
    assert hidden not in str(shown(stranger))
    page.get_by_role("button", name=re.compile("Log out")).click()
    page.get_by_role("link", name="Log in", exact=True).first.wait_for()
    is_live(page)
    assert hidden not in str(shown(page))
    until(lambda: agrees(page, site))


def test_a_logout_in_one_window_takes_the_rows_from_the_others(site, windows):
    page = windows.open(None)
    log_in(page, site)
    card(is_live(page), "Not yet published").wait_for()
    token = next(each["value"] for each in page.context.cookies() if each["name"] == "csrftoken")
    headers = {"X-CSRFToken": token, "Referer": site.url}
    assert page.request.post(f"{site.url}/api/auth/logout/", headers=headers).ok
    card(page, "Not yet published").wait_for(state="detached")
    is_live(page)


def test_the_messages_can_be_watched_as_they_pass(site, windows):
    page = visit(windows, site)
    assert not page.locator("#messages ol").is_visible()
    page.locator("#messages summary").click()
    choice(page, "Coffee").click()
    row = page.locator("#messages li").first
    row.wait_for()
    assert row.locator(".kind").inner_text() == "changed"
    assert '"choice_text":"Coffee"' in row.locator(".text").inner_text()


def test_the_keyboard_is_enough(site, windows):
    page = visit(windows, site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the questions"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    button = page.evaluate("document.activeElement.value")
    before = page.locator(f"button[value='{button}'] .votes").inner_text()
    page.keyboard.press("Enter")
    until(lambda: page.locator(f"button[value='{button}'] .votes").inner_text() == str(int(before) + 1))
    assert page.evaluate("document.activeElement.value") == button


def test_a_question_that_comes_takes_the_focus_from_nobody(site, windows):
    page = visit(windows, site)
    choice(page, "Coffee").focus()
    site.shell("Question.objects.create(question_text='Do I disturb?')")
    card(page, "Do I disturb?").wait_for()
    assert "Coffee" in page.evaluate("document.activeElement.textContent")
    site.shell("Question.objects.filter(question_text='Do I disturb?').delete()")
    card(page, "Do I disturb?").wait_for(state="detached")


def test_screen_readers_are_told_what_a_button_does(site, windows):
    page = visit(windows, site)
    button = page.get_by_role("button", name=re.compile(r"^Vote for Tea \d+ votes, \d+%$"))
    assert button.count() == 1
    assert page.get_by_role("status").first.inner_text() == "Live"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_on_a_phone(site, windows, scheme):
    page = visit(windows, site, **PHONE, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    sizes = page.evaluate("[...document.querySelectorAll('.choice')].map((each) => each.offsetHeight)")
    assert min(sizes) >= 44


def test_without_a_script_it_works_by_forms(site, windows):
    page = windows.open(f"{site.url}/", java_script_enabled=False)
    assert not page.locator(".state").is_visible()
    before = votes(page, "Tea")
    choice(page, "Tea").click()
    page.wait_for_url(re.compile("#question-"))
    assert votes(page, "Tea") == before + 1


def test_motion_is_left_out_for_those_who_do_not_want_it(site, windows):
    page = visit(windows, site, reduced_motion="reduce")
    assert page.locator(".bar rect").first.evaluate("(bar) => getComputedStyle(bar).transitionProperty") == "none"
    page = visit(windows, site)
    assert "width" in page.locator(".bar rect").first.evaluate("(bar) => getComputedStyle(bar).transitionProperty")


@pytest.mark.parametrize(("path", "budget"), [("", 100_000), ("debugger/", 100_000), ("api/asyncapi/docs/", 100_000)])
def test_everything_comes_from_the_site_and_is_small(site, windows, path, budget):
    assert sum(fetched(windows, site, path).values()) < budget


def test_the_description_of_the_api_comes_from_the_site_too(site, windows):
    assert fetched(windows, site, "api/docs/")


def fetched(windows, site, path):
    """Open a page and return what it has fetched, with the number of bytes."""
    page, sizes = windows.open(None), {}
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    page.goto(f"{site.url}/{path}")
    page.wait_for_load_state("networkidle")
    foreign = [url for url in sizes if not url.startswith((site.url, "data:"))]
    assert foreign == []
    return sizes


def test_what_it_looks_like_is_kept(site, windows):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for name, options in {"wide": {}, "phone": PHONE}.items():
        for scheme in ("light", "dark"):
            page = windows.open(None, color_scheme=scheme, **options)
            log_in(page, site)
            is_live(page)
            page.screenshot(path=SCREENSHOTS / f"page-{name}-{scheme}.png", full_page=True)
        for path, ready in (("api/docs", ".opblock"), ("api/asyncapi/docs", "#schemas"), ("api", ".response-info")):
            page.goto(f"{site.url}/{path}/")
            page.locator(ready).first.wait_for(state="attached", timeout=PATIENCE)
            page.screenshot(path=SCREENSHOTS / f"{path.replace('/', '-')}-{name}.png")
    assert all(each.stat().st_size > 5_000 for each in SCREENSHOTS.glob("*.png"))
