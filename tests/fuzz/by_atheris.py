"""One target under atheris: mutations led by what code they reach. libFuzzer prints its figures on stderr.

    python -m tests.fuzz.by_atheris TARGET SECONDS SEED FOUND

An input that shows a bug is written into the folder FOUND.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["broker.envelope", "broker.sealing", "broker.receipts", "asn1crypto"]):
    from tests.fuzz import targets

from tests.fuzz.bounds import MEMORY, SLOWEST, guarded
from tests.fuzz.sabotage import plant
from tests.fuzz.seeds import seeds, words


def main(target: str, seconds: int, seed: int, found: Path) -> None:
    """Fuzz; ends the process itself, with another code than 0 for a bug."""
    plant(os.environ.get("SABOTAGE", ""))
    with tempfile.NamedTemporaryFile("w", suffix=".dict", delete=False) as dictionary:
        for word in words(target):
            dictionary.write('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n')
    corpus = tempfile.mkdtemp()  # what it finds new goes there too, and is thrown away
    for number, seeded in enumerate(seeds(target)):
        Path(corpus, str(number)).write_bytes(seeded)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-rss_limit_mb={MEMORY // 2**20 * 2}",  # its own tables come on top
        f"-timeout={int(SLOWEST * 10)}",  # of the wall clock
        f"-dict={dictionary.name}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        "-max_len=20000",
        "-close_fd_mask=0",
    ]
    atheris.Setup([sys.argv[0], *options, corpus], guarded(targets.TARGETS[target]))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(float(sys.argv[2])), int(sys.argv[3]), Path(sys.argv[4]))
