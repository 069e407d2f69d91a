"""The loop, as a generator: each step is yielded, and what else should happen is the body of the caller's `for`.

A step: one pass, every player's gradients, then the finite check, then every player's update, then `commit`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data import Batch, Items, as_items
from vaekit.distributions import Noise
from vaekit.model import VAE, Pass
from vaekit.objectives import Player, Term
from vaekit.training.optimizer import Adam
from vaekit.training.state import State


@dataclass
class Progress:
    """One step, as it went. Tensors stay on the device until someone asks.

    Attributes:
        step: Steps done, this one included.
        fraction: Share of the whole training that is done.
        loss: The model's loss, ().
        out: The pass.
        gradient_norm: Norm of the model's gradient before clipping, ().
        lr: Learning rate of the step.
        state: What a checkpoint holds; live, changed by the next step.
    """

    step: int
    fraction: float
    loss: Tensor
    out: Pass
    gradient_norm: Tensor
    lr: float
    state: State


def constant(fraction: float) -> float:
    """A learning rate that does not change."""
    return 1.0


def warm_cosine(fraction: float, warm: float = 0.02) -> float:
    """A learning rate that rises over the first 2 % and falls to zero along half a cosine.

    Source: Loshchilov, Hutter (2017), SGDR, arXiv:1608.03983.

    Example:
        >>> [round(warm_cosine(fraction), 3) for fraction in (0.0, 0.02, 0.5, 1.0)]
        [0.01, 0.999, 0.5, 0.0]
    """
    return min(1.0, 0.01 + fraction / warm) * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))


def train(
    model: VAE,
    objective: Term,
    data: Any,
    *,
    steps: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    optimizer: Adam | None = None,
    decay: Callable[[float], float] = constant,
    average: float = 0.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
    resume: State | None = None,
    clock: Callable[[], float] | None = None,
) -> Iterator[Progress]:
    """Train, yielding after every step.

    Args:
        model, objective: What is trained, by what; changed in place.
        data: Items, a tensor (N, *shape), an array, or a torch Dataset.
        steps: Optimizer steps in all.
        batch_size: Rows of a step; all rows if there are fewer.
        lr: Learning rate; `optimizer` says more than that, and wins.
        decay: Fraction of training done → factor of the learning rate.
        average: Decay of a moving average of the weights kept beside them; 0 keeps none.
        seed: Of the data's order and all noise.
        device: Where the model is, and batches go.
        resume: State to go on from, changed in place; made by an earlier `train` or `start`.
        clock: Fraction of training done by another measure than steps (time); training ends when it reaches 1.

    Yields:
        Progress after each step.

    Raises:
        ValueError: There are no rows.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> model, objective = presets.vae(Vectors(4), latent=2)
        >>> for progress in train(model, objective, torch.randn(64, 4), steps=3):
        ...     pass
        >>> progress.step
        3
    """
    items = as_items(data)
    if not len(items):
        raise ValueError("there are no rows to train on")
    torch.set_num_threads(
        torch.get_num_threads()
    )  # once said, MKL no longer takes fewer when the machine is busy
    optimizer = Adam(lr) if optimizer is None else optimizer
    objective.told(items)
    if resume is None:
        see_first(model, items, seed, device)
    state = start(model, objective, optimizer, average) if resume is None else resume
    players, buffers = objective.players(model), saved_buffers(model)
    order = Order(len(items), batch_size, seed)
    model.train()
    objective.train()
    while state.step < steps:
        fraction = state.step / steps if clock is None else clock()
        if fraction >= 1:
            return
        batch = items.batch(order.rows(state.step), Noise(seed, "data", state.step)).to(device)
        noise = Noise(seed, "train", state.step)
        rate = optimizer.lr * decay(fraction)
        if not model.training:  # the caller has evaluated it
            model.train()
        before = [t.clone() for t in buffers]
        with noise.torch():  # a user's own random layers (dropout) draw from the same key
            loss, norm, out = _step(state, players, optimizer, batch, noise, rate)
        _commit(model, out, buffers, before, state.streak)
        if average:
            _follow(state, average)
        state.step += 1
        done = state.step / steps if clock is None else clock()
        yield Progress(state.step, done, loss, out, norm, rate, state)


def fit(model: VAE, objective: Term, data: Any, **options: Any) -> VAE:
    """Train to the end; the options are those of `train`.

    Returns:
        The model, in evaluation mode.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> model, objective = presets.vae(Vectors(4), latent=2)
        >>> fit(model, objective, torch.randn(64, 4), steps=3).training
        False
    """
    for _ in train(model, objective, data, **options):
        pass
    return model.eval()


def start(model: VAE, objective: Term, optimizer: Adam, average: float = 0.0) -> State:
    """The state before the first step."""
    players = objective.players(model)
    copies = {name: p.detach().clone() for name, p in model.named_parameters()} if average else {}
    device = next(model.parameters()).device
    return State(
        model,
        objective,
        {player.name: optimizer.start(player.parameters) for player in players},
        copies,
        skipped=torch.zeros((), device=device),
        streak=torch.zeros((), device=device),
    )


SEEN_FIRST = 1_024  # items from which codebooks and pseudo-inputs begin


def see_first(model: VAE, items: Items, seed: int = 0, device: torch.device | str = "cpu") -> None:
    """Let a model's parts begin from some of the data; the same ones for the same seed."""
    noise = Noise(seed, "first")
    batch = items.batch(noise.permutation(len(items))[:SEEN_FIRST], noise).to(device)
    with noise.torch():
        model.see_first(batch.x, batch.c, batch.mask)


