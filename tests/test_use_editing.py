"""Editing: what is asked for is what changes, in numbers that are known, and a score of what else does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commands import call
from PIL import Image
from torch import Tensor, nn

import vaekit
from vaekit import VAE, files, presets
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Vectors
from vaekit.distributions import Fixed, Gaussian
from vaekit.errors import CODES, FileError, UsageError
from vaekit.evaluation.calibration import places
from vaekit.evaluation.latents import Codes
from vaekit.operations.edit import moved, transported
from vaekit.priors import StandardNormal
from vaekit.uses.editing import Change, edit

NOISE, POSTERIOR = 0.4, 0.5
AXES = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 3)))[0] * [
    2.0,
    1.0,
    0.5,
]  # (6, 3), orthogonal columns
SKEWED = AXES @ np.array([[1.0, 0.6, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def ppca(weights: np.ndarray) -> tuple[VAE, np.ndarray]:
    """p(x | z) = N(W z, σ²) with the mean of its exact posterior, M⁻¹ Wᵀ x for M = Wᵀ W + σ², (L, D)."""
    m = weights.T @ weights + NOISE**2 * np.eye(weights.shape[1])
    encoder = np.linalg.solve(m, weights.T)
    down, up = nn.Linear(6, 3, bias=False), nn.Linear(3, 6, bias=False)
    with torch.no_grad():
        down.weight.copy_(torch.tensor(encoder)), up.weight.copy_(torch.tensor(weights))
    q = Conditional(down, Gaussian(Fixed(POSTERIOR)))
    model = VAE(nn.Identity(), Variational(q, StandardNormal(3)), Conditional(up, Gaussian(Fixed(NOISE))))
    return model.eval(), encoder


KIND = Vectors(6, labels=("left", "right"))
KNOWN = {
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 2.0, 4.0],
    "labels": {"left": [-1.0, 0.0, 0.5], "right": [1.0, 0.0, 0.5]},
}


def item(label: int | None = None) -> Items:
    x = np.random.default_rng(5).normal(size=(1, 6))
    return Items(KIND.store(x), KIND, None if label is None else torch.tensor([label]))


# ---------------------------------------------------------------------- along a dimension


@pytest.mark.parametrize("detail", [True, False])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_axes_that_are_orthogonal_move_nothing_else(dim: int, detail: bool) -> None:
    model, encoder = ppca(AXES)
    found = edit(model, KIND, item(), Change(dim, by=1.5, detail=detail), KNOWN)
    step = np.eye(3)[dim] * 1.5 * KNOWN["std"][dim]  # type: ignore[index]
    x = item().raw.numpy()
    begin = x if detail else x @ encoder.T @ AXES.T
    np.testing.assert_allclose(found.x, begin + AXES @ step, atol=1e-5)
    # encoded again: M⁻¹ Wᵀ W step, a share λ / (λ + σ²) of it, λ = ‖w‖²
    share = (AXES[:, dim] ** 2).sum() / ((AXES[:, dim] ** 2).sum() + NOISE**2)
    assert found.asked == pytest.approx(np.abs(step).sum() / POSTERIOR, rel=1e-5)
    assert found.moved == pytest.approx(share * np.abs(step).sum() / POSTERIOR, rel=1e-4)
    assert found.others == pytest.approx(0, abs=1e-4)


def test_axes_that_are_not_move_the_others_by_a_known_number() -> None:
    model, encoder = ppca(SKEWED)
    found = edit(model, KIND, item(), Change(1, by=1.0), KNOWN)
    change = encoder @ SKEWED @ (np.eye(3)[1] * 2.0) / POSTERIOR
    assert found.moved == pytest.approx(change[1], rel=1e-4)
    assert found.others == pytest.approx(np.hypot(change[0], change[2]), rel=1e-4)
    assert found.others > 0.2


def test_a_step_backwards_is_as_long() -> None:
    model, _ = ppca(SKEWED)
    there, back = (edit(model, KIND, item(), Change(1, by=by), KNOWN) for by in (1.0, -1.0))
    assert there.moved == pytest.approx(back.moved, rel=1e-4) and back.moved > 0
    np.testing.assert_allclose(there.x + back.x, 2 * item().raw.numpy(), atol=1e-5)


def test_the_last_of_the_steps_is_all_the_way() -> None:
    model, _ = ppca(AXES)
    one, four = (edit(model, KIND, item(), Change(0, by=2.0, steps=steps), KNOWN) for steps in (1, 4))
    assert four.x.shape == (4, 6) and len(four.made) == 5
    np.testing.assert_allclose(four.x[-1:], one.x, atol=1e-6)
    way = np.diff(four.made.x.numpy(), axis=0)
    np.testing.assert_allclose(way, way[:1].repeat(4, 0), atol=1e-5)  # steps of equal length
    assert (four.asked, four.moved, four.others) == (one.asked, one.moved, one.others)


def test_dimensions_are_weighed_by_what_the_posterior_can_tell() -> None:
    std = torch.tensor([[1.0, 0.1]])
    found = moved(torch.zeros(1, 2), torch.tensor([[1.0, 0.3]]), torch.tensor([[1.0, 0.0]]), std)
    assert float(found.moved) == pytest.approx(1) and float(found.others) == pytest.approx(3)
    still = moved(torch.zeros(1, 2), torch.tensor([[3.0, 0.4]]), torch.zeros(1, 2), std)
    assert float(still.moved) == 0 and float(still.others) == pytest.approx(5)


# ---------------------------------------------------------------------- towards a label


def test_places_are_means_and_spreads_over_data_and_labels() -> None:
    mean = torch.tensor(np.random.default_rng(1).normal(size=(9, 3)), dtype=torch.float32)
    labels = torch.tensor([0, 1, 0, -1, 1, 0, 0, 1, -1])
    found = places(Codes(mean, mean, mean[0]), Items(torch.zeros(9, 6), KIND, labels))
    np.testing.assert_allclose(found["std"], mean.numpy().std(0), rtol=1e-5)
    for place, name in enumerate(KIND.labels):
        np.testing.assert_allclose(
            found["labels"][name], mean.numpy()[labels.numpy() == place].mean(0), rtol=1e-5
        )


def test_a_label_is_reached_along_the_means() -> None:
    model, encoder = ppca(AXES)
    x = item().raw.numpy()
    own = edit(model, KIND, item(0), Change(toward="right"), KNOWN)  # from the mean of its own label
    np.testing.assert_allclose(own.x, x + AXES @ [2.0, 0.0, 0.0], atol=1e-5)
    unknown = edit(model, KIND, item(), Change(toward="right"), KNOWN)  # from that of all
    np.testing.assert_allclose(unknown.x, x + AXES @ [1.0, 0.0, 0.5], atol=1e-5)
    half = edit(model, KIND, item(0), Change(toward="right", by=0.5), KNOWN)
    np.testing.assert_allclose(half.x, x + AXES @ [1.0, 0.0, 0.0], atol=1e-5)
    assert own.others == pytest.approx(0, abs=1e-4)


class Given(nn.Module):
    """c → parameters of a Gaussian per class: mean and raw scale."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, c: Tensor) -> Tensor:
        return c @ self.table


