"""A map as the page is told of it: points on a plane, their density, and contours of the points and of the prior.

Source: Hyndman (1996), Computing and graphing highest density regions (contours that hold a share of the points).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vaekit.explorer.arrays import Arrays
from vaekit.explorer.density import Density, density
from vaekit.explorer.planes import Plane, Rows, projected, projected_spread
from vaekit.explorer.points import Points
from vaekit.explorer.subject import Subject
from vaekit.priors import StandardNormal

SHARES = {"50 %": 0.5, "90 %": 0.9, "99 %": 0.99}
ON_DATA = 0.99  # share of the points that lie on the data
CORNERS = 120  # of a circle
DRAWS = 4_000  # of a prior whose contours are not known in closed form


def map_facts(plane: Plane, subject: Subject, points: Points, arrays: Arrays) -> dict[str, Any]:
    """A map as the page is told of it."""
    prior = prior_contours(plane, subject)
    around = np.concatenate([np.asarray(line) for one in prior for line in one["lines"]]) if prior else None
    spread = None if subject.discrete else projected_spread(points.std, plane)
    dense = density(plane.xy, spread, around)
    top = max(float(dense.values.max()), 1e-300)
    scaled = np.sqrt(dense.values / top) * 255  # the root shows what is thin as well
    off = dense.level(plane.xy, ON_DATA)
    return {
        "id": plane.id,
        "name": plane.name,
        "axes": list(plane.axes),
        "xy": arrays.add(plane.xy, "f4"),
        "origin": plane.origin.tolist(),
        "basis": None if plane.basis is None else plane.basis.tolist(),
        "extent": dense.extent,
        "density": {"shape": list(dense.values.shape), "values": arrays.add(scaled.round(), "u1")},
        "off": float(np.sqrt(off / top) * 255),
        "contours": [*density_contours(dense, plane.xy), *prior],
    }


def density_contours(found: Density, xy: Rows) -> list[dict[str, Any]]:
    """The regions that hold 50 and 90 % of the points."""
    chosen = [(word, SHARES[word]) for word in ("50 %", "90 %")]
    return [
        {"of": "density", "level": word, "lines": found.lines(found.level(xy, share))}
        for word, share in chosen
    ]


def normal_contours(plane: Plane) -> list[dict[str, Any]]:
    """Where 50, 90 and 99 % of N(0, I) lies on a plane with axes at right angles and of length one.

    A circle of radius √(−2 ln(1 − p)) around the place of z = 0.
    """
    zero = projected(np.zeros((1, len(plane.origin))), plane)
    if zero is None:
        return []
    angle = np.linspace(0, 2 * math.pi, CORNERS + 1)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    return [
        {
            "of": "prior",
            "level": word,
            "lines": [np.round(zero + math.sqrt(-2 * math.log(1 - share)) * circle, 4).tolist()],
        }
        for word, share in SHARES.items()
    ]


def drawn_contours(draws: Rows, plane: Plane) -> list[dict[str, Any]]:
    """Where 50, 90 and 99 % of a prior lies on a plane, by draws (M, D) from it."""
    xy = projected(draws, plane)
    if xy is None or not len(xy):
        return []
    found = density(xy)
    return [
        {"of": "prior", "level": word, "lines": found.lines(found.level(xy, share))}
        for word, share in SHARES.items()
    ]


def prior_contours(plane: Plane, subject: Subject) -> list[dict[str, Any]]:
    """Where the prior lies on a plane; nothing for codes of a codebook, or where there is no prior."""
    if subject.discrete or not subject.samples or plane.basis is None or not plane.basis.any(1).all():
        return []
    if isinstance(getattr(subject.model.bottleneck, "prior", None), StandardNormal):
        return normal_contours(plane)
    return drawn_contours(subject.prior_codes(DRAWS).double().numpy(), plane)
