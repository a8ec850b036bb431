"""Random programs of writes, and the tables as they were before and after: for the property test of the stream."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.apps import apps
from django.core import serializers
from django.db import connection, transaction
from django.db.models import F, Q
from hypothesis import strategies as st

from core.changes import record_change
from tests.testapp.models import BigNote, Cafe, Folder, Kiosk, Label, Note, Place, Seat, Shelf, Tag, Ticket


class BoomError(Exception):
    """A program's own failure."""


def pick(model, number):
    """An existing row of ``model``, or None."""
    rows = list(model.objects.order_by("pk"))
    return rows[number % len(rows)] if rows else None


def picks(model, number, count=2):
    rows = list(model.objects.order_by("pk"))
    return [rows[(number + each) % len(rows)] for each in range(min(count, len(rows)))]


# --- every way of writing; each takes one number and makes of it what it likes ---


def save_new(n):
    Folder.objects.create(name=f"f{n}", parent=pick(Folder, n) if n % 2 else None)
    Note(folder=pick(Folder, n), fallback=pick(Folder, n + 1), text=f"n{n}", size=n).save()


def save_with_key_again(n):
    if note := pick(Note, n):
        Note(pk=note.pk, text=f"again {n}").save()


def save_old(n):
    for note in picks(Note, n, 1):
        note.text, note.size = f"changed {n}", n
        note.save()


def save_some_fields(n):
    for note in picks(Note, n, 1):
        note.text, note.size = f"half {n}", note.size + 1
        note.save(update_fields=["size"])
        note.save(update_fields=["folder_id"])


def save_deferred(n):
    for note in Note.objects.only("size").filter(size__gte=n % 3)[:1]:
        note.size += 1
        note.save()


def delete_instance(n):
    for model in (Note, Tag):
        if row := pick(model, n):
            row.delete()


def delete_folder(n):
    if folder := pick(Folder, n):
        folder.delete()


def queryset_delete(n):
    Folder.objects.filter(pk__in=[row.pk for row in picks(Folder, n)]).delete()


def queryset_delete_leaf(n):
    Note.objects.filter(size__lte=n % 5).delete()


def raw_delete(n):
    rows = Note.objects.filter(size=n % 7)
    rows._raw_delete(rows.db)


def update_filtered(n):
    Note.objects.filter(size__lt=n).update(size=F("size") + 3)


def update_own_filter(n):
    Note.objects.filter(text__startswith="n").update(text=f"x{n}")


def update_along_join(n):
    Note.objects.filter(folder__name__contains=str(n % 3)).update(size=n, folder=None)


async def _aupdate(n):
    await Note.objects.filter(size__gte=n).aupdate(size=n)
    await Tag.objects.abulk_create([Tag(name=f"async {uuid.uuid4()}")])
    await Note.objects.filter(size=n).adelete()


def asynchronous(n):
    async_to_sync(_aupdate)(n)


def bulk_create(n):
    Note.objects.bulk_create([Note(text=f"b{n}-{each}", size=n, folder=pick(Folder, n)) for each in range(n % 4)])
    Ticket.objects.bulk_create([Ticket(title=str(n))])


def bulk_create_or_skip(n):
    tags = [Tag(name=f"tag{each}", weight=n) for each in range(n % 5)]
    Tag.objects.bulk_create(tags, ignore_conflicts=True)


def bulk_create_or_update(n):
    tags = [Tag(name=f"tag{each}", weight=n) for each in range(n % 6)]
    Tag.objects.bulk_create(tags, update_conflicts=True, unique_fields=["name"], update_fields=["weight"])


def bulk_create_or_update_by_key(n):
    notes = [Note(pk=note.pk, text=f"up{n}", size=-1) for note in picks(Note, n)]
    if 10_000_000 + n not in {note.pk for note in notes}:  # PostgreSQL refuses to meet a row twice in a statement
        notes.append(Note(pk=10_000_000 + n, text="new", size=-1))
    Note.objects.bulk_create(notes, update_conflicts=True, unique_fields=["pk"], update_fields=["text"])


