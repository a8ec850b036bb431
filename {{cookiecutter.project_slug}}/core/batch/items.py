"""Reads a batch and judges it as a whole, before anything of it runs. Pure.

The wire format is described in ``docs/batch.md``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from core.batch import graph, headers, urls
from core.batch.bodies import Body, read_body
from core.batch.references import BadReferenceError, Text, count_references, read_text

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}
KEYS = ("method", "relative_url", "name", "headers", "body", "depends_on", "omit_response_on_success", "attached_files")
"""The keys of an item."""
BATCH_KEYS = ("batch", "atomic", "ordered")
MAX_NAME_LENGTH = 128

Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Item:
    """One request of a batch, its references still open."""

    index: int
    name: str | None
    method: str
    url: Text
    headers: tuple[tuple[str, Text], ...] = ()
    body: Body | None = None
    depends_on: tuple[str, ...] = ()
    omit: bool = False
    files: tuple[tuple[str, str], ...] = ()
    """Field and name of the part, for each file."""
    target: urls.Target | None = None
    """The URL taken apart, unless references will change it."""

    @property
    def safe(self) -> bool:
        """Whether it only reads."""
        return self.method in SAFE

    def named(self) -> Mapping[str, list[str]]:
        """Return the names of the items that it depends on, by the key under which they stand."""
        references = {
            "relative_url": self.url.references,
            "headers": chain.from_iterable(value.references for _, value in self.headers),
            "body": self.body.references if self.body else (),
        }
        named = {key: list(dict.fromkeys(each.name for each in found)) for key, found in references.items()}
        return {"depends_on": list(dict.fromkeys(self.depends_on)), **named}


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that may be run."""

    items: tuple[Item, ...]
    depends_on: tuple[frozenset[int], ...]
    atomic: bool
    ordered: bool


class BatchError(ValueError):
    """A batch that is refused; ``errors`` is what the caller is told."""

    def __init__(self, errors: Any) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Rules:
    """What a batch is held to."""

    max_requests: int
    max_references: int = 1000
    files: Mapping[str, int] = field(default_factory=dict)
    """How many bytes came with each part."""
    inherited: Collection[str] = ()
    excluded: Callable[[bytes], str | None] = lambda path: None  # noqa: ARG005
    """Returns why a path may not be batched, or None."""
    max_size: int = 10 * 2**20
    """Bytes of the files of an item: a file that came once may be attached as often as one likes."""


def read_batch(raw: Any, rules: Rules) -> Batch:
    """Return the batch that ``raw``, the decoded body of the request, describes. Raises ``BatchError``."""
    if not isinstance(raw, Mapping):
        raise BatchError({"non_field_errors": ["A batch is an object with the key 'batch'."]})
    if unknown := sorted(set(raw) - set(BATCH_KEYS), key=str):
        says = f"A batch has no such key. The keys are: {', '.join(BATCH_KEYS)}."
        raise BatchError({str(key): [says] for key in unknown})
    flags = {"atomic": raw.get("atomic", False), "ordered": raw.get("ordered", True)}
    if wrong := {key: ["Write true or false."] for key, value in flags.items() if not isinstance(value, bool)}:
        raise BatchError(wrong)
    items, depends_on = _read_items(raw.get("batch"), rules)
    _check_order(items, depends_on, ordered=flags["ordered"])
    return Batch(items, tuple(frozenset(each) for each in depends_on), **flags)


def _read_items(raw: Any, rules: Rules) -> tuple[tuple[Item, ...], list[set[int]]]:
    """Return the items, and for each the numbers of those that it names. Raises ``BatchError``."""
    if raw is None:
        raise BatchError({"batch": ["This field is required."]})
    if not isinstance(raw, list):
        raise BatchError({"batch": ["A list of items is expected."]})
    if len(raw) > rules.max_requests:
        raise BatchError({"batch": [f"A batch has at most {rules.max_requests} items; this one has {len(raw)}."]})
    # Before anything is made of them: each costs as much as many bytes.
    counts = [count_references(each) for each in raw]
    if (count := sum(counts)) > rules.max_references:
        raise BatchError({"batch": [f"A batch has at most {rules.max_references} references; this one has {count}."]})
    errors: list[Errors] = [{} for _ in raw]
    items = [_Reader(index, each, rules, errors[index]).read() for index, each in enumerate(raw)]
    numbers = _check_names(raw, errors)
    depends_on = [
        _named(item, numbers, errors) if item and (count or item.depends_on) else set()
        for item, count in zip(items, counts, strict=True)
    ]
    _raise(errors)
    return tuple(item for item in items if item is not None), depends_on


def _raise(errors: list[Errors]) -> None:
    if any(errors):
        raise BatchError({"batch": errors})


def _check_names(raw: list[Any], errors: list[Errors]) -> dict[str, int]:
    """Return the numbers of the items by name, those of refused items too."""
    numbers: dict[str, int] = {}
    for index, each in enumerate(raw):
        name = each.get("name") if isinstance(each, Mapping) else None
        if isinstance(name, str) and numbers.setdefault(name, index) != index:
            errors[index].setdefault("name", []).append(f"Item {numbers[name]} has the name {name!r} already.")
    return numbers


def _named(item: Item, numbers: Mapping[str, int], errors: list[Errors]) -> set[int]:
    found = set()
    for key, names in item.named().items():
        for name in names:
            if name in numbers:
                found.add(numbers[name])
            else:
                errors[item.index].setdefault(key, []).append(f"No item has the name {name!r}.")
    return found


