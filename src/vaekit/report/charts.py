"""Charts: the course of training, the latent space, what each latent dimension carries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vaekit.report.style import FAINT, INK, MAIN, SECOND, SOFT, TEN, WARM, WIDTH, figure, number, png, word

Records = list[dict[str, Any]]
Series = tuple[np.ndarray, np.ndarray]  # steps, values
SPLITS = (("train", "training", SECOND), ("heldout", "held-out", MAIN))
EVENTS = 6  # marked at most
EARLY = 0.1  # share of training that does not decide an axis


# ---------------------------------------------------------------------- loss.png


def loss(records: Records, run: dict[str, Any]) -> bytes | None:
    """−ELBO, distortion and rate of both splits, and below them β and learning rate; None without records."""
    panels = [
        (title, found)
        for title, key, sign in (("−ELBO", "elbo", -1), ("distortion", "distortion", 1), ("rate", "rate", 1))
        if (found := {split: series(records, key, split, sign) for split, _, _ in SPLITS}) and _any(found)
    ]
    if not panels:
        return None
    lr, beta = series(records, "lr"), series(records, "beta")
    schedule = bool(len(lr[0]) or len(beta[0]))
    drawn = figure(0.75 + 1.75 * len(panels) + 1.1 * schedule)
    ratios = [1.75] * len(panels) + [0.9] * schedule
    axes = np.atleast_1d(drawn.subplots(len(ratios), 1, sharex=True, height_ratios=ratios))
    for ax, (title, found) in zip(axes, panels, strict=False):
        _panel(ax, title, found)
    axes[0].legend(loc="upper right", ncols=2, borderaxespad=0)
    if schedule:
        _schedule(axes[-1], beta, lr)
    last = max(steps.max() for _, found in panels for steps, _ in found.values() if len(steps))
    _mark(drawn, axes, events(run, beta), float(last))
    return png(drawn)


def series(records: Records, key: str, split: str | None = None, sign: float = 1.0) -> Series:
    """Steps and values of one figure, those that are finite numbers, in the order of the steps.

    Example:
        >>> series([{"step": 5, "split": "train", "lr": 0.1}, {"step": 9, "split": "train", "lr": None}], "lr")
        (array([5.]), array([0.1]))
    """
    found = {
        float(record["step"]): sign * float(record[key])
        for record in records
        if (split is None or record.get("split") == split)
        and _is_number(record.get("step"))
        and _is_number(record.get(key))
    }
    steps = sorted(found)
    return np.array(steps), np.array([found[step] for step in steps])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _any(found: dict[str, Series]) -> bool:
    return any(len(steps) for steps, _ in found.values())


def _panel(ax: Any, title: str, found: dict[str, Series]) -> None:
    for split, name, color in SPLITS:
        steps, values = found[split]
        marker = "o" if 0 < len(steps) < 3 else None
        ax.plot(steps, values, color=color, label=name, marker=marker, markersize=4, zorder=3)
        if len(steps) and split == "heldout":
            ax.annotate(number(values[-1], 4), (steps[-1], values[-1]), (5, 0), textcoords="offset points",
                        va="center", color=MAIN, fontsize=9.5, annotation_clip=False)  # fmt: skip
    ax.set_title(f"{title}  (nats per item)")
    ax.set_ylim(*limits(found))
    ax.margins(x=0)


def limits(found: dict[str, Series]) -> tuple[float, float]:
    """An axis for what comes after the first tenth of training, so that the start does not squash the rest.

    Args:
        found: Steps and values by split.

    Returns:
        Lower and upper end.
    """
    last = max(steps.max() for steps, _ in found.values() if len(steps))
    late = np.concatenate([values[steps >= EARLY * last] for steps, values in found.values()])
    low, quarter, middle, high = np.quantile(late, [0.0, 0.25, 0.5, 0.75])
    # a burst in the middle must not decide either: ten times the spread of the middle half is far enough
    high = min(late.max(), high + 10 * max(high - quarter, 1e-3 * abs(middle)))
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return float(low - room), float(high + room)


def _schedule(ax: Any, beta: Series, lr: Series) -> None:
    """β on the left, learning rate on the right."""
    names = [name for name, (steps, _) in (("β", beta), ("learning rate", lr)) if len(steps)]
    for name, (steps, values), color in (("β", beta, WARM), ("learning rate", lr, SOFT)):
        if not len(steps):
            continue
        own = ax if name == names[0] else ax.twinx()
        own.plot(steps, values, color=color, linewidth=1.4)
        own.set_ylim(0, 1.15 * max(values.max(), 1e-12))
        own.tick_params(axis="y", labelcolor=color)
        own.locator_params(axis="y", nbins=3)
        own.grid(own is ax)
        own.set_title(name, color=color, loc="left" if own is ax else "right")
        if name == "learning rate":
            own.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.margins(x=0)


def events(run: dict[str, Any], beta: Series) -> list[tuple[float, str]]:
    """What to mark: the best step, the end of a warm-up, and what the run noted, in the order of the steps."""
    found: list[tuple[float, str]] = []
    if _is_number(run.get("best_step")) and run["best_step"] > 0:
        found.append((float(run["best_step"]), "best held-out figure"))
    steps, values = beta
    changing = np.flatnonzero(values != values[-1:]) if len(values) else np.array([], dtype=int)
    if len(changing):
        found.append((float(steps[changing[-1] + 1]), f"warm-up ends: β = {number(values[-1])}"))
    noted = run.get("events")
    for event in noted if isinstance(noted, list) else []:
        if isinstance(event, dict) and _is_number(event.get("step")):
            found.append((float(event["step"]), word(event.get("what", ""), 60)))
    return sorted(found)[:EVENTS]


def _mark(drawn: Any, axes: Any, marks: list[tuple[float, str]], last: float) -> None:
    """Numbered lines through every panel, and what they mean below."""
    lines: list[str] = []
    for place in sorted({step for step, _ in marks}):
        lines.append(f"{len(lines) + 1}  " + "; ".join(what for step, what in marks if step == place)
                     + f" (step {number(place)})")  # fmt: skip
        x = min(max(place, 0), last)
        for ax in axes:
            ax.axvline(x, color=INK, linewidth=0.8, linestyle=(0, (3, 3)), alpha=0.55, zorder=2)
        late = x > 0.95 * last  # then the number stands to the left of its line, within the axes
        axes[0].annotate(str(len(lines)), (x, 0), (-3 if late else 3, 3), xycoords=("data", "axes fraction"),
                         textcoords="offset points", ha="right" if late else "left", fontsize=8.5)  # fmt: skip
    axes[-1].set_xlim(0, last or 1)
    axes[-1].xaxis.set_major_formatter(lambda value, _: number(value, 6))
    axes[-1].locator_params(axis="x", nbins=6)
    text = "\n".join(["step", *(word(line, 78) for line in lines)])
    axes[-1].set_xlabel(text, loc="left" if lines else None)


# ---------------------------------------------------------------------- latent.png


def latent(evidence: dict[str, np.ndarray]) -> bytes | None:
    """Posterior means of held-out items: the two most active dimensions, and principal components of more."""
    two = evidence.get("latent_two")
    if two is None or not len(two):
        return None
    order, share = evidence["order"], evidence.get("latent_pca_share")
    title = "most active dimensions" if two.shape[1] > 1 else "the only dimension (heights mean nothing)"
    views = [(two, title, [f"z{index}" for index in order[:2]])]
    if share is not None:
        names = [f"component {i + 1} ({part:.0%})" for i, part in enumerate(share)]
        views.append((evidence["latent_pca"], "principal components", names))
    drawn = figure(4.6 if len(views) == 1 else 4.3, width=WIDTH if len(views) == 1 else 1.35 * WIDTH)
    axes = np.atleast_1d(drawn.subplots(1, len(views)))
    for ax, (points, title, names) in zip(axes, views, strict=True):
        colored = _scatter(ax, points, evidence, bool(evidence.get("prior_circle", False)))
        ax.set_title(title)
        ax.set_xlabel(names[0])
        ax.set_ylabel(names[1] if len(names) > 1 else "")
    _legend(drawn, axes, evidence, colored)
    return png(drawn)


def _scatter(ax: Any, points: np.ndarray, evidence: dict[str, np.ndarray], circle: bool) -> Any:
    flat = points.shape[1] == 1
    if flat:  # spread upwards, so that points do not hide each other
        points = np.column_stack([points[:, 0], np.linspace(-1, 1, len(points))])
        ax.set_yticks([])
    label, names = evidence.get("latent_label"), evidence.get("label_names")
    size = float(np.clip(6_000 / len(points), 4, 26))
    spots: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.8, "zorder": 3}
    colored = None
    if label is None or names is None or not len(names):
        ax.scatter(*points.T, color=MAIN, **spots)
    else:
        unknown, known = label < 0, label >= 0
        ax.scatter(*points[unknown].T, color=FAINT, **spots)
        if len(names) <= len(TEN):
            ax.scatter(*points[known].T, color=np.array(TEN)[label[known]], **spots)
        else:
            spots |= {"cmap": "viridis", "vmin": 0, "vmax": len(names) - 1}
            colored = ax.scatter(*points[known].T, c=label[known], **spots)
    if circle:
        _prior(ax)
    if not flat:
        ax.set_aspect("equal", adjustable="datalim")
    return colored


def _prior(ax: Any) -> None:
    """The circles that hold half and 95 % of a standard normal distribution of two dimensions."""
    for share in (0.5, 0.95):
        radius = math.sqrt(-2 * math.log(1 - share))
        angle = np.linspace(0, 2 * math.pi, 200)
        dashed = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3)), "zorder": 4}
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), **dashed)
        ax.annotate(f"{share:.0%}", (0, -radius), ha="center", va="center", fontsize=8.5, zorder=5,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85})  # fmt: skip


def _legend(drawn: Any, axes: Any, evidence: dict[str, np.ndarray], colored: Any) -> None:
    label, names = evidence.get("latent_label"), evidence.get("label_names")
    if label is None or names is None or not len(names):
        return
    if colored is not None:
        bar = drawn.colorbar(colored, ax=list(axes), shrink=0.8, pad=0.02)
        ticks = np.unique(np.linspace(0, len(names) - 1, min(len(names), 12)).round().astype(int))
        bar.set_ticks(ticks, labels=[word(names[tick], 14) for tick in ticks])
        return
    present = [index for index in range(len(names)) if (label == index).any()]
    spot = {"linestyle": "none", "marker": "o", "markersize": 6}
    handles = [axes[0].plot([], [], color=TEN[index], **spot)[0] for index in present]
    texts = [word(names[index], 18) for index in present]
    longest = max((len(text) for text in texts), default=1)
    columns = max(1, min(len(texts), int((76 if len(axes) > 1 else 56) / (longest + 4))))
    spacing = {"handletextpad": 0.1, "columnspacing": 1.0}
    drawn.legend(handles, texts, loc="outside lower center", ncols=columns, **spacing)


# ---------------------------------------------------------------------- kl.png


def kl(evidence: dict[str, np.ndarray]) -> bytes | None:
    """KL of each dimension, and the variance of its posterior mean against the threshold of use."""
    nats = evidence.get("kl")
    if nats is None or not len(nats):
        return None
    active, variance, order = evidence["active"], evidence["variance"], evidence["order"]
    drawn = figure(4.4)
    top, bottom = drawn.subplots(2, 1, sharex=True, height_ratios=[1.6, 1])
    place = np.arange(len(nats))
    colors = np.where(active, MAIN, FAINT)
    top.bar(place, nats, color=colors, width=0.8)
    top.set_title(f"KL (nats per item): {int(active.sum())} of {len(active)} dimensions in use")
    spots = {"edgecolor": SOFT, "linewidth": 0.6, "s": 26, "zorder": 3}
    bottom.scatter(place, np.maximum(variance, 1e-8), color=colors, **spots)
    bottom.axhline(0.01, color=WARM, linewidth=1.2)
    bottom.set_yscale("log")
    bottom.set_ylim(min(1e-4, 0.5 * max(variance.min(), 1e-8)), max(2.0, 2 * variance.max()))
    bottom.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bottom.annotate("in use above 0.01", (0, 0.01), (4, -3), xycoords=("axes fraction", "data"),
                    textcoords="offset points", va="top", color=WARM, fontsize=9)  # fmt: skip
    bottom.set_title("variance of the posterior mean over items")
    for at in np.flatnonzero(~active):  # dimensions that have collapsed onto the prior
        top.axvspan(at - 0.5, at + 0.5, color=SOFT, alpha=0.08, linewidth=0)
        bottom.axvspan(at - 0.5, at + 0.5, color=SOFT, alpha=0.08, linewidth=0)
    few = len(nats) <= 24
    bottom.set_xticks(place if few else place[:: math.ceil(len(nats) / 12)])
    bottom.set_xticklabels(order[bottom.get_xticks().astype(int)])
    bottom.set_xlabel("latent dimension, the one that carries most first")
    bottom.set_xlim(-0.6, len(nats) - 0.4)
    for ax in (top, bottom):
        ax.grid(axis="x", visible=False)
    return png(drawn)