def bulk_update(n):
    notes = picks(Note, n)
    for note in notes:
        note.size, note.text = n, "not written"
    Note.objects.bulk_update(notes, ["size"])


def get_or_create(n):
    Tag.objects.get_or_create(name=f"tag{n % 5}")


def update_or_create(n):
    Tag.objects.update_or_create(name=f"tag{n % 5}", defaults={"weight": n})


def m2m_add(n):
    for folder in picks(Folder, n, 1):
        folder.tags.add(*picks(Tag, n))
    for tag in picks(Tag, n, 1):
        tag.folders.add(*picks(Folder, n))


def m2m_remove(n):
    for folder in picks(Folder, n, 1):
        folder.tags.remove(*picks(Tag, n))
    for tag in picks(Tag, n + 1, 1):
        tag.folders.remove(*picks(Folder, n))


def m2m_set(n):
    for folder in picks(Folder, n, 1):
        folder.tags.set(picks(Tag, n), clear=bool(n % 2))
    for tag in picks(Tag, n, 1):
        tag.folders.set(picks(Folder, n + 1))


def m2m_clear(n):
    for folder in picks(Folder, n, 1):
        folder.tags.clear()
        folder.friends.clear()


def m2m_to_self(n):
    for folder in picks(Folder, n, 1):
        folder.friends.add(*picks(Folder, n + 1))


def m2m_through(n):
    shelf = Shelf.objects.first() or Shelf.objects.create()
    shelf.tags.add(*picks(Tag, n))
    if n % 2:
        shelf.tags.remove(*picks(Tag, n, 1))


def reverse_add(n):
    for folder in picks(Folder, n, 1):
        folder.notes.add(*picks(Note, n))
        folder.notes.remove(*picks(Note, n, 1))
        if n % 3 == 0:
            folder.notes.clear()


def proxy(n):
    BigNote.objects.create(text=f"proxy {n}", size=n)
    for note in picks(BigNote, n, 1):
        note.size += 1
        note.save()
    BigNote.objects.filter(size=n).update(text="by proxy")


def child_create(n):
    Cafe.objects.create(name=f"c{n}", seats=n)
    Kiosk.objects.create(name=f"k{n}")


def child_of_parent(n):
    place = Place.objects.filter(cafe=None, kiosk=None).first()
    if place:
        Cafe(place_ptr=place, name=place.name, seats=n).save()


def child_save(n):
    for cafe in picks(Cafe, n, 1):
        cafe.seats, cafe.rank = n, n
        cafe.save(update_fields=["seats"] if n % 2 else None)
    for kiosk in picks(Kiosk, n, 1):
        kiosk.rank = n
        kiosk.save()


def child_update(n):
    Cafe.objects.filter(seats__gte=n % 4).update(seats=n, rank=n)
    Cafe.objects.filter(rank=n).update(rank=n + 1)
    Cafe.objects.filter(rank__lt=3).update(seats=n)


def child_delete(n):
    for cafe in picks(Cafe, n, 1):
        cafe.delete(keep_parents=bool(n % 2))
    Place.objects.filter(rank=n % 3).delete()


def parent_save(n):
    for place in picks(Place, n, 1):
        place.rank += 1
        place.save()


def labels(n):
    if (folder := pick(Folder, n)) and (tag := pick(Tag, n)):
        Label.objects.create(folder=folder, tag=tag)
        folder.labels.create(tag=tag)


def fixture(n):
    row = {"model": "testapp.cafe", "pk": None, "fields": {"seats": n}}
    parent = {"model": "testapp.place", "pk": 20_000_000 + n, "fields": {"name": "raw", "rank": n}}
    row["pk"] = parent["pk"]
    for each in serializers.deserialize("json", json.dumps([parent, row])):
        each.save()


def composite(n):
    Seat.objects.create(row=n, number=uuid.uuid4().int % 10**9)
    Seat.objects.filter(row__lte=n).update(guest=f"g{n}")
    Seat.objects.filter(row=n % 3).delete()


