"""The contract, tried on every backend. The twin in ``_sync`` is generated."""
