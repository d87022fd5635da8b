"""Delay line: reproduce a continuous signal some steps later."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from tasks._base import Batch
from tasks._regression import Regression

RMS = 0.5
"""The root mean square of the signal."""


@dataclass(frozen=True)
class DelayLine(Regression):
    """Answer at each step what the signal was ``lag`` steps before (regression).

    The signal is white noise without its high frequencies: it has no part above ``frequency`` cycles per step, and its
    root mean square is 0.5. The lower the frequency, the smoother the signal, and the fewer numbers describe the last
    ``lag`` steps of it. They are about 2 · ``frequency`` · ``lag``. With ``lag = 2`` and ``length = 6``::

        inputs    0.1  0.4  0.6  0.3 −0.2 −0.5
        targets             0.1  0.4  0.6  0.3      (scored from the step ``lag`` on)

    ``length`` is the number of steps. The signal is cut from one that is twice as long and repeats itself, so nothing
    at its beginning tells its end.

    A smooth signal tells something of itself: its values ``lag`` steps apart are correlated by about
    sinc(2 · ``frequency`` · ``lag``). With the defaults 2 · 0.125 · 20 is 5, a whole number, so the correlation is
    almost 0 and a net without memory can do no better than a constant. Choose lag and frequency likewise.

    Source: Voelker, Kajić & Eliasmith 2019 (capacity of a delay); Gu et al. 2020 and the ``delay`` data set of their
    S4, with T = 1024.

    The score is 1 − MSE/V, floored at 0, where V is the variance of the targets. The task is solved above 0.99.
    """

    lag: int = 20
    frequency: float = 0.125

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if self.lag < 1:
            raise ValueError(f"lag must be at least 1; got {self.lag}")
        if not 0 < self.frequency <= 0.5:
            raise ValueError(f"frequency must be above 0 and at most 0.5 cycles per step; got {self.frequency}")

    @property
    def input_size(self) -> int:
        return 1

    @property
    def output_size(self) -> int:
        return 1

    @property
    def shortest(self) -> int:
        """The smallest length that has a scored step and a signal of at least one frequency."""
        return max(self.lag + 1, math.ceil(1 / (2 * self.frequency)))

    def delay(self, length: int) -> int:
        """The lag."""
        return self.lag

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        period = 2 * length
        count = int(self.frequency * period)  # The frequencies are 1, 2, …, count cycles per period.
        parts = torch.randn(batch_size, count, 2, generator=generator)
        spectrum = torch.zeros(batch_size, period // 2 + 1, dtype=torch.complex64)
        spectrum[:, 1 : count + 1] = torch.view_as_complex(parts)
        signal = torch.fft.irfft(spectrum, n=period, norm="forward")[:, :length, None]
        signal = signal * (RMS / math.sqrt(4 * count))  # Each part is 2 Re(z e^{iωt}), whose variance is 4.
        targets = signal.roll(self.lag, dims=1)  # The values that wrap around are not scored.
        mask = torch.zeros(batch_size, length, dtype=torch.bool)
        mask[:, self.lag :] = True
        return Batch(signal.contiguous(), targets.contiguous(), mask)
