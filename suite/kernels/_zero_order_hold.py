"""The modes of S4D from their parameters: Λ̄ = e^{ΔΛ}, the readout 2 C B̄ and B̄ = (Λ̄ − 1)/Λ, and their gradients.

There are only a few thousand modes, but a dozen operations of torch on each would take longer than the recurrence. The
functions are evaluated in double precision, and ΔΛ is rounded as in the definition.
"""

from __future__ import annotations

from math import cos, exp, expm1, sin

import numpy as np

from suite.kernels._compiled import compiled
from suite.kernels._vector import numbers


@compiled
def discretise(modes, log_decay, frequency, log_dt, C, H, N, P):  # type: ignore[no-untyped-def]
    """Fill in the ``modes`` ``[channel, 3, 2, P]``, Λ̄, 2 C B̄ and B̄, which are zeros, from ``[channel, modes]``."""
    m, read = numbers(modes), numbers(C)
    for channel in range(H):
        # Λ = −e^a + iω,  Δ = e^δ
        dt = np.float32(exp(numbers(log_dt)[channel]))
        for n in range(N):
            at, to = channel * N + n, channel * 6 * P + n
            decay, turn = np.float32(exp(numbers(log_decay)[at])), numbers(frequency)[at]
            shrunk, phase = np.float64(np.float32(-dt * decay)), np.float64(np.float32(dt * turn))
            # Λ̄ = e^{ΔΛ}, and Λ̄ − 1 without the loss of digits that the difference would have
            less, c, s, half = expm1(shrunk), cos(phase), sin(phase), sin(phase / 2)
            l_im, less = (less + 1) * s, less * c - 2 * half * half
            m[to] = less + 1
            m[to + P] = l_im
            # B̄ = Λ⁻¹(Λ̄ − 1)
            size = decay * decay + turn * turn
            b_re, b_im = (l_im * turn - less * decay) / size, -(l_im * decay + less * turn) / size
            m[to + 2 * P] = 2 * (read[2 * at] * b_re - read[2 * at + 1] * b_im)
            m[to + 3 * P] = 2 * (read[2 * at] * b_im + read[2 * at + 1] * b_re)
            m[to + 4 * P] = b_re
            m[to + 5 * P] = b_im


@compiled
def discretise_backward(d_decay, d_frequency, d_log_dt, dC, d_modes, modes, log_decay, frequency, log_dt, C, H, N, P):  # type: ignore[no-untyped-def]
    """Fill in the gradients of the parameters from those of Λ̄ and the readout, ``d_modes`` ``[channel, 2, 2, P]``."""
    m, d, read, to_C = numbers(modes), numbers(d_modes), numbers(C), numbers(dC)
    for channel in range(H):
        dt, d_dt = exp(numbers(log_dt)[channel]), 0.0
        for n in range(N):
            at, of, of_d = channel * N + n, channel * 6 * P + n, channel * 4 * P + n
            re, im, b_re, b_im = -exp(numbers(log_decay)[at]), numbers(frequency)[at], m[of + 4 * P], m[of + 5 * P]
            # w = 2 C B̄
            w_re, w_im, c_re, c_im = 2 * d[of_d + 2 * P], 2 * d[of_d + 3 * P], read[2 * at], read[2 * at + 1]
            to_C[2 * at] = b_re * w_re + b_im * w_im
            to_C[2 * at + 1] = b_re * w_im - b_im * w_re
            e_re, e_im, size = c_re * w_re + c_im * w_im, c_re * w_im - c_im * w_re, re * re + im * im
            # B̄ = (e^z − 1) / Λ,  Λ̄ = e^z,  z = ΔΛ
            e_re, e_im = (re * e_re - im * e_im) / size, (re * e_im + im * e_re) / size
            f_re, f_im = d[of_d] + e_re, d[of_d + P] + e_im
            z_re, z_im = m[of] * f_re + m[of + P] * f_im, m[of] * f_im - m[of + P] * f_re
            d_dt += re * z_re + im * z_im
            # Λ = −e^a + iω,  Δ = e^δ
            numbers(d_decay)[at] = re * (dt * z_re - b_re * e_re - b_im * e_im)
            numbers(d_frequency)[at] = dt * z_im - b_re * e_im + b_im * e_re
        numbers(d_log_dt)[channel] = dt * d_dt
