"""Exported graphs say what the model says, with a batch of any size, and nothing is left behind where they do not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from commands import call

import vaekit
from vaekit.distributions import center

onnxruntime = pytest.importorskip("onnxruntime")
NAMES = ("encoder", "decoder", "score")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A tiny run and its export as ONNX, by the command."""
    place = tmp_path_factory.mktemp("digits")
    run = vaekit.fit("digits", preset="conditional_vae", steps=5, latent=3, out=place / "run", quiet=True)
    done = call("export", run.path, "--format", "onnx", "--out", place / "onnx")
    assert done.code == 0, done.err
    return SimpleNamespace(run=run, place=place / "onnx", said=done.err)


def answers(path: Path, **inputs: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path).run(None, inputs)


def test_the_command_writes_three_graphs_that_say_what_the_model_says(digits) -> None:
    model, kind = digits.run.model, digits.run.kind
    batch = digits.run.items("digits").batch(torch.arange(11))
    x, c = batch.x.numpy(), batch.c.numpy()
    mean, std = answers(digits.place / "encoder.onnx", x=x, c=c)
    assert np.allclose(mean, model.encode(batch.x, batch.c).detach().numpy(), atol=1e-4)
    assert np.allclose(std, model.posterior(batch.x, batch.c)[0].q.scale.detach().numpy(), atol=1e-4)
    (made,) = answers(digits.place / "decoder.onnx", z=mean, c=c)
    assert np.allclose(
        made, center(model.decode(torch.from_numpy(mean), batch.c)).detach().numpy(), atol=1e-4
    )
    elbo, distortion, rate = answers(digits.place / "score.onnx", x=x, c=c)
    px = model.decode(torch.from_numpy(mean), batch.c)
    by_hand = -px.log_prob(batch.x).flatten(1).sum(1).detach().numpy() - kind.log_volume(batch)
    latent = model.posterior(batch.x, batch.c)[0]
    p = latent.p  # one for each label
    ratio = (std / p.scale.detach().numpy()) ** 2
    error = ((mean - p.loc.detach().numpy()) / p.scale.detach().numpy()) ** 2
    kl = 0.5 * (ratio + error - 1 - np.log(ratio)).sum(1)
    assert np.allclose(distortion, by_hand, rtol=1e-4) and np.allclose(rate, kl, rtol=1e-4, atol=1e-4)
    assert np.allclose(elbo, -(distortion + rate), rtol=1e-5)