def test_a_code_keeps_its_place_in_the_prior_of_another_label() -> None:
    table = torch.tensor(
        [[0.0, 1.0, -1.0, 2.0], [3.0, -2.0, 1.0, 0.5]]
    )  # 2 classes, 2 means and 2 raw scales
    model, _ = ppca(AXES)
    model.bottleneck = Variational(model.bottleneck.posterior, Conditional(Given(table), Gaussian()))  # type: ignore[arg-type]
    z, c = torch.randn(5, 2), torch.tensor([[1.0, 0.0]]).expand(5, -1)
    p, p_new = (model.bottleneck.prior(each) for each in (c, 1 - c))  # type: ignore[operator]
    there = transported(model, z, c, 1 - c)
    torch.testing.assert_close(p_new.cdf(there), p.cdf(z))
    torch.testing.assert_close(transported(model, there, 1 - c, c), z)


@pytest.mark.parametrize("preset", ["conditional_vae", "semi_supervised_vae"])
def test_a_conditional_model_is_given_the_new_label(preset: str) -> None:
    kind = Images(1, 8, 8, labels=("a", "b", "c"), frequencies=(0.4, 0.3, 0.3), conditional=True)
    model = getattr(presets, preset)(kind, latent=3).model.eval()
    with torch.no_grad():  # untrained conditions change nothing
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    raw = np.random.default_rng(0).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    one = Items(kind.store(raw), kind, torch.tensor([0]))
    found = edit(model, kind, one, Change(toward="c", detail=False), None)
    batch = one.batch(torch.tensor([0]))
    wanted = torch.tensor([[0.0, 0.0, 1.0]])
    z = model.encode(batch.x, batch.c)
    if preset == "semi_supervised_vae":
        x = model.decode([wanted, z[1]], wanted).mean
    else:
        x = model.decode(transported(model, z, batch.c, wanted), wanted).mean  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.x, kind.decode(x))
    assert found.made.c is not None and found.made.c.tolist() == [[1, 0, 0], [0, 0, 1]]
    same = edit(model, kind, one, Change(toward="a"), None)
    np.testing.assert_array_equal(same.x, raw)  # its own label: nothing to do


