"""YAML text to plain values, each with its line, within limits that no honest manifest reaches."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

Path = tuple[str | int, ...]

MAX_BYTES = 1024**2
MAX_DEPTH = 64
MAX_VALUES = 50_000

_KNOWN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "map", "seq")}


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one exists where libyaml does
    """Kubernetes reads YAML as JSON, which knows no dates."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KNOWN_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class YamlInvalid(ValueError):
    """The text cannot be read at all. `line` is 1-based, or None where no single line is at fault."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class Document:
    """One document: its value as JSON would have it, the line of each path, and what is wrong with its keys."""

    number: int
    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)
    # The problems whose path holds no value that could be judged further.
    unreadable: set[Path] = field(default_factory=set)

    def line(self, path: Path) -> int | None:
        """The line of a path, or of the nearest ancestor that was written down."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)


def read_documents(text: str) -> list[Document]:
    """All documents that hold anything. Raises YamlInvalid when the text is not YAML or beyond the limits."""
    if len(text) > MAX_BYTES:
        raise YamlInvalid(f"the file is larger than {MAX_BYTES} bytes: no manifest is", None)
    try:
        _refuse_deep_nesting(text)
        nodes = list(yaml.compose_all(text, Loader))
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error) from error
    except yaml.reader.ReaderError as error:
        raise YamlInvalid(f"not YAML: {error.reason} (character {error.character!r})", None) from error
    numbered = ((number, node) for number, node in enumerate(nodes, start=1) if not _is_empty(node))
    return [_DocumentReader(number).read(node) for number, node in numbered]


def _refuse_deep_nesting(text: str) -> None:
    """Before composing: libyaml's composer recurses on the C stack, and a deep enough text ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlInvalid(f"nested deeper than {MAX_DEPTH} levels: no manifest is", None)


def _syntax_error(error: yaml.MarkedYAMLError) -> YamlInvalid:
    mark = error.problem_mark or error.context_mark
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return YamlInvalid(f"not YAML{where}: {reason}", mark.line + 1 if mark else None)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == ""


class _DocumentReader:
    def __init__(self, number: int) -> None:
        self._document = Document(number)
        self._values = 0
        self._constructor = yaml.constructor.SafeConstructor()

    def read(self, root: yaml.Node) -> Document:
        self._document.value = self._read(root, (), root.start_mark.line + 1)
        return self._document

    def _read(self, node: yaml.Node, path: Path, line: int) -> Any:
        self._document.lines[path] = line
        self._values += 1
        # Aliases repeat their node: a few lines of them can stand for billions of values, or for no end at all.
        if self._values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise YamlInvalid("its anchors and aliases stand for too much: write the values out", line)
        if node.tag not in _KNOWN_TAGS:
            self._unreadable(path, f"has the YAML tag {node.tag}: only plain values are read")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self._read(item, (*path, index), item.start_mark.line + 1) for index, item in items]
        return self._scalar(node, path)

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                self._problem(path, f"has the key {str(key)[:60]} at line {line}: keys are text, put it in quotes")
            elif key == "<<":
                self._problem(path, f"has a merge key (<<) at line {line}: write the fields out")
            elif key in seen:
                self._document.lines[(*path, key)] = line
                self._problem((*path, key), f"is set twice, first at line {seen[key]}: remove one")
            else:
                seen[key] = line
                yield key, self._read(value_node, (*path, key), line)

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        try:
            return self._constructor.construct_object(node)
        except ValueError:  # digits beyond what Python converts, or none after a prefix such as 0x
            self._unreadable(path, "cannot be read as a number: put it in quotes if it is text")
            return None

    def _unreadable(self, path: Path, message: str) -> None:
        self._document.unreadable.add(path)
        self._problem(path, message)

    def _problem(self, path: Path, message: str) -> None:
        self._document.problems.append((path, message))
