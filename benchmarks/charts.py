"""The charts of a run, as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl

mpl.use("svg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from benchmarks.catalogue import ALL, AT_ONCE, FLOOR_OF, NOTICES, TAKERS, Contestant
from benchmarks.results import Spread, cpu, rate, ratio, spread
from benchmarks.tables import OPERATIONS, OURS_AND_FLOOR, SPEED

OURS, FLOOR, PEER = "#c2410c", "#9ca3af", "#3b6ea8"
INK, GRID = "#1f2937", "#e5e7eb"

GROWING = {
    "feed-size": "items in the feed",
    "item-bytes": "bytes of the item",
    "subscribers": "subscribers of the feed",
}

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thoonk",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "legend.frameon": False,
}


def draw(results: dict[str, Any], folder: Path, digest: str) -> None:
    """Draw all charts for which there are numbers.

    Args:
        results: of the run.
        folder: where they go, one file for each.
        digest: stands for the results, so that a chart tells of which it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, figure in _figures(results["parts"]):
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None, "Identifier": digest})
            lines = path.read_text("utf-8").splitlines()
            path.write_text("\n".join(line.rstrip() for line in lines) + "\n", "utf-8")


def _figures(parts: dict[str, Any]) -> Iterator[tuple[str, Figure]]:
    if "rates" in parts:
        yield "ratios", _ratios(parts["rates"])
    if "rates" in parts and "drain" in parts:
        yield "speed", _speed({**parts["rates"], "drain": parts["drain"]})
    if "at_once" in parts:
        yield "at-once", _at_once(parts["at_once"])
    if "space" in parts:
        yield "bytes", _bytes(parts["space"])
    if "notices" in parts and "waking" in parts:
        yield "latency", _latency(parts["notices"], parts["waking"])
    if "waking" in parts:
        yield "consumers", _consumers(parts["waking"])
    for what, label in GROWING.items():
        if what in parts.get("growth", {}):
            yield what, _grown(parts["growth"][what], label)


def _colour(contestant: Contestant) -> str:
    if contestant.name.startswith("thoonk"):
        return OURS
    return FLOOR if contestant.name.startswith("floor") else PEER


