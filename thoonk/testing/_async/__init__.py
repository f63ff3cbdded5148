"""The contract classes for asyncio. The twin in ``_sync`` is generated."""
