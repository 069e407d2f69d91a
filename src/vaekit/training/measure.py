"""How long a step takes here, tried on copies: nothing of the run is touched."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vaekit.data import Items
from vaekit.model import VAE
from vaekit.objectives import Term
from vaekit.training.optimizer import Adam
from vaekit.training.train import train

WARM, TIMED, ENOUGH = 3, 12, 1.0  # untimed steps, timed steps, seconds after which fewer will do


@dataclass(frozen=True)
class Speed:
    """Seconds of one step, and the number of threads it was reached with."""

    step: float
    threads: int


def measure(
    model: VAE, objective: Term, items: Items, batch_size: int, threads: Sequence[int], device: torch.device
) -> Speed:
    """The fastest of some numbers of threads; very small models are faster with one.

    Args:
        model, objective: What will be trained; copies of them are.
        items: The data.
        batch_size: Rows of a step.
        threads: Numbers to try.
        device: Where the model is.
    """
    before = torch.get_num_threads()
    try:
        return min(
            (_timed(model, objective, items, batch_size, n, device) for n in threads), key=lambda s: s.step
        )
    finally:
        torch.set_num_threads(before)


def _timed(
    model: VAE, objective: Term, items: Items, batch_size: int, threads: int, device: torch.device
) -> Speed:
    torch.set_num_threads(threads)
    trial, formula = copy.deepcopy(model), copy.deepcopy(objective)
    laps, began = [], time.perf_counter()
    steps = train(
        trial, formula, items, steps=WARM + TIMED, batch_size=batch_size, optimizer=Adam(1e-5), device=device
    )
    for _ in steps:
        if device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        laps.append(now - began)
        began = now
        if len(laps) > WARM and sum(laps) > ENOUGH:
            break
    return Speed(sorted(laps[WARM:])[len(laps[WARM:]) // 2], threads)
