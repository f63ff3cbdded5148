"""The few things in which threads and tasks differ.

``_async`` and ``_sync`` offer the same names. Code that is authored for asyncio
imports from the one, its generated twin from the other.
"""
