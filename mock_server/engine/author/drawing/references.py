"""Resolves a schema's references within one document: JSON pointers, anchors, and URIs relative to an `$id`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.json_values import shown
from mock_server.engine.author.drawing.problems import UndrawableError

_ROOT = ""
_DATA = ("const", "enum", "default", "examples")  # hold values, not schemas
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_VALUES_A_STEP = 16


class Document:
    """A schema and all targets of its references. Nothing outside the document is ever fetched."""

    def __init__(self, root: Any, budget: Budget) -> None:
        self.root = root
        self._resources: dict[str, Any] = {_ROOT: root}
        self._anchors: dict[str, Any] = {}
        self._bases: dict[int, str] = {}
        """The base URI of each schema, by identity; schemas that are not listed have the root's."""
        self._index(root, budget)

    def _index(self, root: Any, budget: Budget) -> None:
        if not isinstance(root, (dict, list)):
            return
        rest: list[tuple[Any, str, bool]] = [(root, _ROOT, False)]
        visited = 0
        while rest:
            node, base, is_by_name = rest.pop()
            visited += 1 + len(node)
            if visited >= _VALUES_A_STEP:
                budget.step(visited // _VALUES_A_STEP)
                visited = 0
            if isinstance(node, list):
                rest += [(item, base, False) for item in node if isinstance(item, (dict, list))]
                continue
            if not is_by_name:
                base = self._register(node, base)
            for name, item in node.items():
                if isinstance(item, (dict, list)) and (is_by_name or name not in _DATA):
                    rest.append((item, base, not is_by_name and name in _BY_NAME))

    def _register(self, node: Mapping[str, Any], base: str) -> str:
        """Records a schema's `$id` and anchors, and returns the base URI of its subschemas."""
        said = node.get("$id")
        if isinstance(said, str):
            if said.startswith("#"):  # draft 6 and 7: an anchor
                self._anchors.setdefault(base + said, node)
            else:
                base = urldefrag(_join(base, said)).url
                self._resources.setdefault(base, node)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := node.get(keyword), str):
                self._anchors.setdefault(f"{base}#{name}", node)
        if base != _ROOT:
            self._bases[id(node)] = base
        return base

    def references(self, schema: Mapping[str, Any]) -> Iterator[Any]:
        """The schemas that a schema refers to directly. Raises `UndrawableError`."""
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema:
                yield self.resolve(schema[keyword], schema)
        if "$recursiveRef" in schema:
            yield self.root

    def resolve(self, reference: Any, origin: Mapping[str, Any]) -> Any:
        """The target of a reference in the schema `origin`. Raises `UndrawableError`."""
        if not isinstance(reference, str):
            raise UndrawableError(f"a reference must be a string (got {shown(reference)})")
        base = self._bases.get(id(origin), _ROOT)
        address, _, fragment = (base + reference if reference.startswith("#") else _join(base, reference)).partition(
            "#"
        )
        if address not in self._resources:
            raise UndrawableError(f"the reference {shown(reference)} is outside the schema")
        if fragment and not fragment.startswith("/"):
            found = self._anchors.get(f"{address}#{unquote(fragment)}")
            if found is None:
                raise UndrawableError(f"the reference {shown(reference)} cannot be resolved: there is no such anchor")
            return found
        return _follow(self._resources[address], unquote(fragment), reference)


def _follow(found: Any, pointer: str, reference: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdecimal() and int(name[:9]) < len(found):
            found = found[int(name[:9])]
        else:
            raise UndrawableError(f"the reference {shown(reference)} cannot be resolved")
    return found


def _join(base: str, address: str) -> str:
    """Raises `UndrawableError` for an invalid URI."""
    try:
        return urljoin(base, address)
    except ValueError:
        raise UndrawableError(f"{shown(address)} is not a valid URI reference") from None
