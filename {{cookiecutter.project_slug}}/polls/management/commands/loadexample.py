"""``manage.py loadexample``: sample data for a first look."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils.crypto import salted_hmac

from polls.models import Question

DEMO_USER = "demo"


class Command(BaseCommand):
    """Load ``example.json`` into an empty database and, with ``DEBUG``, make a login for it."""

    help = "Load the sample questions, unless there are questions already; with DEBUG, print a demo login."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do both, and say what was done."""
        if Question.objects.exists():
            self.stdout.write("Sample data: there are questions already, nothing loaded.")
        else:
            call_command("loaddata", "example", verbosity=0)
            hidden = Question.objects.filter(published=False).count()
            self.stdout.write(f"Sample data: {Question.objects.count()} questions loaded, {hidden} not published.")
        if settings.DEBUG:
            self.stdout.write(f"Demo login: {DEMO_USER} / {self._demo_login()}   (staff; only with DEBUG)")

    def _demo_login(self) -> str:
        """Return the password of the demo user, who is made if need be.

        It follows from the secret key: the same at every start, and known to nobody who has not the key.
        """
        password = salted_hmac("polls.demo", DEMO_USER, algorithm="sha256").hexdigest()[:10]
        user = User.objects.filter(username=DEMO_USER).first()
        if user is None:
            User.objects.create_superuser(DEMO_USER, email="demo@localhost.invalid", password=password)
        elif not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
        return password
