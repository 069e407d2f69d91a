"""The command that takes noise away: denoise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, Seed, SourcePath, command, open_run
from vaekit.progress import described, number

DRAWN, HEAD = 16, 26  # pictures of a sheet, and pixels of its headings


@command("denoise")
def denoise(
    run: RunPath,
    source: SourcePath,
    out: Out,
    noise: Annotated[
        str | None,
        typer.Option(
            help="gaussian:SIGMA (of 0..255), poisson:PHOTONS (at white). [what the model was trained with]"
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=2, help="Draws from the posterior of each.")] = 100,
    steps: Annotated[
        int | None, typer.Option(min=0, help="Improve each posterior so often. [0; 200 with another noise]")
    ] = None,
    seed: Seed = 0,
) -> dict[str, Any]:
    """The signal under the noise, and how sure it is.

    Pictures larger than the model's are denoised by tiles. As a picture: noisy, denoised and spread of the first 16;
    as .npz: mean and std; a folder gets the denoised pictures.
    """
    opened = open_run(run)
    found = opened.denoise(source, noise, samples, steps, seed)
    drawn = write(out, found, opened.kind)
    result = {"n": len(found), "noise": found.noise, "spread": float(found.std.mean()), "out": str(out)}
    tiled = {"tiles": found.tiles} if found.tiles > 1 else {}
    few = [f"note: {drawn} of {len(found)} drawn; a folder or .npz holds all"] if drawn < len(found) else []
    return {**result, **tiled, "text": "\n".join([described({**result, **tiled}), *few])}


def write(out: Path, found: Any, kind: Any) -> int:
    """Mean and spread as arrays, columns, a sheet of pictures, or a folder of the denoised ones.

    Returns:
        How many are in it: all but in a sheet, which has the first sixteen.
    """
    import numpy as np
    import torch

    from vaekit import files, outputs
    from vaekit.data import Images

    suffix = out.suffix.lower()
    if suffix in (".npz", ".npy"):
        outputs.write_arrays(out, {"mean": found.mean, "std": found.std})
    elif suffix in outputs.TABLES:
        sides = {"mean": found.mean.reshape(len(found), -1), "std": found.std.reshape(len(found), -1)}
        columns = {f"{name}_{i}": side[:, i] for name, side in sides.items() for i in range(side.shape[1])}
        outputs.write_table(out, columns)
    elif suffix in outputs.PICTURES and isinstance(kind, Images):
        files.write(out, outputs.picture_bytes(sheet(found, kind), suffix))
        return min(DRAWN, len(found))
    elif isinstance(kind, Images):
        planes = found.mean if found.mean.ndim == 4 else found.mean[..., None]
        x = torch.from_numpy(np.moveaxis(planes / found.white, -1, 1).copy())  # (N, C, H, W)
        outputs.write_items(out, kind.picture(x), kind, x)
    else:
        outputs.write_items(out, found.mean, kind)
    return len(found)


def sheet(found: Any, kind: Any) -> Any:
    """The first pictures, a row each: noisy, denoised, spread, under headings that say the spread's scale."""
    from itertools import islice

    import numpy as np

    from vaekit import outputs
    from vaekit.uses.denoising import shown

    pictures = np.stack(list(islice(shown(found, kind), 3 * DRAWN)))
    words = ("noisy", "denoised", f"spread\n0 to {number(float(found.std.max()))}")
    drawn = outputs.grid(outputs.enlarged(pictures), columns=3)
    return outputs.captioned(drawn, words, gap=2, above=(1, HEAD))