class Order:
    """The order of the data: a new one for each epoch, cut into whole batches; a function of the step.

    Args:
        n: Number of rows.
        size: Rows of a batch; all of them if there are fewer.
        seed: Of the orders.
    """

    def __init__(self, n: int, size: int, seed: int) -> None:
        self.n, self.size, self.seed = n, min(size, n), seed
        self.epoch, self.order = -1, torch.empty(0)

    def rows(self, step: int) -> Tensor:
        """Places of a step's rows, (size,)."""
        epoch, place = divmod(step, self.n // self.size)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, Noise(self.seed, "order", epoch).permutation(self.n)
        return self.order[place * self.size : (place + 1) * self.size]


def _step(
    state: State, players: list[Player], optimizer: Adam, batch: Batch, noise: Noise, lr: float
) -> tuple[Tensor, Tensor, Pass]:
    """Every player's gradients, the finite check, every update."""
    out = state.model(batch.x, batch.c, batch.mask, state.objective.samples, noise, batch.weight)
    losses, gradients = zip(
        *(_gradients(player, players, out, state.step) for player in players), strict=True
    )
    norms = [norm_of(own) for own in gradients]
    bad = (~torch.isfinite(torch.stack([*losses, *norms]).sum())).to(torch.float32)
    for player, own, norm in zip(players, gradients, norms, strict=True):
        optimizer.step(state.moments[player.name], own, lr, norm, bad)
    state.skipped += bad
    state.streak.add_(1).mul_(bad)
    return losses[0], norms[0], out


def _gradients(player: Player, players: list[Player], out: Pass, step: int) -> tuple[Tensor, list[Tensor]]:
    """A player's loss and its gradient with respect to its own parameters.

    Whatever the loss sends to other players' parameters is thrown away, so that no loss can leak into them.
    """
    loss = player.loss(out, step)
    loss.backward(retain_graph=player is not players[-1])
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in player.parameters]
    for p in (p for each in players for p in each.parameters):
        p.grad = None
    return loss.detach(), gradients


def norm_of(gradients: list[Tensor]) -> Tensor:
    """The norm of a whole gradient, (): a dot product for each part, which is several times as fast as a norm."""
    flat = [g.reshape(-1) for g in gradients]
    return torch.stack([torch.dot(g, g) for g in flat]).sum().sqrt()


@torch.no_grad()
def _commit(model: VAE, out: Pass, buffers: list[Tensor], before: list[Tensor], streak: Tensor) -> None:
    """Let the model take in the pass, unless the step was skipped; decided on the device."""
    model.commit(out)
    for t, old in zip(buffers, before, strict=True):
        t.copy_(torch.where(streak > 0, old, t))


@torch.no_grad()
def _follow(state: State, decay: float) -> None:
    """Move the average towards the weights; early on it is their plain mean."""
    done = (state.step + 1 - state.skipped).clamp(min=1)  # a skipped step has no weights to count
    weight = (1 / done).clamp(min=1 - decay) * (state.streak == 0)
    for name, p in state.model.named_parameters():
        state.average[name].lerp_(p, weight.to(p.dtype))


def saved_buffers(model: nn.Module) -> list[Tensor]:
    """What a model keeps beside its parameters, as live tensors."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return [t for name, t in model.state_dict().items() if name not in parameters]


@contextlib.contextmanager
def averaged(model: nn.Module, average: dict[str, Tensor]) -> Iterator[None]:
    """Inside, the model has its averaged weights; with none kept, its own."""
    own = {name: p.detach().clone() for name, p in model.named_parameters() if name in average}
    try:
        _put(model, average)
        yield
    finally:
        _put(model, own)


@torch.no_grad()
def _put(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, p in model.named_parameters():
        if name in values:
            p.copy_(values[name])


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Inside, torch uses n threads: how sums are split among them decides their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
