"""Commands that make a run: demo, train, fit-prior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import RunPath, Seed, SourcePath, Sources, command, open_run
from vaekit.errors import UsageError
from vaekit.progress import described
from vaekit.words import assigned, joined, named_options


@command("demo")
def demo(
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/digits"), quiet: bool = False
) -> dict[str, Any]:
    """Train on the handwritten digits that come with scikit-learn, write a report, say what to do next."""
    from vaekit.launch import fit

    run = fit("digits", out=out, steps=2_000, quiet=quiet)
    text = f"""
report:  {run.path}/report.html   (open it in a browser)
next:    vaekit sample {run.path} --n 64 --out samples.png
         vaekit traverse {run.path} --out traversal.png
         vaekit evaluate {run.path} digits
         vaekit train FOLDER-OF-IMAGES"""
    return {**_trained(run), "text": described(_trained(run)) + "\n" + text}


@command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=Sources)] = "",
    preset: Annotated[
        str | None, typer.Option(help="The variant; `vaekit presets` lists them. [vae]")
    ] = None,
    latent: Annotated[int | None, typer.Option(help="Latent dimensions.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many optimizer steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Or for so many passes over the data.")] = None,
    time: Annotated[str | None, typer.Option(help="Or for so long: 90s, 5m, 1h30m.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of a step. [128]")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate. [0.002]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, data order and noise. [0]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda. [auto]")] = None,
    labels: Annotated[
        str | None, typer.Option(help="`folders`, columns of a table, or an array of an .npz.")
    ] = None,
    val: Annotated[str | None, typer.Option(help="Held-out data; otherwise a tenth is held out.")] = None,
    key: Annotated[str | None, typer.Option(help="Which array of an .npz.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="images, vectors, table, counts, sequences or parts. [auto]")
    ] = None,
    likelihood: Annotated[
        str | None, typer.Option(help="The family of p(x|z), or noise: gaussian:25. [auto]")
    ] = None,
    binarize: Annotated[str | None, typer.Option(help="none, threshold or dynamic. [auto]")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Bring every image to N x N: resize, then crop.")
    ] = None,
    patch: Annotated[int | None, typer.Option(help="Train on squares of N x N, cut from the images.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder. [runs/<name of the source>]")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="beta=4 for the preset, train.clip=100 for training.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A config.yaml; what is given beside it wins.")] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="Show the records in tensorboard, mlflow or wandb as they come.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Start again even if there is a run.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what the data are and stop.")] = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train a model on data. The same command goes on with an unfinished run.

    A preset's own options are given by name: --preset beta_vae --beta 4.
    """
    from vaekit import config as configuration
    from vaekit.launch import configure, fit

    given = dict(
        preset=preset, latent=latent, steps=steps, epochs=epochs, time=time, batch_size=batch_size, lr=lr, seed=seed,
        device=device, labels=labels, val=val, key=key, kind=kind, likelihood=likelihood, binarize=binarize,
        image_size=image_size, patch=patch,
    )  # fmt: skip
    written = {} if config is None else configuration.read(config)
    if any(word is not None for word in (steps, epochs, time)):
        written = {name: value for name, value in written.items() if name not in ("steps", "epochs", "time")}
    options = {**written, **{name: value for name, value in given.items() if value is not None}}
    options |= named_options(context.args) | joined(assigned(text) for text in set_ or [])
    source = source or options.pop("source", "")
    options.pop("source", None)
    if not source:
        raise UsageError("E103", "there is nothing to train on.", hint="vaekit train SOURCE")
    if dry_run:
        return _card(source, configure(source, options))
    run = fit(source, out=out, fresh=fresh, quiet=quiet, minimum=20, track=track, **options)
    from vaekit.report.words import advice

    notes = [f"note: {sentence}" for sentence in advice(run.facts, run.history, {}, source)]
    text = "\n".join([described(_trained(run)), *notes, f"report:  {run.path}/report.html"])
    return {**_trained(run), "text": text}


def _trained(run: Any) -> dict[str, Any]:
    facts = run.facts
    names = ("steps", "seconds", "status")
    return {
        "path": str(run.path),
        **{name: facts.get(name) for name in names},
        "elbo": run.metrics.get("elbo"),
    }


def _card(source: str, config: Any) -> dict[str, Any]:
    from vaekit.prepare import compose, prepare

    data = prepare(source, config, minimum=20)
    model, objective = compose(data.kind, config, config.steps or 1_000)
    size = sum(p.numel() for p in model.parameters())
    text = "\n".join([*data.said, f"objective: {objective!r}", f"parameters: {size}"])
    return {"card": data.card, "objective": repr(objective), "parameters": size, "text": text}


@command("fit-prior")
def fit_prior(
    run: RunPath,
    source: SourcePath,
    prior: Annotated[
        str, typer.Option(help="mixture, flow, diffusion, vae (two-stage), or autoregressive for codes.")
    ] = "diffusion",
    steps: Annotated[int | None, typer.Option(min=1, help="Fit for so many optimizer steps. [10000]")] = None,
    time: Annotated[str | None, typer.Option(help="Or for so long: 90s, 5m.")] = None,
    components: Annotated[int, typer.Option(min=1, help="Of a mixture.")] = 10,
    seed: Seed = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Fit a prior to a trained model's latents: samples get better, rates smaller. SOURCE is what it was trained on."""
    from vaekit.config import seconds

    if steps is not None and time is not None:
        raise UsageError("E103", "steps and time exclude each other.", hint="give one of them")
    given = None if time is None else seconds(time)
    return open_run(run).fit_prior(
        source, prior, quiet, steps=steps, time=given, components=components, seed=seed
    )
