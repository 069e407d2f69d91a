"""A run: a trained model, the kind of its data, and everything that can be done with the two."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import as_trained, files, operations, persistence
from vaekit.data import Batch, Items, Kind, Parts, Table, TableSource, read
from vaekit.data.card import Card
from vaekit.data.checks import finite
from vaekit.data.sources import Loaded
from vaekit.diagnosis import FULL, Effort, Finding, examine, record
from vaekit.distributions import MEAN, Noise
from vaekit.errors import DataError, FileError, UsageError, VaekitError, nearest
from vaekit.evaluation import bounds, codes, curve, evaluate, log_likelihoods
from vaekit.evaluation.calibration import places
from vaekit.evaluation.synthetic import compared
from vaekit.notebook import table
from vaekit.prepare import held_out, labelled_items
from vaekit.progress import described
from vaekit.report import write_report
from vaekit.report.review import review
from vaekit.report.synthetic import remember
from vaekit.uses import augmentation, denoising, editing, imputation
from vaekit.uses.denoising import Denoised
from vaekit.uses.imputation import Imputed
from vaekit.uses.maps import Maps, maps
from vaekit.uses.scoring import Scores, scored
from vaekit.uses.synthesis import Synthesis
from vaekit.uses.unseen import emptied
from vaekit.uses.yardstick import Yardstick

CHUNK = 1_024  # items at once
# once said, MKL no longer takes fewer threads when the machine is busy: results stay the same
torch.set_num_threads(torch.get_num_threads())


class Run:
    """A run folder, opened.

    Attributes:
        path: The folder.
        model: The trained model, in evaluation mode.
        kind: The kind of its data.
        facts: What run.json says.
        history: What metrics.jsonl says, a dict for each evaluation.

    Example:
        >>> import tempfile, vaekit
        >>> run = vaekit.fit("digits", steps=5, out=tempfile.mkdtemp() + "/digits", quiet=True)
        >>> run.sample(3).shape, run.encode(run.sample(3)).shape
        ((3, 8, 8), (3, 16))
    """

    def __init__(self, path: str | Path, classes: Iterable[type] = ()) -> None:
        self.path = Path(path)
        place = self.path / "model" if (self.path / "model").is_dir() else self.path
        if not (place / files.MANIFEST).is_file():
            raise _not_a_run(self.path)
        self.model, kind, self.about = persistence.load(place, classes)
        if kind is None:
            raise FileError("E301", "this model was saved without the kind of its data.", where=place)
        self.kind: Kind = kind
        facts = self.path / "run.json"
        self.facts = persistence.version_checked(files.read_json(facts), facts) if facts.is_file() else {}

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {self.about.get('preset', 'model')} of {self.kind!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, the figures, and where the report is."""
        facts, metrics = self.facts, self.metrics
        lights = [light for light in facts.get("verdict") or [] if isinstance(light, dict)]
        names = ("elbo", "rate", "distortion", "nll", "bits_per_dim", "active_units")
        data = facts.get("data") or {}
        rows = [
            *((str(light.get("what")), f"{light.get('answer')} — {light.get('says')}") for light in lights),
            *((name.replace("_", " "), metrics.get(name)) for name in names),
            ("status", facts.get("status")),
            ("steps", facts.get("steps")),
            (
                "items",
                f"{data['count']} trained on, {data.get('heldout')} held out" if "count" in data else None,
            ),
        ]
        title = f"{self.path.name}: {self.about.get('preset', 'model')} of {self.kind.name}"
        has_report = (self.path / "report.html").is_file()
        return table(title, rows, f"report: {self.path.name}/report.html" if has_report else "")

    @property
    def card(self) -> Card:
        """What the run was trained on, without the data themselves; empty in a model folder."""
        path = self.path / "data_card.json"
        return Card(files.read_json(path) if path.is_file() else {})

    @property
    def history(self) -> list[dict[str, Any]]:
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures on the held-out data, nats per datum."""
        return self.about.get("metrics") or {}

    def seen(self, source: Any, count: int) -> list[str]:
        """What to know of figures of a source that the run was trained on itself: a note, or nothing.

        Args:
            source: What was pointed at.
            count: How many items it has.
        """
        trained = self.trained_on(source, count)
        told = described({name: self.metrics.get(name) for name in ("elbo", "distortion")})
        return (
            [f"note: {trained} of these {count} items were trained on; held out: {told}"] if trained else []
        )

    def trained_on(self, source: Any, count: int) -> int:
        """How many items of a source, which has `count`, the run was trained on, as far as path and count tell."""
        data = self.facts.get("data") or {}
        trained, held = data.get("count") or 0, data.get("heldout") or 0
        return trained if data.get("path") == str(source) and count == trained + held else 0

    # ------------------------------------------------------------------ data in and out

    def items(self, data: Any) -> Items:
        """Data as items of this run's kind: a path, `path#row`, array, tensor, Dataset or items.

        Raises:
            DataError: They are not of this kind.
        """
        if isinstance(data, Items):
            return data
        if isinstance(data, str | Path):
            data = self._read(data)
        if isinstance(data, Loaded):
            return self._labelled(labelled_items(data, self.kind))
        if isinstance(self.kind, Table):
            return labelled_items(read(data), self.kind)
        return self._labelled(Items(self.kind.store(data), self.kind))

    def _read(self, path: str | Path) -> Loaded:
        """What lies at a path, as it is read for this run's kind."""
        return as_trained.loaded(self.path, self.kind, path)

    @property
    def _image_size(self) -> int | None:
        """Pictures are brought to size as they were for training, and only if they were then."""
        return as_trained.options(self.path).get("image_size")

    def _labelled(self, items: Items) -> Items:
        """A conditional model is told of labels that are unknown, too."""
        if self.kind.conditional and self.kind.labels and items.labels is None:
            items.labels = torch.full((len(items),), -1)
        return items

    # ------------------------------------------------------------------ verbs

    def sample_x(
        self,
        n: int = 16,
        seed: int = 0,
        temperature: float = 1.0,
        where: Mapping[str, str] | None = None,
        mean: bool | None = None,
    ) -> Batch:
        """As `sample`, in the model's own space, before constraints: x (n, *shape), c (n, A) if it is conditional."""
        self._needs_prior()
        if isinstance(self.kind, Table):
            made = self.synthesis(seed, temperature=temperature, where=where, mean=mean)
            blocks = [made.batch(min(CHUNK, n - start)) for start in range(0, n, CHUNK)]
            given = [b.c for b in blocks if b.c is not None]
            return Batch(torch.cat([b.x for b in blocks]), torch.cat(given) if given else None)
        noise = Noise(seed, "sample")
        c = self.kind.conditions(n, where, Noise(seed, "sample labels"))
        mean = self.kind.shows_mean if mean is None else mean
        parts = []
        for start in range(0, n, CHUNK):
            rows = min(CHUNK, n - start)
            own = None if c is None else c[start : start + rows]
            with torch.no_grad():
                parts.append(self.model.sample(rows, own, temperature, noise, mean))
        return Batch(torch.cat(parts), c)

    def sample(self, n: int = 16, seed: int = 0, **options: Any) -> Any:
        """New items, in the kind of the data.

        Args:
            n: How many.
            seed: The same seed gives the same items.
            temperature: Spread of the prior; 1 is the model itself.
            where: `{"label": name}` for a conditional model; of a table, `{column: value}` or `{"age>=": 60}`.
            mean: Each p(x | z)'s centre (what pictures are shown as) or a draw from it; by default as suits the kind.
            constraints: Of a table, what must hold of every row: "age >= 18", "first_day <= last_day", "unique name".

        Returns:
            (n, …) as `decode` gives.
        """
        if not isinstance(self.kind, Table):
            return self._in_kind(self.sample_x(n, seed, **options))
        import pandas as pd

        made = self.synthesis(seed, **options)
        frames = list(made.blocks(n)) or [self._in_kind(made.batch(0))]
        if made.tally.note:
            warnings.warn(made.tally.note, stacklevel=2)
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def synthesis(
        self,
        seed: int = 0,
        temperature: float = 1.0,
        where: Mapping[str, Any] | None = None,
        mean: bool | None = None,
        constraints: Sequence[Any] = (),
    ) -> Synthesis:
        """New rows of a table, block by block: `.blocks(n)` gives DataFrames, `.tally` what it took; as in `sample`.

        Raises:
            UsageError: E108, these are not rows of a table.
        """
        self._needs_prior()
        if not isinstance(self.kind, Table):
            message = (
                f"constraints are kept, and blocks made, of rows of a table; these are {self.kind.name}."
            )
            raise UsageError("E108", message, hint="vaekit sample RUN --n N --out PATH")
        return Synthesis(self.model, self.kind, where or {}, constraints, seed, temperature, bool(mean))

    def judge(
        self, real: Any, synthetic: Any, training: Any = None, target: str | None = None, seed: int = 0
    ) -> dict[str, Any]:
        """Quality and privacy of synthetic rows of a table, for the report and to look at.

        Args:
            real: Rows that were not trained on.
            synthetic: Rows that `sample` gave.
            training: What was trained on; by default where the run found it, if it is there still.
            target: A column to predict from the others.
            seed: Of what is drawn.

        Raises:
            UsageError: E108, the run is not of a table.
        """
        if not isinstance(self.kind, Table):
            message = f"rows of a table are judged; this run is of {self.kind.name}."
            raise UsageError("E108", message, hint="vaekit evaluate RUN SOURCE")
        path = (self.facts.get("data") or {}).get("path")
        training = path if training is None and path and Path(str(path)).is_file() else training
        train = None if training is None else self._trained_rows(training)
        found = compared(self._rows(real), self._rows(synthetic), train, target, seed)
        remember(self.path, found)
        write_report(self.path)
        return found

    def _rows(self, source: Any) -> Any:
        """A table as a DataFrame with the columns of new rows, in the types of training."""
        return self.kind.frame(read(source))  # type: ignore[attr-defined]

    def _trained_rows(self, source: Any) -> Any:
        """Those rows of the training table that were not held out."""
        rows = self._rows(source)
        chosen = as_trained.options(self.path)
        if chosen.get("val") is not None:
            return rows
        places = Items(torch.arange(len(rows)).unsqueeze(1))
        return rows.iloc[held_out(places, chosen.get("seed", 0))[0].raw[:, 0].tolist()]  # type: ignore[index]

    def _in_kind(self, made: Batch) -> Any:
        """Rows of the model's own space as users know them."""
        return self.kind.decode(made.x, made.c)

    def encode(self, data: Any, return_std: bool = False) -> Any:
        """Latent codes: the mean of q(z | x), (N, D), and with `return_std` its standard deviation too."""
        found = codes(self.model, self.items(data))
        return (found.mean.numpy(), found.std.numpy()) if return_std else found.mean.numpy()

    def classify(self, data: Any) -> np.ndarray:
        """q(y | x) of every class, (N, K), in the order of `kind.labels`.

        Raises:
            UsageError: E106 the model does not classify.
        """
        if not hasattr(self.model.bottleneck, "classify"):
            message = f"{self.about.get('preset', 'this model')} does not classify."
            raise UsageError("E106", message, hint="train with --preset semi_supervised_vae and --labels")
        batches = self.items(data).batches(CHUNK)
        return torch.cat([operations.class_probabilities(self.model, b.x, b.mask) for b in batches]).numpy()

    def decode_x(self, z: Any, where: Mapping[str, str] | None = None, seed: int = 0) -> Batch:
        """As `decode`, in the model's own space."""
        values = torch.as_tensor(np.asarray(z, dtype=np.float32))
        values = values.unsqueeze(0) if values.dim() == 1 else values
        if values.dim() != 2 or values.shape[1] != self._width:
            message = (
                f"codes of {self._width} numbers are expected, not an array of shape {tuple(values.shape)}."
            )
            raise DataError("E212", message, hint="what `encode` gives")
        if not len(values):
            raise DataError("E202", "there are no codes.")
        finite(values.numpy())
        c = self.kind.conditions(len(values), where, Noise(seed, "decode labels"))
        noise = Noise(seed, "decode") if self.kind.decodes_draws else None
        return Batch(operations.decode(self.model, values, c, noise, like=self.like), c)

    def decode(self, z: Any, where: Mapping[str, str] | None = None, seed: int = 0) -> Any:
        """Codes (N, D) as items: the centre of p(x | z); of a table, a draw from it."""
        return self._in_kind(self.decode_x(z, where, seed))

    def reconstruct_x(self, data: Any) -> tuple[Tensor, Batch]:
        """Items and their reconstructions in the model's own space."""
        batches = list(self.items(data).batches(CHUNK))
        made = [operations.reconstruct(self.model, b.x, b.c, b.mask) for b in batches]
        c = None if batches[0].c is None else torch.cat([b.c for b in batches if b.c is not None])
        return torch.cat([b.x for b in batches]), Batch(torch.cat(made), c)

    def reconstruct(self, data: Any) -> Any:
        """Each item as the model sees it, (N, …)."""
        return self._in_kind(self.reconstruct_x(data)[1])

    @torch.no_grad()
    def interpolate_x(self, a: Any, b: Any, steps: int = 9) -> Batch:
        """As `interpolate`, in the model's own space."""
        first, second = (self.items(one).batch(torch.tensor([0])) for one in (a, b))
        start, end = (self.model.encode(one.x, one.c, one.mask) for one in (first, second))
        made = operations.line(self.model, start, end, steps, first.c)
        return Batch(made, None if first.c is None else first.c.expand(steps, -1))

    def interpolate(self, a: Any, b: Any, steps: int = 9) -> Any:
        """The line between the codes of two items, decoded, (steps, …)."""
        return self._in_kind(self.interpolate_x(a, b, steps))

    def traverse_x(self, dims: list[int] | None = None, steps: int = 9) -> Batch:
        """As `traverse`, in the model's own space, (dims · steps, *shape)."""
        width, found = self._width, self.about.get("calibration") or {}
        ranked = sorted(range(width), key=lambda d: -(found.get("kl") or [0.0] * width)[d])
        dims = ranked[:10] if dims is None else dims
        c = self.kind.conditions(1, None, Noise(0, "traverse"))
        made = operations.traverse(self.model, self._middle(c), dims, steps, c=c).flatten(0, 1)
        return Batch(made, None if c is None else c.expand(len(made), -1))

    def traverse(self, dims: list[int] | None = None, steps: int = 9) -> Any:
        """One latent dimension at a time from −3 to 3, most used first, decoded, (dims · steps, …).

        The others stay at the prior's centre: of a stack, each variable at its centre given those above.
        """
        return self._in_kind(self.traverse_x(dims, steps))

    @torch.no_grad()
    def _middle(self, c: Tensor | None) -> Any:
        """The code from which walks begin, (1, *latent); zeros where there is no prior."""
        bottleneck = self.model.bottleneck
        if not bottleneck.stochastic and getattr(bottleneck, "prior", None) is None:
            return operations.unpacked(torch.zeros(1, self._width), self.like)
        return bottleneck.codes(bottleneck(c=c, n=1, noise=MEAN)[1])

    def augment(
        self, data: Any, labels: Any = None, factor: int = 5, **options: Any
    ) -> augmentation.Augmented:
        """More items of the same labels, after the given ones: row j comes from item j mod N.

        Args:
            data: Items, with labels or without; for a table, its label and given columns are kept.
            labels: (N,) their labels, or which array or folder holds them, where that is not plain.
            factor: How many times as many items there are in the end.
            options: `way`, `spread`, `detail`, `seed`; see `vaekit.uses.augmentation.Choice`.

        Returns:
            x (factor · N items, in the kind of the data) and y (their labels, or None).

        Example:
            >>> import tempfile, vaekit
            >>> run = vaekit.fit("digits", steps=5, out=tempfile.mkdtemp() + "/digits", quiet=True)
            >>> images, labels = vaekit.datasets.digits()
            >>> x, y = run.augment(images[:20], labels[:20], factor=3, way="jitter")
            >>> x.shape, y.shape
            ((60, 8, 8), (60,))
        """
        key = "*" if isinstance(self.kind, Parts) else None
        size = self._image_size if isinstance(data, str | Path) else None
        source, choice = read(data, key, labels, size), augmentation.Choice(factor, **options)
        return augmentation.augment(self.model, self.kind, source, choice)

    def edit(self, item: Any, data: Any = None, **change: Any) -> editing.Edited:
        """One item changed along a dimension of its code, or towards a label, and how much else that changed.

        Args:
            item: A path, `path#row`, or an array with one item.
            data: Items whose codes say how far a step is and where labels lie; by default those held out in training.
            change: `dim` or `toward`, `by`, `steps`, `detail`; see `vaekit.uses.editing.Change`.

        Returns:
            `x`, the item on its way, (steps, …) in the kind of the data; `asked`, `moved` and `others`, how far the
            code was meant to move, did, and moved otherwise, in standard deviations of q(z | x).
        """
        known = (self.about.get("calibration") or {}).get("codes")
        if data is not None:
            items = self.items(data)
            known = places(codes(self.model, items), items)
        return editing.edit(self.model, self.kind, self.items(item), editing.Change(**change), known)

    def impute(self, data: Any, n: int | None = None, interval: float | None = None, **options: Any) -> Any:
        """The data with their holes filled: NaN, empty cells, masked values, missing parts; all else as it came.

        Args:
            data: An array, a DataFrame, a dict of parts or a path, of the kind of the training data.
            n: Draw so many imputations in place of the best estimate (means; the most probable of categories).
            interval: Probability of an interval of each number, besides the best estimate.
            options: `samples` (draws of z for each row), `seed`.

        Returns:
            The type that came; with `n` a list of n; with `interval` (best, low, high), in which categories have no
            low and high. A warning says what is to know.

        Example:
            >>> import tempfile, vaekit
            >>> rows = np.random.default_rng(0).normal(size=(100, 1)) * [1.0, 2.0, 3.0]
            >>> run = vaekit.fit(rows, latent=1, steps=5, out=tempfile.mkdtemp() + "/rows", quiet=True)
            >>> run.impute(np.array([[1.0, np.nan, 3.0]])).round()
            array([[1., 2., 3.]])
        """
        found = self.imputed(data, n, interval, **options)
        for note in found.notes:
            warnings.warn(note, stacklevel=2)
        return found.draws if n else (found.best, found.low, found.high) if interval else found.best

    def imputed(
        self, data: Any, n: int | None = None, interval: float | None = None, **options: Any
    ) -> Imputed:
        """As `impute`, with the number of holes, the effective draws of each row, and the notes."""
        known = self.facts.get("data") or {}
        learned = {"trained": known.get("count"), "observed": known.get("observed", 1.0)}
        return imputation.impute(self.model, self.kind, data, n, interval, **learned, **options)

    def log_likelihood(self, data: Any, samples: int = 500, seed: int = 0) -> np.ndarray:
        """Importance-sampled log p(x), (N,) nats."""
        self._needs_prior()
        with _possible():
            return log_likelihoods(self.model, self.items(data), samples, seed).numpy()

    def score(
        self, data: Any, alpha: float = 0.01, budget: int | None = None, contamination: float = 0.0
    ) -> Scores:
        """How odd each item is, held against the held-out data.

        Args:
            data: What to score; rows of a table may have categories that training never had, and are odd then.
            alpha: Flag items with p ≤ alpha: the share of ordinary items that are flagged wrongly.
            budget: Flag this many of the oddest in place of that.
            contamination: The share of the training data that is taken for odd, in [0, 0.5).

        Returns:
            `.score .p_value .flag .statistics .why`.
        """
        data, unseen = self._read(data) if isinstance(data, str | Path) else data, {}
        if isinstance(self.kind, Table) and not isinstance(data, Items):
            source = read(data)
            data, unseen = emptied(self.kind, source) if isinstance(source, TableSource) else (source, {})
        names = getattr(data, "names", None) if isinstance(data, Loaded) else None
        return scored(
            self.model, self.items(data), self.yardstick, alpha, budget, contamination, names, unseen
        )

    def maps(self, data: Any) -> Maps:
        """Where pictures are odd, `.original .expected .odd`: each pixel's misfit against what is usual there.

        Raises:
            UsageError: E108, these are no pictures, or the model's pixels have no misfit of their own.
        """
        return maps(self.model, self.items(data), self.yardstick.heldout.residuals)

    def review(
        self, data: Any, path: str | Path, most: int = 24, alpha: float = 0.01, budget: int | None = None,
        contamination: float = 0.0,
    ) -> Path:  # fmt: skip
        """Write a page with the oddest items: scores, reasons, pictures with maps or rows with their odd cells.

        Args:
            data, alpha, budget, contamination: As of `score`.
            path: The HTML file.
            most: How many are shown.
        """
        found = self.score(data, alpha, budget, contamination)
        title = str(data) if isinstance(data, str | Path) else ""
        return review(path, self.model, found, most, title, self.path.name)

    @property
    def yardstick(self) -> Yardstick:
        """What scores are held against.

        Raises:
            FileError: E305, the training is not finished.
        """
        calibrated = self.about.get("calibration") or {}
        if not calibrated.get("scores"):
            raise FileError(
                "E305", "this run is not finished: there is nothing to hold scores against.", self.path
            )
        place = self.path / "model" if (self.path / "model").is_dir() else self.path
        return Yardstick.from_folder(self.model, calibrated, persistence.load_reference(place))

    def denoise(
        self, data: Any, noise: str | None = None, samples: int = 100, steps: int | None = None, seed: int = 0
    ) -> Denoised:
        """The signal under the noise, `.mean` and `.std`, of rows or of pictures as large as the model's or larger.

        Args:
            data: A path, pictures or rows, as they were measured.
            noise: `gaussian:25` (of 0..255; of rows, in their units) or `poisson:30` (photons at white); by default
                what the model was trained with, known or learned.
            samples: Draws from the posterior of each.
            steps: Of improving each posterior; by default none with the model's own noise, 200 with another.
            seed: Of the draws.
        """
        return denoising.denoise(
            self.model, self.kind, data, noise, samples, steps, seed, image_size=self._image_size
        )

    def evaluate(self, data: Any, samples: int = 500, seed: int = 0) -> dict[str, Any]:
        """ELBO and its two sides, −log p(x) by importance sampling, bits per dimension, active units."""
        return evaluate(self.model, self.items(data), samples, seed)

    def bounds(self, data: Any, samples: int = 500, seed: int = 0) -> dict[str, Any]:
        """How tight each bound on log p(x) is: ELBO, IWAE of 1, 5, 50 … draws, annealed importance sampling."""
        self._needs_prior()
        ladder = [k for k in (1, 5, 50, 500, 5000) if k < samples]
        with _possible():
            return bounds(self.model, self.items(data), [*ladder, samples], seed=seed)

    def curve(self, data: Any, seed: int = 0) -> dict[str, Any]:
        """The rate-distortion curve of the decoder and the prior, in nats per datum."""
        self._needs_prior()
        with _possible():
            return curve(self.model, self.items(data), seed=seed)

    def fit_prior(
        self, data: Any, prior: str = "diffusion", quiet: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Fit a prior to the latents of the training data, and save it with the model.

        Args:
            data: What the run was trained on.
            prior: mixture, flow, diffusion, vae (two-stage), or autoregressive for codes.
            quiet: Say nothing.
            options: `steps`, `time`, `lr`, `seed`, `components`; see `second_stage.Choice`.

        Returns:
            What was fitted, and rate and ELBO on held-out data before and after.
        """
        from vaekit.second_stage import Choice, refit

        return refit(self, data, Choice(prior, **options), quiet)

    def export(
        self,
        out: str | Path,
        format: str = "onnx",
        data: Any = None,
        said: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Write encoder, decoder and score for other programs, or the explorer as a page that needs no server.

        Args:
            out: The folder; an older one is replaced once the new one is whole.
            format: onnx, torch, or web.
            data: Held-out items to hold what is written against; by default the run's own where they are there still,
                else draws from the model.
            said: Told of each file in a line.

        Returns:
            What `export.json` in it says: the files, their inputs and outputs, and how far each is from the model.

        Raises:
            UsageError: E103 there is no such format, E110 the model computes something that no graph can hold.
            FileError: E306, a graph differs from the model by more than 1e-4; nothing is left behind.
        """
        from vaekit.export import export

        heldout = None if data is None else self.items(data)
        if format == "web":
            from vaekit.explorer.site import site
            from vaekit.explorer.subject import Subject

            return site(Subject.of(self), out, said or (lambda line: None), heldout=heldout)
        return export(self.model, self.kind, out, format, heldout, said=said or (lambda line: None))

    def examined(self, data: Any = None, effort: Effort = FULL) -> list[Finding]:
        """What ten checks find: the answer of each with value, threshold, evidence and cure.

        Args:
            data: What the run was trained on; by default where it found it.
            effort: How much is looked at.
        """
        whole = as_trained.divided(self.path, self.kind, data)
        events, config = self.facts.get("events") or [], as_trained.options(self.path)
        return examine(self.model, self.kind, whole.seen, whole.heldout, self.history, events, config, effort)

    def diagnose(self, data: Any = None) -> dict[str, Any]:
        """As `examined`, written to diagnosis.json, which the report shows.

        Returns:
            `disease`, the name of the first alarm or None, and `findings`.
        """
        return record.kept(self.path, self.examined(data), as_trained.options(self.path))

    def report(self) -> Path:
        """Write report.html again from what the run folder holds."""
        return write_report(self.path)

    def explore(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        live: bool = False,
        browser: bool = True,
        quiet: bool = False,
    ) -> Any:
        """Open a page on which the latent space is looked at and walked through; needs the extra `web`.

        Args:
            host: Where to listen; another address than this machine's own needs the token that is printed.
            port: 0 takes one that is free.
            live: Follow a training that goes on.
            browser: Open the page in the browser.
            quiet: Say nothing.

        Returns:
            The server, which goes on until the program ends: `.url`, `.wait()` until Ctrl-C, `.stop()`.

        Raises:
            ResourceError: E404 a package is missing; E406 the port is in use.
        """
        from vaekit.explorer import start
        from vaekit.explorer.subject import Subject

        server = (
            start.follow(self.path, host, port)
            if live
            else start.explore(Subject.of(self), host, port, quiet)
        )
        start.announce(server, browser, quiet)
        return server

    def _needs_prior(self) -> None:
        if not self.model.bottleneck.stochastic and getattr(self.model.bottleneck, "prior", None) is None:
            name = self.about.get("preset", "this model")
            message = f"{name} has no prior: it cannot be sampled or give likelihoods."
            raise UsageError("E106", message, hint="vaekit fit-prior RUN SOURCE, or --preset vae")

    @property
    def _width(self) -> int:
        """Numbers of a code."""
        known = (self.about.get("calibration") or {}).get("kl")
        return len(known) if known else operations.packed(self.like).shape[1]

    @property
    def like(self) -> Any:
        """A code in the form the model gives: one tensor, or one for each latent variable."""
        c = self.kind.conditions(1, None, Noise(0, "like"))
        with torch.no_grad():
            return self.model.encode(torch.zeros(1, *self.kind.shape), c)


@contextlib.contextmanager
def _possible() -> Iterator[None]:
    """Say in the user's words what a model's latents do not allow.

    Raises:
        UsageError: E106.
    """
    try:
        yield
    except VaekitError:
        raise
    except ValueError as error:
        raise UsageError("E106", f"{error}.") from error


def open_run(path: str | Path, classes: Iterable[type] = ()) -> Run:
    """Open a run or model folder.

    Args:
        path: A run folder, or the model folder in one.
        classes: Classes of your own that the model uses, unless they are imported already.

    Raises:
        FileError: It is not one, it is damaged, or of another version.
    """
    return Run(path, classes)


def _not_a_run(path: Path) -> FileError:
    if not path.exists():
        near = nearest(path.name, [p.name for p in path.parent.glob("*")] or ["nothing is there"])
        return FileError("E301", f"there is no run at {path}; {near}", where=path.parent)
    if (path / "run.json").is_file():
        return FileError("E305", "this run has no model yet.", where=path, hint="let the training go on")
    return FileError(
        "E301", "this is not a run of vaekit.", where=path, hint="vaekit inspect, or train first"
    )
