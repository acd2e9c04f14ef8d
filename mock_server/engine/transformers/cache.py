"""The KV cache of a batch: tensors with room to grow, which rows join and leave without the others being computed
again.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from mock_server.engine.transformers.alignment import Extent, extent_for


class BatchLayer(DynamicLayer):  # type: ignore[misc]
    """The keys and values of one layer, of the shape (rows, heads, columns, size). The model sees the part in use."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = self._values = torch.empty(0)
        self.rows = self.begin = self.end = 0
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds a column. Called by the model."""
        self._keys[: self.rows, :, self.end] = key_states[:, :, 0]
        self._values[: self.rows, :, self.end] = value_states[:, :, 0]
        self.end += 1
        used = slice(self.begin, self.end)
        return self._keys[: self.rows, :, used], self._values[: self.rows, :, used]

    def get_seq_length(self) -> int:
        return self.end - self.begin

    def write(self, row: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Both of the shape (1, heads, columns, size): a row that ends where the others do."""
        first = self.end - keys.shape[2]
        self._keys[row, :, first : self.end] = keys[0]
        self._values[row, :, first : self.end] = values[0]

    def copy_row(self, source: int, target: int) -> None:
        for tensor in (self._keys, self._values):
            tensor[target, :, self.begin : self.end] = tensor[source, :, self.begin : self.end]

    def move(self, extent: Extent, like: tuple[torch.Tensor, torch.Tensor] | None) -> None:
        """Into new tensors. `like` has the heads and the size of the first row."""
        keys, values = like or (self._keys, self._values)
        self._keys = self._moved(self._keys, extent, keys)
        self._values = self._moved(self._values, extent, values)
        self.begin += extent.end - self.end
        self.end = extent.end

    def _moved(self, tensor: torch.Tensor, extent: Extent, like: torch.Tensor) -> torch.Tensor:
        # zeros: columns that a row does not use are masked, but what is in them must be numbers
        new = torch.zeros(
            (extent.rows, like.shape[1], extent.columns, like.shape[3]), dtype=like.dtype, device=like.device
        )
        if self.rows:
            length = self.end - self.begin
            new[: self.rows, :, extent.end - length : extent.end] = tensor[: self.rows, :, self.begin : self.end]
        return new


class BatchCache(Cache):  # type: ignore[misc]
    """The cache of the rows that run, in their order. Each row uses its last columns; the columns before are masked."""

    def __init__(self, first: DynamicCache) -> None:
        """`first` is the cache of the row that joins first, and has as many layers."""
        self._layers = [BatchLayer() for _ in first.layers]
        super().__init__(layers=list(self._layers))
        self._extent = Extent(0, 0, 0)
        self._lengths: list[int] = []

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each row."""
        return self._lengths

    def join(self, row: DynamicCache) -> None:
        """Adds a row with what was computed for it alone."""
        length = row.get_seq_length()
        num_rows, longest = len(self._lengths) + 1, max([length, *self._lengths])
        if not self._extent.takes(num_rows, longest):
            self._move(extent_for(num_rows, longest), row)
        for layer, other in zip(self._layers, row.layers, strict=True):
            layer.rows = num_rows
            layer.write(num_rows - 1, other.keys, other.values)
        self._lengths.append(length)
        self._show()

    def leave(self, place: int) -> None:
        """Removes a row; the last one takes its place."""
        last = len(self._lengths) - 1
        for layer in self._layers:
            if place != last:
                layer.copy_row(last, place)
            layer.rows = last
        self._lengths[place] = self._lengths[last]
        self._lengths.pop()
        self._show()
        if self._lengths and self._extent.is_wasteful(last, max(self._lengths)):
            self._move(extent_for(last, max(self._lengths)))

    def prepare(self) -> None:
        """Makes room for one more column, which the model then adds."""
        longest = max(self._lengths)
        if not self._extent.takes(len(self._lengths), longest):
            self._move(extent_for(len(self._lengths), longest))
        self._show()

    def advance(self) -> None:
        """The model has added a column."""
        self._extent = Extent(self._extent.rows, self._extent.columns, self._extent.end + 1)
        self._lengths = [length + 1 for length in self._lengths]

    def _move(self, extent: Extent, first: DynamicCache | None = None) -> None:
        for number, layer in enumerate(self._layers):
            like = None if first is None else (first.layers[number].keys, first.layers[number].values)
            layer.move(extent, like)
        self._extent = extent

    def _show(self) -> None:
        """Shows the model the columns of the longest row."""
        begin = self._extent.end - max(self._lengths, default=0)
        for layer in self._layers:
            layer.begin = begin
