"""Makes a run the one that the documentation shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

    write(results, root / PUBLISHED)
    results = read(root / PUBLISHED)  # as whoever checks sees them: rounded, in another order
    charts.draw(results, root / CHARTS, digest_of(root / PUBLISHED))
    page = root / PAGE
    page.write_text(filled(page.read_text("utf-8"), results), "utf-8")


def stale(root: Path) -> list[str]:
    """What of the page does not show the published results: files, one or more or none."""
    page = (root / PAGE).read_text("utf-8")
    digest = digest_of(root / PUBLISHED)
    charts = [root / CHARTS / name for name in CHART.findall(page)]
    wrong = [c for c in charts if not c.is_file() or digest not in c.read_text("utf-8")]
    if page != filled(page, read(root / PUBLISHED)):
        wrong.append(root / PAGE)
    return [str(path.relative_to(root)) for path in wrong]


def digest_of(path: Path) -> str:
    """Stands for a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def filled(page: str, results: dict[str, Any]) -> str:
    """The page with its blocks filled from the results."""
    blocks = dict(_blocks(results))

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{blocks[found['name']]}\n\n{found[3]}"

    return BLOCK.sub(fill, page)


def _blocks(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for table in tables(results):
        yield table.name, table.as_markdown()
    yield "machine", _machine(results)


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    ours = machine["versions"]["thoonk"]
    peers = sorted(
        f"{name} {found[name]}"
        for name, found in machine["versions"].items()
        if name != "thoonk" and name in found
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
