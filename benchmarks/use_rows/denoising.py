"""Denoising: pictures learned from nothing but noisy ones, beside BM3D and a blind-spot network.

Sizes, steps and learning rates of ours were chosen by the PSNR of the Gaussian rows' seed 0, and that each posterior is
improved by some steps after the first row of photons. Gradients are clipped since seed 1 of that row, where training
without it ended 90 nats a square worse.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from use_rows.shared import DATA, Figures, Row

SIGMA, PEAK = 25.0, 30.0  # of 0..255; photons at white
# share of pixels that are hidden from the blind-spot network at each step; its authors hide 0.2 %
MASKED = 0.02
NUCLEI, FASHION = 6, 60  # pictures of the test sets that are denoised

Pictures = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # noisy ones to learn from; clean and noisy ones of the test


def nuclei() -> tuple[np.ndarray, np.ndarray]:
    """Clean pictures (110, 256, 256) and (6, 256, 256), 0..255."""
    folder = DATA / "nuclei-microscopy"
    parts = (np.load(folder / f"nuclei_256_{part}.npz")["images"] for part in ("train", "test"))
    train, test = (part.astype(np.float32) for part in parts)
    return train, test[:NUCLEI]


def fashion() -> tuple[np.ndarray, np.ndarray]:
    """Clean pictures (20000, 28, 28) and (60, 28, 28), 0..255."""
    from vaekit.data import read

    folder = DATA / "fashion-mnist"
    train, test = (read(folder / f"{part}-images-idx3-ubyte.gz").values for part in ("train", "t10k"))
    return train[:20_000].astype(np.float32), test[:FASHION].astype(np.float32)


def gaussian(clean: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Not clipped: a camera's file would be another noise."""
    return clean + SIGMA * random.standard_normal(clean.shape).astype(np.float32)


def poisson(clean: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return (random.poisson(clean / 255 * PEAK) * (255 / PEAK)).astype(np.float32)


def made(clean: Callable[[], tuple[np.ndarray, np.ndarray]], noise: Callable, seed: int) -> Pictures:
    """The same noise for every arm of a seed; what is to be denoised is learned from too, as it can be in use."""
    random = np.random.default_rng(seed)
    train, test = clean()
    others, noisy = noise(train, random), noise(test, random)
    return np.concatenate([others, noisy]), test, noisy


def figures(clean: np.ndarray, found: np.ndarray, spread: np.ndarray | None = None) -> Figures:
    """PSNR in dB, the mean over pictures, found values clipped to 0..255; how well the spread tells the error."""
    found = found.clip(0, 255)
    errors = [float(np.mean((a - b) ** 2)) for a, b in zip(clean, found, strict=True)]
    told = {"psnr": float(np.mean([10 * np.log10(255**2 / error) for error in errors]))}
    if spread is None:
        return told
    wrong = np.abs(clean - found)
    each = [np.corrcoef(s.ravel(), e.ravel())[0, 1] for s, e in zip(spread, wrong, strict=True)]
    told["spread_error_correlation"] = float(np.corrcoef(spread.ravel(), wrong.ravel())[0, 1])
    told["within_pictures"] = float(np.mean(each))
    told["spread_over_rmse"] = float(np.sqrt(np.mean(spread**2)) / np.sqrt(np.mean(errors)))
    return told


# ---------------------------------------------------------------------- arms


def ours(
    pictures: Pictures,
    noise: str,
    seed: int,
    steps: int,
    layers: int,
    lr: float,
    patch: int = 0,
    refined: int = 0,
) -> Figures:
    """What `vaekit train` with `top_down_vae`, `--likelihood NOISE` and `--patch` trains, then what `denoise` does."""
    from vaekit import presets
    from vaekit.data import detect, read
    from vaekit.data.patches import patches
    from vaekit.distributions import Noise
    from vaekit.training import Adam, fit, warm_cosine
    from vaekit.uses.denoising import denoise

    train, clean, noisy = pictures
    train = patches(train, patch) if patch else train
    kind, _ = detect(read(train), likelihood=noise)
    with Noise(seed, "weights").torch():
        model, objective = presets.top_down_vae(
            kind, latent=8, layers=layers, width=192, warmup=steps // 4, convolutional=True
        )
    # clipped as `vaekit train` does: the first steps on photons have gradients a hundred times those of later ones
    optimizer = Adam(lr, clip=20 * math.sqrt(math.prod(kind.shape)))
    options = {"steps": steps, "batch_size": 16, "decay": warm_cosine, "seed": seed}
    fit(model, objective, kind.encode(kind.store(train)).x, optimizer=optimizer, **options)
    found = denoise(model, kind, noisy, samples=30, steps=refined, seed=seed)
    return figures(clean, found.mean, found.std)


def bm3d(pictures: Pictures, sigma: float | None) -> Figures:
    """Told the true σ; of photons, between Anscombe's transform and its exact unbiased inverse (Mäkitalo, Foi 2011)."""
    from bm3d import bm3d as run

    _, clean, noisy = pictures
    if sigma is not None:
        return figures(clean, np.stack([run(y, sigma) for y in noisy]))
    stable = 2 * np.sqrt(noisy / 255 * PEAK + 3 / 8)
    least = 2 * np.sqrt(3 / 8)
    d = np.stack([run(y, 1.0) for y in stable]).clip(least)
    counts = d**2 / 4 + np.sqrt(1.5) / (4 * d) - 11 / (8 * d**2) + 5 * np.sqrt(1.5) / (8 * d**3) - 1 / 8
    return figures(clean, counts.clip(0) * 255 / PEAK)


def blind_spot(pictures: Pictures, seed: int, seconds: float) -> Figures:
    """Noise2Void (Krull, Buchholz, Jug 2019): a U-Net of depth 2 learns pixels from their surroundings."""
    import torch

    train, clean, noisy = pictures
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    center, scale = float(train.mean()), float(train.std())
    data = torch.from_numpy((train - center) / scale).unsqueeze(1)
    net = u_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    began = time.process_time()
    while (done := (time.process_time() - began) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * done))
        y = crops(data, random)
        seen, hidden = masked(y, random)
        error = (net(seen) - y)[hidden]
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        parts = torch.from_numpy((noisy - center) / scale).unsqueeze(1).split(10)
        found = torch.cat([net(part) for part in parts])[:, 0].numpy() * scale + center
    return figures(clean, found)


