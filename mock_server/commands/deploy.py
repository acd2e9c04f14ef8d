"""`deploy`: serve a model until told to stop."""

import json
import logging
import sys
from typing import Any

import click

from ..engine.base import Adapter
from ..engine.errors import EngineError
from ..engine.profiles import PROFILES
from ..engine.registry import ENGINES, EngineOptionError, EngineOptions, make_engine
from ..settings import Settings
from .arguments import SeveralValuesCommand, boolean

_MODEL_OPTIONS = ("model_type", "model_id_or_path", "ckpt_dir")


class AdapterParam(click.ParamType[Adapter]):
    """`name=path`, `name` alone (the simulated engine needs no files), or vLLM's JSON object."""

    name = "NAME=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Adapter:
        text = str(value)
        if text.startswith("{"):
            return self._from_json(text, param, ctx)
        name, _, path = text.partition("=")
        if not name:
            self.fail(f"{text!r} has no name; the form is name=path", param, ctx)
        return Adapter(name, path)

    def _from_json(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> Adapter:
        try:
            fields = json.loads(text)
            return Adapter(fields["name"], fields.get("path", ""))
        except (ValueError, KeyError) as exc:
            self.fail(f"{text!r} is not an object with name and path: {exc}", param, ctx)


@click.command(cls=SeveralValuesCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 picks a free port.")
@click.option("--engine", "engine_name", help=f"One of: {', '.join(ENGINES)}. [default: sim]")
@click.option("--model-type", help="Model by type; needs an engine that serves real models.")
@click.option("--model-id-or-path", help="Model by hub id or folder; needs the same.")
@click.option("--ckpt-dir", help="Fine-tuned checkpoint; needs the same.")
@click.option(
    "--served-model-name", multiple=True, metavar="NAME...", help="Names of the model, the first on its card."
)
@boolean("--no-chat", help="A base model: completions only.")
@click.option(
    "--lora-modules", multiple=True, type=AdapterParam(), metavar="NAME=PATH...", help="Adapters to serve beside it."
)
@click.option("--profile", help=f"Speed of the simulated engine: {', '.join(PROFILES)}. [default: demo]")
@click.option("--script", metavar="ttft_ms=200,itl_ms=20", help="Times of the scripted engine.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of texts and of timing noise.")
@click.option("--time-scale", type=float, help="Engine time against the wall's: 2 is twice as fast. [default: 1]")
@click.option("--max-model-len", type=click.IntRange(2), help="Context length in tokens, the answer included.")
@click.option("--max-num-seqs", type=click.IntRange(1), help="Sequences that run at once. [default: the profile's]")
@click.option(
    "--max-num-batched-tokens", type=click.IntRange(1), help="Tokens computed in a step. [default: the profile's]"
)
@click.option("--api-key", multiple=True, metavar="KEY...", help="Keys that are accepted; without any, all are.")
@click.option("--owned-by", default="streamgauge", show_default=True, help="Owner on the model's card.")
@click.option(
    "--log-interval", type=float, default=10.0, show_default=True, help="Seconds between statistics lines; 0: none."
)
@boolean("--verbose", help="Log each request.")
@click.option(
    "--shutdown-timeout",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Seconds that streams in flight get to finish in when the server is told to stop.",
)
@boolean("--until-stdin-closes", help="Stop when standard input ends, as it does when the parent process does.")
def deploy(**options: Any) -> None:
    """Serve a model under OpenAI's API.

    Without a model the simulated engine serves. When the server answers, one line on standard output says so:
    ready URL model=NAMES engine=NAME profile=NAME. Logs go to standard error.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    engine_name = _engine_name(options)
    settings = _settings(options)
    try:
        engine = make_engine(engine_name, _engine_options(options, settings))
    except EngineOptionError as exc:
        raise click.UsageError(str(exc)) from None
    from ..listener import Listener, ListenError
    from ..serve import ServeOptions, serve

    try:
        listener = Listener.bind(options["host"], options["port"])
        serve(
            engine,
            settings,
            listener,
            ServeOptions(
                shutdown_timeout_s=options["shutdown_timeout"], until_stdin_closes=options["until_stdin_closes"]
            ),
        )
    except (ListenError, EngineError) as exc:
        raise click.ClickException(str(exc)) from None


def _engine_name(options: dict[str, Any]) -> str:
    """The engine that was asked for. A model is never served by the simulated engine unless that was said."""
    if options["engine_name"] is not None:
        return str(options["engine_name"])
    for option in _MODEL_OPTIONS:
        if options[option] is not None:
            flag = "--" + option.replace("_", "-")
            raise click.UsageError(
                f"{flag} {options[option]} names a real model, and this version has no engine that serves one."
                f" For simulated answers under that name say --engine sim as well, or leave {flag} out."
            )
    return "sim"


def _settings(options: dict[str, Any]) -> Settings:
    named = next((options[option] for option in _MODEL_OPTIONS if options[option] is not None), None)
    default_name = named or ("sim-base" if options["no_chat"] else "sim-chat")
    try:
        return Settings(
            model_names=options["served_model_name"] or (default_name,),
            is_chat=False if options["no_chat"] else None,
            adapters=options["lora_modules"],
            api_keys=options["api_key"],
            owned_by=options["owned_by"],
            log_interval_s=options["log_interval"],
            log_requests=options["verbose"],
        )
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None


def _engine_options(options: dict[str, Any], settings: Settings) -> EngineOptions:
    return EngineOptions(
        model=settings.model_names[0],
        profile=options["profile"],
        script=options["script"],
        seed=options["seed"],
        time_scale=options["time_scale"],
        max_model_len=options["max_model_len"],
        max_num_seqs=options["max_num_seqs"],
        max_num_batched_tokens=options["max_num_batched_tokens"],
    )
