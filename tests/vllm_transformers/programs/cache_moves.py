"""Rows join, grow and leave at random; after each change, the cache shows each row what it has computed.

usage: cache_moves.py SEED; prints the number of changes. Needs torch and transformers.
"""

from __future__ import annotations

import random
import sys

import torch
from transformers import DynamicCache

from mock_server.engine.transformers.cache import BatchCache

LAYERS, HEADS, SIZE = 2, 3, 4
CHANGES, MOST_ROWS = 150, 7

Tensors = list[torch.Tensor]
"""One for each layer, of the shape (heads, columns, size)."""


def numbers(columns: int) -> Tensors:
    return [torch.randn(HEADS, columns, SIZE) for _ in range(LAYERS)]


def joined(batch: BatchCache | None, row: Tensors) -> BatchCache:
    alone = DynamicCache()
    for layer, tensor in enumerate(row):
        alone.update(tensor[None], -tensor[None], layer)
    batch = batch or BatchCache(alone)
    batch.join(alone)
    return batch


def grow(batch: BatchCache, rows: list[Tensors]) -> None:
    batch.prepare()
    new = [numbers(1) for _ in rows]
    for layer in range(LAYERS):
        column = torch.stack([row[layer] for row in new])
        check(
            batch.update(column, -column, layer), layer, [grown(row, more) for row, more in zip(rows, new, strict=True)]
        )
    rows[:] = [grown(row, more) for row, more in zip(rows, new, strict=True)]
    batch.advance()


def grown(row: Tensors, more: Tensors) -> Tensors:
    return [torch.cat(pair, dim=1) for pair in zip(row, more, strict=True)]


def check(shown: tuple[torch.Tensor, torch.Tensor], layer: int, rows: list[Tensors]) -> None:
    longest = max(row[layer].shape[1] for row in rows)
    for tensor, sign in zip(shown, (1, -1), strict=True):
        assert tensor.shape == (len(rows), HEADS, longest, SIZE), tensor.shape
        assert tensor.isfinite().all()
        for place, row in enumerate(rows):
            assert torch.equal(tensor[place, :, longest - row[layer].shape[1] :], sign * row[layer])


def main() -> None:
    torch.set_num_threads(1)
    random.seed(sys.argv[1])
    torch.manual_seed(int(sys.argv[1]))
    batch: BatchCache | None = None
    rows: list[Tensors] = []
    for _ in range(CHANGES):
        draw = random.random()
        if not rows or (draw < 0.25 and len(rows) < MOST_ROWS):
            rows.append(numbers(random.choice((1, 7, 60, 300))))
            batch = joined(batch, rows[-1])
        elif draw < 0.45:
            place = random.randrange(len(rows))
            last = rows.pop()
            if place < len(rows):
                rows[place] = last
            if not rows:
                batch = None
            elif batch is not None:
                batch.leave(place)
        elif batch is not None:
            for _ in range(random.choice((1, 1, 1, 1, 1, 70))):
                grow(batch, rows)
        if batch is not None:
            assert batch.lengths == [row[0].shape[1] for row in rows]
    print(CHANGES)


if __name__ == "__main__":
    main()
