"""The registry's model types as constants, in ms-swift's spelling: `ModelType.qwen_7b_chat` is "qwen-7b-chat"."""

from __future__ import annotations

from collections.abc import Iterator

from mock_server.models.types import MODEL_TYPES, UnknownModelTypeError, find_model_type
from mock_server.offline.engine_arguments import as_keyword
from mock_server.offline.template import GENERATION, OWN
from streamgauge.nearest import did_you_mean

_NAMES = {name.replace("-", "_"): name for name in MODEL_TYPES}


class _Constants(type):
    def __getattr__(cls, name: str) -> str:
        if name not in _NAMES:
            raise AttributeError(f"ModelType has no {name!r}.{did_you_mean(name, _NAMES)}")
        return _NAMES[name]

    def __dir__(cls) -> list[str]:
        return [*super().__dir__(), *_NAMES]

    def __iter__(cls) -> Iterator[str]:
        return iter(_NAMES.values())


class ModelType(metaclass=_Constants):
    """Has an attribute for each known type. Iterating yields all types."""


def get_default_template_type(model_type: str | None) -> str:
    """The template of a model type. None (a folder of unknown type) means the tokenizer's own template.

    Raises `ValueError`, which names the nearest types.
    """
    if model_type is None:
        return OWN
    try:
        return find_model_type(model_type).template or GENERATION
    except UnknownModelTypeError as error:
        raise UnknownModelTypeError(error.spelled(as_keyword)) from None