def u_net() -> object:
    """Depth 2, 32 channels at first, batch normalisation: the layout of its authors."""
    import torch
    from torch import nn

    def twice(a: int, b: int) -> nn.Module:
        layers = []
        for width in (a, b):
            layers += [nn.Conv2d(width, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = twice(1, 32), twice(32, 64), twice(64, 128)
            self.d, self.e, self.last = twice(128 + 64, 64), twice(64 + 32, 32), nn.Conv2d(32, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            down, up = nn.functional.max_pool2d, nn.Upsample(scale_factor=2)
            a = self.a(x)
            b = self.b(down(a, 2))
            c = self.c(down(b, 2))
            d = self.d(torch.cat([up(c), b], 1))
            return self.last(self.e(torch.cat([up(d), a], 1)))

    return UNet()


def crops(data, random):  # type: ignore[no-untyped-def]
    """(16, 1, 64, 64) from large pictures, (64, 1, 28, 28) of small ones; turned and flipped."""
    import torch

    side = min(64, data.shape[-1])
    rows = random.integers(len(data), size=16 if side == 64 else 64)
    top, left = random.integers(data.shape[-1] - side + 1, size=(2, len(rows)))
    cut = [data[i, :, a : a + side, b : b + side] for i, a, b in zip(rows, top, left, strict=True)]
    turned = torch.rot90(torch.stack(cut), int(random.integers(4)), (2, 3))
    return turned.flip(3) if random.integers(2) else turned


def masked(y, random):  # type: ignore[no-untyped-def]
    """Some pixels replaced by neighbours from the 5 × 5 around them, and where they are."""
    import torch

    hidden = torch.from_numpy(random.random(y.shape) < MASKED)
    n, _, row, column = hidden.nonzero(as_tuple=True)
    moves = random.integers(24, size=len(n))  # of 25 places, never the middle one
    moves = np.where(moves < 12, moves, moves + 1)
    down, right = (torch.from_numpy(m) for m in (moves // 5 - 2, moves % 5 - 2))
    side = y.shape[-1] - 1
    seen = y.clone()
    seen[hidden] = y[n, 0, (row + down).clamp(0, side), (column + right).clamp(0, side)]
    return seen, hidden


LARGE = {"patch": 64, "layers": 5, "steps": 800, "lr": 2e-3, "refined": 30}
SMALL = {"layers": 8, "steps": 2_000, "lr": 3e-3, "refined": 100}
# of computing that the blind-spot network learns for: what ours take
SECONDS = {nuclei: 190.0, fashion: 270.0}


def arms(name: str, clean: Callable, noise: Callable) -> dict[str, Callable[[int], Figures]]:
    """The four arms of a row, each a named function of a seed."""
    known = f"gaussian:{SIGMA:g}" if noise is gaussian else f"poisson:{PEAK:g}"
    options = LARGE if clean is nuclei else SMALL
    found = {
        "vaekit": lambda seed: ours(made(clean, noise, seed), known, seed, **options),
        "BM3D, told the noise": lambda seed: bm3d(
            made(clean, noise, seed), SIGMA if noise is gaussian else None
        ),
        "blind spot (Noise2Void)": lambda seed: blind_spot(made(clean, noise, seed), seed, SECONDS[clean]),
        "noisy": lambda seed: noisy_itself(made(clean, noise, seed)),
    }
    for arm, word in zip(found.values(), ("ours", "bm3d", "blind_spot", "noisy"), strict=True):
        arm.__name__ = f"{name}_{word}"
    return found


def noisy_itself(pictures: Pictures) -> Figures:
    return figures(pictures[1], pictures[2])


GOALS = {
    "within 1 dB of BM3D": lambda f: f["vaekit"]["psnr"] >= f["BM3D, told the noise"]["psnr"] - 1,
    "above the blind-spot network": lambda f: f["vaekit"]["psnr"] > f["blind spot (Noise2Void)"]["psnr"],
    "spread and error correlate, > 0.5": lambda f: f["vaekit"]["spread_error_correlation"] > 0.5,
}
SAYS = {
    nuclei: "116 noisy pictures of 256 × 256 to learn from, 6 of them compared with clean ones",
    fashion: "20 060 noisy pictures of 28 × 28 to learn from, 60 of them compared with clean ones",
}
KINDS = {
    gaussian: f"Gaussian noise, σ {SIGMA:g} of 255",
    poisson: f"Poisson noise, {PEAK:g} photons at white",
}

ROWS = [
    Row(
        f"Denoising {clean.__name__}: {KINDS[noise]}",
        f"{SAYS[clean]}. PSNR: mean over pictures, clipped to 0..255, which the noise is not. No arm saw a clean "
        f"picture. The blind-spot network is ours, in plain torch, and learns for {SECONDS[clean]:g} s of computing.",
        arms(f"{clean.__name__}_{noise.__name__}", clean, noise),
        ("psnr", "spread_error_correlation", "within_pictures", "spread_over_rmse"),
        GOALS,
    )
    for clean in (nuclei, fashion)
    for noise in (gaussian, poisson)
]
