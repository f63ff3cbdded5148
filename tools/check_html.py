"""Check the built pages: what search finds, what is copied, and how large pages are.

    python tools/check_html.py FOLDER

FOLDER is what ``sphinx-build -b html docs FOLDER`` has written; ``tox -e docs`` runs both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import snowballstemmer

SEARCHES = {
    "delayed job": "job",
    "unique job": "job",
    "dead letter": "faq",
    "cluster": "backends",
    "FastAPI": "use-with/fastapi",
    "Django": "use-with/django",
    "Docker": "deploy/docker",
    "Kubernetes": "deploy/kubernetes",
    "FAQ": "faq",
    "migration": "faq",
    "performance tuning": "deploy/sizing",
}
LARGEST = 400_000


def found_by(index: dict[str, Any], words: str) -> set[str]:
    """The pages with all these words, by the index that the search page loads."""
    stem = snowballstemmer.stemmer("english").stemWord
    found = set(range(len(index["docnames"])))
    for word in words.lower().split():
        hits: set[int] = set()
        for kind in ("terms", "titleterms"):
            pages = index[kind].get(stem(word), [])
            hits |= set(pages if isinstance(pages, list) else [pages])
        found &= hits
    return {index["docnames"][number] for number in found}


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with the pages."""
    text = (folder / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    for words, page in SEARCHES.items():
        if page not in found_by(index, words):
            yield f"a search for {words!r} does not find {page}"
    for path in folder.rglob("*.html"):
        if path.stat().st_size > LARGEST:
            yield f"{path.name} has {path.stat().st_size} bytes"
    if ".linenos, .gp, .go" not in (folder / "_static/copybutton.js").read_text("utf-8"):
        yield "buttons copy prompts, too"
    tutorial = (folder / "tutorial.html").read_text("utf-8")
    for prompt in ("$ ", "&gt;&gt;&gt; "):
        if f'<span class="gp">{prompt}</span>' not in tutorial:
            yield f"the prompt {prompt!r} is not marked as one"


def main(arguments: list[str]) -> int:
    """Print what is wrong; return the exit code."""
    found = list(problems(Path(arguments[0])))
    print("\n".join(found), end="\n" * bool(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
