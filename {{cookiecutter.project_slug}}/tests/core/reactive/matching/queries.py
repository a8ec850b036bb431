"""Random lists over the test models: filters, orderings, windows, joins, prefetches; and how a list looks finished."""

import json
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import (
    Count,
    Exists,
    F,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Window,
)
from django.db.models.functions import Lower, RowNumber
from django.db.models.query import ModelIterable
from hypothesis import strategies as st

from core.reactive.matching import Index, Profile, profile_of, shown_keys
from tests.core.changes.programs import Write, pick, picks
from tests.testapp.models import BigNote, Cafe, Folder, Kiosk, Label, Note, Place, Seat, Shelf, Slot, Tag, Ticket


def key(model, n):
    """The key of some row; of none, if there is none."""
    row = pick(model, n)
    return row.pk if row else 0


def keys(model, n, count=2):
    return [row.pk for row in picks(model, n, count)]


# --- writes of what lists are joined by, which the programs of the change stream seldom touch ---


def rename_folder(n):
    for folder in picks(Folder, n, 1):
        folder.name = f"seed {n % 5}"
        folder.save(update_fields=["name"] if n % 2 else None)


def rename_folders(n):
    Folder.objects.filter(pk__in=keys(Folder, n)).update(name=f"f{n}")


def move_folder(n):
    Folder.objects.filter(pk=key(Folder, n)).update(parent=pick(Folder, n + 1))


def move_note(n):
    for each in picks(Note, n, 1):
        each.folder = pick(Folder, n + 1)
        each.save(update_fields=["folder"] if n % 2 else None)


def reweigh_tag(n):
    Tag.objects.filter(pk=key(Tag, n)).update(weight=n % 4)


def move_label(n):
    for each in Label.objects.order_by("pk")[:2]:
        each.folder, each.tag = pick(Folder, n) or each.folder, pick(Tag, n) or each.tag
        each.note = str(n)
        each.save()


def resize_note_of_folder(n):
    Note.objects.filter(folder=key(Folder, n)).update(size=n)


def delete_note(n):
    Note.objects.filter(pk__in=keys(Note, n, 1)).delete()


def cut_link(n):
    Folder.tags.through._base_manager.filter(tag=key(Tag, n)).delete()


MOVES = [
    rename_folder,
    rename_folders,
    move_folder,
    move_note,
    reweigh_tag,
    move_label,
    resize_note_of_folder,
    delete_note,
    cut_link,
]
moves = st.builds(Write, st.sampled_from(MOVES), st.integers(0, 11))


# --- conditions, each made of one number ---

INTEGERS = {
    "": lambda n: n,
    "__in": lambda n: [n, n + 1, n + 4],
    "__gt": lambda n: n,
    "__gte": lambda n: n,
    "__lt": lambda n: n,
    "__lte": lambda n: n,
    "__range": lambda n: (n - 2, n + 2),
    "__isnull": lambda n: bool(n % 2),
}


def integers(name):
    return [lambda n, end=end, make=make: Q(**{name + end: make(n)}) for end, make in INTEGERS.items()]


def key_of(name, model):
    return [
        lambda n: Q(**{name: key(model, n)}),
        lambda n: Q(**{f"{name}__in": keys(model, n)}),
        lambda n: Q(**{f"{name}__in": []}),
        lambda n: Q(**{f"{name}__gte": key(model, n)}),
        lambda n: Q(**{f"{name}__isnull": bool(n % 2)}),
    ]


DECIDABLE = {
    Note: [
        *integers("size"),
        *key_of("folder", Folder),
        *key_of("fallback", Folder),
        *key_of("pk", Note),
        lambda n: Q(),
    ],
    Tag: [*integers("weight"), *key_of("pk", Tag)],
    Folder: [*key_of("parent", Folder), *key_of("pk", Folder)],
    Cafe: [*integers("seats"), *integers("rank"), *key_of("pk", Cafe)],
    Place: [*integers("rank"), *key_of("pk", Place)],
    Kiosk: [*integers("rank"), *key_of("place_ptr", Kiosk)],
    Label: [*key_of("folder", Folder), *key_of("tag", Tag)],
    Ticket: [lambda n: Q(pk__in=keys(Ticket, n)), lambda n: Q(pk="0" * 32), lambda n: Q(pk__isnull=False)],
}
DECIDABLE[BigNote] = DECIDABLE[Note]

