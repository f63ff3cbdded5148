"""The command line: ``thoonk``, or ``python -m thoonk.cli``.

It needs the extra ``cli``. Commands are loaded when they are called, see ``app``.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

from thoonk.cli.exit_codes import Exit
from thoonk.extras import how_to_install

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command that the arguments name; ends the process."""
    # As an exception, so that a get that waits puts back what it may have taken.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        from thoonk.cli.app import app
    except ImportError as error:
        sys.exit(f"Error: packages are missing ({error}): {how_to_install('cli')}")
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    app.main(prog_name="thoonk")
    raise AssertionError("not reached: click ends the process")


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(Exit.TERMINATED)
