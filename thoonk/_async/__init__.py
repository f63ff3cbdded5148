"""The client and the feed types for asyncio. The twin in ``_sync`` is generated."""