FURTHER = {
    Note: [
        lambda n: Q(text__contains=str(n % 4)),
        lambda n: Q(text=f"n{n}"),
        lambda n: Q(folder__name__contains=str(n % 4)),
        lambda n: Q(folder__parent__name__contains="seed"),
        lambda n: Q(folder__tags=key(Tag, n)),
        lambda n: Q(folder__tags__name=f"tag{n % 4}"),
        lambda n: Q(folder__labels__isnull=bool(n % 2)),
        lambda n: Q(size=F("pk")),
        lambda n: Q(size__lt=F("folder__parent")),
        lambda n: Q(size__in=[F("fallback"), n]),
        lambda n: Q(Exists(Label.objects.filter(folder=OuterRef("folder")))),
        lambda n: ~Q(Exists(Note.objects.filter(size__gt=OuterRef("size"), folder=OuterRef("folder")))),
        lambda n: Q(folder__in=Folder.objects.filter(name__contains=str(n % 4))),
        lambda n: Q(size__in=[Subquery(Tag.objects.order_by("pk").values("weight")[:1])]),
        lambda n: Q(pk__in=Note.objects.order_by("-size", "pk").values("pk")[:3]),
    ],
    Folder: [
        lambda n: Q(name__contains=str(n % 4)),
        lambda n: Q(parent__name__contains=str(n % 4)),
        lambda n: Q(notes__size__gt=n),
        lambda n: Q(notes__isnull=bool(n % 2)),
        lambda n: Q(tags=key(Tag, n)),
        lambda n: Q(tags__weight__gte=n % 3),
        lambda n: Q(children__name__contains="seed"),
        lambda n: Q(friends=key(Folder, n)),
        lambda n: Q(labels__isnull=bool(n % 2)),
    ],
    Tag: [
        lambda n: Q(name__contains=str(n % 4)),
        lambda n: Q(folders=key(Folder, n)),
        lambda n: Q(folders__name__contains=str(n % 4)),
        lambda n: Q(shelf__isnull=bool(n % 2)),
    ],
    Cafe: [lambda n: Q(name__contains="c")],
    Place: [
        lambda n: Q(cafe__seats__gte=n % 4),
        lambda n: Q(cafe__isnull=bool(n % 2)),
        lambda n: Q(kiosk__isnull=bool(n % 2)),
    ],
    Label: [lambda n: Q(tag__weight__gte=n % 3), lambda n: Q(folder__name__contains=str(n % 4))],
    Ticket: [lambda n: Q(title=str(n))],
    Seat: [lambda n: Q(row=n), lambda n: Q(row__lte=n), lambda n: Q(pk=(n, n)), lambda n: Q(guest="")],
    Shelf: [lambda n: Q(tags=key(Tag, n))],
    Slot: [lambda n: Q(tag=key(Tag, n)), lambda n: Q(tag__weight__gte=n % 3)],
}
FURTHER[BigNote] = FURTHER[Note]

# --- orderings, before the key ---

ORDERINGS = {
    Note: [
        (),
        ("-size",),
        ("text",),
        ("folder",),
        ("-folder_id",),
        ("folder__name",),
        ("folder__parent__name",),
        (F("size").desc(),),
        (F("folder__name").asc(nulls_last=True),),
        (Lower("text"),),
    ],
    Folder: [(), ("name",), ("parent__name",), ("-parent",)],
    Tag: [(), ("weight",), ("-name",)],
    Cafe: [(), ("rank",), ("-seats", "name")],
    Place: [(), ("-rank",), ("cafe__seats",)],
    Label: [(), ("tag",), ("folder__parent__name",)],
}

# --- what else is read and shown ---


def prefetch(*lookups):
    return lambda rows: rows.prefetch_related(*lookups)


