"""A backend around another one, for asyncio. The twin in ``_sync`` is generated."""
