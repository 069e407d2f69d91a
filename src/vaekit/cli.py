"""The command line: each command is a function, its signature its options. Nothing heavy is imported before it runs."""

from __future__ import annotations

import functools
import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from vaekit import border, files
from vaekit.errors import UsageError, nearest
from vaekit.progress import described
from vaekit.words import assigned, conditions, joined, named_options

app = typer.Typer(
    name="vaekit",
    help="Variational autoencoders: point it at data, get a trained model, its report, and everything it is good for.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: drawing boxes would double the time to the first word
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
Sources = (
    "A folder of images, a table (.csv, .parquet, .xlsx), lines (.txt), .npy, .npz, .mtx, IDX, or digits."
)
SourcePath = Annotated[str, typer.Argument(metavar="SOURCE", help=Sources, show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="Where to write; the suffix says what.", show_default=False)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]


command = functools.partial(border.command, app)


# ---------------------------------------------------------------------- training


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
    likelihood: Annotated[str | None, typer.Option(help="The family of p(x|z). [auto]")] = None,
    binarize: Annotated[str | None, typer.Option(help="none, threshold or dynamic. [auto]")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Bring every image to N x N: resize, then crop.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder. [runs/<name of the source>]")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="beta=4 for the preset, train.clip=100 for training.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A config.yaml; what is given beside it wins.")] = None,
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
        image_size=image_size,
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
    run = fit(source, out=out, fresh=fresh, quiet=quiet, minimum=20, **options)
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


# ---------------------------------------------------------------------- figures


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
    opened = _open(run)
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


@command("score")
def score(
    run: RunPath,
    source: SourcePath,
    out: Out,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Flag items with a p-value up to this.")] = 0.01,
    budget: Annotated[int | None, typer.Option(min=0, help="Flag so many of the oddest instead.")] = None,
) -> dict[str, Any]:
    """How odd each item is: −ELBO, and a p-value against the held-out data."""
    from vaekit import outputs

    opened = _open(run)
    found = opened.score(source, alpha, budget)
    table = {
        "row": range(len(found.score)),
        "score": found.score,
        "p_value": found.p_value,
        "flag": found.flag,
    }
    if out.suffix.lower() == ".npz":
        outputs.write_arrays(out, {name: _array(column) for name, column in table.items()})
    else:
        outputs.write_table(_tabular(out), table)
    result = {"n": len(found.score), "flagged": int(found.flag.sum()), "alpha": alpha, "out": str(out)}
    least = 1 / (1 + len((opened.about.get("calibration") or {}).get("scores") or []))
    notes = opened.seen(source, len(found.score))
    if budget is None and least > alpha:
        notes.append(
            f"note: so few were held out that no p-value is below {least:.2g}: --alpha {least:.2g} or --budget N"
        )
    return {**result, "text": "\n".join([described(result), *notes])}


# ---------------------------------------------------------------------- items


@command("sample")
def sample(
    run: RunPath,
    out: Out,
    n: Annotated[int, typer.Option(min=1, help="How many.")] = 16,
    seed: Seed = 0,
    temperature: Annotated[float, typer.Option(min=0, help="Spread of the prior.")] = 1.0,
    where: Annotated[
        list[str] | None,
        typer.Option(help="label=NAME, or COLUMN=VALUE of a table, for a conditional model."),
    ] = None,
    draw: Annotated[
        bool | None,
        typer.Option("--draw/--mean", help="Draws from p(x|z), or its means. [as suits the kind]"),
    ] = None,
) -> dict[str, Any]:
    """New items from the model."""
    opened = _open(run)
    x = opened.sample_x(n, seed, temperature, conditions(where), None if draw is None else not draw)
    return _written(opened, x, out)


@command("reconstruct")
def reconstruct(run: RunPath, source: SourcePath, out: Out) -> dict[str, Any]:
    """Each item as the model sees it; as a picture, originals above their reconstructions."""
    import torch

    from vaekit.data import Batch

    opened = _open(run)
    x, found = opened.reconstruct_x(source)
    if out.suffix.lower() not in _pictures():
        return _written(opened, found, out)
    made = found.x
    wide = min(8, len(x))
    blank = torch.ones(-min(len(x), 64) % wide, *x.shape[1:])  # the last row is filled up with white
    shown = [torch.cat([part[:64], blank]).split(wide) for part in (x, made)]
    pairs = [row for both in zip(*shown, strict=True) for row in both]
    return {**_written(opened, Batch(torch.cat(pairs)), out, columns=wide), "n": len(x)}


@command("interpolate")
def interpolate(
    run: RunPath,
    a: Annotated[str, typer.Argument(metavar="A", help="A file, or SOURCE#row.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.", show_default=False)],
    out: Out,
    steps: Annotated[int, typer.Option(min=2, help="Points of the line, both ends included.")] = 9,
) -> dict[str, Any]:
    """The line between the codes of two items, decoded."""
    opened = _open(run)
    return _written(opened, opened.interpolate_x(a, b, steps), out, columns=steps)


@command("traverse")
def traverse(
    run: RunPath,
    out: Out,
    steps: Annotated[int, typer.Option(min=2, help="Points of each walk.")] = 9,
) -> dict[str, Any]:
    """One latent dimension at a time from −3 to 3, the most used first, a row each."""
    opened = _open(run)
    return _written(opened, opened.traverse_x(steps=steps), out, columns=steps)


@command("encode")
def encode(run: RunPath, source: SourcePath, out: Out) -> dict[str, Any]:
    """Latent codes: mean and standard deviation of q(z|x) for each item, or its codes in a codebook."""
    from vaekit import outputs

    opened = _open(run)
    mean, std = opened.encode(source, return_std=True)
    if out.suffix.lower() in (".npz", ".npy"):
        outputs.write_arrays(out, {"mean": mean, "std": std})
    elif opened.model.bottleneck.discrete:
        codes = {f"code_{d}": mean[:, d].astype(int) for d in range(mean.shape[1])}
        outputs.write_table(_tabular(out), codes)
    else:
        columns = {f"mean_{d}": mean[:, d] for d in range(mean.shape[1])}
        columns |= {f"std_{d}": std[:, d] for d in range(mean.shape[1])}
        outputs.write_table(_tabular(out), columns)
    return {"n": len(mean), "latent": mean.shape[1], "out": str(out)}


@command("classify")
def classify(run: RunPath, source: SourcePath, out: Out) -> dict[str, Any]:
    """Each item's most probable label and the probability of every one, by a model that finds labels."""
    from vaekit import outputs

    opened = _open(run)
    found, labels = opened.classify(source), opened.kind.labels
    columns = {f"p_{name}": found[:, i] for i, name in enumerate(labels)}
    outputs.write_table(_tabular(out), {"label": [labels[i] for i in found.argmax(1)], **columns})
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
    opened = _open(run)
    return _written(opened, opened.decode_x(z), out)


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
    return _open(run).fit_prior(
        source, prior, quiet, steps=steps, time=given, components=components, seed=seed
    )


# ---------------------------------------------------------------------- runs


@command("report")
def report(run: RunPath) -> dict[str, Any]:
    """Write report.html again from what the run folder holds."""
    from vaekit.report import write_report

    path = write_report(run)
    return {"report": str(path)}


@command("inspect")
def inspect_(path: Annotated[Path, typer.Argument(metavar="RUN|FILE", show_default=False)]) -> dict[str, Any]:
    """What a run, model folder or weights file holds, without loading or running any of it."""
    from vaekit.inspection import inspected

    found = inspected(path)
    return {**found, "page": json_.dumps(files.finite(found), indent=1, ensure_ascii=False)}


@command("presets")
def presets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One of them, in full.")] = None,
) -> dict[str, Any]:
    """The named variants: authors, year, what each is for, its objective."""
    from vaekit.presets import about

    found = about()
    if name is not None:
        known = {entry["name"]: entry for entry in found}
        if name not in known:
            raise UsageError("E101", f"there is no preset {name!r}; {nearest(name, known)}")
        found = [known[name]]
    page = (
        _chapters(found) if name is None else [f"{key}: {value}" for key, value in found[0].items() if value]
    )
    return {"list": found, "page": "\n".join(page)}


def _chapters(found: list[dict[str, Any]]) -> list[str]:
    """The presets by chapter: name, what differs, when to use it, and what is minimised."""
    from vaekit.presets import CHAPTERS

    lines = []
    for chapter, title in CHAPTERS.items():
        lines += ["", title]
        for entry in (entry for entry in found if entry["chapter"] == chapter):
            note = " [experimental]" if entry["experimental"] else ""
            lines += [
                f"  {entry['name']:24} {entry['summary']} ({_first(entry['authors'])} {entry['year']}){note}"
            ]
            lines += [f"  {'':24} {entry['advice']}", f"  {'':24} {entry['objective']}"]
    return [*lines[1:], "", "vaekit presets NAME says one's source, options and kinds of data."]


def _first(authors: str) -> str:
    """The first author, and that there are others."""
    first, *others = authors.split(", ")
    return f"{first} et al." if len(others) > 1 else " and ".join([first, *others])


# ---------------------------------------------------------------------- what they share


def _open(path: Path) -> Any:
    from vaekit.run import Run

    return Run(path)


def _written(run: Any, made: Any, out: Path, columns: int | None = None) -> dict[str, Any]:
    from vaekit import outputs

    outputs.write_items(out, run.kind.decode(made.x, made.c), run.kind, made.x, columns)
    return {"n": len(made), "out": str(out)}


def _tabular(out: Path) -> Path:
    from vaekit.outputs import TABLES

    if out.suffix.lower() not in TABLES:
        raise UsageError(
            "E107", f"--out {out}: this is written as a table.", hint="one of .csv, .parquet, .npz"
        )
    return out


def _pictures() -> tuple[str, ...]:
    from vaekit.outputs import PICTURES

    return PICTURES


def _array(column: Any) -> Any:
    import numpy as np

    return np.asarray(column)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)
    ] = False,
) -> None:
    if version:
        from vaekit import __version__

        print(__version__)
        raise typer.Exit


def main(words: list[str] | None = None) -> NoReturn:
    """Run the command in `words`, or the one that was typed."""
    border.run(app, sys.argv[1:] if words is None else words)