def test_a_table_is_edited_with_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(size=60), "b": rng.integers(0, 9, 60), "c": rng.choice(["x", "y"], 60)}
    )
    from vaekit.data import detect, read

    kind = detect(read(frame))[0]
    model = presets.vae(kind, latent=2).model.eval()
    one = Items(kind.store(frame.iloc[:1]), kind)
    known = {"mean": [0.0] * 2, "std": [1.0] * 2, "labels": {}}
    still = edit(model, kind, one, Change(0, by=0.0), known)
    assert (still.asked, still.moved, still.others) == (0, 0, 0)
    assert list(edit(model, kind, one, Change(0), known).x) == ["a", "b", "c"]


def holey() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 90, 80), "b": rng.choice(["x", "y", "z"], 80)})
    frame["c"] = np.where(rng.random(80) < 0.3, np.nan, frame["a"] * 2.0)
    frame["d"] = rng.integers(0, 500, 80) / 100
    return frame


def test_an_edit_of_a_row_changes_only_what_the_decoder_changes() -> None:
    from vaekit.data import detect, read

    frame = holey()
    kind = detect(read(frame))[0]
    model = presets.vae(kind, latent=2).model.eval()
    known = {"mean": [0.0] * 2, "std": [1.0] * 2, "labels": {}}
    for row in range(6):
        one = Items(kind.store(frame.iloc[row : row + 1]), kind)
        own = frame.iloc[row : row + 1].reset_index(drop=True)
        pd.testing.assert_frame_equal(edit(model, kind, one, Change(0, by=0.0), known).x, own)
        drawn = [edit(model, kind, one, Change(0, by=by, detail=False), known).x for by in (0.0, 0.5)]
        made = edit(model, kind, one, Change(0, by=0.5), known).x
        for name in frame.columns:
            before, after = (each[name][0] for each in drawn)
            if before == after or (pd.isna(before) and pd.isna(after)):
                assert made[name][0] == own[name][0] or pd.isna(own[name][0]), name


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (Change(), "E103", "nothing says what to change"),
        (Change(1, "left"), "E103", "exclude each other"),
        (Change(3), "E103", "dimensions 0 to 2"),
        (Change(-1), "E103", "dimensions 0 to 2"),
        (Change(1, by=float("inf")), "E103", "finite"),
        (Change(1, steps=0), "E103", "at least one step"),
        (Change(toward="rigth"), "E103", "did you mean right"),
    ],
)
def test_impossible_changes_are_named(change: Change, code: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        edit(ppca(AXES)[0], KIND, item(), change, KNOWN)
    assert error.value.code == code and words in str(error.value)


def test_what_a_model_or_run_lacks_is_named() -> None:
    model, _ = ppca(AXES)
    with pytest.raises(FileError, match="where codes lie") as error:
        edit(model, KIND, item(), Change(1), None)
    assert error.value.code == "E305" and "--from" in error.value.hint
    with pytest.raises(UsageError, match="without labels"):
        edit(model, Vectors(6), Items(item().raw), Change(toward="left"), KNOWN)
    with pytest.raises(UsageError, match="no item of label 'left'"):
        edit(model, KIND, item(), Change(toward="left"), {**KNOWN, "labels": {}})
    kind = Images(1, 8, 8)
    codebook = presets.vq_vae(kind).model.eval()
    with pytest.raises(UsageError, match="codebook"):
        edit(codebook, kind, Items(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), kind), Change(0), KNOWN)


