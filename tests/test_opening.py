"""How a client is opened: what is refused, what it is told, and what no error shows."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from thoonk import AsyncThoonk, Thoonk
from thoonk.backends.redis import open_client
from thoonk.doctor import examine
from thoonk.doctor.command import doctor
from thoonk.exceptions import InvalidType, InvalidValue, ThoonkError
from thoonk.testing.naming import without_password

OPENERS: list[Callable[[Any], object]] = [
    lambda url: Thoonk(backend=url),
    lambda url: AsyncThoonk(backend=url),
    examine,
    open_client,
]
EVERYWHERE = pytest.mark.parametrize(
    "opener", OPENERS, ids=["Thoonk", "AsyncThoonk", "doctor", "plain client"]
)
CLIENTS = pytest.mark.parametrize("client", [Thoonk, AsyncThoonk])


def settings(url: str, **options: Any) -> dict[str, Any]:
    with Thoonk(backend=url, **options) as thoonk:
        backend: Any = thoonk.backend
        return {
            "retry_for": backend._retry_for,
            **backend._pool.connection_kwargs,
            "socket_timeout": backend._server.longest,
            "class": backend._pool.connection_class.__name__,
        }


# --- passwords --------------------------------------------------------------------------------

SECRETS = [
    "redis://:SECRET/cd@localhost",
    "redis://:SEC/RET@localhost:6379/0",
    "redis://:SECRET#cd@localhost",
    "redis://:SECRET?cd@localhost",
    "redis://:57?a=SECRET@localhost",
    "redis://:57#SECRET@localhost",
    "redis://:57/SECRET@localhost",
    "redis://user:SECRET＃cd@localhost:6379",
    "redis://:SECRET[cd@localhost",
    "redis://:SECRET\ncd@localhost",
    "redis://:SECRET cd@localhost",
    "redis://:SECRET@localhost:port",
    "redis://:SECRET@localhost:66666",
    "redis://:SECRET@localhost/prod",
    "redis://:SECRET@localhost/0?nonsense=1",
    "SECRET@localhost:6379",
    "SECRET:x@localhost:6379",
    ":SECRET@localhost:6379",
    "SECRET@redis://localhost",
    "rediss://:SECRET/cd@localhost",
    "valkey://:SECRET/cd@localhost",
    "unix://:SECRET/cd@/tmp/socket",
    "redis+sentinel://:SECRET/cd@localhost/master",
    "redis+cluster://:SECRET/cd@localhost,h2",
    "redis+sentinel://:SECRET#cd@localhost/master",
    "redis+sentinel://:SECRET＃cd@localhost/master",
    "redis+sentinel://:SECRET@localhost/",
    "redis+sentinel://:SECRET@localhost/master/prod",
    "redis+sentinel://localhost/master?sentinel_password=SEC/RET@x",
]


def shown(error: BaseException | None) -> str:
    """All that a log or a debugger might show of an error and what it came from."""
    texts = []
    while error is not None:
        texts.append(f"{error} {error!r} {error.args} {vars(error)}")
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@EVERYWHERE
@pytest.mark.parametrize("url", SECRETS)
def test_a_password_that_is_not_percent_encoded_is_in_no_error(
    url: str, opener: Callable[[Any], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InvalidValue) as caught:
        opener(url)
    told = shown(caught.value)
    assert not any(part in told for part in ("SEC", "RET", "57"))
    assert "SEC" not in caplog.text
    frames = [frame.line for frame in traceback.extract_tb(caught.tb)]
    assert url not in "".join(line or "" for line in frames)


@pytest.mark.parametrize("url", SECRETS)
def test_the_doctor_on_the_command_line_shows_no_password(url: str) -> None:
    done = CliRunner().invoke(doctor, [url])
    assert done.exit_code == 2
    assert not any(part in done.output for part in ("SEC", "RET", "57"))


@pytest.mark.parametrize("host", ["SECRET@localhost", "redis://:SECRET@localhost", ":SECRET@x:1"])
@CLIENTS
def test_a_url_in_the_place_of_the_host_is_refused_and_not_shown(client: Any, host: str) -> None:
    with pytest.raises(InvalidValue, match="backend=") as caught:
        client(host)
    assert "SECRET" not in shown(caught.value)


def test_the_error_says_how_special_characters_are_written() -> None:
    with pytest.raises(InvalidValue, match="percent-encoded"):
        Thoonk(backend="redis://:a/b@localhost")
    assert settings("redis://us%2Fer:a%2Fb%23%3F%40@localhost")["password"] == "a/b#?@"


@pytest.mark.parametrize("url", SECRETS[:20])
def test_names_of_tests_show_no_password(url: str) -> None:
    assert not any(part in without_password(url) for part in ("SEC", "RET", "57"))


def test_names_of_tests_show_the_rest() -> None:
    assert without_password("redis://u:p@h:1/2?timeout=5") == "redis://h:1/2"
    assert without_password("redis://h:1/2") == "redis://h:1/2"
    assert without_password("memory") == "memory"


# --- URLs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://h", {"host": "h", "port": 6379}),
        ("redis://:7000/", {"host": "localhost", "port": 7000}),
        ("redis://[::1]:7000/2", {"host": "::1", "port": 7000, "db": 2}),
        ("redis://u:p@h/2?db=3", {"username": "u", "password": "p", "db": 3}),
        ("redis://:p@h", {"password": "p"}),
        ("redis://h?retry_for=5", {"retry_for": 5.0}),
        ("redis://h?decode_responses=false", {"decode_responses": False}),
        ("redis://h?socket_timeout=2.5", {"socket_timeout": 2.5}),
        ("redis://h?socket_keepalive=no&client_name=me", {"socket_keepalive": False}),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", {"ssl_cert_reqs": "none"}),
        ("rediss://h?ssl_check_hostname=false", {"ssl_check_hostname": False}),
        ("rediss://h", {"class": "SSLConnection"}),
        ("valkey://h/1", {"host": "h", "db": 1, "class": "Connection"}),
        ("valkeys://h", {"class": "SSLConnection"}),
        ("unix:///tmp/a%40b?db=3", {"path": "/tmp/a@b", "db": 3}),
        ("redis+sentinel://[::1]/m", {"db": 0}),
        ("redis+sentinel://[::1]:1,h2/m/4?socket_timeout=5", {"db": 4, "socket_timeout": 5.0}),
        ("redis+sentinel://h/m?retry_for=5", {"retry_for": 5.0}),
        (
            "rediss+sentinel://h/m?ssl_check_hostname=false&ssl_cert_reqs=none",
            {"ssl_check_hostname": False, "ssl_cert_reqs": "none"},
        ),
        ("valkey+sentinel://u:p@h/m", {"username": "u", "password": "p"}),
    ],
)
def test_each_part_of_a_url_arrives_as_what_it_is(url: str, wanted: dict[str, Any]) -> None:
    found = {"db": 0, **settings(url)}
    assert {name: found[name] for name in wanted} == wanted


def test_sentinels_of_a_url_are_reached_as_it_says() -> None:
    url = "redis+sentinel://[::1],h2:7/m?sentinel_password=p&sentinel_socket_timeout=3"
    with Thoonk(backend=url) as thoonk:
        backend: Any = thoonk.backend
        reached = [
            sentinel.connection_pool.connection_kwargs
            for sentinel in backend._pool.sentinel_manager.sentinels
        ]
    assert [(each["host"], each["port"]) for each in reached] == [("::1", 26379), ("h2", 7)]
    assert [(each["password"], each["socket_timeout"]) for each in reached] == [("p", 3.0)] * 2


@pytest.mark.parametrize(
    ("url", "nodes", "wanted"),
    [
        ("redis+cluster://h", [("h", 6379)], {"socket_connect_timeout": 2.0}),
        ("redis+cluster://[::1]:1,h2/4", [("::1", 1), ("h2", 6379)], {"db": 4}),
        ("valkey+cluster://u:p@h:7?socket_timeout=3", [("h", 7)], {"username": "u"}),
        ("rediss+cluster://h?ssl_cert_reqs=none", [("h", 6379)], {"ssl_cert_reqs": "none"}),
    ],
)
def test_nodes_of_a_url_are_reached_as_it_says(
    url: str, nodes: list[tuple[str, int]], wanted: dict[str, Any]
) -> None:
    with Thoonk(backend=url) as thoonk:
        backend: Any = thoonk.backend
        assert list(backend._nodes.seeds) == nodes
        assert backend._retry_for == 30
        node = backend._open_node(nodes[0])
        pool = node.server.pool
        assert (pool.connection_kwargs["host"], pool.connection_kwargs["port"]) == nodes[0]
        assert {name: pool.connection_kwargs[name] for name in wanted} == wanted
        assert ("SSL" in pool.connection_class.__name__) == url.startswith("rediss")


@CLIENTS
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis+cluster://", "a URL of a cluster is"),
        ("redis+cluster://h,:7", "a URL of a cluster is"),
        ("redis+cluster://h/x", "a URL of a cluster is"),
        ("redis+cluster://h?nonsense=1", "unknown option 'nonsense'"),
        ("redis:localhost:6380", "://"),
        ("localhost:6379", "://"),
        ("memory:jobs", "://"),
        ("rediss", "rediss?://"),
        ("redis://host/prod", "db number"),
        ("redis://host/0/1", "db number"),
        ("redis://host/-1", "db number"),
        ("redis://host?db=-1", "db must be a number"),
        ("redis://host?db=x", "db in a Redis URL must be a whole number, not 'x'"),
        ("redis://host#1", "a Redis URL is"),
        ("redis://host?socket_timeout", "a Redis URL is"),
        ("redis://host?socket_timeout=soon", "socket_timeout in a Redis URL must be a number"),
        ("redis://host?socket_timeout=nan", "socket_timeout must be 0 or more seconds"),
        ("redis://host?socket_keepalive=perhaps", "must be true or false, not 'perhaps'"),
        ("redis://host?decode_responses=yes", "decode_responses=True cannot be used"),
        ("redis://host?retry_for=-1", "retry_for must be 0 or more"),
        ("redis://host?protocol=3", "protocol must be 2"),
        ("redis://host?max_connections=0", "max_connections cannot be 0"),
        ("redis://host?bogus=1", "unknown option 'bogus'"),
        ("redis://host?ssl_cert_reqs=none", "TLS"),
        ("rediss://host?ssl_cert_reqs=maybe", "one of none, optional, required, not 'maybe'"),
        ("rediss://host?ssl_min_version=99", "ssl_min_version must be one of"),
        ("unix://tmp/socket", "unix://"),
        ("unix://", "unix://"),
        ("redis+sentinel://h", "a Sentinel URL is"),
        ("redis+sentinel://h:x/m", "a Sentinel URL is"),
        ("redis+sentinel://h,/m", "a Sentinel URL is"),
        ("redis+sentinel://h/m?socket_timeout=soon", "socket_timeout in a Redis URL"),
        ("redis+sentinel://h/m?sentinel_bogus=1", "unknown option 'bogus'"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused(client: Any, url: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        client(backend=url)


@CLIENTS
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"host": redis.Redis()}, InvalidType, "backend="),
        ({"host": ""}, InvalidValue, "host"),
        ({"port": "many"}, InvalidType, "port must be a whole number, not 'many'"),
        ({"port": 0}, InvalidValue, "port cannot be 0"),
        ({"port": 70000}, InvalidValue, "port cannot be 70000"),
        ({"port": True}, InvalidType, "port"),
        ({"socket_timeout": "5"}, InvalidType, "socket_timeout must be a number of seconds"),
        ({"socket_timeout": -1}, InvalidValue, "socket_timeout"),
        ({"ssl": "yes"}, InvalidType, "ssl must be True or False, not 'yes'"),
        ({"ssl_ca_certs": "x"}, InvalidValue, "TLS"),
        ({"ssl": True, "ssl_cert_reqs": "x"}, InvalidValue, "ssl_cert_reqs"),
        ({"max_connections": 2.5}, InvalidType, "max_connections"),
        ({"bogus": 1}, InvalidValue, "bogus"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    client: Any, options: dict[str, Any], kind: type[ThoonkError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        client(**options)


def test_a_password_that_is_no_text_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidType, match="password must be text, not int") as caught:
        Thoonk(password=5711)
    assert "5711" not in str(caught.value)


# --- clients ----------------------------------------------------------------------------------


@CLIENTS
def test_a_client_of_the_package_valkey_is_refused_with_what_to_do(client: Any) -> None:
    valkey = pytest.importorskip("valkey")
    with pytest.raises(InvalidType, match="valkey://"):
        client(backend=valkey.Valkey())


@CLIENTS
def test_a_client_of_a_cluster_is_refused(client: Any) -> None:
    made = redis.RedisCluster.__new__(redis.RedisCluster)
    with pytest.raises(InvalidType, match="RedisCluster"):
        client(backend=made)


def test_a_backend_says_where_it_is() -> None:
    assert repr(Thoonk(backend="redis")) == "<Thoonk on <RedisBackend localhost:6379 db 0>>"
    sentinel = "redis+sentinel://u:SECRET@h/mymaster/2"
    assert repr(Thoonk(backend=sentinel)) == "<Thoonk on <RedisBackend mymaster db 2>>"
