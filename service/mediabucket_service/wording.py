"""What is wrong with a field of a request, in words for a person who knows JSON but not Python."""

from collections.abc import Mapping
from typing import Any, Final

MAX_TEXT_TOLD: Final = 300
BAD_BODY: Final = {"field": "body", "message": "must be valid JSON in UTF-8"}

# Where pydantic's own words would help nobody outside Python, by its error type.
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is required",
    "string_type": "must be a text",
    "string_unicode": "must not contain half of a surrogate pair",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "has too many digits",
    "int_from_float": "must be a whole number",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object, sent with Content-Type: application/json",
}

# Turns of phrase in the rest of pydantic's words, and how a person would put them.
_PLAINER: Final[Mapping[str, str]] = {
    " after validation": "",
    ", not more": "",
    "be greater than or equal to": "be at least",
    "be less than or equal to": "be at most",
}


def field_error(error: Mapping[str, Any]) -> dict[str, str]:
    """`field` and `message` of one of pydantic's errors: together a sentence, which never quotes the value."""
    if error["type"] == "json_invalid":
        return BAD_BODY
    # The first part says where the field is (body, query, path): of interest only when nothing follows.
    location = error["loc"][1:] or error["loc"]
    message = _sentence(error["type"], error["msg"])
    if location[-1] == "[key]":
        location, message = location[:-2], f"has a key that {message}"
    return {"field": _printable(".".join(map(str, location))), "message": _printable(message)}


def _sentence(kind: str, message: str) -> str:
    """Pydantic's message as the rest of a sentence that begins with the field's name."""
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    # "Input should be …", "String should have …"
    subject, should, rest = message.removeprefix("Value error, ").partition(" should ")
    if not should or not subject.isalpha():
        return message
    for wording, plainer in _PLAINER.items():
        rest = rest.replace(wording, plainer)
    return f"must {rest}"


def _printable(text: str) -> str:
    """Text that may quote the request: cut, and without control characters or lone surrogates."""
    text = text if len(text) <= MAX_TEXT_TOLD else f"{text[:MAX_TEXT_TOLD]}…"
    return "".join(character if character.isprintable() else "�" for character in text)
