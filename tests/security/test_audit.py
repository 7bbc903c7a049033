"""The audit sees what is not pinned, not hashed, not as locked, or was skipped."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_HASH = "--hash=sha256:" + "a" * 64


def _loaded():
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = _loaded()


@pytest.mark.parametrize("lock", audit.LOCKS)
def test_every_requirement_of_ours_is_pinned_and_hashed(lock):
    assert list(audit.lock_faults(ROOT / lock)) == []


@pytest.mark.parametrize(
    "line",
    [
        "a==1",
        f"a>=1 {_HASH}",
        f"a {_HASH}",
        f"a==1 {_HASH[:-1]}",
        f"a==1 {_HASH} --index-url=http://127.0.0.1",
        f"--extra-index-url http://127.0.0.1 {_HASH}",
        f"a @ https://127.0.0.1/a.whl {_HASH}",
        f"-e . {_HASH}",
    ],
)
def test_what_is_not_pinned_and_hashed_is_a_fault(tmp_path, line):
    lock = tmp_path / "lock"
    lock.write_text(f"# a comment\nb[x, y]==2 ; python_version < '4' \\\n    {_HASH}\n{line}\n")
    faults = list(audit.lock_faults(lock))
    assert faults
    assert all("b[x" not in fault for fault in faults)


def test_what_is_installed_otherwise_than_locked_is_a_fault(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text(f"pytest==0.1 {_HASH}\nno-such==1 {_HASH}\nx==1 ; python_version < '3' {_HASH}")
    faults = "\n".join(audit.installed_faults(lock))
    assert "pytest: " in faults
    assert "no-such: " in faults
    assert "\nx: " not in faults


def _answers(monkeypatch, **dependency):
    found = [{"name": "a", "version": "1"} | dependency]
    monkeypatch.setattr(audit, "_audited", lambda path: found)  # the service is another's


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"skip_reason": "not found"}, "a 1 was skipped: not found"),
        ({"vulns": [{"id": "X-1", "fix_versions": []}]}, "a 1 has X-1; mended in no version yet"),
        ({"vulns": []}, None),
    ],
)
def test_a_package_that_was_skipped_is_a_fault_as_one_that_is_vulnerable(
    monkeypatch, answer, fault
):
    _answers(monkeypatch, **answer)
    faults = list(audit.vulnerability_faults([Path("lock")]))
    assert faults == ([f"lock: {fault}"] if fault else [])


def test_a_service_that_knows_nothing_is_no_audit(monkeypatch, capsys):
    _answers(monkeypatch, vulns=[])
    assert audit.main(["vulnerabilities"]) == 1
    assert audit.main(["vulnerabilities", "--where-reachable"]) == 0
    assert capsys.readouterr().out.count("NOT AUDITED") == 2
