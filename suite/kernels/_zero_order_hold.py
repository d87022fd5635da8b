"""The modes of S4D from their parameters: e^{ΔΛ}, (e^{ΔΛ} − 1)/Λ and the readout, and the gradients of all of them.

There are only a few thousand modes, but a dozen operations of torch on each would take longer than the recurrence. The
functions are evaluated in double precision, and products are rounded as in the definition.
"""

from __future__ import annotations

from math import cos, exp, expm1, sin
from typing import Any

import numpy as np
from numba import njit

from suite.kernels._compiled import compiled
from suite.kernels._vector import numbers

PARTS = 6
"""What is kept of a mode: the real and the imaginary parts of Λ̄, of the readout w = 2 C B̄, and of B̄."""


@njit  # type: ignore[untyped-decorator]
def _places(channel: Any, n: Any, H: Any, P: Any) -> Any:
    """Return the places of the real parts of Λ̄, w and B̄ in ``[3, channel, 2, P]``. The imaginary ones are P further."""
    at = channel * 2 * P + n
    return at, at + H * 2 * P, at + 2 * H * 2 * P


@compiled
def discretise(modes, log_decay, frequency, log_dt, C, H, N, P):  # type: ignore[no-untyped-def]
    """Fill in the ``modes`` ``[3, channel, 2, P]``, which are zeros, from parameters ``[channel, modes]``."""
    to, a, omega, delta, read = numbers(modes), numbers(log_decay), numbers(frequency), numbers(log_dt), numbers(C)
    for channel in range(H):
        # Λ = −e^a + iω,  Δ = e^δ
        dt = np.float32(exp(delta[channel]))
        for n in range(N):
            decay, turn = np.float32(exp(a[channel * N + n])), omega[channel * N + n]
            shrunk, phase = np.float64(np.float32(-dt * decay)), np.float64(np.float32(dt * turn))
            # Λ̄ = e^{ΔΛ}, and Λ̄ − 1 without the loss of digits that the difference would have
            l_re, l_im = exp(shrunk) * cos(phase), exp(shrunk) * sin(phase)
            less_re = expm1(shrunk) * cos(phase) - 2 * sin(phase / 2) * sin(phase / 2)
            # B̄ = Λ⁻¹(Λ̄ − 1)
            size = decay * decay + turn * turn
            b_re, b_im = (l_im * turn - less_re * decay) / size, -(l_im * decay + less_re * turn) / size
            c_re, c_im = read[2 * (channel * N + n)], read[2 * (channel * N + n) + 1]
            l, w, b = _places(channel, n, H, P)
            to[l], to[l + P] = l_re, l_im
            to[w], to[w + P] = 2 * (c_re * b_re - c_im * b_im), 2 * (c_re * b_im + c_im * b_re)
            to[b], to[b + P] = b_re, b_im


@compiled
def discretise_backward(da, d_omega, d_delta, dC, d_modes, modes, log_decay, frequency, log_dt, C, H, N, P):  # type: ignore[no-untyped-def]
    """Fill in the gradients of the parameters from those of Λ̄ and w, ``d_modes`` ``[2, channel, 2, P]``."""
    of, d, a, omega, delta, read = (numbers(modes), numbers(d_modes), numbers(log_decay), numbers(frequency),
                                    numbers(log_dt), numbers(C))  # fmt: skip
    to_a, to_omega, to_delta, to_C = numbers(da), numbers(d_omega), numbers(d_delta), numbers(dC)
    for channel in range(H):
        dt, d_dt = exp(delta[channel]), 0.0
        for n in range(N):
            at = channel * N + n
            l, w, b = _places(channel, n, H, P)
            L, l_, b_ = complex(-exp(a[at]), omega[at]), complex(of[l], of[l + P]), complex(of[b], of[b + P])
            c, dl, dw = complex(read[2 * at], read[2 * at + 1]), complex(d[l], d[l + P]), complex(d[w], d[w + P])
            # w = 2 C B̄
            d_c, d_b = 2 * b_.conjugate() * dw, 2 * c.conjugate() * dw
            # B̄ = (e^z − 1) / Λ,  Λ̄ = e^z,  z = ΔΛ
            d_b = d_b / L.conjugate()
            dz = l_.conjugate() * (dl + d_b)
            dL = dt * dz - b_.conjugate() * d_b
            d_dt += (L.conjugate() * dz).real
            # Λ = −e^a + iω,  Δ = e^δ
            to_a[at], to_omega[at] = L.real * dL.real, dL.imag
            to_C[2 * at], to_C[2 * at + 1] = d_c.real, d_c.imag
        to_delta[channel] = dt * d_dt
