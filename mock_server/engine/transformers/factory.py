"""Makes the engine from options, after all checks that need no loaded model."""

from __future__ import annotations

from importlib.util import find_spec

from mock_server.engine.base import Engine
from mock_server.engine.errors import AdapterError, EngineOptionError, EngineStartError
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.engine.kind import ServedModel, needs_model
from mock_server.engine.transformers.adapter_limits import AdapterLimits
from mock_server.engine.transformers.options import TransformersOptions
from mock_server.engine.wording import Setting
from streamgauge.install import install_command

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy")


def make_transformers(model: ServedModel, options: TransformersOptions) -> Engine:
    """Raises `EngineOptionError`, `EngineStartError` and `AdapterError`."""
    if not model.path:
        raise EngineOptionError(*needs_model("transformers"))
    problem = missing_packages()
    if problem is not None:
        raise EngineStartError(problem)
    from mock_server.engine.transformers.engine import TransformersEngine

    return TransformersEngine(
        options.arguments(model.path),
        chat_template=model.chat_template,
        fallback_chat_template=model.fallback_chat_template,
        adapters=_adapter_limits(model, options),
    )


def missing_packages() -> str | None:
    """The message about missing packages; None if all are installed."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"The engine transformers needs {', '.join(missing)}, which {verb} not installed:"
        f" {install_command('transformers')}."
    )


def _adapter_limits(model: ServedModel, options: TransformersOptions) -> AdapterLimits | None:
    """Raises `AdapterError` for adapters that cannot be served. None: no adapters."""
    is_enabled = bool(model.adapters) if options.enable_lora is None else options.enable_lora
    if not is_enabled:
        if model.adapters:
            raise AdapterError("adapters are named, and ", Setting("enable_lora"), " is false: leave one of them out")
        return None
    limit, wanted = options.max_loras, len(model.adapters)
    if limit is not None and limit < wanted:
        raise AdapterError(
            f"{wanted} adapters are named and ", Setting("max_loras"), f" is {limit}: make it {wanted} or more"
        )
    for adapter in model.adapters:
        files = AdapterFiles.read(adapter)
        if options.max_lora_rank is not None:
            files.check_rank(options.max_lora_rank)
        files.check_base(model.path)
    return AdapterLimits(limit, options.max_lora_rank)
