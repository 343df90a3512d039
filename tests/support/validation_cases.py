"""Which constraints a CRD's schema has, what the API server says of each one that is broken, and values at their edges.

`crd_cases` makes a case from every constraint that it knows; here is the count against which it is held, so that a
constraint of a new sort, or without a good and a bad object, is an error.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from crd_cases import ENTRY, FULL, ITEM, Case

Schema = dict[str, Any]
Path = tuple[str, ...]

# What describes and shapes a schema, and refuses nothing by itself.
SILENT: Final = {
    "description",
    "default",
    "properties",
    "items",
    "additionalProperties",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    # Only `int64`, whose range is wider than minimum and maximum of every field; see constraints().
    "format",
}
LIMITS: Final = {
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "pattern",
    "type",
    "enum",
    "x-kubernetes-list-type",
}
UNKNOWN_FIELD: Final = "unknown field"

# By the title of a case of `crd_cases`: the constraint that it breaks, or keeps to the last.
BREAKS: Final = {
    "minimum and one beyond": "minimum",
    "maximum and one beyond": "maximum",
    "too short": "minLength",
    "too long": "maxLength",
    "other than the pattern": "pattern",
    "nonsense": "enum",
    "too few items": "minItems",
    "too many items": "maxItems",
    "an item twice": "x-kubernetes-list-type",
    "too many entries": "maxProperties",
    "of another type": "type",
    "with an unknown field": UNKNOWN_FIELD,
}
KEEPS: Final = {
    "minimum itself": "minimum",
    "maximum itself": "maximum",
    "as many items as may be": "maxItems",
    "as many entries as may be": "maxProperties",
    "shortest": "minLength",
    "longest": "maxLength",
    "as few items as may be": "minItems",
    "two items that differ": "x-kubernetes-list-type",
}
# The same, where the title goes on with the value.
KEEPS_BY_START: Final = {"the value ": "enum", "like ": "pattern"}

# A second good item of a list whose items are not any text.
OTHERS: Final = {"uploads.webhooks[].events": "media.failed"}


@dataclass(frozen=True)
class Constraint:
    """One thing that the schema demands at a dotted place such as `tags[].key`; a limit is the keyword's value."""

    place: str
    keyword: str
    limit: Any = field(compare=False)


def constraints(schema: Schema, path: Path = ()) -> Iterator[Constraint]:
    """All of them. Raises LookupError at a keyword, format or type that no case is known for."""
    yield from _own(schema, dotted(path))
    for name, inner in schema.get("properties", {}).items():
        yield from constraints(inner, (*path, name))
    for step, inner in ((ITEM, schema.get("items")), (ENTRY, schema.get("additionalProperties"))):
        if inner is not None:
            yield from constraints(inner, (*path, step))


def _own(schema: Schema, place: str) -> Iterator[Constraint]:
    if foreign := set(schema) - SILENT - LIMITS - {"required"}:
        raise LookupError(f"{place}: no case is made for {sorted(foreign)}")
    if schema.get("format", "int64") != "int64":
        raise LookupError(f"{place}: no case is made for the format {schema['format']}")
    yield from (Constraint(place, keyword, schema[keyword]) for keyword in schema if keyword in LIMITS)
    yield from (Constraint(place, f"required {name}", name) for name in schema.get("required", []))
    if "properties" in schema:
        yield Constraint(place, UNKNOWN_FIELD, None)


def broken_by(case: Case) -> tuple[str, str]:
    """Place and keyword of what a bad case breaks."""
    place, title = _place_and_title(case)
    if title.startswith("without "):
        return place, f"required {title.removeprefix('without ')}"
    return place, "pattern" if title.startswith("unlike ") else BREAKS[title]


def kept_by(case: Case) -> tuple[str, str]:
    """Place and keyword of what a good case keeps, by a value at the last that is allowed or one that is like it."""
    place, title = _place_and_title(case)
    starts = (keyword for start, keyword in KEEPS_BY_START.items() if title.startswith(start))
    return place, next(starts, None) or KEEPS[title]


def _place_and_title(case: Case) -> tuple[str, str]:
    place, _, title = case.title.partition(": ")
    return ("" if place == "spec" else place), title


