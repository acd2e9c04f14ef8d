"""From command-line options to the engines that need no model."""

from __future__ import annotations

from dataclasses import replace

from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Engine
from mock_server.engine.errors import EngineOptionError
from mock_server.engine.kind import ServedModel
from mock_server.engine.sim.bundled import DEFAULT_MAX_MODEL_LEN
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.options import SCRIPT_DEFAULTS, SimulatedOptions, script_text
from mock_server.engine.sim.profiles import DEFAULT_PROFILE, Profile, find_profile
from mock_server.engine.sim.scripted import ScriptedEngine, paced_script
from mock_server.engine.sim.simulated import SimulatedEngine
from mock_server.engine.wording import Setting


def make_simulated(model: ServedModel, options: SimulatedOptions) -> Engine:
    if options.script is not None:
        raise EngineOptionError(
            Setting("script"),
            " is for ",
            Setting("engine", "scripted"),
            "; the simulated engine takes ",
            Setting("profile"),
        )
    try:
        return SimulatedEngine(
            _limited(find_profile(options.profile or DEFAULT_PROFILE), options),
            _clock(options),
            _author(model, options),
            max_model_len=options.max_model_len or DEFAULT_MAX_MODEL_LEN,
            seed=options.seed or 0,
            image_tokens=options.image_tokens,
        )
    except EngineOptionError:
        raise
    except ValueError as error:
        raise EngineOptionError(str(error)) from error


def _limited(profile: Profile, options: SimulatedOptions) -> Profile:
    """The profile with the requested batch limits."""
    max_num_seqs = options.max_num_seqs or profile.max_num_seqs
    max_num_batched_tokens = options.max_num_batched_tokens or max(profile.max_num_batched_tokens, max_num_seqs)
    if max_num_batched_tokens < max_num_seqs:
        raise EngineOptionError(
            Setting("max_num_batched_tokens"),
            f" must be at least {max_num_seqs}, the sequences that run at once (",
            Setting("max_num_seqs"),
            f"), so that each can decode in every step (got {max_num_batched_tokens})",
        )
    return replace(profile, max_num_seqs=max_num_seqs, max_num_batched_tokens=max_num_batched_tokens)


def make_scripted(model: ServedModel, options: SimulatedOptions) -> Engine:
    for name in ("profile", "max_num_seqs", "max_num_batched_tokens"):
        if getattr(options, name) is not None:
            raise EngineOptionError(
                Setting(name), " is for ", Setting("engine", "sim"), "; the scripted engine takes ", Setting("script")
            )
    times_ms = parse_script(options.script or "")
    author = _author(model, options)
    return ScriptedEngine(
        paced_script(author, ttft_s=times_ms["ttft_ms"] / 1e3, itl_s=times_ms["itl_ms"] / 1e3),
        _clock(options),
        author.tokenizer,
        profile=script_text(times_ms),
        max_model_len=options.max_model_len or DEFAULT_MAX_MODEL_LEN,
        author=author,
        image_tokens=options.image_tokens,
    )


def parse_script(spec: str) -> dict[str, float]:
    """Reads `ttft_ms=200,itl_ms=20`. These are also the defaults of omitted times."""
    times_ms = dict(SCRIPT_DEFAULTS)
    for part in filter(None, spec.split(",")):
        name, _, value = part.partition("=")
        if name not in times_ms:
            raise EngineOptionError(Setting("script"), f" knows {' and '.join(times_ms)}, not {name!r} (in {spec!r})")
        try:
            times_ms[name] = float(value)
        except ValueError:
            raise EngineOptionError(
                Setting("script"), f" {name} must be a number of milliseconds (got {value!r})"
            ) from None
        if not 0 <= times_ms[name] < float("inf"):
            raise EngineOptionError(Setting("script"), f" {name} must be at least 0 and finite (got {value})")
    return times_ms


def _author(model: ServedModel, options: SimulatedOptions) -> Author:
    return Author(Tokenizer(), model.name, options.seed or 0)


def _clock(options: SimulatedOptions) -> RealClock:
    return RealClock(1.0 if options.time_scale is None else options.time_scale)
