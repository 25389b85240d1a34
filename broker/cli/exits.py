"""What the exit code of each command means; scripts and monitors rely on it."""

from typing import Final

OK: Final = 0
PROBLEM: Final = 1  # the command did its work and found something that a person should look at
USAGE: Final = 2  # the command line, a setting or a file is wrong
NOT_FOUND: Final = 3
UNREACHABLE: Final = 5  # neither a broker nor its store could be asked
REFUSED: Final = 6  # a person's act that is not possible as things stand
