"""Claims of the presets for items of several parts: a digit, its label, and another picture of the same digit."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from claim_rows.shared import Claim, Figures, composed, idx, trained
from vaekit import presets
from vaekit.data import Images, Items, Parts
from vaekit.data.classes import Classes
from vaekit.distributions import Noise, center
from vaekit.evaluation import evaluate
from vaekit.evaluation.features import Features, fit_classifier
from vaekit.model import VAE

SECONDS, LATENT = 36, 20
LR, BATCH = 3e-3, 64
ITEMS, TESTED = 20_000, 2_000


@lru_cache(maxsize=2)
def parts(train: bool = True) -> tuple[Items, Tensor]:
    """MNIST at half its size, its labels, and for each digit another picture of the same one, transposed."""
    name, most = ("train", ITEMS) if train else ("t10k", 2 * TESTED)
    whole = torch.from_numpy(idx(f"mnist/{name}-images-idx3-ubyte.gz")[:most].copy()).float()
    small = avg_pool2d(whole.unsqueeze(1), 2).round().to(torch.uint8)  # (N, 1, 14, 14)
    labels = torch.from_numpy(idx(f"mnist/{name}-labels-idx1-ubyte.gz")[:most].astype("int64"))
    other = torch.empty_like(labels)
    for digit in range(10):
        same = (labels == digit).nonzero().flatten()
        other[same] = same.roll(1)
    pictures = [small.permute(0, 2, 3, 1), small[other].permute(0, 3, 2, 1)]
    kind = Parts(
        {
            "image": Images(1, 14, 14, binarize="dynamic"),
            "label": Classes(10),
            "view": Images(1, 14, 14, binarize="dynamic"),
        }
    )
    values = {"image": pictures[0].numpy(), "label": labels.numpy(), "view": pictures[1].numpy()}
    return Items(kind.store(values), kind), labels


@lru_cache(maxsize=2)
def judge(name: str) -> Features:
    """A classifier of real pictures of one part."""
    items, labels = parts()
    x = items.batch(torch.arange(len(items))).x[:, items.kind.place(name)]
    return fit_classifier(x, labels, seed=0, steps=600)


def coherence(model: VAE, given: str, asked: str) -> float:
    """How often a part made from another one alone is of the same digit: draws of z, centres of p(x | z)."""
    items, labels = parts(train=False)
    batch = items.batch(torch.arange(TESTED))
    mask = torch.zeros_like(batch.x, dtype=torch.bool)
    mask[:, items.kind.place(given)] = True
    with torch.no_grad():
        out = model(batch.x, None, mask, noise=Noise(0, f"{given} {asked}"))
    made = center(out.px)[:, items.kind.place(asked)]
    told = made[:, 0].long() if asked == "label" else torch.from_numpy(judge(asked)(made)).argmax(1)
    return float((told == labels[:TESTED]).double().mean())


def measured(name: str, seed: int, seconds: float = SECONDS, **options: float) -> Figures:
    """Coherence of each part from each other one, and bounds of the joint likelihood on held-out items."""
    items, test = parts()[0], parts(train=False)[0]
    made = composed(getattr(presets, name), items.kind, seed, latent=LATENT, **options)
    model = trained(made, items, seed, seconds=seconds, lr=LR, batch_size=BATCH).model
    pairs = {f"{b}_from_{a}": coherence(model, a, b) for a, b in permutations(items.kind.parts, 2)}
    found = evaluate(model, test.subset(torch.arange(500)), samples=200)
    likely = {key: float(found[key]) for key in ("elbo", "rate", "distortion", "nll")}
    return {"coherence": sum(pairs.values()) / len(pairs), "least": min(pairs.values()), **pairs, **likely}


def poe(seed: int) -> Figures:
    return measured("multimodal_poe", seed)


def moe(seed: int) -> Figures:
    return measured("multimodal_moe", seed)


def mopoe(seed: int) -> Figures:
    return measured("mopoe", seed)


def mvtcae(seed: int) -> Figures:
    return measured("mvtcae", seed)


DATA = "MNIST at 14×14, dynamic: picture, label, another picture of the same digit, transposed"
SHOWN = ("coherence", "least", "label_from_image", "image_from_label", "view_from_image", "nll", "rate")
CLAIMS = [
    Claim(
        "mopoe", "a part made from any other is of the same digit (≥ 0.85); whole items more likely than the mixture's",
        DATA, {"mopoe": mopoe, "mixture": moe},
        lambda f: f["mopoe"]["coherence"] >= 0.85 and f["mopoe"]["nll"] < f["mixture"]["nll"], SHOWN,
    ),
    Claim(
        "multimodal_moe", "a part made from any other is of the same digit (≥ 0.85), where the product's is not", DATA,
        {"mixture": moe, "product": poe},
        lambda f: f["mixture"]["coherence"] >= max(0.85, f["product"]["coherence"] + 0.1), SHOWN,
    ),
    Claim(
        "mvtcae", "whole items are the most likely of all four's", DATA,
        {"mvtcae": mvtcae, "mopoe": mopoe, "mixture": moe, "product": poe},
        lambda f: f["mvtcae"]["nll"] == min(arm["nll"] for arm in f.values()), SHOWN,
    ),
    Claim(
        "multimodal_poe", "whole items are more likely than the mixture's", DATA, {"product": poe, "mixture": moe},
        lambda f: f["product"]["nll"] < f["mixture"]["nll"], SHOWN,
    ),
]  # fmt: skip
