"""Clock, randomness, threads, shipped files: the small doors."""

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

import broker
from broker.errors import Misconfigured
from broker.lookup.clock import SystemClock
from broker.lookup.cpu import CpuPool
from broker.lookup.process_files import ProcessFiles
from broker.lookup.randomness import SystemRandomness
from broker.lookup.schemas import ThreadSchemas, schema_files
from broker.lookup.shipped import shipped
from broker.validation.xsd import SchemaSet


def test_the_clock_says_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_ids_are_uuids_that_sort_in_the_order_they_were_made() -> None:
    randomness = SystemRandomness()
    ids = [randomness.id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert all(len(each) == 36 for each in ids)
    assert abs((uuid.UUID(ids[0]).int >> 80) - time.time() * 1000) < 60_000


def test_ids_do_not_go_back_when_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    randomness = SystemRandomness()
    first = randomness.id()
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    assert randomness.id() > first


def test_ids_made_in_several_threads_are_all_different() -> None:
    randomness = SystemRandomness()
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: randomness.id(), range(4000)))
    assert len(set(ids)) == 4000


def test_jitter_is_between_nought_and_one() -> None:
    randomness = SystemRandomness()
    drawn = [randomness.jitter() for _ in range(1000)]
    assert 0 <= min(drawn) < 0.1
    assert 0.9 < max(drawn) < 1
    assert len(randomness.bytes(32)) == 32


async def test_cpu_work_runs_in_a_thread_of_the_pool_and_gives_back_what_happened() -> None:
    pool = CpuPool(2)
    try:
        assert (await pool(threading.current_thread)).name.startswith("cpu")
        assert await pool(int, "ff", base=16) == 255
        with pytest.raises(ZeroDivisionError):
            await pool(divmod, 1, 0)
    finally:
        pool.close()


async def test_the_pool_is_bounded() -> None:
    pool = CpuPool(2)
    running, most, lock = 0, 0, threading.Lock()
    meet = threading.Barrier(2)  # both threads must be there at once, or it breaks

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        meet.wait(timeout=10)
        with lock:
            running -= 1

    try:
        await asyncio.gather(*(pool(work) for _ in range(8)))
    finally:
        pool.close()
    assert most == 2


def test_what_is_shipped_is_found_beside_the_package_in_a_checkout() -> None:
    for name in ("schemas", "processes", "addresses"):
        assert shipped(name).is_dir()


def test_what_is_shipped_inside_the_package_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "broker"
    inside, outside = package / "_shipped" / "schemas", tmp_path / "schemas"
    inside.mkdir(parents=True)
    outside.mkdir()
    monkeypatch.setattr(broker, "__path__", [str(package)])
    assert shipped("schemas") == inside
    inside.rmdir()
    assert shipped("schemas") == outside
    outside.rmdir()
    with pytest.raises(Misconfigured):
        shipped("schemas")


def test_each_thread_has_its_own_schemas_and_keeps_them() -> None:
    schemas = ThreadSchemas(schema_files(shipped("schemas")), threads=4)
    together = threading.Barrier(4)

    def own(_: int) -> tuple[SchemaSet, SchemaSet]:
        together.wait(timeout=10)
        return schemas(), schemas()

    with ThreadPoolExecutor(4) as pool:
        pairs = list(pool.map(own, range(4)))
    assert all(first is second for first, second in pairs)
    assert len({id(first) for first, _ in pairs}) == 4


def test_schemas_are_compiled_before_threads_parse_and_never_after() -> None:
    """A set that was compiled while another thread parsed once refused every document: its imports were skipped."""
    schemas = ThreadSchemas(schema_files(shipped("schemas")), threads=2)
    with ThreadPoolExecutor(1) as pool:
        assert schemas() is not pool.submit(schemas).result()
    with ThreadPoolExecutor(1) as pool, pytest.raises(LookupError):
        pool.submit(schemas).result()


def test_schemas_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no schema"):
        schema_files(tmp_path)


def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "processes"
    folder.mkdir()
    for path in shipped("processes").glob("*.toml"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_the_shipped_processes_are_read_and_read_anew(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    files = ProcessFiles(folder)
    before = files.current()
    assert "EKONTAKT" in before.by_name
    assert not files.look()
    (folder / "ekontakt.toml").unlink()
    assert files.look()
    assert "EKONTAKT" not in files.current().by_name
    assert "EKONTAKT" in before.by_name


@pytest.mark.parametrize("way", ["bad", "twice", "folder gone"])
def test_processes_that_go_bad_leave_the_last_good_ones_in_use(tmp_path: Path, way: str) -> None:
    folder = copied(tmp_path)
    files = ProcessFiles(folder)
    before = files.current()
    if way == "bad":
        (folder / "ekontakt.toml").write_text("name = ")
    elif way == "twice":
        (folder / "second.toml").write_bytes((folder / "ekontakt.toml").read_bytes())
    else:
        folder.rename(tmp_path / "away")
    assert files.look()
    assert files.current() == before
    assert len(files.problems) == 1
    assert not files.look()


@pytest.mark.parametrize("content", [None, "name = "])
def test_processes_must_be_whole_at_the_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "one.toml").write_text(content)
    with pytest.raises(Misconfigured):
        ProcessFiles(tmp_path)
    with pytest.raises(Misconfigured, match="can't be read"):
        ProcessFiles(tmp_path / "absent")