SHAPES = {
    Note: [
        lambda rows: rows.select_related("folder"),
        lambda rows: rows.select_related("folder__parent", "fallback"),
        prefetch("folder"),
        prefetch("folder__tags"),
        prefetch("fallback__notes"),
        lambda rows: rows.select_related("folder").prefetch_related("folder__children"),
        lambda rows: rows.annotate(who=F("folder__name")),
        lambda rows: rows.annotate(n=Count("folder__labels")),
        lambda rows: rows.annotate(place=Window(RowNumber(), partition_by="folder", order_by="pk")),
        lambda rows: rows.annotate(n=Count("folder__notes")).filter(n__gt=1),
        lambda rows: rows.annotate(
            top=Subquery(Label.objects.filter(folder=OuterRef("folder")).order_by("-pk").values("note")[:1])
        ),
        lambda rows: rows.values("size", "pk"),
        lambda rows: rows.values("size", "folder"),
        lambda rows: rows.values("pk", "folder__name"),
        lambda rows: rows.values("folder").annotate(n=Count("pk"), most=Max("size")).order_by("folder"),
        lambda rows: rows.values_list("size", flat=True).distinct().order_by("size"),
        lambda rows: rows.only("size"),
        lambda rows: rows.distinct(),
    ],
    Folder: [
        prefetch("notes"),
        prefetch("tags"),
        prefetch("friends"),
        prefetch("children"),
        prefetch("children__notes"),
        prefetch("children__children__tags"),
        prefetch("notes__fallback"),
        prefetch("labels__tag"),
        prefetch(Prefetch("notes", Note.objects.filter(size__gt=3))),
        prefetch(Prefetch("notes", Note.objects.filter(size__lt=5).order_by("-size"), to_attr="small")),
        prefetch(Prefetch("notes", Note.objects.filter(folder__parent__isnull=True))),
        prefetch(Prefetch("notes", Note.objects.order_by("-size", "pk")[:2], to_attr="some")),
        prefetch(Prefetch("notes", Note.objects.order_by("size", "pk")[1:3], to_attr="some")),
        prefetch(Prefetch("notes", Note.objects.select_related("fallback"))),
        prefetch(Prefetch("notes", Note.objects.prefetch_related("fallback__tags"))),
        prefetch(Prefetch("tags", Tag.objects.filter(weight__gt=2))),
        lambda rows: rows.annotate(n=Count("notes", distinct=True)),
        lambda rows: rows.annotate(n=Count("notes")).filter(n__gt=1),
        lambda rows: rows.annotate(most=Max("notes__size")).order_by("most", "pk"),
        lambda rows: rows.distinct(),
        lambda rows: rows.select_related("parent__parent"),
    ],
    Tag: [prefetch("folders"), prefetch("folders__notes"), prefetch("shelf_set"), prefetch("keeper_set")],
    Place: [
        lambda rows: rows.select_related("cafe"),
        prefetch("cafe"),
        prefetch("kiosk"),
        lambda rows: rows.filter(rank__gt=1).order_by().union(Place.objects.filter(rank__lt=1)).order_by("pk"),
    ],
    Cafe: [lambda rows: rows.select_related("place_ptr"), lambda rows: rows.values("pk", "rank")],
    Label: [lambda rows: rows.select_related("tag", "folder"), prefetch("folder__tags")],
    Shelf: [prefetch("tags"), prefetch("slot_set__tag")],
    Slot: [lambda rows: rows.select_related("tag")],
}
WINDOWS = [(None, None)] * 4 + [(0, 3), (0, 1), (2, 5), (1, None), (0, 0), (40, 43)]


# --- lists ---


@dataclass(repr=False)
class List:
    """One list: how its rows are found, and what an observer of it would know."""

    model: Any
    condition: Any
    ordering: int
    shape: int
    window: tuple
    by_offset: bool = False
    knows_nested: bool = False

    def __repr__(self):
        _, rows = self.queryset()
        try:
            text = str(rows.query)
        except EmptyResultSet:
            text = f"no {rows.model.__name__}"
        return f"{text} {rows._prefetch_related_lookups} {self.by_offset} {self.knows_nested}"

    def queryset(self):
        """The list as it is asked for now; whole, and sliced."""
        orderings, shapes = ORDERINGS.get(self.model, [()]), SHAPES.get(self.model, [])
        rows = self.model.objects.filter(made(self.condition)).order_by(
            *orderings[self.ordering % len(orderings)], "pk"
        )
        if shapes and self.shape:
            rows = shapes[(self.shape - 1) % len(shapes)](rows)
        low, high = self.window
        return rows, rows if low is None else rows[low:high]


def made(condition):
    """The condition as Django knows it."""
    kind, *parts = condition
    if kind == "leaf":
        make, n = parts
        return make(n)
    if kind == "not":
        return ~made(parts[0])
    one, other = map(made, parts)
    return one & other if kind == "and" else one | other


MODELS = (*ORDERINGS, BigNote, Kiosk, Ticket, Seat, Shelf, Slot)


def leaves_of(model, *, decidable=False):
    found = [*DECIDABLE.get(model, [])]
    return found if decidable else [*found, *FURTHER.get(model, []), lambda n: Q()]


