"""What all contract classes for threads have in common. Twin of the one in ``_async``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest

from thoonk import Thoonk
from thoonk.backends import Backend
from thoonk.testing._sync.helpers import pause
from thoonk.testing._sync.observed import Observed
from thoonk.testing._sync.stored import read_all
from thoonk.testing.deviations import check_deviations, skip_deviation


class Contract:
    """The base of the contract classes for threads: clients in one empty world.

    A subclass needs the fixture ``open_backend``: a function that opens a new backend each time it
    is called, always in the same empty world. The backends are closed at the end of the test.

    Attributes:
        deviations: names of tests that the backend deliberately does not pass, each with the
            reason. They are skipped.
    """

    deviations: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        check_deviations(cls, cls.deviations)

    @pytest.fixture(autouse=True)
    def _one_world(
        self, request: pytest.FixtureRequest, open_backend: Callable[[], Backend]
    ) -> Iterator[None]:
        skip_deviation(request, self.deviations)
        self._open = open_backend
        self._backends: list[Observed] = []
        self._clients: list[Thoonk] = []
        yield
        self.close_all()

    def backend(self) -> Observed:
        """Another backend in the world of this test."""
        backend = Observed(self._open())
        self._backends.append(backend)
        return backend

    def client(self, *, listen: bool = False) -> Thoonk:
        """Another client in the world of this test, with a backend of its own."""
        client = Thoonk(backend=self.backend(), listen=listen)
        self._clients.append(client)
        return client

    @pytest.fixture
    def thoonk(self) -> Thoonk:
        """A client."""
        return self.client()

    @pytest.fixture
    def other(self) -> Thoonk:
        """A second client in the same world."""
        return self.client()

    @pytest.fixture
    def listening(self) -> Thoonk:
        """A client that calls handlers."""
        return self.client(listen=True)

    def blocked(self) -> int:
        """How many consumers wait in a blocking ``get``. Override it if you know a better way."""
        return sum(backend.waiting for backend in self._backends)

    def stored(self, thoonk: Thoonk) -> Mapping[str, Any]:
        """Return everything in the world, to check that a call changes nothing.

        Override it if you can read more than the public operations do.
        """
        return read_all(thoonk)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the backend. Override it if you can set its clock."""
        pause(seconds)

    def close_all(self) -> None:
        """Close what the test opened."""
        for client in self._clients:
            client.close()
        for backend in self._backends:
            backend.close()
