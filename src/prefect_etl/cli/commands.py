"""All commands: where each is, what it is for, how it looks. Nothing is imported for it."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """One command.

    Attributes:
        function: ``module:function`` below ``prefect_etl.cli``.
        help: Its first line stands in the list of commands.
        example: A command line that works.
    """

    function: str
    help: str
    example: str


COMMANDS = {
    "init": Command(
        "project:init",
        "Write a new project: `flights` with real data, or `blank`.",
        "prefect-etl init my_project --template flights",
    ),
    "plan": Command(
        "runs:plan",
        "Show what a run would do, and why. Nothing is written.",
        "prefect-etl plan pipeline.yaml",
    ),
    "run": Command(
        "runs:run",
        "Run the pipeline: load what is new, then make what depends on it.",
        "prefect-etl run pipeline.yaml --only flights weather -v",
    ),
    "copy": Command(
        "copy:copy",
        "Copy tables, queries and files, without a pipeline file and without Prefect.",
        "prefect-etl copy orders.parquet postgresql://etl@localhost/shop --mode replace\n"
        "  prefect-etl copy $SHOP duckdb:///shop.duckdb --table orders --key id --cursor at\n"
        "  prefect-etl copy $SHOP duckdb:///shop.duckdb --table 'public.*' --mode replace\n"
        "  cat orders.csv | prefect-etl copy - duckdb:///shop.duckdb --into orders",
    ),
    "inspect": Command(
        "inspect:inspect",
        "Look at a file: how it is written, its columns, its first rows; draft its pins.",
        "prefect-etl inspect orders.csv --pin encoding=cp1252",
    ),
    "backfill": Command(
        "backfill:backfill",
        "Load windows of the past, each as a Prefect run; what is loaded already is left out.",
        "prefect-etl backfill --dataset orders --start 2026-01-01 --end 2026-02-01 "
        "--every '1 day' --dry-run",
    ),
    "history": Command(
        "runs:history",
        "List runs, newest first; failed ones too.",
        "prefect-etl history --limit 5",
    ),
    "report": Command(
        "runs:report",
        "Print where the HTML report of a run is, or open it.",
        "prefect-etl report --open",
    ),
    "deploy": Command(
        "deploy:deploy",
        "Make the pipeline's deployments: schedules, work pool, one run at a time.",
        "prefect-etl deploy pipeline.yaml --dry-run",
    ),
    "serve": Command(
        "serve:serve",
        "Run the pipeline's schedules from this process, until Ctrl-C.",
        "prefect-etl serve pipeline.yaml",
    ),
    "schema": Command(
        "project:schema",
        "Write the JSON Schema of pipeline files, for editors.",
        "prefect-etl schema pipeline.schema.json",
    ),
    "doctor": Command(
        "doctor:doctor",
        "Check machine, settings, server, pipeline, warehouse and raw zone.",
        "prefect-etl doctor pipeline.yaml",
    ),
}
GROUPS = {
    "quarantine": (
        "See rows that were put aside, export them, load them when they are right.",
        {
            "list": Command(
                "quarantine:list_files",
                "List quarantine files, newest first.",
                "prefect-etl quarantine list",
            ),
            "show": Command(
                "quarantine:show",
                "Show the rows in quarantine, with reason, rule, file and line.",
                "prefect-etl quarantine show flights --rule distance.ge --limit 20",
            ),
            "export": Command(
                "quarantine:export",
                "Write the rows in quarantine to CSV or Parquet.",
                "prefect-etl quarantine export flights --to rejected.csv --escape-formulas",
            ),
            "replay": Command(
                "quarantine:replay",
                "After a fix of contract or columns: load the rows that pass, exactly once.",
                "prefect-etl quarantine replay flights",
            ),
        },
    ),
    "contract": (
        "Draft what rows must be.",
        {
            "infer": Command(
                "contract:infer",
                "Print a contract that the data of a file or table keeps.",
                "prefect-etl contract infer orders.csv --pin delimiter=';'",
            ),
        },
    ),
    "state": (
        "See or forget what was loaded so far.",
        {
            "show": Command(
                "state:show",
                "Show each dataset's ledger version, units and schema.",
                "prefect-etl state show",
            ),
            "reset": Command(
                "state:reset",
                "Forget what was loaded of a dataset, so that the next run loads it anew.",
                "prefect-etl state reset flights --yes",
            ),
        },
    ),
    "connections": (
        "See connections, try them, list their tables.",
        {
            "list": Command(
                "connections:list_connections",
                "List named connections without their secrets, and all URI schemes.",
                "prefect-etl connections list",
            ),
            "test": Command(
                "connections:try_one",
                "Connect, and say to what.",
                "prefect-etl connections test ops",
            ),
            "discover": Command(
                "connections:discover",
                "List tables and views, their columns and keys, and about how many rows.",
                "prefect-etl connections discover postgresql://localhost/shop --table 'public.*'",
            ),
        },
    ),
    "cache": (
        "See or forget kept results of tasks.",
        {
            "list": Command(
                "cache:list_results",
                "List kept results: task, key, when made, when they expire, size.",
                "prefect-etl cache list --task fetch",
            ),
            "clear": Command(
                "cache:clear",
                "Remove kept results: all, of one task, or expired ones.",
                "prefect-etl cache clear --expired",
            ),
        },
    ),
    "server": (
        "Start, stop or see the local Prefect server.",
        {
            "start": Command(
                "server:start",
                "Start the local server if it does not run, and print its addresses.",
                "prefect-etl server start",
            ),
            "stop": Command("server:stop", "Stop the local server.", "prefect-etl server stop"),
            "status": Command(
                "server:status",
                "Say whether the local server runs, and where.",
                "prefect-etl server status --json",
            ),
        },
    ),
}