# ---------------------------------------------------------------------- the run, and the command line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for where in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{where}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        place = tmp_path_factory.mktemp("edit")
        patch.chdir(place)
        quick: dict[str, Any] = dict(
            batch_size=16, latent=2, threads=1, evaluate_every=3, patience=0, quiet=True
        )
        vaekit.fit("digits", out="d", steps=6, **quick)
        yield place


def test_a_run_keeps_where_codes_lie(place: Path) -> None:
    run = vaekit.open(place / "d")
    known = run.about["calibration"]["codes"]
    assert sorted(known["labels"]) == [str(digit) for digit in range(10)] and len(known["std"]) == 2
    found = run.edit("digits#3", dim=1)
    again = run.edit(vaekit.datasets.digits()[0][3], "digits", dim=1)
    assert found.x.shape == (1, 8, 8)
    assert found.asked > 0 and again.asked != found.asked  # other data, another length of a step


def test_a_picture_has_the_original_first(place: Path) -> None:
    done = call("edit", "d", "digits#3", "--toward", 8, "--steps", 3, "--out", "e.png", "--json")
    assert done.code == 0, done.err
    assert sorted(json.loads(done.out)) == ["asked", "else", "moved", "out", "toward"]
    strip = np.asarray(Image.open("e.png"))
    assert strip.shape == (2 + 66, 2 + 66 + 8 + 2 + 3 * 66, 3)
    assert (strip[:, 68:76] == 255).all()  # a gap after the original
    assert (
        "it is at 3 already: nothing was changed"
        in call("edit", "d", "digits#3", "--toward", 3, "--out", "e.png").err
    )
    assert re.search(
        r"moved( only)? \d+%|the other way",
        call("edit", "d", "digits#3", "--dim", 1, "--by", 100, "--out", "e.npz").err,
    )
    original = vaekit.datasets.digits()[0][3].repeat(8, 0).repeat(8, 1) * (255 / 16)
    np.testing.assert_allclose(strip[2:66, 2:66, 0], original, atol=1)
    assert call("edit", "d", "digits#3", "--dim", 1, "--by", 2, "--out", "e.npz").code == 0
    assert np.load("e.npz")["values"].shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (("d", "digits#3", "--dim", "7"), "E103", 2),
        (("d", "digits#3", "--toward", "x"), "E103", 2),
        (("d", "digits#3"), "E103", 2),
        (("d", "digits", "--dim", "1"), "E103", 2),
        (("d", "digits#9999", "--dim", "1"), "E103", 2),
        (("d", "other.npy#0", "--dim", "1"), "E212", 3),
        (("d", "nowhere.png", "--dim", "1"), "E201", 3),
    ],
)
def test_mistakes_are_named(place: Path, words: tuple[str, ...], code: str, exit_code: int) -> None:
    np.save("other.npy", np.zeros((3, 9, 9), np.uint8))
    done = call("edit", *words, "--out", "b.npz")
    assert done.code == exit_code and done.err.startswith(f"{code} {CODES[code]}: "), done.err
    assert not Path("b.npz").exists()
