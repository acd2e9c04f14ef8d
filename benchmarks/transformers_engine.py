"""How much faster the engine transformers answers several streams than one, and how much memory it takes at most.

usage, with the Python that has torch: python benchmarks/transformers_engine.py MODEL_FOLDER [--streams 8] [options]

Each stream answers a chat of its own, with all its tokens. One stream and several take turns in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import time
from pathlib import Path

# threads that wait by spinning take the cores from each other
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
sys.path.insert(0, str(Path(__file__).parent.parent))

from mock_server.engine.base import ChatTurn, GenerationParams
from mock_server.engine.transformers.engine import TransformersEngine
from mock_server.engine.transformers.options import ModelArguments

MIB = 2**20


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


async def answer(engine: TransformersEngine, number: int, tokens: int) -> None:
    question = f"Tell me a story about the number {number}, and what it did next."
    prompt = await engine.render_chat([ChatTurn("user", question)])
    params = GenerationParams(max_tokens=tokens, temperature=0, ignore_eos=True)
    async for _ in await engine.generate(prompt, params, request_id=str(number)):
        pass


async def tokens_per_s(engine: TransformersEngine, streams: int, tokens: int) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(answer(engine, number, tokens) for number in range(streams)))
    return streams * tokens / (time.perf_counter() - began)


async def measure(args: argparse.Namespace) -> None:
    before = peak_mib()
    engine = TransformersEngine(
        ModelArguments(args.model, dtype=args.dtype, device=args.device, max_model_len=args.max_model_len)
    )
    await engine.start()
    print(f"{engine.info.profile}: {peak_mib():.0f} MiB at most when loaded, {before:.0f} before")
    await tokens_per_s(engine, args.streams, 4)  # warm up
    counts = (1, args.streams)
    rates: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(args.repeats):
        for count in counts:
            rates[count].append(await tokens_per_s(engine, count, args.tokens))
    for count, found in rates.items():
        spread = f"{min(found):.1f} to {max(found):.1f}"
        print(f"{count:3} streams: {statistics.median(found):6.1f} tokens/s ({spread})")
    ratios = sorted(many / one for one, many in zip(*rates.values(), strict=True))
    print(f"ratio: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"peak memory: {peak_mib():.0f} MiB")
    await engine.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48, help="of each answer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device")
    parser.add_argument("--max-model-len", type=int, default=2048)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
