"""The command that measures a model: evaluate."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vaekit.cli.app import RunPath, Seed, SourcePath, command, open_run
from vaekit.errors import UsageError
from vaekit.progress import described


@command("evaluate")
def evaluate(
    run: RunPath,
    source: SourcePath,
    samples: Annotated[int, typer.Option(min=1, help="Draws for each item's likelihood.")] = 500,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many items.")] = None,
    bound: Annotated[
        bool,
        typer.Option("--bound", help="How tight: ELBO, bounds of more and more draws, annealed sampling."),
    ] = False,
    curve: Annotated[bool, typer.Option("--curve", help="The rate-distortion curve of the decoder.")] = False,
    seed: Seed = 0,
) -> dict[str, Any]:
    """ELBO, rate, distortion, −log p(x) by importance sampling, bits per dimension, active units; nats per datum."""
    opened = open_run(run)
    items = opened.items(source)
    seen = opened.seen(source, len(items))
    if limit is not None:
        import torch

        items = items.subset(torch.arange(min(limit, len(items))))
    if bound and curve:
        raise UsageError("E103", "--bound and --curve exclude each other.", hint="give one of them")
    if bound:
        return _bounds(opened.bounds(items, samples, seed))
    if curve:
        return _curve(opened.curve(items, seed))
    found = opened.evaluate(items, samples, seed)
    return {**found, "text": "\n".join([described(found), *seen])}


def _bounds(found: dict[str, Any]) -> dict[str, Any]:
    """Bounds as lines, each above the last."""
    rows = [("ELBO", found["elbo"], found["elbo_se"])]
    rows += [
        (f"IWAE, {k} draws", value, error)
        for k, value, error in zip(found["samples"], found["iwae"], found["iwae_se"], strict=True)
    ]
    if found["ais"] is not None:
        rows += [(f"annealed, {found['chains']} chains", found["ais"], found["ais_se"])]
    lines = [f"{name:24} {value:10.2f}  ± {error or 0:.2f}" for name, value, error in rows]
    lines += [f"no annealed estimate: {found['without']}"] if found["without"] else []
    return {**found, "text": "\n".join([f"log p(x) is at least (nats, mean of {found['n']})", *lines])}


def _curve(found: dict[str, Any]) -> dict[str, Any]:
    """The curve as lines, and the encoder's own point."""
    points = zip(found["beta"], found["rate"], found["distortion"], strict=True)
    lines = [f"{beta:10.3g} {rate:10.2f} {distortion:12.2f}" for beta, rate, distortion in points]
    own = f"{'encoder':>10} {found['encoder_rate']:10.2f} {found['encoder_distortion']:12.2f}"
    head = f"{'beta':>10} {'rate':>10} {'distortion':>12}   (nats, mean of {found['n']})"
    return {**found, "text": "\n".join([head, *lines, own])}
