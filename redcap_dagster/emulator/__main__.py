"""Runs `python -m redcap_dagster.emulator`."""

import sys

from redcap_dagster.emulator.command import main

if __name__ == "__main__":
    sys.exit(main())