def lists(models=MODELS, *, decidable=False, windows=WINDOWS):
    """A strategy of lists of ``models``; ``decidable`` ones have conditions on columns of the row alone."""

    def of(model):
        leaf = st.tuples(st.just("leaf"), st.sampled_from(leaves_of(model, decidable=decidable)), st.integers(0, 9))
        conditions = st.recursive(
            leaf,
            lambda inner: st.one_of(
                st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)
            ),
            max_leaves=3,
        )
        return st.builds(
            List,
            st.just(model),
            conditions,
            st.integers(0, 1 if decidable else 9),
            st.just(0) if decidable else st.integers(0, 21),
            st.sampled_from(windows),
            st.booleans(),
            st.booleans(),
        )

    return st.sampled_from(models).flatmap(of)


def every_kind(chance):
    """A list with each condition, each ordering, each shape and each window, otherwise as ``chance`` has it."""

    def pick_list(model, **chosen):
        windows = [(None, None), (None, None), chance.choice(WINDOWS)]
        return List(
            model,
            chosen.get("condition") or chance.choice([anything, ("not", nothing), leaf(model)]),
            chosen.get("ordering", chance.randrange(10)),
            chosen.get("shape", 0),
            chosen.get("window") or chance.choice(windows),
            chance.random() < 0.5,
            chance.random() < 0.5,
        )

    def leaf(model):
        return ("leaf", chance.choice(leaves_of(model)), chance.randrange(10))

    anything, nothing = ("leaf", lambda n: Q(), 0), ("leaf", lambda n: Q(pk__isnull=True), 0)
    for model in MODELS:
        for make in leaves_of(model):
            condition = ("leaf", make, chance.randrange(10))
            yield pick_list(
                model, condition=chance.choice([condition, ("not", condition), ("and", condition, anything)])
            )
        for window in dict.fromkeys(WINDOWS):
            yield pick_list(model, window=window, condition=anything)
            yield pick_list(model, window=window)
        for ordering in range(len(ORDERINGS.get(model, ()))):
            yield pick_list(model, ordering=ordering, window=chance.choice(WINDOWS))
        for shape in range(1, len(SHAPES.get(model, ())) + 1):
            for knows_nested in (False, True):
                made_ = pick_list(model, shape=shape)
                made_.knows_nested = knows_nested
                yield made_


# --- a finished list ---


def finished(rows):
    """What a serializer could make of ``rows``, evaluated already: every column, and all that was loaded with it."""
    return json.dumps([rendered(row, ()) for row in rows], default=str)


def rendered(row, above):
    if not hasattr(row, "_meta"):
        return row if isinstance(row, dict) else [row]
    if any(row is each for each in above):
        return "above"
    above = (*above, row)
    deferred = row.get_deferred_fields()
    columns = {
        each.attname: getattr(row, each.attname) for each in row._meta.concrete_fields if each.attname not in deferred
    }
    inner = {
        **row._state.fields_cache,
        **getattr(row, "_prefetched_objects_cache", {}),
        **{name: value for name, value in row.__dict__.items() if not name.startswith("_") and name not in columns},
    }
    for name, value in inner.items():
        if isinstance(value, QuerySet | list):
            unordered = isinstance(value, QuerySet) and not value.ordered
            order = sorted(value, key=lambda each: each.pk) if unordered else value
            inner[name] = [rendered(each, above) for each in order]
        elif hasattr(value, "_meta"):
            inner[name] = rendered(value, above)
    return [type(row).__name__, columns, inner]


class Observed:
    """A list as an observer knows it, with a profile that has been through JSON."""

    def __init__(self, asked):
        self.asked = asked
        self.whole, self.rows = asked.queryset()
        self.evaluate()

    def evaluate(self):
        """Look at the list anew; return whether it is the same."""
        before = getattr(self, "text", None)
        self.rows = self.rows.all()
        is_rows = self.rows._iterable_class is ModelIterable
        found = list(self.rows)
        self.text = finished(found)
        keys_ = [row.pk for row in found] if is_rows else [row.get("pk") for row in found if isinstance(row, dict)]
        self.keys = json.loads(json.dumps(keys_, default=str))
        knows = self.asked.knows_nested and is_rows
        self.nested = json.loads(json.dumps(shown_keys(found), default=str)) if knows else None
        return self.text == before

    def put(self, index: Index, name):
        """Put it into an index."""
        low, _ = self.asked.window
        if self.asked.by_offset and low is not None:
            profile = profile_of(self.whole, tables=frozenset(), offset=low)
        else:
            profile = profile_of(self.rows, tables=frozenset())
        self.profile = Profile.from_data(json.loads(json.dumps(profile.as_data())))
        index.put(name, self.profile, self.keys, self.nested)

    def __repr__(self):
        return f"{self.asked}, with {self.profile},"