def tickets(n):
    ticket = Ticket.objects.create(title="a")
    Ticket.objects.filter(pk=ticket.pk).update(title="b")
    Ticket.objects.exclude(pk=ticket.pk).filter(Q(title="b")).delete()


def by_hand(n):
    for note in picks(Note, n, 1):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE testapp_note SET size = %s WHERE id = %s", (n, note.pk))
        record_change(Note, "updated", [note.pk], ["size"])


def come_and_go(n):
    Note.objects.create(text="short life", size=n).delete()


WAYS = [
    each
    for name, each in list(globals().items())
    if callable(each)
    and getattr(each, "__code__", None)
    and each.__code__.co_varnames[:1] == ("n",)
    and not name.startswith("_")
]


# --- programs: writes in transactions in transactions ---


@dataclass
class Write:
    way: Any
    n: int

    def __repr__(self):
        return f"{self.way.__name__}({self.n})"


@dataclass
class Block:
    steps: list[Any]
    savepoint: bool
    end: str  # "commit", "raise" or "set_rollback"


writes = st.builds(Write, st.sampled_from(WAYS), st.integers(0, 11))
blocks = st.recursive(
    writes,
    lambda inner: st.builds(
        Block, st.lists(inner, max_size=4), st.booleans(), st.sampled_from(["commit"] * 3 + ["raise", "set_rollback"])
    ),
    max_leaves=12,
)
programs = st.lists(blocks, min_size=1, max_size=4)


def run(step, *, outermost=True):
    """Run a step; what fails in it is rolled back by the savepoint around it, if it has one."""
    if isinstance(step, Write):
        step.way(step.n)
        return
    try:
        with transaction.atomic(savepoint=step.savepoint):
            for inner in step.steps:
                run(inner, outermost=False)
            if step.end == "raise":
                raise BoomError
            if step.end == "set_rollback":
                transaction.set_rollback(True)
    except (BoomError, transaction.TransactionManagementError):
        if not (outermost or step.savepoint):
            raise


# --- the tables ---


def tables():
    models = apps.get_app_config("testapp").get_models(include_auto_created=True)
    return {model._meta.db_table: model for model in models if not model._meta.proxy and model.__name__ != "Quiet"}


def snapshot():
    """Every row of every table: ``{table: {key: {column: value}}}``."""
    found = {}
    with connection.cursor() as cursor:
        for table, model in tables().items():
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            keys = [field.column for field in model._meta.pk_fields]
            rows = found[table] = {}
            for values in cursor.fetchall():
                row = dict(zip(names, values, strict=True))
                parts = tuple(field.to_python(row[key]) for key, field in zip(keys, model._meta.pk_fields, strict=True))
                rows[parts if len(parts) > 1 else parts[0]] = row
    return found


def empty():
    with connection.cursor() as cursor:
        names = ", ".join(f'"{table}"' for table in tables())
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {names} CASCADE")
        else:
            cursor.execute("PRAGMA foreign_keys = OFF")
            for table in tables():
                cursor.execute(f'DELETE FROM "{table}"')
            cursor.execute("PRAGMA foreign_keys = ON")


def seed():
    """Enough rows that every way of writing finds some."""
    with transaction.atomic():
        folders = Folder.objects.bulk_create([Folder(name=f"seed {each}") for each in range(4)])
        tags = Tag.objects.bulk_create([Tag(name=f"tag{each}") for each in range(3)])
        Note.objects.bulk_create(
            [Note(text=f"n{each}", size=each, folder=folders[each % 4], fallback=folders[1]) for each in range(6)]
        )
        folders[0].tags.set(tags)
        folders[1].friends.set(folders[2:])
        Folder.objects.filter(pk=folders[3].pk).update(parent=folders[2])
        for each in range(3):
            Cafe.objects.create(name=f"cafe {each}", seats=each, rank=each)
            Place.objects.create(name=f"place {each}", rank=each)
        Kiosk.objects.create(name="kiosk")
