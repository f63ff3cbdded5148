"""For asyncio. The twin in ``_sync`` is generated."""