def told(constraint: Constraint) -> tuple[str, str]:
    """Patterns of the field and of the message that the API server answers when the constraint is broken."""
    keyword, limit = constraint.keyword, constraint.limit
    name = re.escape(f"spec.{constraint.place}".removesuffix("."))
    name = name.replace(r"\[\]", r"\[\d+\]").replace(r"\{\}", r"\.[a-z0-9-]+")
    if keyword.startswith("required "):
        return rf"{name}\.{limit}", "Required value"
    if keyword == UNKNOWN_FIELD:
        return rf"{name}\.colour", UNKNOWN_FIELD
    if keyword == "x-kubernetes-list-type":
        return rf"{name}\[1\]", "Duplicate value: .+"
    return name, _words(keyword, limit).format(body=rf"Invalid value: .*: {name} in body")


def _words(keyword: str, limit: Any) -> str:
    if keyword == "enum":
        supported = ", ".join(f'"{value}"' for value in limit)
        return f'Unsupported value: "Nonsense": supported values: {supported}'
    words = {
        "minimum": "{{body}} should be greater than or equal to {limit}",
        "maximum": "{{body}} should be less than or equal to {limit}",
        "minLength": "{{body}} should be at least {limit} chars long",
        # The API server says bytes, and counts characters: see the longest texts below.
        "maxLength": "Too long: may not be more than {limit} bytes",
        "pattern": "{{body}} should match '{limit}'",
        "minItems": "{{body}} should have at least {limit} items",
        "maxItems": r"Too many: \d+: must have at most {limit} items",
        "maxProperties": r"Too many: \d+: must have at most {limit} items",
        "type": '{{body}} must be of type {limit}: ".*"',
    }
    return words[keyword].format(limit=limit if isinstance(limit, int) else _literal(limit))


def _literal(text: str) -> str:
    """As a regular expression that survives one more `format`."""
    return re.escape(text).replace("{", "{{").replace("}", "}}")


@dataclass(frozen=True)
class Texts:
    """Texts that a pattern accepts and refuses. The longest is `start`, as many of `more` as fit, and `end`."""

    good: tuple[str, ...]
    bad: tuple[str, ...]
    start: str = ""
    more: str = "a"
    end: str = ""

    def of_length(self, length: int) -> str:
        return self.start + self.more * (length - len(self.start) - len(self.end)) + self.end


# A final newline is in every row: some engines let `$` stand before it.
TEXTS: Final[dict[str, Texts]] = {
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$": Texts(
        ("a", "0", "a.b-c", "a..b"), ("", "-a", "a-", ".a", "a.", "A", "a_b", "a b", "é", "a\n")
    ),
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": Texts(("a", "0", "a-b", "a--b"), ("-a", "a-", "a.b", "A", "a_b", "é", "a\n")),
    r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$": Texts(
        ("abc", "a-c", "0-0", "b" * 63), ("ab", "-bc", "ab-", "a.c", "Abc", "a_c", "aéc", "abc\n", "b" * 64)
    ),
    r"^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$": Texts(
        ("a/b", "image/svg+xml", "application/vnd.ms-excel", "x/y!#$&^_.+-"),
        ("image", "image/", "/png", "image/*", "*/*", "Image/png", "image/png;q=1", "image/png ", "a/b/c", "a/b\n"),
        start="image/",
    ),
    r'^https?://[!-"$-.0->@-~]+[!-~]*$': Texts(
        ("http://a", "https://a", "https://a:8443/b?c=d#e", "https://[::1]:9000", "https://xn--mnchen-3ya.example"),
        ("ftp://a.example", "https:///", "https://?a", "https://#a", "https://a b", "HTTPS://a.example", "https://a\n"),
        start="http://",
    ),
    r"^(\*|https?://[A-Za-z0-9.*-]+(:([0-9]{1,5}|\*))?)$": Texts(
        ("*", "http://localhost:*", "https://*.example.com", "https://A.example:65535"),
        ("https://a.example/", "https://a:", "https://a:123456", "https://a:٣", "a.example", "**", "https://é", "*\n"),
        start="https://",
    ),
    r"^[A-Za-z0-9 _.:/=+@-]+$": Texts(("a", " ", "A9 _.:/=+@-"), ("a\tb", "é", "a,b", "a*", "a\u00a0b", "a\n")),
    r"^[A-Za-z0-9 _.:/=+@-]*$": Texts(("", "a", "A9 _.:/=+@-"), ("a\tb", "é", "a,b", "a*", "a\u00a0b", "a\n", "\n")),
    r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$": Texts(
        ("1", "0.5", "50m", "512Mi", "1Gi"), ("m", ".5", "1.", "-1", "1Ti", "1 Gi", "1e3", "٣", "1mm", "1\n"), more="1"
    ),
    r"^[a-z0-9-]+$": Texts(("us-east-1", "a", "-"), ("us east", "US", "us_east", "é", "us-east-1\n")),
    "-----BEGIN CERTIFICATE-----": Texts(
        ("-----BEGIN CERTIFICATE-----", "# ours\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"),
        ("", "-----BEGIN PRIVATE KEY-----", "----BEGIN CERTIFICATE----", "-----begin certificate-----"),
        start="-----BEGIN CERTIFICATE-----",
    ),
}
# Of a text without a pattern every letter is good, and one counts as one however many bytes it takes.
ANY_TEXT: Final = Texts((), (), more="é")


