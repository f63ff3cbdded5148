"""Passwords that change while a program runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from conftest import World
from redis import CredentialProvider

from thoonk import AccessDenied, AsyncThoonk, Empty, Gap, InvalidType, InvalidValue, Thoonk
from thoonk.testing._sync.helpers import until


class Vault(CredentialProvider):
    """Knows the password of now; the thing itself may be out of order."""

    def __init__(self) -> None:
        self.password = "old"
        self.broken = False

    def get_credentials(self) -> tuple[str, str]:
        if self.broken:
            raise LookupError("the vault is closed")
        return "rotating", self.password


@pytest.fixture
def rotating(real_world: World) -> Iterator[World]:
    """A server with a user of its own, whose password is «old»."""
    assert real_world.raw is not None
    rights = ("on", ">old", "~*", "&*", "+@all")
    real_world.raw.execute_command("ACL", "SETUSER", "rotating", "reset", *rights)
    yield real_world
    real_world.raw.execute_command("ACL", "DELUSER", "rotating")


def rotate(world: World) -> None:
    """The password is «new», and nobody is connected with the old one."""
    assert world.raw is not None
    world.raw.execute_command("ACL", "SETUSER", "rotating", "<old", ">new")
    world.raw.execute_command("CLIENT", "KILL", "USER", "rotating")


def port_of(world: World) -> int:
    assert world.server is not None
    return int(world.server.port)


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if hasattr(record, "event")]


def test_a_subscriber_whose_password_is_not_right_any_more_says_so(
    rotating: World, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"username": "rotating", "password": "old"}
    with Thoonk("127.0.0.1", port_of(rotating), **options) as thoonk:
        feed = thoonk.feed("f")
        with feed.subscribe() as notices:
            rotate(rotating)
            for _ in range(3):
                with pytest.raises(Empty):
                    notices.get(timeout=0.5)
            until(lambda: bool(warnings(caplog)))
            told = [each for each in warnings(caplog) if each.__dict__["event"] == "notices_denied"]
            # Once, however often it is tried.
            assert [(each.levelname, each.__dict__["feed"]) for each in told] == [("WARNING", "f")]
            assert "does not let us in" in told[0].getMessage()
            assert "old" not in told[0].getMessage()


def test_a_credential_provider_is_asked_for_each_connection(rotating: World) -> None:
    vault = Vault()
    with Thoonk("127.0.0.1", port_of(rotating), credential_provider=vault) as thoonk:
        feed = thoonk.feed("f")
        with feed.subscribe() as notices:
            vault.password = "new"
            rotate(rotating)
            assert notices.get(timeout=20) == Gap("f")
            feed.publish("x", id="1")
            assert notices.get(timeout=20).item == "x"  # type: ignore[union-attr]


def test_a_credential_provider_that_fails_is_no_end_of_a_subscription(
    rotating: World, caplog: pytest.LogCaptureFixture
) -> None:
    vault = Vault()
    with Thoonk("127.0.0.1", port_of(rotating), credential_provider=vault) as thoonk:
        feed = thoonk.feed("f")
        with feed.subscribe() as notices:
            vault.password, vault.broken = "new", True
            rotate(rotating)
            with pytest.raises(Empty):
                notices.get(timeout=0.5)
            until(lambda: bool(warnings(caplog)))
            with pytest.raises(AccessDenied, match="raised LookupError") as refused:
                feed.publish("x")
            assert "closed" not in str(refused.value)
            vault.broken = False
            assert notices.get(timeout=20) == Gap("f")
            assert feed.publish("x", id="1") == "1"


async def test_a_credential_provider_serves_asyncio_too(rotating: World) -> None:
    class Async(Vault):
        async def get_credentials_async(self) -> tuple[str, str]:
            return self.get_credentials()

    vault = Async()
    port = port_of(rotating)
    async with AsyncThoonk("127.0.0.1", port, credential_provider=vault) as thoonk:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            vault.password = "new"
            rotate(rotating)
            assert await notices.get(timeout=20) == Gap("f")
            assert await feed.publish("x", id="1") == "1"


def test_what_is_no_credential_provider_is_refused() -> None:
    with pytest.raises(InvalidType, match="get_credentials"):
        Thoonk("127.0.0.1", 1, credential_provider="secret")
    with pytest.raises(InvalidValue):
        Thoonk("127.0.0.1", 1, credential_provider=Vault(), password="x")
