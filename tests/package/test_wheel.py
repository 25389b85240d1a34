"""The wheel is whole: built, installed in an empty environment elsewhere, and `broker demo` runs there."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, seconds: int) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(cwd), "COLUMNS": "160", "LANG": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_schemas_processes_and_addresses_and_no_test(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("schemas/msghead.xsd", "schemas/codes/8221.toml", "processes/ekontakt.toml", "addresses/README.md"):
        assert f"broker/_shipped/{name}" in names
    assert "broker/store/sql/0001_first.sql" in names
    assert [name for name in names if name.startswith("tests")] == []


@pytest.mark.timeout(420)
def test_the_demo_runs_from_the_wheel_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--require-hashes", "--only-binary", ":all:", "-r", ROOT / "requirements.lock", cwd=tmp_path, seconds=180)
    run(*pip, "--no-deps", wheel, cwd=tmp_path, seconds=60)
    shown = run(tmp_path / "venv" / "bin" / "broker", "demo", cwd=tmp_path, seconds=150)
    assert "13 av 13" in shown or "13 of 13" in shown, shown[-2000:]
