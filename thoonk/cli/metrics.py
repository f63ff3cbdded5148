"""The command ``metrics``: the state of feeds for Prometheus."""

from __future__ import annotations

import signal
import threading

import click

from thoonk.cli.session import MEMORY_NOTE, Command, Session, names_argument, pass_session


@click.command(cls=Command)
@names_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=9400,
    show_default=True,
    help="The port to listen on; 0: a free one.",
)
@pass_session
def metrics(session: Session, names: tuple[str, ...], host: str, port: int) -> None:
    """Serve metrics of all feeds, or of those named, for Prometheus.

    Run it once for each backend. Each scrape asks the backend once per feed; if it does not answer,
    thoonk_up is 0. The metrics have the names of feeds, and every program that reaches the address
    can read them.
    """
    from thoonk.observe.prometheus import FeedCollector  # tells if its package is missing

    from prometheus_client import CollectorRegistry, start_http_server  # isort: skip

    if session.url.partition(":")[0] == "memory":
        click.echo(MEMORY_NOTE, err=True)
    registry = CollectorRegistry()
    collector = FeedCollector(session.url, names or None)
    registry.register(collector)
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    server, thread = start_http_server(port, host, registry)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"http://{shown}:{server.server_port}/metrics")
    is_over.wait()
    server.shutdown()
    server.server_close()
    thread.join()
    collector.close()
