"""Throughput of `inference_vllm` beside vLLM's bare `LLM.generate`, and over two ranks beside one, interleaved.

usage, with the Python that has vLLM: python benchmarks/in_process.py MODEL_FOLDER [--sides one,two,llm] [options]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from sdk import LocalEngine, get_template, get_vllm_engine, inference_vllm

SIDES = {"one": "inference_vllm", "two": "inference_vllm, 2 ranks", "llm": "LLM.generate"}
Run = Callable[[int], int]
"""Answers so many prompts; gives the number of tokens generated."""


def prompts(count: int) -> list[str]:
    return [f"Tell me a story about the number {number}, and what it did next." for number in range(count)]


class Sides:
    """Engines over one model, each started when first asked for."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._runs: dict[str, Run] = {}
        self._ours: list[LocalEngine] = []
        self._engine_kwargs: dict[str, Any] = {"load_format": args.load_format, **json.loads(args.engine_args)}

    def run(self, side: str) -> Run:
        if side not in self._runs:
            began = time.perf_counter()
            self._runs[side] = self._llm() if side == "llm" else self._local(ranks=2 if side == "two" else 1)
            print(f"{SIDES[side]}: started in {time.perf_counter() - began:.0f} s", flush=True)
        return self._runs[side]

    def _local(self, ranks: int) -> Run:
        args = self._args
        engine = get_vllm_engine(
            None,
            args.dtype,
            model_id_or_path=args.model,
            tensor_parallel_size=ranks,
            gpu_memory_utilization=args.gpu_memory_utilization,
            max_model_len=args.max_model_len,
            max_num_seqs=args.max_num_seqs,
            enforce_eager=args.enforce_eager,
            engine_kwargs=self._engine_kwargs,
        )
        self._ours.append(engine)
        template = get_template("tokenizer", engine.hf_tokenizer)
        config = engine.generation_config
        config.max_new_tokens, config.do_sample, config.ignore_eos = args.max_new_tokens, False, True

        def run(count: int) -> int:
            info: dict[str, Any] = {}
            inference_vllm(engine, template, [{"query": text} for text in prompts(count)], generation_info=info)
            return int(info["num_generated_tokens"])

        return run

    def _llm(self) -> Run:
        from vllm import LLM, SamplingParams

        args = self._args
        share = {} if args.gpu_memory_utilization is None else {"gpu_memory_utilization": args.gpu_memory_utilization}
        llm = LLM(
            args.model,
            dtype=args.dtype,
            max_model_len=args.max_model_len,
            max_num_seqs=args.max_num_seqs,
            enforce_eager=args.enforce_eager,
            disable_custom_all_reduce=True,
            **share,
            **self._engine_kwargs,
        )
        tokenizer = llm.get_tokenizer()
        sampling = SamplingParams(temperature=0, max_tokens=args.max_new_tokens, ignore_eos=True)

        def run(count: int) -> int:
            texts = [
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
                )
                for text in prompts(count)
            ]
            outputs = llm.generate(texts, sampling, use_tqdm=False)
            return sum(len(output.outputs[0].token_ids) for output in outputs)

        return run

    def close(self) -> None:
        for engine in self._ours:
            engine.shutdown()


def measure(sides: Sides, names: Sequence[str], counts: Sequence[int], rounds: int) -> None:
    """The sides take turns, a round of warm-up first, and each round begins with another one."""
    for count in counts:
        rates: Mapping[str, list[float]] = {name: [] for name in names}
        for number in range(rounds + 1):
            turn = number % len(names)
            for name in (*names[turn:], *names[:turn]):
                run = sides.run(name)
                began = time.perf_counter()
                tokens = run(count)
                if number:
                    rates[name].append(tokens / (time.perf_counter() - began))
        report(count, names, rates)


def report(count: int, names: Sequence[str], rates: Mapping[str, Sequence[float]]) -> None:
    print(f"\n{count} prompts")
    base = statistics.median(rates[names[0]])
    for name in names:
        median = statistics.median(rates[name])
        low, high = min(rates[name]), max(rates[name])
        print(
            f"  {SIDES[name]:<26} {median:>9,.1f} tok/s  [{low:,.1f}, {high:,.1f}]  {median / base:.3f} of the first",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="folder of a chat model")
    parser.add_argument(
        "--sides", default="llm,one", help=f"of {', '.join(SIDES)}; the first is what others are set beside"
    )
    parser.add_argument("--rows", default="200", help="how many prompts: several measurements by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--load-format", default="auto", help="dummy: random weights, real speed")
    parser.add_argument("--gpu-memory-utilization", type=float, help="of each engine")
    parser.add_argument("--max-model-len", type=int, default=1024)
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--enforce-eager", action="store_true")
    parser.add_argument("--engine-args", default="{}", help="more of vLLM's arguments, as JSON")
    args = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    sides = Sides(args)
    try:
        measure(sides, args.sides.split(","), [int(count) for count in args.rows.split(",")], args.rounds)
    finally:
        sides.close()


if __name__ == "__main__":
    main()
