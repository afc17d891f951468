"""`redcap-dagster load`: published tables into DuckDB or PostgreSQL."""

import argparse
import os
import re
from pathlib import Path
from typing import get_args

from redcap_dagster.cli.counts import counted
from redcap_dagster.destinations import Destination, SchemaChanges, load_study
from redcap_dagster.errors import ConfigError
from redcap_dagster.tables import MANIFEST_NAME

URL_VARIABLE = "REDCAP_DESTINATION_URL"
_PASSWORD = re.compile(r"^[^:]*://[^/?#]*?:[^/?#]+@|[?&](?:ssl)?password=", re.IGNORECASE)
"""Not `urlsplit`, which raises where a password has a bracket."""

LOAD_HELP = "load what was published into DuckDB or PostgreSQL, in one transaction"


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """The options of `load`."""
    parser.add_argument(
        "place", metavar="DIR", help="where `export` or Dagster published the study"
    )
    parser.add_argument(
        "--to",
        help="duckdb:///FILE or postgresql://USER@HOST/DATABASE, without a password; "
        f"{URL_VARIABLE} by default",
    )
    parser.add_argument("--schema", default="redcap", help="schema to load into [%(default)s]")
    parser.add_argument("--tables", nargs="+", help="names of the tables to load; all by default")
    parser.add_argument(
        "--schema-changes",
        choices=get_args(SchemaChanges),
        default="add",
        help="what is done where a table there is different [%(default)s]",
    )
    parser.add_argument(
        "--part",
        action="store_true",
        help="load a part of a study too; rows that are not in it go from its tables",
    )


def run_load(options: argparse.Namespace) -> int:
    """Load and say what was loaded.

    Returns:
        0: it was.

    Raises:
        ConfigError: No destination was named, or one with a password.
        TableError: Nothing is published there, or it could not be loaded.
    """
    loaded = load_study(
        _shelf(options.place),
        Destination(_url(options.to), options.schema),
        tables=options.tables,
        schema_changes=options.schema_changes,
        allow_part=options.part,
    )
    for table in loaded:
        print(f"{table.schema}.{table.name}: {counted(table.rows, 'row')}")  # noqa: T201
    return 0


def _shelf(place: str) -> str | Path:
    """Where a study is published; of `DIR/current`, as `export` names its tables, it is `DIR`."""
    folder = Path(place)
    is_extract = folder.name == "current" and (folder / MANIFEST_NAME).exists()
    return folder.parent if is_extract else place


def _url(given: str | None) -> str:
    url = given or os.environ.get(URL_VARIABLE)
    if not url:
        raise ConfigError(f"Say where to load with --to, or set {URL_VARIABLE}.")
    if given and _PASSWORD.search(given):
        raise ConfigError(
            "An argument ends in the shell's history, and this one holds a password. Put the "
            f"address into {URL_VARIABLE}, or the password into PGPASSWORD or ~/.pgpass."
        )
    return url
