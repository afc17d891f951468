"""`python -m redcap_dagster` and `redcap-dagster`: one way in, light to import."""

import sys

_STOPPED = 130


def main() -> int:
    """Run one command; its exit code."""
    try:
        from redcap_dagster.cli import main as run  # noqa: PLC0415 - takes a second or two
    except KeyboardInterrupt:
        print("redcap-dagster: Stopped.", file=sys.stderr)  # noqa: T201 - a command's answer
        return _STOPPED
    return run()


if __name__ == "__main__":
    raise SystemExit(main())
