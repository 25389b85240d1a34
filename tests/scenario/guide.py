"""Reads docs/integrating.md: the commands that it shows, and the answers that it shows below them."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANYTHING = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One block of commands, and the answer shown for it; "" where none is."""

    line: int  # where it stands
    commands: str
    answer: str

    def fits(self, said: str) -> bool:
        """Say whether `said` is the answer shown; … stands for anything."""
        pattern = ".*".join(re.escape(part) for part in self.answer.strip().split(_ANYTHING))
        return not self.answer or re.fullmatch(pattern, said.strip(), re.DOTALL) is not None


def steps(path: Path) -> tuple[Step, ...]:
    """Return the steps of the guide, in order."""
    text = path.read_text("utf-8")
    found: list[Step] = []
    for fence in _FENCE.finditer(text):
        kind, content = fence[1], fence[2]
        if kind == "sh":
            found.append(Step(line=text.count("\n", 0, fence.start()) + 1, commands=content, answer=""))
        elif kind == "text":
            last = found.pop()
            found.append(Step(line=last.line, commands=last.commands, answer=content))
    return tuple(found)


def script(found: tuple[Step, ...], mark: str) -> str:
    """Return one shell script of all steps; `mark` and the step's number stand on a line of their own after each."""
    body = "".join(f"{step.commands}\nprintf '\\n%s %s\\n' {mark} {number}\n" for number, step in enumerate(found))
    return f"set -euo pipefail\n{body}"
