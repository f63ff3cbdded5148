"""How to install an extra: one text for every error about a missing package."""

from __future__ import annotations

# To be changed by the release to "pip install 'thoonk[{}]'". Until then the name on the package
# index is that of version 1.0.1, which has no extras.
_COMMAND = "pip install '.[{}]' in a checkout of Thoonk"


def how_to_install(extra: str) -> str:
    """What to run to get the packages of an extra."""
    return _COMMAND.format(extra)
