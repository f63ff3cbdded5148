"""A web page that shows feeds, queues and jobs, live, and lets people change them.

`app` returns an ASGI application, to serve on its own or to mount in another one;
``thoonk web`` serves it. Needs the extra ``web``.
"""

from __future__ import annotations

from thoonk.exceptions import BackendNotInstalled
from thoonk.extras import how_to_install

try:
    import jinja2  # noqa: F401
    import starlette  # noqa: F401
except ImportError as error:
    raise BackendNotInstalled(
        f"thoonk.web needs a package that is missing ({error}): {how_to_install('web')}"
    ) from error

from thoonk.web.application import app

__all__ = ["app"]
