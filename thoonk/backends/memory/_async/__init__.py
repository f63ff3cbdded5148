"""Feeds in memory for asyncio. The twin in ``_sync`` is generated."""
