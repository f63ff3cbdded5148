"""Credentials that a program fetches for each connection, as redis-py asks for them."""

from __future__ import annotations

from typing import Any

from redis import exceptions as driver
from redis.credentials import CredentialProvider

from thoonk.exceptions import InvalidType

try:
    from redis.credentials import StreamingCredentialProvider
except ImportError:  # before redis-py 5.2
    StreamingCredentialProvider = ()  # type: ignore[misc,assignment]


def check_provider(_: str, value: object) -> object:
    """A credential provider, or None. What it raises later arrives as a refused connection.

    Raises:
        InvalidType: it has no ``get_credentials``.
    """
    if value is None or isinstance(value, StreamingCredentialProvider):
        return value
    if not callable(getattr(value, "get_credentials", None)):
        kind = type(value).__name__
        raise InvalidType(f"credential_provider must have get_credentials(), but {kind} does not")
    return _Provider(value)


class _Provider(CredentialProvider):
    """Around a program's own. Its errors are not redis-py's, and it may fail at any time."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def get_credentials(self) -> Any:
        try:
            return self._provider.get_credentials()
        except Exception as error:
            raise _failed(error) from error

    async def get_credentials_async(self) -> Any:
        fetch = getattr(self._provider, "get_credentials_async", None)
        if fetch is None:
            return self.get_credentials()
        try:
            return await fetch()
        except Exception as error:
            raise _failed(error) from error


def _failed(error: Exception) -> driver.AuthenticationError:
    # Not its text: it may hold what it was to provide.
    return driver.AuthenticationError(f"the credential provider raised {type(error).__name__}")