def _check_order(items: Sequence[Item], depends_on: Sequence[set[int]], *, ordered: bool) -> None:
    """Refuse items that wait for each other and, with ``ordered``, those that wait for a later one."""
    errors: list[Errors] = [{} for _ in items]
    if cycle := graph.find_cycle([sorted(each) for each in depends_on]):
        path = " → ".join(str(items[number].name) for number in [*cycle, cycle[0]])
        for number in cycle:
            errors[number]["depends_on"] = [f"These items wait for each other: {path}."]
    elif ordered:
        for item in items:
            later = {items[number].name for number in depends_on[item.index] if number > item.index}
            for key, names in item.named().items() if later else ():
                found = [
                    f'{name!r} comes later. Put it first, or write "ordered": false.' for name in names if name in later
                ]
                if found:
                    errors[item.index][key] = found
    _raise(errors)


class _Reader:
    """Reads one item, and notes in ``errors`` what is wrong with it."""

    def __init__(self, index: int, raw: Any, rules: Rules, errors: Errors) -> None:
        self.index = index
        self.raw = raw
        self.rules = rules
        self.errors = errors

    def read(self) -> Item | None:
        """Return the item, or None if something is wrong with it."""
        if not isinstance(self.raw, Mapping):
            self.errors["non_field_errors"] = ["An item is an object."]
            return None
        for key in self.raw:
            if key not in KEYS:
                self.errors[str(key)] = [f"An item has no such key. The keys are: {', '.join(KEYS)}."]
        set_headers = self._headers()
        files = self._files()
        url, target = self._url()
        item = Item(
            self.index,
            self._name(),
            self._method(),
            url,
            set_headers,
            self._body(set_headers, files),
            self._depends_on(),
            self._omit(),
            files,
            target,
        )
        return None if self.errors else item

    def _wrong(self, key: str, message: object) -> None:
        self.errors.setdefault(key, []).append(str(message))

    def _name(self) -> str | None:
        name = self.raw.get("name")
        if name is None:
            return None
        usable = isinstance(name, str) and 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()
        if not usable or any(character in ":{}" for character in name):
            self._wrong("name", f"A name has 1 to {MAX_NAME_LENGTH} printable characters, no colon and no brace.")
            return None
        return str(name)

    def _method(self) -> str:
        method = self.raw.get("method")
        if method is None:
            self._wrong("method", "This field is required.")
        elif not isinstance(method, str) or method.upper() not in METHODS:
            self._wrong("method", f"The methods are {', '.join(sorted(METHODS))}.")
        else:
            return method.upper()
        return ""

    def _url(self) -> tuple[Text, urls.Target | None]:
        url = self.raw.get("relative_url")
        if url is None:
            self._wrong("relative_url", "This field is required.")
        elif not isinstance(url, str):
            self._wrong("relative_url", "A string is expected.")
        else:
            try:
                text = read_text(url)
                is_open = any(text.references)
                # What a reference will put there is encoded, and is judged once more then.
                target = urls.target(text.plain("x") if is_open else text.plain())
            except ValueError as error:
                self._wrong("relative_url", error)
            else:
                if is_open:
                    return text, None
                if reason := self.rules.excluded(target.path):
                    self._wrong("relative_url", reason)
                return text, target
        return Text(("",)), None

    def _headers(self) -> tuple[tuple[str, Text], ...]:
        raw = self.raw.get("headers")
        if raw is None:
            return ()
        if not isinstance(raw, Mapping):
            self._wrong("headers", "An object is expected: a value for each name.")
            return ()
        found: dict[str, tuple[str, Text]] = {}
        for name, value in raw.items():
            if message := headers.problem(name, value, self.rules.inherited):
                self._wrong("headers", message)
            elif name.lower() in found:
                self._wrong("headers", f"{name} is set twice.")
            else:
                try:
                    found[name.lower()] = (name, read_text(value))
                except BadReferenceError as error:
                    self._wrong("headers", error)
        return tuple(found.values())

    def _body(self, set_headers: tuple[tuple[str, Text], ...], files: tuple[tuple[str, str], ...]) -> Body | None:
        types = [value.plain() for name, value in set_headers if name.lower() == "content-type"]
        try:
            return read_body(self.raw.get("body"), types[0] if types else None, has_files=bool(files))
        except UnicodeEncodeError:
            self._wrong("body", "It is not valid text.")
        except ValueError as error:
            self._wrong("body", error)
        return None

    def _depends_on(self) -> tuple[str, ...]:
        raw = self.raw.get("depends_on")
        names = [raw] if isinstance(raw, str) else raw or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._wrong("depends_on", "A name or a list of names is expected.")
            return ()
        return tuple(names)

    def _omit(self) -> bool:
        omit = self.raw.get("omit_response_on_success")
        if omit is not None and not isinstance(omit, bool):
            self._wrong("omit_response_on_success", "Write true or false.")
        return bool(omit)

    def _files(self) -> tuple[tuple[str, str], ...]:
        raw = self.raw.get("attached_files")
        pairs: Any = None
        if isinstance(raw, Mapping):
            pairs = raw.items()
        elif raw is None or isinstance(raw, list):
            pairs = [(part, part) for part in raw or []]
        if pairs is None or not all(isinstance(part, str) for pair in pairs for part in pair):
            self._wrong("attached_files", "A list of parts, or an object with a part for each field, is expected.")
            return ()
        limit, size = self.rules.max_size, 0
        for _, part in pairs:
            if part not in self.rules.files:
                self._wrong("attached_files", f"The request has no file {part!r}.")
            size += self.rules.files.get(part, 0)
        if size > limit:
            self._wrong("attached_files", f"An item has at most {limit} bytes of files; these have {size}.")
        return tuple(pairs)
