"""The executor of a worker for asyncio. The twin in ``_sync`` is generated."""
