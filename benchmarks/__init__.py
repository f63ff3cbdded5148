"""Thoonk beside bare Redis commands and beside its peers: ``python -m benchmarks``."""