def _ratios(rates: dict[str, Any]) -> Figure:
    rows = []
    for label, method, ours in OURS_AND_FLOOR:
        by, floor = rates.get(method, {}), FLOOR_OF[method][0]
        if ours in by and floor in by:
            rows.append((label, ratio(by[ours], by[floor]), ratio(by[floor], by[ours], cpu)))
    figure = Figure(figsize=(7.5, 0.9 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color=FLOOR, lw=2)
    for place, (_, by_time, by_cpu) in enumerate(rows):
        span = [by_time.low, by_time.high]
        axes.plot(span, [place, place], color=OURS, lw=3, alpha=0.35)
        axes.plot(by_cpu.median, place, "o", color=OURS, mfc="white")
        axes.plot(by_time.median, place, "o", color=OURS)
        _note(axes, f"{by_time.median:.2f}", max(*span, by_cpu.median), place)
    _names(axes, [label for label, *_ in rows])
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.set_xlabel(
        "calls a second by those of the bare commands (the line)\n"
        "dot: median; bar: all rounds; hollow: by time on the CPU"
    )
    return figure


def _note(axes: Axes, text: str, x: float, place: int) -> None:
    axes.annotate(text, (x, place), (6, 0), textcoords="offset points", va="center")


def _names(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def _speed(found: dict[str, Any]) -> Figure:
    methods = [method for method in ("put", "claim", "loop", "drain") if method in found]
    shown = [[c for c in ALL if c.name in found[method]] for method in methods]
    heights = [len(contestants) + 1.5 for contestants in shown]
    figure = Figure(figsize=(7.5, 0.27 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(methods), 1, height_ratios=heights)
    for axes, method, contestants in zip(panels, methods, shown, strict=True):
        floor, what = FLOOR_OF.get(method, ("", ""))
        named = [attrs.evolve(c, label=what) if c.name == floor else c for c in contestants]
        _bars(axes, named, [spread(found[method][c.name], rate) for c in contestants])
        axes.set_title(SPEED[method].replace("/s", " a second"))
    return figure


def _at_once(found: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    titles = {"put_at_once": "put", "publish_at_once": "publish"}
    for axes, (method, title) in zip(figure.subplots(2, 1), titles.items(), strict=True):
        shown = [c for c in AT_ONCE if c.name in found.get(method, {})]
        for number, contestant in enumerate(shown):
            by_calls = found[method][contestant.name]
            levels = sorted(by_calls, key=int)
            numbers = [spread(by_calls[n], rate) for n in levels]
            is_ours = contestant.name.startswith("thoonk")
            at, colour = [int(n) for n in levels], f"C{number}"
            style = "-" if is_ours else "--"
            middle = [n.median for n in numbers]
            axes.plot(at, middle, style, marker="o", ms=4, color=colour, label=contestant.label)
            axes.fill_between(
                at, [n.low for n in numbers], [n.high for n in numbers], color=colour, alpha=0.12
            )
        _scales(axes, "calls at once", "calls a second")
        axes.set_yscale("linear")
        axes.yaxis.set_major_formatter(_thousands)
        axes.set_ylim(bottom=0)
        axes.set_title(title)
    return figure


def _bytes(space: dict[str, Any]) -> Figure:
    contestants = [c for c in ALL if c.name in space]
    figure = Figure(figsize=(7.5, 0.8 + 0.27 * len(contestants)), layout="constrained")
    axes = figure.subplots()
    _bars(
        axes,
        contestants,
        [Spread.of([space[c.name]["queued"]["used_memory"]]) for c in contestants],
    )
    axes.axvline(256, color=INK, lw=1, ls=":")
    axes.set_xlabel("bytes of the server's memory per queued item\n(dotted: the item's own 256)")
    return figure


def _bars(axes: Axes, contestants: list[Contestant], values: list[Spread]) -> None:
    for place, (contestant, numbers) in enumerate(zip(contestants, values, strict=True)):
        axes.barh(place, numbers.median, color=_colour(contestant))
        axes.plot([numbers.low, numbers.high], [place, place], color=INK, lw=1)
        _note(axes, f"{numbers.median:,.0f}", numbers.high, place)
    _names(axes, [c.label.removeprefix("floor: ") for c in contestants])
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(_thousands)


def _thousands(value: float, _place: int) -> str:
    return f"{value:,.0f}"


def _latency(notices: dict[str, Any], waking: dict[str, Any]) -> Figure:
    rows = [(c, notices[c.name]) for c in NOTICES if c.name in notices]
    rows += [(c, waking[c.name]["1"]) for c in TAKERS if c.name in waking]
    labels = {"thoonk.feed": "thoonk feed: publish, notice"}
    labels |= {f"thoonk.{kind}": f"thoonk {kind}: put, blocked get" for kind in ("queue", "job")}
    figure = Figure(figsize=(7.5, 0.8 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (contestant, samples) in enumerate(rows):
        p50 = spread(samples, lambda s: s["p50"]).median
        p99 = spread(samples, lambda s: s["p99"]).median
        colour = _colour(contestant)
        axes.plot([p50, p99], [place, place], color=colour, lw=3, alpha=0.35)
        axes.plot(p50, place, "o", color=colour)
        axes.plot(p99, place, "|", color=colour, ms=10, mew=2)
    _names(axes, [labels.get(c.name, c.label) for c, _ in rows])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_thousands)
    axes.set_xlabel(
        "µs from one process to another, logarithmic\nhalf arrive by the dot, 99 of 100 by the bar"
    )
    return figure


def _consumers(waking: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    axes = figure.subplots()
    for contestant, colour in zip(TAKERS, (FLOOR, OURS, PEER), strict=True):
        by_consumers = waking.get(contestant.name, {})
        numbers = sorted(by_consumers.keys() - {"idle"}, key=int)
        middle = [spread(by_consumers[n], lambda s: s["p50"]).median for n in numbers]
        axes.plot(
            [int(n) for n in numbers], middle, marker="o", color=colour, label=contestant.label
        )
    _scales(axes, "blocked consumers", "µs until the item is there (p50)")
    axes.set_yscale("linear")
    axes.yaxis.set_major_formatter(_thousands)
    axes.set_ylim(bottom=0)
    return figure


def _grown(by_operation: dict[str, Any], label: str) -> Figure:
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    for number, (operation, by_size) in enumerate(by_operation.items()):
        sizes = sorted(by_size, key=int)
        axes.plot(
            [int(size) for size in sizes],
            [spread(by_size[size], cpu).median for size in sizes],
            "--" if operation.startswith("floor") else "-",
            marker="o",
            ms=3,
            color=f"C{number}",
            label=OPERATIONS.get(operation, operation.replace("_", " ")),
        )
    _scales(axes, label, "µs on the CPU per operation")
    return figure


def _scales(axes: Axes, x: str, y: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_thousands)
        axis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
