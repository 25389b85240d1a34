"""Rubbish against the readers and against the real daemon.

    python -m tests.rubbish [readers] [daemon]      both, where none is named
    python -m tests.rubbish readers bomb "way out"  these groups of cases alone

Prints what each case came to, with its time and its highest memory; ends with 1 where a case ended otherwise than it
should, or less was tried than the floors say. SABOTAGE=name plants one of sabotage.NAMES.
"""

import os
import sys
from collections.abc import Callable

from tests.rubbish import daemon_run, readers_run
from tests.rubbish.sabotage import NAMES

PARTS: dict[str, Callable[[str, frozenset[str]], bool]] = {"readers": readers_run.run, "daemon": daemon_run.run}


def main(named: list[str]) -> int:
    """Run the parts; return 0 where all is well."""
    sabotage = os.environ.get("SABOTAGE", "")
    parts, only = [part for part in PARTS if part in named], frozenset(named) - set(PARTS)
    if sabotage not in NAMES or not only <= {*readers_run.FLOORS, *daemon_run.DOORS}:
        groups = ", ".join([*readers_run.FLOORS, *daemon_run.DOORS])
        print(f"parts: {', '.join(PARTS)}; groups: {groups}; sabotages: {', '.join(NAMES)}")
        return 2
    well = [PARTS[part](sabotage, only) for part in parts or PARTS]
    print("rubbish: all is well" if all(well) else "rubbish: NOT as it should be")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
