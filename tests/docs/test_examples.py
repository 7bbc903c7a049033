"""The examples of README and docs work, and what the docs list is all there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from prefect_etl.cli.commands import COMMANDS, GROUPS
from prefect_etl.config.settings import Settings
from prefect_etl.connectors.registry import connectors, schemes
from prefect_etl.core.contract import ColumnRules, Contract
from prefect_etl.core.dataset import Columns
from prefect_etl.core.transformation import Checks, TransformationSpec
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.spec.fields import PipelineFields, SourceFields

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What an example of a part needs around it to be a pipeline.
_WHOLE = {
    "": "{}",
    "dataset": (
        "name: example\ndestination: duckdb:///w.duckdb\n"
        "sources:\n  landing:\n    connection: file://./data\n    datasets:\n{}"
    ),
    "transformation": "name: example\ndestination: duckdb:///w.duckdb\ntransformations:\n{}",
}


def blocks(language: str) -> list[object]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            if block[1] == language:
                line = text.count("\n", 0, block.start()) + 1
                name = f"{page.relative_to(REPOSITORY)}:{line}"
                found.append(pytest.param(block[3], block[2].strip(), id=name))
    return found


def linked(page: Path) -> set[str]:
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    return {target for target in targets if "://" not in target}


@pytest.mark.parametrize(("text", "part"), blocks("yaml"))
def test_a_yaml_example_is_a_pipeline(text, part, tmp_path, monkeypatch):
    monkeypatch.delenv("WAREHOUSE", raising=False)
    for name in re.findall(r"sql/\w+\.sql", text):
        (tmp_path / "sql").mkdir(exist_ok=True)
        (tmp_path / name).write_text("SELECT 1 AS x", encoding="utf-8")
    path = tmp_path / "pipeline.yaml"
    depth = {"": "", "dataset": " " * 6, "transformation": "  "}[part]
    path.write_text(_WHOLE[part].format(indent(text, depth)), encoding="utf-8")
    spec = load_pipeline(path)
    assert spec.datasets or spec.transformations or spec.tables


@pytest.mark.parametrize(("text", "part"), blocks("python"))
def test_a_python_example_runs(text, part, tmp_path, prefect_server):
    assert part == ""
    (tmp_path / "example.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_there_are_examples_to_test():
    assert len(blocks("yaml")) > 5
    assert len(blocks("python")) > 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    assert [to for to in linked(page) if not (page.parent / to).exists()] == []


def names_in(page: str) -> set[str]:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return set(re.findall(r"`([^`\n]+)`", text))


def test_the_pipeline_file_page_names_every_key():
    models = [PipelineFields, SourceFields, Columns, Contract, ColumnRules, Checks]
    models += [TransformationSpec]
    models += [c.dataset for c in connectors() if c.dataset is not None and c.name != "memory"]
    keys = {
        field.alias or name
        for model in models
        for name, field in model.model_fields.items()
        if name not in ("name", "datasets")
    }
    assert keys - names_in("pipeline-file.md") == set()


def test_the_pipeline_file_page_names_every_scheme():
    text = " ".join(names_in("pipeline-file.md"))
    assert [scheme for scheme in schemes() if f"{scheme}://" not in text] == []


def test_the_running_page_lists_the_settings_and_no_others():
    text = (REPOSITORY / "docs" / "running.md").read_text(encoding="utf-8")
    table = text.split("| setting |", 1)[1].split("```", 1)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Settings.model_fields)


def test_the_running_page_names_every_command():
    commands = set(COMMANDS) | {f"{group} {name}" for group in GROUPS for name in GROUPS[group][1]}
    named = " ".join(names_in("running.md"))
    assert [name for name in commands if f"prefect-etl {name}" not in named] == []
