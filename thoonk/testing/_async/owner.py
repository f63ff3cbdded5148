"""A client for tests."""

from __future__ import annotations

from thoonk import AsyncThoonk


class AsyncOwner(AsyncThoonk):
    """A client that closes the backend it was given."""

    async def close(self) -> None:
        """As `AsyncThoonk.close`, and the backend with it."""
        await super().close()
        await self.backend.close()
