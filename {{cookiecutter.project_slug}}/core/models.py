"""The tables of ``core``. They exist whatever the toggles say."""

from django.db import models
from django.db.models.functions import Now


class ChangeLogEntry(models.Model):
    """What one transaction has changed, written with it: see ``core.changes``."""

    origin = models.CharField(max_length=32, help_text="The process that wrote it.")
    number = models.BigIntegerField(help_text="Counts the entries of that process.")
    changes = models.TextField(help_text="The changes, as JSON.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        verbose_name_plural = "change log entries"

    def __str__(self) -> str:
        return f"entry {self.pk}"


class Observer(models.Model):
    """A live query: what is asked, by whom, and what the answer was. See ``core.reactive``.

    Times are seconds since 1970, because they are compared with each other and added to in statements.
    """

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"

    id = models.CharField(max_length=32, primary_key=True, help_text="The digest of what is asked.")
    question = models.JSONField(help_text="What is asked, and by whom: plain data.")
    release = models.CharField(
        max_length=32, default="", db_default="", help_text="The digest of the code that answers it."
    )
    seq = models.BigIntegerField(help_text="Counts the evaluations that changed something.")
    version = models.BigIntegerField(help_text="Counts the evaluations that ended well, so that workers see them.")
    status = models.CharField(max_length=10, default=ACTIVE)
    detail = models.TextField(default="", help_text="Why it is suspended, or how it failed last.")

    primary_key = models.CharField(max_length=100, default="")
    # Null and not empty before the first answer, which may be an empty list.
    keys = models.TextField(null=True, help_text="The keys of the last answer in order, as JSON.")  # noqa: DJ001
    digests = models.BinaryField(default=b"", help_text="The digests of its items, one after the other.")
    profile = models.JSONField(null=True, help_text="What changes can concern it; null: any.")
    tables = models.JSONField(default=list, help_text="The tables that were read.")
    covered = models.JSONField(default=dict, help_text="How far the log of each database was known to the answer.")

    due_at = models.FloatField(null=True, db_index=True, help_text="When it is to be evaluated again.")
    lease = models.CharField(max_length=32, default="", help_text="Who evaluates it now.")
    lease_until = models.FloatField(null=True, db_index=True)
    poll_interval = models.FloatField(null=True)
    started_at = models.FloatField(default=0, help_text="When the last evaluation began.")
    evaluations = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0, help_text="Evaluations that failed since one ended well.")
    duration = models.FloatField(default=0, help_text="Seconds that the last evaluation took.")
    reason = models.CharField(max_length=200, default="", help_text="Why it was evaluated last.")
    updated_at = models.FloatField(db_index=True, help_text="When a worker should last have looked at it again.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"observer {self.pk}"


class Subscriber(models.Model):
    """Somebody to whom differences are sent: a page with its sockets."""

    id = models.CharField(max_length=100, primary_key=True)
    session = models.CharField(max_length=64, default="", help_text="A value that the owner's session holds.")
    user = models.CharField(max_length=255, default="", help_text="The key of the owner, as text.")
    expires_at = models.FloatField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"subscriber {self.pk}"


class Subscription(models.Model):
    """A subscriber of an observer. No constraints of the database: rows come and go in bulk, in any order."""

    observer = models.ForeignKey(Observer, models.DO_NOTHING, db_constraint=False, related_name="subscriptions")
    subscriber = models.ForeignKey(Subscriber, models.DO_NOTHING, db_constraint=False, related_name="subscriptions")
    caller = models.JSONField(help_text="Who asked, as plain data.")
    seq = models.BigIntegerField(null=True, help_text="The number of the answer that was given; null before it is.")
    # Kept for a while, so that sockets find out which have not heard of it.
    ended = models.TextField(default="", help_text="The message that ended it; empty while it goes on.")
    ended_at = models.FloatField(null=True)

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("observer", "subscriber"), name="core_subscription_once"),)

    def __str__(self) -> str:
        return f"{self.subscriber_id} of {self.observer_id}"


class Difference(models.Model):
    """What one evaluation changed: the messages, kept for a while for those who missed them."""

    observer = models.ForeignKey(
        Observer, models.DO_NOTHING, db_constraint=False, related_name="differences", db_index=False
    )
    seq = models.BigIntegerField()
    messages = models.TextField(help_text="The messages, as a JSON list.")
    created_at = models.FloatField(db_index=True)

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("observer", "seq"), name="core_difference_once"),)

    def __str__(self) -> str:
        return f"difference {self.seq} of {self.observer_id}"


class Bookmark(models.Model):
    """How far the workers of live queries have read the log of a database; the next one begins there."""

    using = models.CharField(max_length=100, primary_key=True)
    last = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.using} up to {self.last}"
