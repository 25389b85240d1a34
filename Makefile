# The commands of this project. `make demo` and `make test` do all set-up themselves.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp-$(shell cat requirements-dev.lock pyproject.toml | sha256sum | cut -c1-16)

.PHONY: demo test schemas oracles setup system lint types contracts unit points kill forgery oracle bench lock clean

demo: setup
	$(BIN)/broker demo $(if $(STAY),--stay)

test: setup system
	scripts/test

# How fast, against a straight line of the same work: docs/performance.md. For figures to quote, on a quiet machine.
bench: setup
	$(BIN)/python -m tests.bench

# Kills two brokers at every commit point; SHORT=1 for the form that the tests run, SABOTAGE=name for a planted fault.
points: setup
	$(BIN)/python -m tests.scenario.points $(if $(SHORT),--short) $(if $(SEED),--seed $(SEED))

# The proofs of single parts, with their tables and floors; SABOTAGE=name plants a fault that must turn them red.
schemas: setup
	$(BIN)/python -m tests.schemas.differential

oracles: setup system
	$(BIN)/python -m tests.oracles.signature
	$(BIN)/python -m tests.oracles.cms
	$(BIN)/python -m tests.oracles.mime

# Kills the real daemons 100 times under load; SHORT=1 for the form that the tests run, SABOTAGE=name as above.
kill: setup
	$(BIN)/python -m tests.kill $(if $(SHORT),--short)

setup: $(STAMP)

$(STAMP): scripts/setup
	PYTHON="$(PYTHON)" scripts/setup "$(VENV)"
	@rm -f $(VENV)/.stamp-*
	@touch $(STAMP)

system: setup
	scripts/system-packages xmlsec1 openssl strace javac:default-jdk-headless mvn:maven
	scripts/promtool >/dev/null

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

unit: setup
	$(BIN)/python -m pytest -q tests/unit tests/architecture

# Each prints what it tried; SABOTAGE=name plants a fault, which must turn it red.
forgery: setup
	$(BIN)/python -m tests.scenario.forgery

oracle: setup
	$(BIN)/python -m tests.scenario.oracle

# Writes the two locks anew from pyproject.toml. They hold names, versions and hashes, and no address of an index.
lock:
	uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-dev.lock
	printf 'hatchling>=1.27,<2\n' | uv pip compile -q pyproject.toml - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements-dev.lock -o requirements.lock

clean:
	rm -rf $(VENV) dist build .demo .work .bench

# Bad disks, bad partners, and time; SHORT=1 for the forms that the tests run, SABOTAGE=name for a planted fault.
.PHONY: disk partner soak
disk: setup system
	$(BIN)/python -m tests.disk $(if $(SHORT),,--all)

partner: setup
	$(BIN)/python -m tests.partner $(if $(SHORT),--short)

soak: setup
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(if $(SHORT),--short) --picture soak.svg

# Bombs, lies and loose ends, against the readers and the real daemon.
.PHONY: rubbish
rubbish: setup
	$(BIN)/python -m tests.rubbish

# Every reader of hostile bytes under Hypothesis and atheris; SEED=n repeats a run.
.PHONY: fuzz
fuzz: setup
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

# How fast the commands that look are over 100,000 messages; MESSAGES=n for another number, SABOTAGE=name as above.
.PHONY: operator-speed
operator-speed: setup
	$(BIN)/python -m tests.speed --messages $(or $(MESSAGES),100000)

# Every cause that a message can stand still for, produced for real; SABOTAGE=name for a planted fault.
.PHONY: causes
causes: setup
	$(BIN)/python -m tests.causes

# Signed messages with one or two changes: none is believed that means something else. SEED=n repeats a run.
.PHONY: mutants
mutants: setup system
	$(BIN)/python -m tests.mutants $(if $(SHORT),--short) $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

# The real broker against peers that behave as other engines do, one process each (ENGINE=name, CASE=words for a part);
# and our bytes before Santuario, Bouncy Castle and Angus Mail, and theirs before us (SEED=n). SABOTAGE=name as above.
.PHONY: interop interop-peers interop-java
interop: interop-peers interop-java

interop-peers: setup system
	$(BIN)/python -m tests.interop $(if $(ENGINE),--engine $(ENGINE)) $(if $(CASE),--case "$(CASE)")

interop-java: setup system
	$(BIN)/python -m tests.interop.java_cases

# Every chain of certificates with its verdict; SABOTAGE=name for a planted fault.
.PHONY: trust
trust: setup
	$(BIN)/python -m tests.trust

# Agreement files of every kind, read and judged; SABOTAGE=name for a planted fault.
.PHONY: agreements
agreements: setup
	$(BIN)/python -m tests.interop.cpa_cases

# Whether each test that the map of ebMS 2.0 names is there; makes the table in docs/conformance.md. SABOTAGE=name as above.
.PHONY: conformance
conformance: setup
	$(BIN)/python -m tests.docs.conformance_map
