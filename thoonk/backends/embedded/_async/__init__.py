"""The embedded engine for asyncio. The twin in ``_sync`` is generated."""
