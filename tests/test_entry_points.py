"""A backend of a third party is found by the scheme of its URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from thoonk import AsyncThoonk, InvalidType, InvalidValue, Thoonk
from thoonk.backends.memory import AsyncMemoryBackend, MemoryBackend

MODULE = """
from thoonk.backends.memory import AsyncMemoryBackend, MemoryBackend

class Opener:
    seen = []
    def open(self, url, /, **options):
        self.seen.append((url, options))
        return MemoryBackend()
    def open_async(self, url, /, **options):
        self.seen.append((url, options))
        return AsyncMemoryBackend()

opener = Opener()
nonsense = object()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with two entry points, as pip would leave it."""
    info = tmp_path / "thoonk_toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thoonk-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[thoonk.backends]\ntoy = thoonk_toy:opener\nbroken = thoonk_toy:nonsense\n"
    )
    (tmp_path / "thoonk_toy.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
async def test_the_scheme_opens_it_in_both_worlds() -> None:
    with Thoonk(backend="toy://somewhere/1", color="red") as thoonk:
        assert isinstance(thoonk.backend, MemoryBackend)
        thoonk.queue("q").put("item")
        assert thoonk.queue("q").get(timeout=1) == "item"
    async with AsyncThoonk(backend="toy") as other:
        assert isinstance(other.backend, AsyncMemoryBackend)
    import thoonk_toy

    assert thoonk_toy.Opener.seen == [("toy://somewhere/1", {"color": "red"}), ("toy", {})]


@pytest.mark.usefixtures("installed")
def test_what_is_no_opener_is_refused() -> None:
    with pytest.raises(InvalidType, match="nonsense"):
        Thoonk(backend="broken://")


@pytest.mark.usefixtures("installed")
def test_an_unknown_scheme_is_told_what_there_is() -> None:
    with pytest.raises(InvalidValue, match=r"known: .*memory.*toy"):
        Thoonk(backend="unknown://")
