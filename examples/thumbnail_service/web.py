"""The web part of the thumbnail service: `uvicorn web:app` in this folder."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from thoonk import AsyncJob, AsyncThoonk, JobState, NotStalled

URL = os.environ.get("THOONK_URL", "redis://localhost:6379/0")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the process. The nightly job is made once, however often this runs."""
    async with AsyncThoonk(backend=URL) as thoonk:
        app.state.thumbnails = await thoonk.job("thumbnails", serializer="json")
        nightly = await thoonk.job("sweep")
        await nightly.schedule("nightly", "30", cron="0 3 * * *", tz="Europe/Berlin")
        yield


app = FastAPI(lifespan=lifespan)


def thumbnails(request: Request) -> AsyncJob[Any]:
    """The feed of jobs."""
    job: AsyncJob[Any] = request.app.state.thumbnails
    return job


@app.post("/thumbnails/{name}", status_code=202)
async def put(request: Request, name: str, width: int = 100, delay: float = 0) -> dict[str, str]:
    """Order a thumbnail, now or in a while. There is one job for each picture at a time."""
    order = {"name": name, "width": width}
    id = await thumbnails(request).put(order, id=name, delay=delay or None)
    return {"id": id, "outcome": id.outcome.name.lower()}


@app.get("/thumbnails/{id}")
async def show(request: Request, id: str) -> dict[str, Any]:
    """The state of a job, how far it is, and what came of it."""
    job = await thumbnails(request).get_info(id)
    if job is None:
        raise HTTPException(404)
    answer: dict[str, Any] = {"state": job.state.value, "progress": job.progress}
    if job.state is JobState.FINISHED and job.has_result:
        answer["result"] = (await thumbnails(request).get_result(id)).result
    if job.failure is not None:
        answer["error"] = f"{job.failure.error}: {job.failure.message}"
    return answer


@app.delete("/thumbnails/{id}", status_code=204)
async def cancel(request: Request, id: str) -> None:
    """Cancel a job, whether it waits or runs."""
    if not await thumbnails(request).retract(id):
        raise HTTPException(404)


@app.post("/thumbnails/{id}/retry", status_code=204)
async def retry(request: Request, id: str) -> None:
    """Let a failed job run again."""
    try:
        await thumbnails(request).retry(id)
    except NotStalled as error:
        raise HTTPException(409, str(error)) from error
