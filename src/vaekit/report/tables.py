"""Tables as pictures: columns, pairs, reconstruction by column, holes, what each latent dimension moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaekit.report.style import FAINT, INK, MAIN, SOFT, WIDTH, figure, number, png, word

Arrays = dict[str, np.ndarray]
SHOWN = 30  # columns of one picture
LONG = 24  # characters of a name beside a row
LEAST = -0.25  # where the bar of a column that is rebuilt worse than by guessing ends
TOLD = 0.1  # change from which a word stands in a traversal
FLOOR: dict[str, Any] = {"color": INK, "marker": "|", "s": 70, "linewidths": 1.4, "zorder": 4}


def _named(evidence: Arrays, index: Any, most: int = LONG) -> list[str]:
    return [shortened(evidence["table_names"][i], most) for i in np.asarray(index).ravel()]


def shortened(name: object, most: int) -> str:
    """A name without its middle: many columns differ in their last letters only.

    Example:
        >>> shortened("measurement of sensor 17", 12)
        'measur…or 17'
    """
    line = word(name, 10_000)
    tail = (most - 1) // 2
    return line if len(line) <= most else f"{line[: most - 1 - tail]}…{line[len(line) - tail :]}"


# ---------------------------------------------------------------------- columns.png


def columns(evidence: Arrays) -> bytes:
    """The columns whose distributions differ most: held-out rows filled, sampled ones as a line."""
    index = evidence["column_index"]
    wide = 1 if len(index) == 1 else 2
    lines = -(-len(index) // wide)
    drawn = figure(0.35 + 1.7 * lines, width=1.35 * WIDTH)
    panels = drawn.subplots(lines, wide, squeeze=False)
    for i, (ax, place) in enumerate(zip(panels.flat, index, strict=False)):
        draw = _histogram if evidence["column_number"][i] else _bars
        draw(ax, evidence, i)
        error, floor = evidence["table_shape"][place], evidence["table_floor"][place]
        title = f"{_named(evidence, place, 20)[0]}  {number(error, 2)} ({number(floor, 2)})"
        ax.set_title(title, fontsize=9.5)
        ax.tick_params(labelsize=8)
        ax.grid(visible=False)
    for ax in list(panels.flat)[len(index) :]:
        ax.set_axis_off()
    _legend(drawn)
    return png(drawn)


def _legend(drawn: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(color=FAINT, label="held-out"), Line2D([], [], color=MAIN, label="sampled")]
    drawn.legend(handles=handles, loc="outside upper right", ncols=2)


def _histogram(ax: Any, evidence: Arrays, i: int) -> None:
    edges = evidence["column_edges"][i]
    edges = edges[~np.isnan(edges)]
    if not len(edges):
        return
    real, drawn = (evidence[f"column_{part}"][i][: len(edges) - 1] for part in ("real", "sampled"))
    ax.stairs(real, edges, fill=True, color=FAINT)
    ax.stairs(drawn, edges, color=MAIN, linewidth=1.3)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xticks(evidence["column_tick_at"][i], evidence["column_tick"][i])
    for label, side in zip(ax.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
    _shares(ax.yaxis)


def _bars(ax: Any, evidence: Arrays, i: int) -> None:
    real, drawn = (evidence[f"column_{part}"][i] for part in ("real", "sampled"))
    count = int((~np.isnan(real)).sum())
    y = np.arange(count)
    ax.barh(y, real[:count], color=FAINT, height=0.8)
    ax.barh(y, drawn[:count], facecolor="none", edgecolor=MAIN, linewidth=1.3, height=0.5)
    ax.set_yticks(y, [word(label, 16) for label in evidence["column_labels"][i][:count]])
    ax.set_ylim(max(count, 4) - 0.4, -0.6)
    _shares(ax.xaxis)


def _shares(axis: Any) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axis.get_major_locator().set_params(nbins=3)


# ---------------------------------------------------------------------- pairs.png


def pairs(evidence: Arrays) -> bytes:
    """Errors of how columns go together: a matrix, and the worst pairs beside the floor of training rows."""
    matrix, worst = evidence["pair_matrix"], evidence["pair_worst"]
    heights = (
        [min(1.9 + 0.16 * len(matrix), 5.2), 0.95 + 0.27 * len(worst)] if len(matrix) > 2 else [0.0, 1.1]
    )
    drawn: Any = figure(sum(heights))
    part = drawn
    if len(matrix) > 2:
        upper, part = drawn.subfigures(2, 1, height_ratios=heights)
        _matrix(upper, matrix, _named(evidence, evidence["pair_columns"], 16))
    ax = part.subplots()
    names = [" × ".join(_named(evidence, pair, 15)) for pair in worst]
    _errors(ax, names, evidence["pair_error"], evidence["pair_floor"])
    ax.set_title("worst pairs")
    _key(part)
    return png(drawn)


def _matrix(part: Any, matrix: np.ndarray, names: list[str]) -> None:
    ax = part.subplots()
    bare = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)
    top = max(0.1, float(matrix.max()))
    shown = ax.imshow(bare, cmap="OrRd", vmin=0, vmax=top, interpolation="nearest")
    size = 8 if len(names) <= 20 else 6.5
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    ax.set_yticks(range(len(names)), names, fontsize=size)
    _plain(ax)
    bar = part.colorbar(shown, ax=ax, shrink=0.8)
    bar.set_label("error of the pair", fontsize=9)
    bar.outline.set_visible(False)


def _plain(ax: Any) -> None:
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _errors(ax: Any, names: list[str], error: np.ndarray, floor: np.ndarray) -> None:
    y = np.arange(len(names))
    ax.barh(y, error, color=MAIN, height=0.62, label="sampled rows")
    ax.scatter(floor, y, **FLOOR, label="training rows")
    _listed(ax, names)
    ax.set_xlim(0, max(0.05, 1.05 * float(max(error.max(), floor.max()))))


def _listed(ax: Any, names: list[str]) -> None:
    """Names down the left side."""
    ax.set_yticks(range(len(names)), names, fontsize=8.5)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)


def _key(part: Any) -> None:
    """What the marks mean, below everything."""
    part.legend(loc="outside lower right", ncols=2, handletextpad=0.4, columnspacing=1.0)


# ---------------------------------------------------------------------- reconstructions.png


def reconstructions(evidence: Arrays) -> bytes:
    """How well each column can be rebuilt from its code: numbers, and below them categories."""
    numeric, score = evidence["rebuilt_number"], evidence["rebuilt_score"]
    chosen = [
        (title, place[np.argsort(score[place], kind="stable")[:SHOWN]])
        for title, place in (("numbers", np.flatnonzero(numeric)), ("categories", np.flatnonzero(~numeric)))
        if len(place)
    ]
    heights = [0.8 + 0.24 * len(place) for _, place in chosen]
    drawn = figure(sum(heights) + 0.3)
    axes = drawn.subplots(len(chosen), 1, squeeze=False, height_ratios=heights).flat
    for ax, (title, place) in zip(axes, chosen, strict=True):
        y, reached = np.arange(len(place)), score[place].clip(LEAST, 1)
        ax.barh(y, reached, color=MAIN, height=0.62, label="reached" if title == "categories" else None)
        if title == "categories":
            ax.scatter(evidence["rebuilt_base"][place], y, **FLOOR, label="most frequent one")
        _listed(ax, _named(evidence, evidence["rebuilt_index"][place]))
        ax.set_xlim(min(0.0, 1.1 * float(reached.min())), 1.02)
        ax.set_title("numbers: error taken away" if title == "numbers" else "categories: share right")
        ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    if not numeric.all():
        _key(drawn)
    return png(drawn)


# ---------------------------------------------------------------------- missing.png


def missing(evidence: Arrays) -> bytes:
    """The share of empty cells, held-out and sampled; the columns that differ most."""
    real, drawn_share = evidence["hole_real"], evidence["hole_sampled"]
    some = np.flatnonzero((real > 0) | (drawn_share > 0) | (evidence["hole_train"] > 0))
    index = some[np.argsort(-np.abs(real - drawn_share)[some], kind="stable")[:SHOWN]]
    drawn = figure(1.1 + 0.25 * len(index))
    ax, y = drawn.subplots(), np.arange(len(index))
    ax.hlines(y, real[index], drawn_share[index], color=FAINT, linewidth=3)
    ax.scatter(real[index], y, color=SOFT, s=42, label="held-out", zorder=3)
    ax.scatter(drawn_share[index], y, color=MAIN, s=26, label="sampled", zorder=4)
    _listed(ax, _named(evidence, index))
    top = float(max(real[index].max(), drawn_share[index].max()))
    ax.set_xlim(-0.02 * top, max(0.01, 1.08 * top))
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    ax.set_title("empty cells")
    _key(drawn)
    return png(drawn)


# ---------------------------------------------------------------------- traversals.png


def traversals(evidence: Arrays) -> bytes:
    """How far each latent dimension moves each column, and where to."""
    size, text = evidence["change_size"].T, evidence["change_text"].T  # (columns, d)
    names, dims = _named(evidence, evidence["change_index"]), evidence["change_dims"]
    wide = min(1.35 * WIDTH, 2.7 + 0.62 * len(dims))
    drawn = figure(1.2 + 0.27 * len(names), width=max(wide, 4.2))
    ax = drawn.subplots()
    shown = ax.imshow(size, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for (row, column), what in np.ndenumerate(text):
        if what and size[row, column] >= TOLD:
            color = "white" if size[row, column] > 0.6 else INK
            short = word(what, 10)
            ax.text(column, row, short, ha="center", va="center", fontsize=9 if len(short) == 1 else 6.2,
                    color=color)  # fmt: skip
    ax.set_yticks(range(len(names)), names, fontsize=8.5)
    ax.set_xticks(range(len(dims)), [f"z{dim}" for dim in dims])
    ax.xaxis.tick_top()
    _plain(ax)
    bar = drawn.colorbar(shown, ax=ax, location="bottom", aspect=40, shrink=0.8, pad=0.02)
    bar.set_label("how far the column's distribution moves", fontsize=9)
    bar.outline.set_visible(False)
    return png(drawn)
