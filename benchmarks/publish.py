"""Makes a run the one that the documentation shows."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from benchmarks.environments import NODE_PACKAGES
from benchmarks.results import PUBLISHED, read, write
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

    file = root / PUBLISHED
    write(results, file)
    for old in (root / CHARTS).glob("*.svg"):
        old.unlink()
    # As a check sees them: rounded, in another order.
    charts.draw(read(file), root / CHARTS, digest_of(file))
    page = root / PAGE
    page.write_text(filled(page.read_text("utf-8"), root), "utf-8")


def stale(root: Path) -> list[str]:
    """What of the page does not show the published results: files, one or more or none."""
    page = (root / PAGE).read_text("utf-8")
    digest = digest_of(root / PUBLISHED)
    charts = [root / CHARTS / name for name in CHART.findall(page)]
    wrong = [
        chart for chart in charts if not chart.is_file() or digest not in chart.read_text("utf-8")
    ]
    if page != filled(page, root):
        wrong.append(root / PAGE)
    return [str(path.relative_to(root)) for path in wrong]


def digest_of(path: Path) -> str:
    """Stands for a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def filled(page: str, root: Path) -> str:
    """The page with its blocks filled from the results."""
    results = read(root / PUBLISHED)
    blocks = {table.name: table.as_markdown() for table in tables(results)}
    blocks["machine"] = _machine(results)

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{blocks[found['name']]}\n\n{found[3]}"

    return BLOCK.sub(fill, page)


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
