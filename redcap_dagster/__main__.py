"""`python -m redcap_dagster`: the same as `redcap-dagster`."""

from redcap_dagster.cli import main

raise SystemExit(main())
