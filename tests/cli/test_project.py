import json
from pathlib import Path

from prefect_etl.cli.main import main
from prefect_etl.pipeline.spec import load_pipeline


def test_init_writes_the_flights_project_with_its_data(script, tmp_path):
    done = script("init", "my project")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cd 'my project'" in done.stdout
    assert load_pipeline(tmp_path / "my project" / "pipeline.yaml").datasets
    assert list(Path("my project").rglob("*.csv.gz"))
    assert Path("my project/.gitignore").is_file()


def test_init_writes_a_blank_project_into_the_current_folder(capsys, tmp_path):
    assert main(["init", ".", "--template", "blank"]) == 0
    assert load_pipeline(tmp_path / "pipeline.yaml").datasets
    assert "cd " not in capsys.readouterr().out


def test_init_leaves_a_project_that_is_there_alone(capsys):
    Path("pipeline.yaml").write_text("mine")
    assert main(["init", "."]) == 2
    assert "has a pipeline.yaml already" in capsys.readouterr().err
    assert Path("pipeline.yaml").read_text() == "mine"
    assert list(Path().iterdir()) == [Path("pipeline.yaml")]


def test_init_overwrites_no_file(capsys):
    Path("README.md").write_text("mine")
    assert main(["init", "."]) == 2
    assert "has README.md already" in capsys.readouterr().err
    assert list(Path().iterdir()) == [Path("README.md")]


def test_init_takes_a_folder_that_holds_other_things():
    Path("notes.txt").write_text("mine")
    assert main(["init", ".", "--template", "blank"]) == 0
    assert Path("notes.txt").read_text() == "mine"


def test_init_refuses_a_file(capsys):
    Path("there").write_text("")
    assert main(["init", "there"]) == 2
    assert "there is a file" in capsys.readouterr().err


def test_init_says_that_a_folder_cannot_be_made(capsys):
    Path("file").write_text("")
    assert main(["init", "file/below"]) == 1
    assert "Not a directory" in capsys.readouterr().err


def test_the_schema_is_json_on_standard_output_or_in_a_file(capsys):
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert main(["schema", "pipeline.schema.json"]) == 0
    assert json.loads(Path("pipeline.schema.json").read_text()) == printed
    assert "destination" in printed["properties"]
