"""Causal softmax attention, which keeps every input and looks back at all of them."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from suite.architectures._base import Cell, weight

BASE = 10_000.0
"""The base of the angles of RoPE, from the source: the slowest pair turns once in about 2π · 10,000 steps."""
FEWEST_QUERIES = 64
"""A windowed sequence is cut into blocks of at least so many queries, because smaller products are slow."""


class Attention(Cell[tuple[Tensor, Tensor]]):
    """A memory that forgets nothing: each step compares its query with the key of every step so far::

        q_t = W_q x_t,    k_t = W_k x_t,    v_t = W_v x_t
        a_tj = q_t · k_j / √d              for every step j ≤ t, in each head
        p_t = softmax(a_t)
        y_t = Σ_j p_tj v_j                 the heads side by side

    The vectors are cut into ``heads`` parts of d = hidden / heads numbers, and each head attends by itself. ``window``
    = w lets a step see the last w inputs alone, itself included, and 0 lets it see all.

    ``positions`` says how a step knows when a key was written. With ``"none"`` it only knows which steps came before.
    ``"rope"`` turns each pair (2i, 2i + 1) of a key by the angle −(t − j) θ_i, where θ_i = 10000^(−2i/d); the last
    number of an odd d has no partner and is not turned. ``"alibi"`` subtracts m (t − j) from a_tj. Of n heads, where n
    is a power of 2, head number h has m = 2^(−8h/n). Another n takes the slopes of the next lower power of 2, and then
    every second one of the next higher.

    There is no output matrix. The matrix P of the residual block is the W_o of the source, and in the plain block the
    decoder mixes the heads. The elements of W start uniform in ±1/√input, as in ``torch.nn.Linear``. From inputs of
    variance 1, a_tj then has the variance 1/9 at any size, and attention starts almost even.

    State: (k, v), each ``[batch, steps so far, hidden_size]``. It grows by one step per step, and with a window it
    stops at w − 1. The keys are kept as they were written. Only differences of positions count, and a key is turned by
    its distance from the end, so the state needs no counter.

    Sources: Vaswani et al. 2017, §3.2; Su et al. 2021, §3.2 (RoPE); Press, Smith & Lewis 2022, §3 (ALiBi).

    Raises:
        ValueError: if the heads do not divide the hidden size, d is 1 with RoPE, or an option is out of its range.
    """

    family = "attention"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 4,
        positions: Literal["none", "rope", "alibi"] = "none",
        window: int = 0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if positions not in ("none", "rope", "alibi"):
            raise ValueError(f"positions must be 'none', 'rope' or 'alibi'; got {positions!r}")
        if heads < 1 or hidden_size % heads:
            raise ValueError(
                f"heads must divide hidden_size; got heads = {heads} and hidden_size = {hidden_size}: "
                f"choose a multiple of {max(heads, 1)}"
            )
        if positions == "rope" and hidden_size == heads:
            raise ValueError(
                "positions = 'rope' turns pairs, so hidden_size / heads must be at least 2; "
                f"got {hidden_size} / {heads}"
            )
        if window < 0:
            raise ValueError(f"window must be 0 (all inputs) or a number of inputs; got {window}")
        self.heads, self.positions, self.window = heads, positions, window
        self.W = weight(3 * hidden_size, input_size, 1 / math.sqrt(input_size))

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.zeros(batch_size, 0, self.hidden_size), self.zeros(batch_size, 0, self.hidden_size)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        # q_t = W_q x_t,  k_t = W_k x_t,  v_t = W_v x_t
        q, *written = linear(x, self.W).unsqueeze(1).chunk(3, dim=2)
        keys, values = (torch.cat([kept, new], dim=1) for kept, new in zip(state, written, strict=True))
        distance = torch.arange(keys.shape[1] - 1, -1, -1, device=x.device)  # t − j
        turned = self._turned(keys, -distance) if self.positions == "rope" else keys
        q, k, v = self._by_head(q), self._by_head(turned), self._by_head(values)  # [batch, heads, 1 or steps, d]
        # a_tj = q_t · k_j / √d
        a = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        if self.positions == "alibi":
            a = a - self._slopes(x) * distance
        # p_t = softmax(a_t);  y_t = Σ_j p_tj v_j
        y = a.softmax(dim=3) @ v
        return y.flatten(1), (self._kept(keys), self._kept(values))

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Attend from all steps at once, by torch's fused attention."""
        kept = self.initial_state(len(inputs)) if state is None else state
        before = kept[0].shape[1]
        queries, *written = (linear(inputs, W) for W in self.W.chunk(3))  # Three products need the least memory.
        keys, values = (torch.cat(pair, dim=1) for pair in zip(kept, written, strict=True)) if before else written
        turned = keys
        if self.positions == "rope":
            place = torch.arange(keys.shape[1], device=inputs.device)
            queries, turned = self._turned(queries, place[before:]), self._turned(keys, place)
        q, k, v = self._by_head(queries), self._by_head(turned), self._by_head(values)
        y = self._in_blocks(q, k, v) if self.window else self._attended(q, k, v)
        return y.transpose(1, 2).flatten(2), (self._kept(keys), self._kept(values))

    def _in_blocks(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend in blocks of steps that are no shorter than the window, so that a block needs two blocks of keys."""
        after, block = q.shape[2], max(self.window, FEWEST_QUERIES)
        sizes = [k.shape[2] - after, *[block] * (after // block), after % block]
        k_by_block, v_by_block = torch.split(k, sizes, dim=2), torch.split(v, sizes, dim=2)
        blocks = [
            self._attended(queries, torch.cat(k_by_block[n : n + 2], dim=2), torch.cat(v_by_block[n : n + 2], dim=2))
            for n, queries in enumerate(torch.split(q, block, dim=2))
        ]
        return torch.cat(blocks, dim=2)

    def _attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the outputs of queries ``[batch, heads, steps, d]``, the last of which belongs to the last key."""
        place = torch.arange(k.shape[2], device=q.device)
        distance = place[k.shape[2] - q.shape[2] :, None] - place  # t − j
        sees_all = not self.window or self.window >= k.shape[2]
        if sees_all and k.shape == q.shape and self.positions != "alibi":
            return scaled_dot_product_attention(q, k, v, is_causal=True)
        bias = -self._slopes(q) * distance if self.positions == "alibi" else q.new_zeros(distance.shape)
        hidden = distance < 0 if not self.window else (distance < 0) | (distance >= self.window)
        return scaled_dot_product_attention(q, k, v, attn_mask=bias.masked_fill(hidden, -math.inf))

    def _by_head(self, tensor: Tensor) -> Tensor:
        """Cut ``[batch, steps, hidden]`` into heads: ``[batch, heads, steps, d]``."""
        return tensor.view(*tensor.shape[:2], self.heads, -1).transpose(1, 2)

    def _kept(self, tensor: Tensor) -> Tensor:
        """Return the part of the keys or of the values that a later step may see."""
        return tensor[:, max(0, tensor.shape[1] - self.window + 1) :] if self.window else tensor

    def _turned(self, tensor: Tensor, place: Tensor) -> Tensor:
        """Turn each pair of ``[batch, steps, hidden]`` by the angle place · θ_i, where ``place`` is ``[steps]``."""
        # The heads are cut before they are transposed, so that their pairs lie side by side.
        heads = tensor.reshape(*tensor.shape[:2], self.heads, -1)
        d = heads.shape[3]
        i = torch.arange(0, d - 1, 2, device=tensor.device, dtype=torch.float64)
        angle = place[:, None, None] * BASE ** (-i / d)  # In float64, so that no length loses a digit.
        pairs = torch.view_as_complex(heads[..., : d // 2 * 2].contiguous().view(*heads.shape[:3], -1, 2))
        turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle).to(pairs.dtype)).flatten(3)
        return (torch.cat([turned, heads[..., -1:]], dim=3) if d % 2 else turned).flatten(2)

    def _slopes(self, like: Tensor) -> Tensor:
        """Return the slopes m of ALiBi, ``[1, heads, 1, 1]``, with the batch first because torch is slow without."""
        lower = 1 << (self.heads.bit_length() - 1)  # The largest power of 2 that is at most the number of heads.
        slopes = [2 ** (-8 * h / lower) for h in range(1, lower + 1)]
        slopes += [2 ** (-4 * h / lower) for h in range(1, 2 * lower, 2)]
        return torch.tensor(slopes[: self.heads], dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
