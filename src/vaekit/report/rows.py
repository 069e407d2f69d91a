"""Rows of numbers as pictures: heat maps of many columns, points for two, ranges of real and of sampled columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaekit.report.style import FAINT, INK, MAIN, SOFT, TEN, figure, number, png, word

Arrays = dict[str, np.ndarray]
GROUPS = ("best", "median", "worst")
NAMED = 24  # columns whose names fit under a heat map


def reconstructions(evidence: Arrays, names: list[str]) -> bytes:
    """Best, median and worst held-out rows: as they are, as rebuilt, and the error."""
    if str(evidence["form"]) == "points":
        return _rebuilt_points(evidence, names)
    drawn = figure(5.4)
    axes = drawn.subplots(3, 3, sharex=True)
    items, rebuilt, error = (evidence[f"items_{part}"] for part in ("x", "rebuilt", "error"))
    top = _bound(items)
    for group, row in enumerate(axes):
        for ax, values in zip(row[:2], (items[group], rebuilt[group]), strict=True):
            signed = _heat(ax, values, "RdBu_r", -top, top)
        plain = _heat(row[2], error[group], "OrRd", 0, top)
        row[0].set_yticks(
            range(items.shape[1]), [number(value, 3) for value in evidence["items_score"][group]]
        )
        row[0].set_ylabel(GROUPS[group], fontweight="bold")
        for ax in row:
            ax.tick_params(bottom=group == 2, left=False)
    for ax, title in zip(axes[0], ("item", "rebuilt", "error"), strict=True):
        ax.set_title(title)
    for ax in axes[-1]:
        _columns(ax, evidence, names)
    _bar(drawn, signed, axes[:, :2], "standardised value")
    _bar(drawn, plain, axes[:, 2:], "error")
    return png(drawn)


def samples(evidence: Arrays, names: list[str]) -> bytes:
    """Samples beside the nearest training rows, and how each column is distributed."""
    points = str(evidence["form"]) == "points"
    count = len(evidence["quantile_columns"])
    heights = [4.2 if points else 3.6, 0.55 + 0.27 * count]
    drawn = figure(sum(heights))
    parts: Any = drawn.subfigures(2, 1, height_ratios=heights)
    upper, lower = parts
    if points:
        _sampled_points(upper.subplots(), evidence, names)
    else:
        axes, order = (
            upper.subplots(1, 2, sharey=True),
            np.argsort(evidence["sample_distance"], kind="stable"),
        )
        top = _bound(evidence["sample_nearest"])
        both = (("sample_x", "samples"), ("sample_nearest", "nearest training rows"))
        for ax, (key, title) in zip(axes, both, strict=True):
            shown = _heat(ax, evidence[key][order], "RdBu_r", -top, top)
            ax.set_title(title)
            _columns(ax, evidence, names)
        _bar(upper, shown, axes, "standardised value")
    _ranges(lower.subplots(), evidence, names)
    return png(drawn)


def traversals(evidence: Arrays, names: list[str]) -> bytes:
    """What one latent dimension at a time does to a row."""
    dims, steps, walks = evidence["walk_dims"], evidence["walk_steps"], evidence["walk_x"]
    if str(evidence["form"]) == "points":
        return _walked_points(evidence, names)
    import matplotlib

    colors = matplotlib.colormaps["coolwarm"](np.linspace(0, 1, len(steps)))
    columns = 1 if len(dims) <= 5 else 2
    lines = -(-len(dims) // columns)
    drawn = figure(1.5 + 1.35 * lines)
    axes = drawn.subplots(lines, columns, sharey=True, squeeze=False)
    place = evidence["columns"]
    for ax, dim, walk in zip(axes.flat, dims, walks, strict=False):
        for color, values in zip(colors, walk, strict=True):
            marker = "o" if len(place) <= NAMED else None
            ax.plot(place, values, color=color, linewidth=1.2, marker=marker, markersize=2.5)
        ax.set_title(f"z{dim}")
    for ax in axes[:-1].flat:
        ax.tick_params(bottom=False, labelbottom=False)
    for ax in axes[-1]:
        _columns(ax, evidence, names, place)
    for ax in list(axes.flat)[len(dims) :]:  # an empty place keeps the names below it
        ax.tick_params(left=False, labelleft=False)
        ax.spines[:].set_visible(False)
        ax.grid(False)
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(steps[0], steps[-1]), "coolwarm")
    _bar(drawn, scale, axes, "standard deviations of the prior")
    return png(drawn)


# ---------------------------------------------------------------------- rows of many columns


def _heat(ax: Any, values: np.ndarray, colors: str, low: float, high: float) -> Any:
    ax.grid(False)
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    return ax.imshow(values, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation="nearest")


def _bar(drawn: Any, shown: Any, axes: Any, text: str) -> None:
    shape = {"location": "bottom", "aspect": 30, "shrink": 0.9, "pad": 0.02}
    bar = drawn.colorbar(shown, ax=np.asarray(axes).ravel().tolist(), **shape)
    bar.set_label(text, fontsize=9.5)
    bar.outline.set_visible(False)


def _bound(values: np.ndarray) -> float:
    """Where a colour scale ends: nearly all values lie within, and one wild one does not fade the rest."""
    return float(max(np.quantile(np.abs(values), 0.99), 1e-6))


def _columns(ax: Any, evidence: Arrays, names: list[str], place: np.ndarray | None = None) -> None:
    """Names under the columns where they fit, else numbers."""
    shown = evidence["columns"]
    places = np.arange(len(shown)) if place is None else place
    if names and len(shown) <= NAMED:
        ax.set_xticks(places, [word(names[column], 12) for column in shown], rotation=90, fontsize=8)
    else:
        some = np.unique(np.linspace(0, len(shown) - 1, min(len(shown), 5)).round().astype(int))
        ax.set_xticks(places[some], [str(column) for column in shown[some]], fontsize=8.5)
        ax.set_xlabel("column", fontsize=9.5)


def _ranges(ax: Any, evidence: Arrays, names: list[str]) -> None:
    """Per column the middle 90 % (thin), the middle half (thick) and the median (dot) of real and sampled values."""
    real, sampled, columns = (evidence[f"quantile_{part}"] for part in ("real", "sampled", "columns"))
    span = np.where(real[-1] > real[0], real[-1] - real[0], 1.0)
    for values, color, shift, name in ((real, SOFT, -0.17, "held-out"), (sampled, MAIN, 0.17, "sampled")):
        scaled = (values - real[0]) / span  # (5, m): 0 and 1 are the real 5 % and 95 % quantiles
        y = np.arange(len(columns)) + shift
        ax.hlines(y, scaled[0], scaled[4], color=color, linewidth=1.2)
        ax.hlines(y, scaled[1], scaled[3], color=color, linewidth=4.5)
        ax.scatter(scaled[2], y, color="white", edgecolor=color, s=16, zorder=3, label=name)
    ticks = [word(names[column], 16) if names else f"column {column}" for column in columns]
    ax.set_yticks(range(len(columns)), ticks)
    ax.set_xticks([0, 0.5, 1], ["held-out 5 %", "", "held-out 95 %"])
    ax.set_ylim(len(columns) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_title("each column")
    ax.legend(*_thick_legend(), loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)


def _thick_legend() -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=color, linewidth=4.5) for color in (SOFT, MAIN)], ["held-out", "sampled"]


# ---------------------------------------------------------------------- points of a plane


def _background(ax: Any, evidence: Arrays) -> None:
    """Held-out items, faint."""
    ax.scatter(*evidence["points"].T, s=7, color=FAINT, linewidths=0, zorder=1)


def _plane(ax: Any, names: list[str]) -> None:
    ax.set_xlabel(word(names[0]) if names else "column 0")
    ax.set_ylabel(word(names[1]) if names else "column 1")


def _rebuilt_points(evidence: Arrays, names: list[str]) -> bytes:
    """Each row joined to its reconstruction, over what the model draws and has seen."""
    drawn = figure(4.4)
    ax = drawn.subplots()
    _background(ax, evidence)
    for group, (name, color) in enumerate(zip(GROUPS, (MAIN, TEN[1], TEN[2]), strict=True)):
        start, end = evidence["items_x"][group], evidence["items_rebuilt"][group]
        ax.plot(*np.stack([start, end]).transpose(2, 0, 1), color=color, linewidth=1.0)
        ax.scatter(start[:, 0], start[:, 1], s=24, color=color, label=name, zorder=3, linewidths=0)
        ax.scatter(end[:, 0], end[:, 1], s=24, facecolor="white", edgecolor=color, zorder=3, linewidth=1.1)
    ax.scatter([], [], s=24, facecolor="white", edgecolor=INK, label="rebuilt")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0, handletextpad=0.1)
    _plane(ax, names)
    return png(drawn)


def _sampled_points(ax: Any, evidence: Arrays, names: list[str]) -> None:
    start, end = evidence["sample_x"], evidence["sample_nearest"]
    _background(ax, evidence)
    ax.plot(*np.stack([start, end]).transpose(2, 0, 1), color=SOFT, linewidth=0.8, zorder=2)
    ax.scatter(*end.T, s=18, color=SOFT, label="nearest training rows", linewidths=0)
    ax.scatter(*start.T, s=18, color=MAIN, label="samples", linewidths=0, zorder=3)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handletextpad=0.1)
    _plane(ax, names)


def _walked_points(evidence: Arrays, names: list[str]) -> bytes:
    """The path through the plane of each latent dimension."""
    drawn = figure(4.4)
    ax = drawn.subplots()
    _background(ax, evidence)
    for color, dim, walk in zip(TEN, evidence["walk_dims"], evidence["walk_x"], strict=False):
        ax.plot(*walk.T, color=color, marker="o", markersize=3.5, label=f"z{dim}")
        ax.annotate("+3", walk[-1], (4, 4), textcoords="offset points", color=color, fontsize=9)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, borderaxespad=0)
    _plane(ax, names)
    return png(drawn)
