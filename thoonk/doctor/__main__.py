"""Runs the command by itself: ``python -m thoonk.doctor URL``."""

import sys

try:
    from thoonk.doctor.command import main
except ImportError as error:
    sys.exit(f"Error: packages are missing ({error}): pip install 'thoonk[cli]'")

main()
