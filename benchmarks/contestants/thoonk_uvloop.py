"""Thoonk's public calls for asyncio, on the event loop of uvloop."""

from __future__ import annotations

import asyncio

import uvloop

from benchmarks.contestants.thoonk_async import Feed, Job

__all__ = ["Feed", "Job"]

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
