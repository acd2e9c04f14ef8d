"""Where a schema's references lead: JSON pointers, anchors, and addresses relative to an `$id`, all in one document."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from .budget import Budget
from .json_values import shown
from .problems import UndrawableError

_ROOT = ""
_DATA = ("const", "enum", "default", "examples")  # hold values, not schemas
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_VALUES_A_STEP = 16


class Document:
    """A schema with everything that its references can lead to. Nothing outside of it is ever fetched."""

    def __init__(self, root: Any, budget: Budget) -> None:
        self.root = root
        self._resources: dict[str, Any] = {_ROOT: root}
        self._anchors: dict[str, Any] = {}
        self._bases: dict[int, str] = {}
        """The address that references in a schema are relative to, by the schema's identity; none: the root's."""
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
        """Notes a schema's own address and anchors; the base of what it holds."""
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
        """The schemas that a schema itself refers to. Raises `UndrawableError`."""
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema:
                yield self.resolve(schema[keyword], schema)
        if "$recursiveRef" in schema:
            yield self.root

    def resolve(self, reference: Any, origin: Mapping[str, Any]) -> Any:
        """What a reference in the schema `origin` leads to. Raises `UndrawableError`."""
        if not isinstance(reference, str):
            raise UndrawableError(f"a reference must be a string (got {shown(reference)})")
        base = self._bases.get(id(origin), _ROOT)
        address, _, fragment = (base + reference if reference.startswith("#") else _join(base, reference)).partition(
            "#"
        )
        if address not in self._resources:
            raise UndrawableError(f"the reference {shown(reference)} leads outside of the schema")
        if fragment and not fragment.startswith("/"):
            found = self._anchors.get(f"{address}#{unquote(fragment)}")
            if found is None:
                raise UndrawableError(f"the reference {shown(reference)} leads nowhere: there is no such anchor")
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
            raise UndrawableError(f"the reference {shown(reference)} leads nowhere")
    return found


def _join(base: str, address: str) -> str:
    """Raises `UndrawableError` for what is not an address."""
    try:
        return urljoin(base, address)
    except ValueError:
        raise UndrawableError(f"{shown(address)} is not a valid address") from None
