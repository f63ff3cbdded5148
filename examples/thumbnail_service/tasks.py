"""The worker of the thumbnail service: `thoonk work tasks:worker` in this folder."""

import time
from pathlib import Path
from typing import Any

from thoonk import Claim
from thoonk.worker import Worker

worker = Worker(processes=2)


@worker.handles("thumbnails", serializer="json", retries=2, backoff=0.1, time_limit=60)
def make_thumbnail(order: dict[str, Any], claim: Claim[Any]) -> str:
    """Make a picture smaller. (Grey ones, as text, so that no other package is needed.)"""
    _, width, height, _, *pixels = Path(order["name"]).read_text().split()
    step = max(1, int(width) // order["width"])
    rows = []
    for y in range(0, int(height), step):
        row = pixels[y * int(width) : (y + 1) * int(width)]
        rows.append(row[::step])
        claim.progress(y / int(height), f"row {y}")
        time.sleep(0.001)
    small = Path(order["name"]).with_suffix(".small.pgm")
    lines = [f"P2 {len(rows[0])} {len(rows)} 255", *map(" ".join, rows)]
    small.write_text("\n".join(lines) + "\n")
    return small.name


@worker.handles("sweep")
def sweep(days: str) -> str:
    """Remove thumbnails that are older than so many days."""
    removed = 0
    for small in Path().glob("*.small.pgm"):
        if small.stat().st_mtime < time.time() - int(days) * 86400:
            small.unlink()
            removed += 1
    return str(removed)
