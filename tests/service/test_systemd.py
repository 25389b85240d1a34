"""What the service manager hears: from a real daemon, and that the watchdog starves where the proof is missing."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.cli.ask import readiness
from broker.config import load
from broker.errors import StoreBusy
from broker.lookup.systemd import Notifier, feed_watchdog
from broker.sealing.certificates import Use
from tests.certificates import key_pair
from tests.service.installation import Installation, environment, free_port, make_installation

PATIENCE = 60.0  # seconds


class Manager:
    """A service manager's socket, and what came to it: read at once, for a queue that is full loses what comes."""

    def __init__(self, path: Path) -> None:
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.door.bind(str(path))
        self.heard: list[str] = []
        self._came: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while (datagram := self.door.recv(4096)) != b"END":
            for line in datagram.decode().split("\n"):
                self._came.put(line)

    def close(self) -> None:
        """Stop reading."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"END", self.door.getsockname())
        self._reader.join()
        self.door.close()

    def until(self, said: Callable[[str], bool], patience: float = PATIENCE) -> str:
        """Return the first line from now on that `said` holds for. Raises queue.Empty."""
        end = time.monotonic() + patience
        while True:
            line = self._came.get(timeout=max(end - time.monotonic(), 0.001))
            self.heard.append(line)
            if said(line):
                return line

    def silence(self, span: float) -> None:
        """Raise queue.Empty once the watchdog has not been fed for `span` seconds."""
        for _ in range(100):
            self.until(lambda line: line == "WATCHDOG=1", span)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return make_installation(tmp_path_factory.mktemp("whole") / "site")


@pytest.fixture
def installation(whole: Installation, tmp_path: Path) -> Installation:
    copy = whole.copied(tmp_path / "site")
    copy.settings("[epj]\nport = 0", f"[epj]\nport = {free_port()}")
    return copy


@contextmanager
def daemon(installation: Installation, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run the real broker. Whoever started it ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "broker", "serve", "--config", str(installation.config)],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate(timeout=PATIENCE)


def command(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "broker", *arguments, "--config", str(installation.config)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def certificate(name: str) -> bytes:
    return key_pair(name, Use.SIGN).certificate.public_bytes(Encoding.PEM)


def write_door(installation: Installation, name: str) -> None:
    key = key_pair(name, Use.SIGN).private_key
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (installation.folder / "door.pem").write_bytes(pem)
    (installation.folder / "door.pem").chmod(0o600)
    (installation.folder / "door.crt").write_bytes(certificate(name))


def shown_at(port: int) -> bytes:
    """Return the certificate that a door shows to a newcomer, as PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE).encode()