def edges(kind: str, schema: Schema) -> Iterator[Case]:
    """What `crd_cases` leaves out: texts at their bounds, texts by pattern. Raises LookupError for a new pattern."""
    for path, part in _walk(schema, ()):
        place = dotted(path)
        if part.get("type") == "string":
            for title, text, refusal in _texts(part):
                yield Case(kind, f"{place}: {title}", placed(kind, path, text), refusal)
        if part.get("minItems", 0) > 0:
            few = value_at(kind, path)[: part["minItems"]]
            yield Case(kind, f"{place}: as few items as may be", placed(kind, path, few), None)
        if part.get("type") == "array":
            yield from _alike(kind, path, part.get("x-kubernetes-list-map-keys", []))


def _texts(schema: Schema) -> Iterator[tuple[str, str, str | None]]:
    texts = _by_pattern(schema.get("pattern"))
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 0)
    if "minLength" in schema:
        yield "shortest", texts.of_length(shortest), None
    if "maxLength" in schema:
        yield "longest", texts.of_length(longest), None
    for text in (*texts.good, *texts.bad):
        if shortest <= len(text) <= longest:
            good = text in texts.good
            yield f"{'like' if good else 'unlike'} {text!r:.40}", text, None if good else "should match"


def _by_pattern(pattern: str | None) -> Texts:
    if pattern is None:
        return ANY_TEXT
    if pattern not in TEXTS:
        raise LookupError(f"no text is known that {pattern} accepts or refuses: add a row to TEXTS")
    return TEXTS[pattern]


def _alike(kind: str, path: Path, keys: list[str]) -> Iterator[Case]:
    """In a set each item is different; in a map each key is, whatever else is in the item."""
    good = value_at(kind, path)[0]
    place = dotted(path)
    other = _another(good, keys, OTHERS.get(place))
    yield Case(kind, f"{place}: two items that differ", placed(kind, path, [good, other]), None)
    if keys:
        same_key = {**other, **{key: good[key] for key in keys}}
        yield Case(kind, f"{place}: an item twice", placed(kind, path, [good, same_key]), "Duplicate value")


def _another(good: Any, keys: list[str], known: str | None) -> Any:
    if not keys:
        return known or f"{good}-other"
    # What is no text stays: only the keys have to differ.
    texts = {name: f"{value}-other" for name, value in good.items() if isinstance(value, str)}
    return {**good, **texts}


def _walk(schema: Schema, path: Path) -> Iterator[tuple[Path, Schema]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _walk(inner, (*path, name))
    for step, inner in ((ITEM, schema.get("items")), (ENTRY, schema.get("additionalProperties"))):
        if inner is not None:
            yield from _walk(inner, (*path, step))


def value_at(kind: str, path: Path) -> Any:
    """The value of a full object at a place. Raises LookupError when no full object has one."""
    for full in FULL[kind]:
        value: Any = full
        try:
            for step in path:
                value = value[_key(value, step)]
        except (KeyError, TypeError):
            continue
        return value
    raise LookupError(f"no full {kind} has a value for {dotted(path)}")


def placed(kind: str, path: Path, value: Any) -> dict[str, Any]:
    """The full object that has this place, with another value there."""
    for full in FULL[kind]:
        spec = copy.deepcopy(full)
        holder: Any = spec
        try:
            for step in path[:-1]:
                holder = holder[_key(holder, step)]
            holder[_key(holder, path[-1])]
        except (KeyError, TypeError):
            continue
        holder[_key(holder, path[-1])] = value
        return spec
    raise LookupError(f"no full {kind} has a value for {dotted(path)}")


def _key(holder: Any, step: str) -> Any:
    return 0 if step == ITEM else next(iter(holder)) if step == ENTRY else step


def dotted(path: Path) -> str:
    return ".".join(path).replace(f".{ITEM}", ITEM).replace(f".{ENTRY}", ENTRY)
