"""The parallel forms of the recurrences whose state is a matrix: a few large operations of torch, for a GPU.

A sequence is cut into chunks. Inside a chunk, all steps are computed at once by products of matrices, and only the
states between chunks are computed one after the other. The functions take what the kernels of the same names take.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid, pad, silu

CHUNK = 64
"""The number of steps in a chunk, as in the sources."""
SMALL_CHUNK = 16
"""The same where each number of the keys has a decay of its own. Then a pair of steps has a weight for each of them."""
EPSILON = 1e-6
"""It is added to |q|² and |k|² in the delta rule, and to the divisor of the mLSTM."""


def matrix_state(
    x: Tensor, W: Tensor, S: Tensor, log_alpha: Tensor | None = None, beta: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute what the kernel `suite.kernels.matrix_state` computes."""
    return _in_chunks(linear(x, W), S, log_alpha, beta)


def delta_net(
    x: Tensor, W: Tensor, before: Tensor, w: Tensor, S: Tensor, log_alpha: Tensor | None, beta: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute what the kernel `suite.kernels.delta_net` computes."""
    u = torch.cat([before, linear(x, W).transpose(1, 2)], dim=2)
    windows = u.unfold(2, w.shape[1], 1)  # [batch, channels, time, K]
    q_k_v = silu((windows * w.unsqueeze(1)).sum(dim=3)).transpose(1, 2)
    outputs, S = _in_chunks(q_k_v, S, log_alpha, beta, delta=True)
    return outputs, (u[:, :, x.shape[1] :], S)


def mlstm(
    x: Tensor, W: Tensor, i: Tensor, f: Tensor, C: Tensor, n: Tensor, m: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Compute what the kernel `suite.kernels.mlstm` computes."""
    return stabilised(matrix_state, _running_maximum, x, W, i, f, C, n, m)


def _in_chunks(
    q_k_v: Tensor, S: Tensor, log_alpha: Tensor | None, beta: Tensor | None, *, delta: bool = False
) -> tuple[Tensor, Tensor]:
    """Compute the outputs and the last state chunk by chunk.

    With G_t = α_1 … α_t and S_0 at the start of a chunk, S_t = G_t S_0 + Σ_s (G_t / G_s) k_s w_sᵀ. Here w_s is β_s v_s,
    or by the delta rule β_s (v_s − α_s S_{s−1}ᵀk_s), which makes the w of a chunk the solution of a triangular system.

    Sources: Yang et al. 2023, §4 (with decays); Yang et al. 2024, §3 (the delta rule).
    """
    (batch, time, _), (_, heads, d, d_v) = q_k_v.shape, S.shape
    q, k, v = (torch.unflatten(part, 2, (heads, d)) for part in q_k_v.chunk(3, dim=2))
    if delta:
        q, k = (part * torch.rsqrt(part.square().sum(dim=3, keepdim=True) + EPSILON) for part in (q, k))
    if d_v > d:
        v = pad(v, (0, 1), value=1.0)
    decays = v.new_zeros(heads, 1) if log_alpha is None else torch.unflatten(log_alpha, -1, (heads, -1))
    decays = decays.expand(batch, time, heads, decays.shape[-1])
    strength = (v.new_ones(1) if beta is None else beta.unsqueeze(3)).expand(batch, time, heads, 1)

    size = max(1, min(CHUNK if decays.shape[3] == 1 else SMALL_CHUNK, time))
    # [batch, heads, chunks, steps of a chunk, …]; the steps that fill the last chunk write nothing and forget nothing
    q, k, v, decays, strength = (
        torch.unflatten(pad(part, (0, 0, 0, 0, 0, -time % size)), 1, (-1, size)).permute(0, 3, 1, 2, 4)
        for part in (q, k, v, decays, strength)
    )
    # The sums are long where a memory is wiped out, and only their differences count: they have double precision.
    log_G = decays.double().cumsum(dim=3)
    G, w = log_G.to(q.dtype).exp(), strength * v
    among = _weights(q, k, log_G)
    until_end = (k * (log_G[:, :, :, -1:] - log_G).to(k.dtype).exp()).transpose(3, 4)
    from_start, at_end = q * G, G[:, :, :, -1].unsqueeze(4)
    if delta:
        # w_t + β_t Σ_{s<t} (G_t / G_s) (k_t · k_s) w_s = β_t v_t − β_t G_t S_0ᵀ k_t
        system = strength * _weights(k, k, log_G).tril(-1)
        sides = torch.cat([w, strength * G * k], dim=4)
        solved = torch.linalg.solve_triangular(system, sides, upper=False, unitriangular=True)
        w, recalled = torch.split(solved, [d_v, d], dim=4)

    outputs = []
    for chunk in range(q.shape[2]):
        now = w[:, :, chunk] - recalled[:, :, chunk] @ S if delta else w[:, :, chunk]
        # S_tᵀ q_t = S_0ᵀ (G_t q_t) + Σ_{s≤t} (G_t / G_s) (q_t · k_s) w_s
        outputs.append(from_start[:, :, chunk] @ S + among[:, :, chunk] @ now)
        S = at_end[:, :, chunk] * S + until_end[:, :, chunk] @ now
    joined = torch.cat(outputs, dim=2)[:, :, :time]
    return joined.transpose(1, 2).flatten(2), S


def _weights(q: Tensor, k: Tensor, log_G: Tensor) -> Tensor:
    """Return (G_t / G_s) q_t · k_s for all steps s ≤ t of each chunk, and 0 for s > t: ``[…, steps, steps]``.

    The ratio is taken as the exponential of a difference, which is never above 0, so nothing overflows.
    """
    steps = q.shape[-2]
    later = torch.ones(steps, steps, dtype=torch.bool, device=q.device).triu(1)
    if log_G.shape[-1] == 1:
        return (q @ k.mT) * (log_G - log_G.mT).to(q.dtype).masked_fill(later, -torch.inf).exp()
    log_ratio = (log_G.unsqueeze(-2) - log_G.unsqueeze(-3)).to(q.dtype)
    ratio = log_ratio.masked_fill(later.unsqueeze(-1), -torch.inf).exp()
    return torch.einsum("...td,...sd,...tsd->...ts", q, k, ratio)


def _running_maximum(log_f: Tensor, i: Tensor, m: Tensor) -> Tensor:
    """Return m_t = max(log f_t + m_{t−1}, i_t) from the first m on, ``[batch, time + 1, heads]``.

    With F_t = Σ_s log f_s it is F_t + max(m_0, max_s (i_s − F_s)). The sums are long, so they have double precision,
    and so has m, of which the gates are differences.
    """
    F = log_f.double().cumsum(dim=1)
    above = torch.cat([m.double().unsqueeze(1), i - F], dim=1).cummax(dim=1).values
    return torch.cat([m.double().unsqueeze(1), F + above[:, 1:]], dim=1)


def stabilised(
    recurrence: Callable[..., tuple[Tensor, Tensor]],
    running_maximum: Callable[[Tensor, Tensor, Tensor], Tensor],
    x: Tensor,
    W: Tensor,
    i: Tensor,
    f: Tensor,
    C: Tensor,
    n: Tensor,
    m: Tensor,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Return h ``[batch, time, heads·d]`` and the last (C, n, m) of an mLSTM, by a recurrence of matrices.

    The normaliser is one more column of the matrix, for which every value ends in a 1.

    Args:
        recurrence: a form of `suite.kernels.matrix_state`.
        running_maximum: returns m from log f, i and the first m.
        x: ``[batch, time, input]``.
        W: the rows of q of all heads, of k and of v, ``[3·heads·d, input]``. Here k is divided by √d.
        i: ĩ, ``[batch, time, heads]``.
        f: f̃, ``[batch, time, heads]``.
        C: the first C, ``[batch, heads, d, d]``.
        n: the first n, ``[batch, heads, d]``.
        m: the first m, ``[batch, heads]``.
    """
    heads, d = n.shape[1:]
    log_f = logsigmoid(f)
    # m_t = max(log σ(f̃_t) + m_{t−1}, ĩ_t)
    all_m = running_maximum(log_f, i, m)
    m_before, m = all_m[:, :-1], all_m[:, 1:]
    # f_t = exp(log σ(f̃_t) + m_{t−1} − m_t),  i_t = exp(ĩ_t − m_t)
    log_kept, written = (log_f + m_before - m).to(x.dtype), torch.exp(i - m).to(x.dtype)
    outputs, states = recurrence(x, W, torch.cat([C, n.unsqueeze(3)], dim=3), log_kept, written / sqrt(d))
    # h_t = C_tᵀ q_t / (max(|n_t · q_t|, e^{−m_t}) + 1e-6)
    above, inner = torch.split(torch.unflatten(outputs, 2, (heads, d + 1)), [d, 1], dim=3)
    h = above / (torch.maximum(inner.abs(), torch.exp(-m).to(x.dtype).unsqueeze(3)) + EPSILON)
    return h.flatten(2), (states[..., :d], states[..., d], m[:, -1].to(x.dtype))
