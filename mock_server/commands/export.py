"""`export`: merge an adapter into its model, or quantize a model."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from mock_server.commands.arguments import OptionsCommand, Section
from mock_server.commands.option_types import IntegerParam
from mock_server.commands.wrong_use import WrongUseError
from mock_server.dataset.rows import DatasetError
from mock_server.dataset.sample import Sample
from mock_server.dataset.source import load_samples, parse_source
from mock_server.engine.wording import Setting
from mock_server.export.destination import check_destination
from mock_server.export.errors import ExportError, ExportOptionError
from mock_server.export.exporting import export as run_export
from mock_server.export.plan import METHODS, Plan, Quantization, plan_export
from mock_server.export.quantizer_environment import default_folder, install, quantizer_python
from mock_server.models.source import ModelSourceError, find_model
from streamgauge.install import install_command
from streamgauge.option_sections import CONTEXT

_F = TypeVar("_F", bound=Callable[..., Any])
_FOR_MERGING = ("torch", "transformers", "peft")
_INTERRUPTED = 130
_SEED = 42
_EPILOG = """\b
Examples:
  python -m mock_server export --ckpt_dir output/MODEL/v0-TIME/checkpoint-82 --merge_lora true
  python -m mock_server export --install-quantizer
  python -m mock_server export --model_id_or_path DIR --quant_bits 4 --dataset my.jsonl#256

A switch without a value is true. Options with ... take several values: in a row or repeatedly."""

_model = Section("Model")
_merging = Section("Merging")
_quantizing = Section("Quantizing")
_result = Section("Result")
_OPTIONS = (
    _model("--ckpt-dir", metavar="DIR", help="Adapter to merge, or a whole model."),
    _model("--model-type", metavar="NAME", help="Model by type, or the type of the adapter's base."),
    _model(
        "--model-id-or-path", "--model", "model_id_or_path", metavar="DIR",
        help="Folder of the model, or of the adapter's base. [default: what the adapter names]",
    ),
    _merging.switch("--merge-lora", default=False, help="Merge the adapter into its base."),
    _merging(
        "--dtype", type=click.Choice(("fp32", "bf16", "fp16", "float32", "bfloat16", "float16"), case_sensitive=False),
        metavar="NAME", help="Type of the merged weights. [default: the base's]",
    ),
    _quantizing("--quant-bits", type=click.Choice(("4",)), metavar="4", help="Write weights of 4 bits."),
    _quantizing(
        "--quant-method", type=click.Choice(METHODS), default=METHODS[0], show_default=True,
        metavar=f"[{'|'.join(METHODS)}]", help="How to round; rtn is quick, and needs no data.",
    ),
    _quantizing("--dataset", multiple=True, metavar="FILE[#COUNT]...", help="JSONL files to calibrate with."),
    _quantizing("--quant-n-samples", type=IntegerParam(1), default=256, show_default=True, help="Rows to use of them."),
    _quantizing("--quant-seqlen", type=IntegerParam(1), default=2048, show_default=True,
                help="Tokens of a row to use."),
    _quantizing("--quantizer-dir", metavar="DIR", help="Environment of the quantizer. [default: in the user's cache]"),
    _quantizing.switch("--install-quantizer", default=False, help="Install the quantizer, and do nothing else."),
    _result("--output-dir", metavar="DIR", help="Folder to write. [default: beside the model, CKPT-merged …]"),
    _result.switch("--overwrite", default=False, help="Replace the folder if it exists."),
)  # fmt: skip


def _options(command: _F) -> _F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(cls=OptionsCommand, context_settings=CONTEXT, epilog=_EPILOG)
@_options
@click.pass_context
def export(ctx: click.Context, /, **options: Any) -> None:
    """Merge an adapter into its model, or quantize a model.

    The result is a whole model, which infer, deploy and vLLM load. Its folder appears when it is finished: an export
    that is interrupted leaves nothing.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it leaves nothing behind either
    try:
        if options["install_quantizer"]:
            install(_quantizer_folder(options), click.echo)
            return
        _export(options)
    except (DatasetError, ExportOptionError, ModelSourceError) as error:
        raise WrongUseError(str(error)) from None
    except ExportError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("interrupted: nothing was written", err=True)
        ctx.exit(_INTERRUPTED)


def _export(options: Mapping[str, Any]) -> None:
    plan = _plan(options)
    check_destination(plan.target, overwrite=options["overwrite"])
    quantizer, samples = None, list[Sample]()
    if plan.quantization is not None:
        samples = _samples(plan.quantization)
        quantizer = quantizer_python(_quantizer_folder(options))
    missing = [name for name in _FOR_MERGING if plan.merge and find_spec(name) is None]
    if missing:
        raise ExportError(f"merging needs {', '.join(missing)}: {install_command('transformers')}")
    run_export(plan, quantizer=quantizer, samples=samples, overwrite=options["overwrite"], say=click.echo)
    click.echo(f"done: {plan.target}")


def _plan(options: Mapping[str, Any]) -> Plan:
    """Raises `ExportOptionError` and `ModelSourceError`."""
    source = find_model(
        model_type=options["model_type"], model_id_or_path=options["model_id_or_path"], ckpt_dir=options["ckpt_dir"]
    )
    if source is None:
        raise ExportOptionError("name what to export with ", Setting("ckpt_dir"), " or ", Setting("model_id_or_path"))
    quantization = None
    if options["quant_bits"] is not None:
        quantization = Quantization(
            options["quant_method"], options["dataset"], options["quant_n_samples"], options["quant_seqlen"]
        )
    output_dir = options["output_dir"]
    return plan_export(
        source,
        merge_lora=options["merge_lora"],
        dtype=options["dtype"],
        quantization=quantization,
        output_dir=Path(output_dir) if output_dir else None,
    )


def _samples(plan: Quantization) -> list[Sample]:
    """Raises `DatasetError`."""
    if plan.method == "rtn":
        return []
    if not plan.data:
        raise DatasetError(
            Setting("quant_method", plan.method),
            " needs rows to calibrate with: name a JSONL file with ",
            Setting("dataset"),
            ", or use ",
            Setting("quant_method", "rtn"),
        )
    return load_samples([parse_source(text) for text in plan.data], seed=_SEED)


def _quantizer_folder(options: Mapping[str, Any]) -> Path:
    named = options["quantizer_dir"]
    return Path(named).expanduser().absolute() if named else default_folder()
