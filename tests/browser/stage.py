"""What the tests of the browser side use: a site that is served, and windows that look at it."""

import contextlib
import re
import time

from harness import PYTHON, ROOT, Server, free_port, run

SCREENSHOTS = ROOT / ".cache/screenshots"
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Milliseconds; generous, since nothing waits for their end.
PATIENCE = 120_000


class Site:
    """A generated project with sample data, served on one port; it can be stopped and started again."""

    def __init__(self, folder, login, **extra):
        self.folder = folder
        self.login = login
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.extra = extra
        self.server = None

    def start(self):
        command = (PYTHON, "-m", "daphne", "--bind", "127.0.0.1", "--port", str(self.port), "config.asgi:application")
        self.server = Server(*command, cwd=self.folder, port=self.port, **self.extra).wait()
        return self

    def stop(self, *number):
        return self.server.stop(*number)

    def manage(self, *command):
        done = run(PYTHON, "manage.py", *command, cwd=self.folder, **self.extra)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, code):
        """Write from another process, as an administrator at a shell does."""
        imports = "from polls.models import Choice, Question; from django.contrib.auth.models import User"
        return self.manage("shell", "--no-imports", "--command", f"{imports}\n{code}")


@contextlib.contextmanager
def served(folder, **extra):
    """Serve a project with sample data."""
    site = Site(folder, None, **extra)
    site.manage("migrate", "--verbosity", "0")
    found = re.search(r"demo / (\w+)", site.manage("loadexample"))
    site.login = found and found[1]  # there is one only with DEBUG
    site.start()
    try:
        yield site
    finally:
        site.server.__exit__()


class Windows:
    """Opens windows of one visitor each, and remembers what went wrong in them."""

    def __init__(self, chromium):
        self.chromium = chromium
        self.contexts = []
        self.mistakes = []

    def open(self, url, **options):
        """Open ``url`` in a window of its own: its own cookies, its own session."""
        context = self.chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        context.set_default_timeout(PATIENCE)
        self.contexts.append(context)
        page = context.new_page()
        self.watch(page)
        if url:
            page.goto(url)
        return page

    def watch(self, page):
        page.on("pageerror", lambda error: self.mistakes.append(f"{page.url}: {error}"))
        page.on("console", lambda said: said.type == "error" and self.mistakes.append(f"{page.url}: {said.text}"))

    def forgive(self, pattern):
        """Drop mistakes that a test has brought about, such as a server that is not there."""
        self.mistakes = [each for each in self.mistakes if not re.search(pattern, each)]

    def close(self):
        """Close every window, before what they look at goes away."""
        while self.contexts:
            self.contexts.pop().close()


def log_in(page, site):
    """Log in as the demo user, by the site's own form."""
    page.goto(f"{site.url}/api/auth/login/?next=/")
    page.fill("[name=username]", "demo")
    page.fill("[name=password]", site.login)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{site.url}/")


def until(condition):
    """Wait until something has come true that no window shows."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


# --- The example's page -------------------------------------------------------------------------------------------

SHOWN = """() => [...document.querySelectorAll('#questions article')].map((card) => [
    Number(card.id.replace('question-', '')),
    card.querySelector('h2').textContent,
    [...card.querySelectorAll('.choice')].map((choice) => [
        choice.querySelector('.text').textContent, Number(choice.querySelector('.votes').textContent),
    ]),
])"""
LIST = "/api/questions/?ordering=-id&limit=25"


def shown(page):
    """Return the questions that a window shows: key, text, and the choices with their votes."""
    return page.evaluate(SHOWN)


def fresh(page, site):
    """Return what a fresh GET, as the same visitor, says that should be shown."""
    rows = page.request.get(site.url + LIST).json()["results"]
    return [
        [row["id"], row["question_text"], [[each["choice_text"], each["votes"]] for each in row["choices"]]]
        for row in rows
    ]


def agrees(page, site):
    """Tell whether a window shows what a fresh GET says."""
    return shown(page) == fresh(page, site)


def is_live(page):
    """Wait until a window says that it is live."""
    page.locator(".state[data-state=live]").wait_for()
    return page


def choice(page, text):
    """Return the button of a choice."""
    return page.locator(".choice", has=page.locator(".text", has_text=text))


def votes(page, text):
    """Return the votes that a choice shows."""
    return int(choice(page, text).locator(".votes").inner_text())


def card(page, text):
    """Return what shows a question."""
    return page.locator("#questions article", has=page.locator("h2", has_text=text))
