"""Claims of the presets that are given labels, or find them."""

from __future__ import annotations

import torch

from claim_rows.shared import Claim, Figures, composed, pictures, trained
from vaekit import presets
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Kind
from vaekit.data.images import Binarize
from vaekit.distributions import Gaussian, Noise
from vaekit.evaluation.features import fit_classifier
from vaekit.model import VAE
from vaekit.objectives import Distortion, Rate
from vaekit.objectives.labelled import LabelLoss
from vaekit.operations.classify import class_probabilities
from vaekit.presets.labelled import labelled, semi_supervised_vae
from vaekit.presets.preset import FEATURES, Preset, around
from vaekit.priors import StandardNormal

STEPS, EACH = 1_200, 10  # of training; labels of each class
ASKED = 100  # new pictures of each label
CONDITIONAL_STEPS = 1_500


def digits(known: torch.Tensor, binarize: Binarize = "dynamic") -> Items:
    """MNIST with the labels that are known; −1 where they are not."""
    return Items(pictures()[0].raw, digit_kind(binarize), known)


def digit_kind(binarize: Binarize = "dynamic") -> Images:
    names = tuple(str(digit) for digit in range(10))
    return Images(1, 28, 28, binarize=binarize, labels=names, frequencies=(0.1,) * 10, conditional=True)


def truth(train: bool = True) -> torch.Tensor:
    """The labels of all pictures, (N,)."""
    return torch.from_numpy(pictures(train=train)[1].copy()).long()


def few(seed: int) -> Items:
    """MNIST with the labels of ten pictures of each class, the others unknown."""
    labels = truth()
    order = Noise(seed, "labels").permutation(len(labels))
    chosen = torch.cat([order[labels[order] == digit][:EACH] for digit in range(10)])
    known = torch.full_like(labels, -1)
    known[chosen] = labels[chosen]
    return digits(known, "threshold")  # bits that are drawn anew each time hide the few labels' digits


@torch.no_grad()
def accuracy(model: VAE) -> Figures:
    """The share of the test pictures whose most probable class is theirs."""
    test = Items(pictures(train=False)[0].raw, digit_kind("threshold"))
    found = class_probabilities(model, test.batch(torch.arange(len(test))).x).argmax(1)
    return {"accuracy": float((found == truth(train=False)).float().mean())}


def semi_supervised(seed: int) -> Figures:
    """All pictures and 100 labels."""
    items = few(seed)
    made = composed(semi_supervised_vae, items.kind, seed, warmup=STEPS // 2)
    return accuracy(trained(made, items, seed, steps=STEPS).model)


def _supervised(kind: Kind) -> Preset:
    """The same classifier by its labels alone."""
    return Preset(labelled(kind, 16), 1.0 * LabelLoss(kind.shape, 10))


def supervised(seed: int) -> Figures:
    """The 100 pictures with labels alone."""
    items = few(seed)
    known = torch.as_tensor(items.labels) >= 0
    items = items.subset(known.nonzero().squeeze(1))
    return accuracy(
        trained(composed(_supervised, items.kind, seed), items, seed, steps=1_000, batch_size=100).model
    )


def _unshaped(kind: Kind) -> Preset:
    """M2 as it was published: the bound and the labels' loss, without the terms on the classifier's shape."""
    return Preset(labelled(kind, 16), 0.1 * (Distortion() + Rate()) + 20.0 * LabelLoss(kind.shape, 10))


def published(seed: int) -> Figures:
    """All pictures and 100 labels, by the bound and the labels' loss alone."""
    items = few(seed)
    return accuracy(trained(composed(_unshaped, items.kind, seed), items, seed, steps=STEPS).model)


# --- a label asked for


@torch.no_grad()
def obeyed(model: VAE, seed: int, conditional: bool = True) -> Figures:
    """The share of new pictures that a classifier of real ones takes for the label asked for; −ELBO of the test set."""
    items, asked = digits(truth()), torch.arange(10).repeat_interleave(ASKED)
    kind, test = digit_kind(), pictures(train=False)[0]
    real = items.batch(torch.arange(10_000), Noise(0, "real"))
    with torch.enable_grad():
        judge = fit_classifier(real.x.flatten(1), truth()[:10_000], seed)
    c = kind.condition(asked) if conditional else None
    new = model.sample(len(asked), c, noise=Noise(seed, "new"), mean=True)
    agreed = (judge(new).argmax(1) == asked.numpy()).mean()
    x = test.batch(torch.arange(2_000), Noise(0, "test")).x
    known = kind.condition(truth(train=False)[:2_000]) if conditional else None
    out = model(x, known, noise=Noise(0, "bound"))
    return {"agreement": float(agreed), "elbo": -float((out.distortion + out.rate).mean())}


def conditional(seed: int) -> Figures:
    items = digits(truth())
    made = composed(presets.conditional_vae, items.kind, seed)
    return obeyed(trained(made, items, seed, steps=CONDITIONAL_STEPS).model, seed)


def conditional_stack(seed: int) -> Figures:
    items = digits(truth())
    made = composed(presets.conditional_top_down_vae, items.kind, seed)
    return obeyed(trained(made, items, seed, steps=CONDITIONAL_STEPS).model, seed)


def unconditional(seed: int) -> Figures:
    items = pictures()[0]
    made = composed(presets.vae, items.kind, seed)
    return obeyed(trained(made, items, seed, steps=CONDITIONAL_STEPS).model, seed, conditional=False)


def _fixed_prior(kind: Kind) -> Preset:
    """The same with p(z) = N(0, I) whatever the label."""
    posterior = Conditional(torch.nn.Linear(FEATURES, Gaussian().size(16)), Gaussian())
    model = around(kind, 16, Variational(posterior, StandardNormal(16)), condition=10)
    return Preset(model, Distortion() + Rate())


def fixed_prior(seed: int) -> Figures:
    items = digits(truth())
    return obeyed(
        trained(composed(_fixed_prior, items.kind, seed), items, seed, steps=CONDITIONAL_STEPS).model, seed
    )


CLAIMS = [
    Claim(
        "semi_supervised_vae", "100 labels suffice for more than 93 % of the test pictures", "MNIST, threshold",
        {"semi-supervised": semi_supervised, "the 100 alone": supervised, "bound and labels alone": published},
        lambda f: f["semi-supervised"]["accuracy"] > max(0.93, f["the 100 alone"]["accuracy"] + 0.1), ("accuracy",),
    ),
    Claim(
        "conditional_vae", "new pictures have the label asked for", "MNIST, dynamic",
        {"conditional": conditional, "vae": unconditional, "p(z) = N(0, I)": fixed_prior},
        lambda f: f["conditional"]["agreement"] > 0.9 > f["p(z) = N(0, I)"]["agreement"] > f["vae"]["agreement"]
        and f["conditional"]["elbo"] > f["p(z) = N(0, I)"]["elbo"], ("agreement", "elbo"),
    ),
    Claim(
        "conditional_top_down_vae", "new pictures have the label asked for (the ELBO of one variable beside its own)",
        "MNIST, dynamic",
        {"stack": conditional_stack, "vae": unconditional, "one variable (conditional_vae)": conditional},
        lambda f: f["stack"]["agreement"] > 0.9 > f["vae"]["agreement"], ("agreement", "elbo"),
    ),
]  # fmt: skip
