"""What weights are chosen by: the objective as it ends, measured on items that it was not trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vaekit import presets
from vaekit.data import Items, Vectors, as_items
from vaekit.objectives import Capacity, Constrained, Distortion, Rate, StickingTheLanding, linear
from vaekit.objectives.adversarial import Adversarial, Balanced
from vaekit.objectives.disentangle import LatentCapacity
from vaekit.objectives.multimodal import EachAlone
from vaekit.training import goal, settled

ITEMS = as_items(torch.randn(100, 3, generator=torch.Generator().manual_seed(0)))


def model_of(preset=presets.vae):
    torch.manual_seed(0)
    return preset(Vectors(3), latent=2)


def test_weights_count_as_they_end() -> None:
    model, _ = model_of()
    ends = goal(model, Distortion() + linear(0, 2, 1000) * Rate(), ITEMS, 50)
    assert ends == goal(model, Distortion() + 2.0 * Rate(), ITEMS, 50)
    assert ends > goal(model, Distortion() + 1.0 * Rate(), ITEMS, 50) > goal(model, Distortion(), ITEMS, 50)


def test_every_item_counts_once() -> None:
    model, _ = model_of()
    with torch.no_grad():
        rates = model.eval()(ITEMS.batch(torch.arange(100)).x).rate
    for size in (7, 30, 99, 1_000):
        assert goal(model, Rate(), ITEMS, size) == pytest.approx(float(rates.mean()), rel=1e-5)


def test_weights_of_items_count() -> None:
    class First(Items):
        """The first thirty count five times, the others not at all."""

        def batch(self, rows, noise=None):
            return replace(super().batch(rows, noise), weight=torch.where(rows < 30, 5.0, 0.0))

    model, _ = model_of()
    few = ITEMS.subset(torch.arange(30))
    for size in (20, 100):
        for term in (Rate(), 1.0 * Rate(), StickingTheLanding(500)):
            expected = goal(model, term, few)
            assert goal(model, term, First(ITEMS.raw, ITEMS.kind), size) == pytest.approx(expected, rel=0.02)


def test_nothing_is_changed_by_measuring() -> None:
    for name in ("vae", "wae_mmd", "vq_vae", "beta_tc_vae", "dreg"):
        model, objective = model_of(getattr(presets, name))
        objective.told(ITEMS)
        kept = {key: t.clone() for key, t in model.state_dict().items()}
        drawn = torch.get_rng_state()
        assert goal(model, objective, ITEMS) == goal(model, objective, ITEMS)
        assert model.training and objective.training and torch.equal(drawn, torch.get_rng_state())
        assert all(torch.equal(kept[key], t) for key, t in model.state_dict().items())


def test_the_objective_is_settled_unless_something_of_its_own_moves_it() -> None:
    critic = Adversarial(torch.nn.Linear(3, 1))
    assert settled(Distortion() + Rate()) and settled(EachAlone(Distortion() + Rate(), [1, 2]))
    assert not settled(Distortion() + critic) and not settled(Rate() + Constrained(Distortion(), 1.0))
    assert not settled(Distortion() + Balanced(Rate()))


def test_every_schedule_has_an_end_wherever_it_stands() -> None:
    target, critic = linear(0, 5, 70), Adversarial(torch.nn.Linear(3, 1), start=90)
    for term in (Capacity(target), LatentCapacity(0, target), EachAlone(Capacity(target), [1, 2])):
        assert term.finish == 70 and (Distortion() + 3.0 * term).finish == 70
    assert (linear(0, 1, 80) * Capacity(target)).finish == 80
    assert critic.finish == Balanced(critic).finish == Constrained(critic, 1.0).finish == 90
    assert Rate().finish == 0
