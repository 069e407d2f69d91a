"""Commands that make items or codes: sample, reconstruct, interpolate, traverse, encode, decode, classify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, Seed, SourcePath, command, open_run, tabular, written
from vaekit.errors import UsageError
from vaekit.progress import described
from vaekit.words import conditions


@command("sample")
def sample(
    run: RunPath,
    out: Out,
    n: Annotated[int, typer.Option(min=1, help="How many.")] = 16,
    seed: Seed = 0,
    temperature: Annotated[float, typer.Option(min=0, help="Spread of the prior.")] = 1.0,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="label=NAME of a conditional model; COLUMN=VALUE or 'age>=60' of a table, once for each."
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            help="Of a table: 'age >= 18', 'first_day <= last_day', 'unique name, city'; again and again."
        ),
    ] = None,
    draw: Annotated[
        bool | None,
        typer.Option("--draw/--mean", help="Draws from p(x|z), or its means. [as suits the kind]"),
    ] = None,
) -> dict[str, Any]:
    """New items from the model; every row of a table is as --where and --constraint say."""
    from vaekit import outputs
    from vaekit.data import Table
    from vaekit.data.wanted import spelled

    opened, mean = open_run(run), None if draw is None else not draw
    if not isinstance(opened.kind, Table) and not constraint:
        return written(opened, opened.sample_x(n, seed, temperature, conditions(where), mean), out)
    asked = conditions([spelled(opened.kind, text) for text in where or []])
    made = opened.synthesis(seed, temperature, asked, mean, constraint or [])
    outputs.write_blocks(out, made.blocks(n), opened.kind)
    tally = made.tally
    found: dict[str, Any] = {"n": tally.rows, "out": str(out)}
    if tally.drawn > tally.rows and made.constraints:
        found["drawn"] = tally.drawn
    shown = dict(found)
    if tally.proposed:
        found |= {"proposed": tally.proposed, "effective": round(tally.effective, 1)}
        shown |= {"effective": round(tally.effective)} if tally.effective < n else {}
    return {**found, "text": described(shown) + (f"\nnote: {tally.note}" if tally.note else "")}


@command("reconstruct")
def reconstruct(run: RunPath, source: SourcePath, out: Out) -> dict[str, Any]:
    """Each item as the model sees it; as a picture, originals above their reconstructions."""
    import torch

    from vaekit.data import Batch

    opened = open_run(run)
    x, found = opened.reconstruct_x(source)
    if out.suffix.lower() not in _pictures():
        return written(opened, found, out)
    made = found.x
    wide = min(8, len(x))
    blank = torch.ones(-min(len(x), 64) % wide, *x.shape[1:])  # the last row is filled up with white
    shown = [torch.cat([part[:64], blank]).split(wide) for part in (x, made)]
    pairs = [row for both in zip(*shown, strict=True) for row in both]
    return {**written(opened, Batch(torch.cat(pairs)), out, columns=wide), "n": len(x)}


@command("interpolate")
def interpolate(
    run: RunPath,
    a: Annotated[str, typer.Argument(metavar="A", help="A file, or SOURCE#row.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.", show_default=False)],
    out: Out,
    steps: Annotated[int, typer.Option(min=2, help="Points of the line, both ends included.")] = 9,
) -> dict[str, Any]:
    """The line between the codes of two items, decoded."""
    opened = open_run(run)
    return written(opened, opened.interpolate_x(a, b, steps), out, columns=steps)


@command("traverse")
def traverse(
    run: RunPath,
    out: Out,
    steps: Annotated[int, typer.Option(min=2, help="Points of each walk.")] = 9,
) -> dict[str, Any]:
    """One latent dimension at a time from −3 to 3, the most used first, a row each."""
    opened = open_run(run)
    return written(opened, opened.traverse_x(steps=steps), out, columns=steps)


@command("encode")
def encode(run: RunPath, source: SourcePath, out: Out) -> dict[str, Any]:
    """Latent codes: mean and standard deviation of q(z|x) for each item, or its codes in a codebook."""
    from vaekit import outputs

    opened = open_run(run)
    mean, std = opened.encode(source, return_std=True)
    if out.suffix.lower() in (".npz", ".npy"):
        outputs.write_arrays(out, {"mean": mean, "std": std})
    elif opened.model.bottleneck.discrete:
        codes = {f"code_{d}": mean[:, d].astype(int) for d in range(mean.shape[1])}
        outputs.write_table(tabular(out), codes)
    else:
        columns = {f"mean_{d}": mean[:, d] for d in range(mean.shape[1])}
        columns |= {f"std_{d}": std[:, d] for d in range(mean.shape[1])}
        outputs.write_table(tabular(out), columns)
    return {"n": len(mean), "latent": mean.shape[1], "out": str(out)}


@command("classify")
def classify(run: RunPath, source: SourcePath, out: Out) -> dict[str, Any]:
    """Each item's most probable label and the probability of every one, by a model that finds labels."""
    from vaekit import outputs

    opened = open_run(run)
    found, labels = opened.classify(source), opened.kind.labels
    columns = {f"p_{name}": found[:, i] for i, name in enumerate(labels)}
    outputs.write_table(tabular(out), {"label": [labels[i] for i in found.argmax(1)], **columns})
    return {"n": len(found), "labels": len(labels), "out": str(out)}


@command("decode")
def decode(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `encode` wrote.", show_default=False)],
    out: Out,
) -> dict[str, Any]:
    """Items from latent codes."""
    import numpy as np

    from vaekit import outputs

    table = outputs.read_table(file)
    columns = [name for name in table if name.startswith(("mean_", "code_"))]
    if "mean" not in table and not columns:
        raise UsageError(
            "E103", f"there are no codes (mean, or mean_0 …) in it: {', '.join(table)}.", where=file
        )
    z = (
        table["mean"]
        if "mean" in table
        else np.stack([table[name].astype(np.float32) for name in columns], 1)
    )
    opened = open_run(run)
    return written(opened, opened.decode_x(z), out)


def _pictures() -> tuple[str, ...]:
    from vaekit.outputs import PICTURES

    return PICTURES