def test_a_daemon_says_ready_feeds_the_watchdog_reloads_and_says_that_it_stops(
    manager: Manager, installation: Installation, tmp_path: Path
) -> None:
    port = free_port(but=load(installation.config).epj.port)
    installation.settings(
        "[partner]\nport = 0", f'[partner]\nport = {port}\ncertificate = "door.crt"\nkey = "door.pem"'
    )
    write_door(installation, "first")
    with daemon(installation, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000") as process:
        manager.until(lambda line: line == "READY=1")
        assert shown_at(port) == certificate("first")
        for _ in range(3):
            manager.until(lambda line: line == "WATCHDOG=1")
        assert command(installation, "check", "--health").returncode == 0

        second = command(installation, "serve")
        assert second.returncode == 2
        assert "another process has this store open" in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert readiness(load(installation.config)) == 200  # the first noticed nothing

        installation.settings("[limits]", "[workers]\nconcurrency = 7\n[limits]\nenvelope = 51_000_000")
        process.send_signal(signal.SIGHUP)
        manager.until(lambda line: line == "RELOADING=1")
        manager.until(lambda line: line == "STATUS=reloaded; from the next start: limits.envelope")

        write_door(installation, "second")  # the same files, renewed
        process.send_signal(signal.SIGHUP)
        manager.until(lambda line: line.startswith("STATUS=reloaded"))
        assert shown_at(port) == certificate("second")
        (installation.folder / "door.crt").write_bytes(certificate("third"))
        process.send_signal(signal.SIGHUP)
        told = manager.until(lambda line: line.startswith("STATUS=not reloaded"))
        assert "do not belong together" in told
        assert shown_at(port) == certificate("second")
        write_door(installation, "third")

        installation.settings("concurrency = 7", "concurrency = 0")
        process.send_signal(signal.SIGHUP)
        told = manager.until(lambda line: line.startswith("STATUS=not reloaded"))
        assert "workers.concurrency: must be a number of at least 1" in told

        installation.settings("concurrency = 0", "concurrency = 8")
        (installation.folder / "clients.toml").write_text("[[client")
        process.send_signal(signal.SIGHUP)
        told = manager.until(lambda line: line.startswith("STATUS=reloaded"))
        assert "1 files are bad and their last good ones count, first: clients.toml" in told

        manager.until(lambda line: line == "WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        manager.until(lambda line: line == "STOPPING=1")
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        events = [json.loads(line) for line in out.splitlines()]
        assert {"records.reloaded", "records.bad", "process.stopped"} <= {each["event"] for each in events}


def test_the_site_key_and_the_passphrase_may_be_credentials(
    manager: Manager, installation: Installation, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (installation.data / "site.key").rename(credentials / "site.key")
    bare = command(installation, "serve")
    assert bare.returncode == 2
    assert "site.key: is missing" in bare.stderr
    sockets = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "CREDENTIALS_DIRECTORY": str(credentials)}
    with daemon(installation, **sockets) as process:
        manager.until(lambda line: line == "READY=1")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert not (installation.data / "site.key").exists()


def test_no_manager_is_no_hindrance(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "nobody"), "@nobody-listens-here"):
        notifier = Notifier({"NOTIFY_SOCKET": address})
        notifier.ready("runs")
        notifier.feed()
        assert notifier.lost == (2 if address else 0)
        assert notifier.watchdog is None


def test_an_abstract_socket_is_found_and_a_status_is_one_line(manager: Manager) -> None:
    name = f"broker-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(f"\0{name}")
        door.settimeout(PATIENCE)
        notifier = Notifier({"NOTIFY_SOCKET": f"@{name}"})
        notifier.status("two\nlines")
        notifier.status("two\nlines")  # not said twice
        notifier.stopping("x" * 999)
        assert door.recv(4096) == b"STATUS=two lines"
        assert door.recv(4096) == b"STOPPING=1\nSTATUS=" + b"x" * 200


async def fed(manager: Manager, path: Path, **parts: object) -> int:
    """Return how often the watchdog was fed in four of its spans."""
    notifier = Notifier({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "100000"})

    async def well() -> None:
        await asyncio.sleep(0)

    given: dict[str, object] = {"store": well, "worker": well, "status": lambda: "runs"} | parts
    with suppress(TimeoutError):
        async with asyncio.timeout(0.4):
            await feed_watchdog(notifier, **given)  # type: ignore[arg-type]
    notifier.stopping("end")
    await asyncio.to_thread(manager.until, lambda line: line == "STATUS=end")
    return manager.heard.count("WATCHDOG=1")


async def hangs() -> None:
    await asyncio.Event().wait()


async def full() -> None:
    raise StoreBusy("the disk of the store is full", error_id="MB-9101")


async def test_the_watchdog_is_fed_twice_in_each_span(manager: Manager, tmp_path: Path) -> None:
    assert await fed(manager, tmp_path / "notify") >= 4


@pytest.mark.parametrize("part", ["store", "worker"])
async def test_a_part_that_hangs_starves_the_watchdog(part: str, manager: Manager, tmp_path: Path) -> None:
    assert await fed(manager, tmp_path / "notify", **{part: hangs}) == 0


async def test_a_full_disk_starves_nobody_for_a_restart_makes_no_room(manager: Manager, tmp_path: Path) -> None:
    assert await fed(manager, tmp_path / "notify", store=full) >= 4


SABOTAGE = {
    # The writer's thread waits for ever from the tenth write on.
    "store": """
from broker.store.writer import Writer
whole, count = Writer._commit, itertools.count()
def commit(self, group, told=None):
    return whole(self, group, told) if next(count) < 10 else threading.Event().wait()
Writer._commit = commit
""",
    # The worker's loop waits for ever from its tenth round on, as it would for a lock that nobody frees.
    "worker": """
from broker.worker import Worker
whole, count = Worker._claim, itertools.count()
async def claim(self, tasks, now):
    await (whole(self, tasks, now) if next(count) < 10 else asyncio.Event().wait())
Worker._claim = claim
""",
}


@pytest.mark.parametrize("part", SABOTAGE)
def test_a_daemon_of_which_a_part_hangs_is_no_longer_fed(
    part: str, manager: Manager, installation: Installation, tmp_path: Path
) -> None:
    """The planted faults, in the real process, which lives and answers all the while."""
    code = f"import asyncio, itertools, threading\n{SABOTAGE[part]}\nfrom broker.cli.main import main\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--config", str(installation.config)],
        env=environment(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000"),
        stdout=subprocess.DEVNULL,
    )
    try:
        manager.until(lambda line: line == "READY=1")
        manager.until(lambda line: line == "WATCHDOG=1")
        with pytest.raises(Empty):
            manager.silence(1.5)  # nearly four spans
        assert process.poll() is None
        assert manager.heard.count("WATCHDOG=1") <= 10
    finally:
        process.kill()
        process.wait(PATIENCE)
