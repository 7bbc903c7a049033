"""The wheel has what the program needs besides its modules."""

import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_wheel_carries_templates_and_styles(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    package = REPOSITORY / "src" / "prefect_etl"
    wanted = [*package.glob("templates/**/*"), *package.glob("reporting/*.css")]
    files = [
        path.relative_to(package.parent).as_posix()
        for path in wanted
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(files) > 20
    assert set(files) - packed == set()
    assert "prefect_etl/py.typed" in packed
