"""A watched backend for asyncio. The twin in ``_sync`` is generated."""
