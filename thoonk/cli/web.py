"""The command ``web``."""

from __future__ import annotations

import logging
import os

import click

from thoonk.cli.session import MEMORY_NOTE, Command, Session, pass_session


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port to listen on; 0: a free one.",
)
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="The token to log in with. Prefer THOONK_WEB_TOKEN: other users can see command lines.",
)
@click.option(
    "--root-path",
    default="",
    metavar="PATH",
    help="The path under which a proxy shows the page, such as /jobs, and which it removes.",
)
@pass_session
def web(
    session: Session, host: str, port: int, read_only: bool, token: str | None, root_path: str
) -> None:
    """Serve a web page that shows feeds, queues and jobs, live.

    By default, only this machine can open it. On any other address it needs a token, or must be
    read-only. It speaks plain HTTP: for HTTPS, put a proxy in front that passes on the Host header.
    """
    from thoonk.web import app
    from thoonk.web.security import LOOPBACK, is_loopback
    from thoonk.web.serving import check_root_path, listening_socket, serve

    root_path = check_root_path(root_path)
    token = token or os.environ.get("THOONK_WEB_TOKEN") or None
    local = is_loopback(host)
    if not local and token is None and not read_only:
        raise click.UsageError(
            f"Other machines can open the page on {host}: set a --token, or let them only look "
            "with --read-only."
        )
    logging.basicConfig(
        level=logging.DEBUG if session.debug else logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    if session.url.partition(":")[0] == "memory":
        click.echo(MEMORY_NOTE, err=True)
    # With a token, the proxy in front decides about host names.
    hosts = {*LOOPBACK, host} if local and token is None else None
    application = app(session.url, read_only=read_only, token=token, hosts=hosts)
    listener = listening_socket(host, port)
    bound = listener.getsockname()
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]

    def ready() -> None:
        how = [*(["read-only"] if read_only else []), *(["with a token"] if token else [])]
        more = f" ({', '.join(how)})" if how else ""
        click.echo(f"http://{shown}:{bound[1]}/ shows {application.state.site.source.name}{more}")
        if not local and token is None:
            click.echo("Note: every user who can reach this address can read all items", err=True)

    serve(application, listener, ready, root_path)
