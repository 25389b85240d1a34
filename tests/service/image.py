"""Carries out the steps of the Dockerfile in a bare root, where no container can be built, and starts what they made.

`python -m tests.service.image ROOT`, as root: ROOT is a Debian root with Python 3.11 and its venv (debootstrap
--include=python3.11-venv). It is copied for each stage and left as it is. What is proven: the steps, the user, that
nothing but the volume and /tmp is written to, and the health check. What is not: the base image's own Python.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

KNOWN = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
SOURCE = Path(__file__).parents[2]
_FLOOR = 10  # steps that were carried out


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction."""

    word: str
    rest: str


def steps(text: str) -> list[Step]:
    """Return the instructions of a Dockerfile. Raises ValueError for one that this program can't carry out."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    found = [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]
    unknown = [step.word for step in found if step.word not in KNOWN]
    if unknown:
        raise ValueError(f"unknown instruction: {unknown[0]}")
    return found


class Stage:
    """One copy of the bare root, as it grows."""

    def __init__(self, bare: Path, root: Path) -> None:
        subprocess.run(["cp", "-a", "--reflink=auto", str(bare), str(root)], check=True)
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        python = root / "usr" / "local" / "bin" / "python"  # as the base image has it
        python.unlink(missing_ok=True)
        python.symlink_to("/usr/bin/python3.11")
        self.root, self.folder, self.user = root, "/", "root"
        self.environment: dict[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        self.start: list[str] = []
        self.health: list[str] = []

    def command(self, arguments: list[str]) -> list[str]:
        """Return how a command is run in here, as the present user."""
        inside = "cd " + shlex.quote(self.folder) + " && exec " + shlex.join(arguments)
        users = ["--userspec", f"{self.user}:{self.user}"] if self.user != "root" else []
        given = [f"{name}={value}" for name, value in self.environment.items()]
        return ["chroot", *users, str(self.root), "env", "-i", *given, "sh", "-c", inside]


def build(bare: Path, work: Path) -> tuple[Stage, int]:
    """Carry out all steps and return the last stage, and how many steps that took."""
    named: dict[str, Stage] = {}
    stage: Stage | None = None
    done = 0
    for step in steps((SOURCE / "Dockerfile").read_text("utf-8")):
        print(f"{step.word} {step.rest}"[:150], flush=True)
        if step.word == "FROM":
            stage = Stage(bare, work / f"stage-{len(named)}")
            named[step.rest.partition(" AS ")[2] or "last"] = stage
        assert stage is not None
        _carry_out(step, stage, named)
        done += 1
    assert stage is not None
    return stage, done


def _carry_out(step: Step, stage: Stage, named: dict[str, Stage]) -> None:
    match step.word:
        case "WORKDIR":
            stage.folder = step.rest
            (stage.root / step.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copy(step.rest.split(), stage, named)
        case "RUN":
            # A mirror that this machine was told of is told on: nothing of it stays in the image.
            own = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")]
            subprocess.run(stage.command(["env", *own, "sh", "-c", step.rest]), check=True)
        case "ENV":
            stage.environment |= dict(word.split("=", 1) for word in shlex.split(step.rest))
        case "USER":
            stage.user = step.rest
        case "ENTRYPOINT" | "CMD":
            stage.start += json.loads(step.rest)
        case "HEALTHCHECK":
            stage.health = json.loads(step.rest.partition("CMD ")[2])


def _copy(words: list[str], stage: Stage, named: dict[str, Stage]) -> None:
    top = SOURCE
    if words[0].startswith("--from="):
        top = named[words.pop(0).partition("=")[2]].root
    *sources, to = words
    target = stage.root / os.path.join(stage.folder, to).lstrip("/")
    for name in sources:
        source = top / name.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(source, target / source.name if to.endswith("/") else target)


def _settings(stage: Stage) -> None:
    folder = stage.root / "etc" / "broker"
    (folder / "addresses").mkdir(parents=True)
    (folder / "broker.toml").write_text(
        'environment = "test"\n[partner]\nport = 28081\n[epj]\nport = 28080\n'
        '[[organisation]]\nnumber = "900000101"\nname = "Fjordvik kommune"\nhers = [8000101]\n'
    )


def prove(stage: Stage) -> list[str]:
    """Start the image as its user, ask for its health, stop it. Returns what is wrong."""
    wrong: list[str] = []
    _settings(stage)
    began = time.time()
    time_mark = stage.root / "etc" / "broker" / "mark"
    time_mark.touch()
    health = stage.command(stage.health)
    if (before := subprocess.run(health).returncode) == 0:
        wrong.append(f"healthy before it was started: {before}")
    process = subprocess.Popen(stage.command(stage.start))
    try:
        while (code := subprocess.run(health).returncode) != 0 and time.time() < began + 60:
            if process.poll() is not None:
                break
    finally:
        process.terminate()
        ended = process.wait(60)
    if code != 0:
        wrong.append(f"not healthy within a minute: {code}")
    if ended != 0:
        wrong.append(f"ended with {ended}")
    allowed = (stage.root / "var" / "lib" / "broker", stage.root / "tmp", time_mark)
    changed = [
        path
        for path in stage.root.rglob("*")
        if not path.is_symlink()
        and path.is_file()
        and path.stat().st_mtime > time_mark.stat().st_mtime
        and not any(path.is_relative_to(place) for place in allowed)
        and path.parts[len(stage.root.parts)] not in ("proc", "sys", "dev")
    ]
    wrong += [f"written outside the volume: {path.relative_to(stage.root)}" for path in changed]
    owner = (stage.root / "var/lib/broker/store.sqlite").stat().st_uid if code == 0 else 10001
    if owner != 10001:
        wrong.append(f"the store is of user {owner}")
    return wrong


def main(bare: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="image-") as work:
        stage, done = build(bare, Path(work))
        wrong = prove(stage)
    for each in wrong:
        print(f"WRONG: {each}")
    print(f"{done} steps carried out, {len(wrong)} things wrong")
    return 1 if wrong or done < _FLOOR else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
