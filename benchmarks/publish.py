"""Makes a run the one that the documentation shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.environments import NODE_PACKAGES
from benchmarks.results import LATER, PUBLISHED, read, write
from benchmarks.tables import tables

PAGE = Path("docs/performance.md")
CHARTS = Path("docs/charts")

BLOCK = re.compile(r"(<!-- begin (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""What is written by this module, and not by hand."""

CHART = re.compile(r"\(charts/([\w-]+\.svg)\)")
"""Where the page shows a chart."""


def publish(results: dict[str, Any], root: Path) -> None:
    """Keep the results, draw the charts, write the tables into the page."""
    from benchmarks import charts  # needs matplotlib, the rest does not

    write(results, root / PUBLISHED)
    for old in (root / CHARTS).glob("*.svg"):
        old.unlink()
    # As whoever checks sees them: rounded, in another order.
    for file, shown in runs(root):
        charts.draw(shown, root / CHARTS, digest_of(file))
    page = root / PAGE
    page.write_text(filled(page.read_text("utf-8"), root), "utf-8")


def runs(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The runs that the page shows, each with its file; a part is that of the first that has it."""
    seen: set[str] = set()
    for file in (root / PUBLISHED, root / LATER):
        if file.is_file():
            results = read(file)
            parts = {name: part for name, part in results["parts"].items() if name not in seen}
            seen |= parts.keys()
            yield file, {**results, "parts": parts}


def stale(root: Path) -> list[str]:
    """What of the page does not show the published results: files, one or more or none."""
    page = (root / PAGE).read_text("utf-8")
    digests = [digest_of(file) for file, _ in runs(root)]
    charts = [root / CHARTS / name for name in CHART.findall(page)]
    wrong = [
        chart
        for chart in charts
        if not chart.is_file() or not any(digest in chart.read_text("utf-8") for digest in digests)
    ]
    if page != filled(page, root):
        wrong.append(root / PAGE)
    return [str(path.relative_to(root)) for path in wrong]


def digest_of(path: Path) -> str:
    """Stands for a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def filled(page: str, root: Path) -> str:
    """The page with its blocks filled from the results."""
    blocks: dict[str, str] = {}
    for file, results in runs(root):
        blocks |= {table.name: table.as_markdown() for table in tables(results)}
        blocks[_RUN[file.name]] = _machine(results)

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{blocks[found['name']]}\n\n{found[3]}"

    return BLOCK.sub(fill, page)


_RUN = {PUBLISHED.name: "machine", LATER.name: "at-once-machine"}
"""The block that tells of a run, by its file."""


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    ours = machine["versions"]["thoonk"]
    peers = sorted(
        f"{package} {found[package]}"
        for name, found in machine["versions"].items()
        if name != "thoonk"
        for package in NODE_PACKAGES.get(name, (name,))
        if package in found
    )
    loads = [load for load in results["load"] if load is not None]
    libraries = ", ".join(f"{name} {ours[name]}" for name in ("redis", "hiredis", "fakeredis"))
    where = f"{machine['cores']} cores ({machine['processor']}, {machine['system']})"
    lines = (
        f"- {results['when']}, {results['rounds']} rounds",
        f"- {where}, Python {machine['python']}, {machine['server']}",
        f"- {libraries}; {', '.join(peers)}",
        f"- load of the machine, the benchmark's own included: {min(loads):.1f}–{max(loads):.1f}",
    )
    return "\n".join(lines)
