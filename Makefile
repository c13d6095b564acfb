# The one set-up there is: `make run` and `make test` build what they need, a virtual environment included.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
ROOT ?= www

.PHONY: run test test-rust test-python lint bench micro instructions instructions-record python verdicts soak loom sanitize fuzz
.PHONY: fuzz-short fuzz-merge notebooks dist docs drawings bench-fixtures clean

run: target/release/httpserver
	target/release/httpserver $(PORT) $(ROOT)

.PHONY: target/release/httpserver
target/release/httpserver:
	cargo build --release --locked --bin httpserver

.PHONY: target/release/null_server
target/release/null_server:
	cargo build --release --locked --package pooled_httpd-benches --bin null_server

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'maturin[zig]>=1.16,<2'
	touch $@

# The extension, built for the virtual environment with everything that tests and checks need.
python: $(VENV)/installed
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --quiet --release --locked --extras test,attack,bench,observe,notebook,lint,docs

test: test-rust test-python

test-rust:
	cargo test --locked

# Files of tests are shared out to so many processes; PYTEST_ARGS are handed on.
TEST_JOBS ?= 2
test-python: python target/release/httpserver target/release/null_server
	$(BIN)/python -m pytest --numprocesses $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Every order in which threads can meet in the log's ring and in the statistics.
loom:
	RUSTFLAGS="--cfg loom" CARGO_PROFILE_TEST_DEBUG=0 cargo test --locked --target-dir target/loom --lib loom_ -- --nocapture --test-threads 1

sanitize:
	sanitize/run

# Coverage-guided: FUZZ_SECONDS for each target (600), FUZZ_TARGETS by name (all), FUZZ_JOBS at a time (1).
fuzz:
	fuzz/run

# Takes over what was found into fuzz/corpus, minimized.
fuzz-merge:
	fuzz/run merge

# Five minutes altogether on two cores, the build included.
fuzz-short:
	FUZZ_SECONDS=90 FUZZ_JOBS=2 fuzz/run

lint: python
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features python -- -D warnings
	cargo clippy --locked --all-targets --workspace -- -D warnings
	$(BIN)/ruff format --check python tests benches notebooks docs
	$(BIN)/ruff check python tests benches notebooks docs
	$(BIN)/mypy
	$(BIN)/stubtest pooled_httpd --mypy-config-file pyproject.toml

# Beside nginx, h2o, lighttpd and a server that does nothing; BENCH_ARGS="--help" tells what can be chosen.
bench: python target/release/httpserver target/release/null_server
	$(BIN)/python -m benches --json bench-results/bench.json --chart bench-results $(BENCH_ARGS)

# In a test's own process, beside http.server and pytest-httpserver; fails where one of them is ahead. FIXTURES_ARGS="--help".
bench-fixtures: python
	$(BIN)/python -m benches.fixtures --json bench-results/fixtures.json $(FIXTURES_ARGS)

# The parser beside httparse, the pool beside malloc, and the like: a minute. MICRO_ARGS=--test only sees that they run.
micro:
	cargo bench --locked --package pooled_httpd-benches --bench micro -- $(MICRO_ARGS)

# Fails where a fixed script takes over 3 % more instructions than were recorded.
instructions:
	$(PYTHON) benches/instructions.py

instructions-record:
	$(PYTHON) benches/instructions.py --record

# Executes the notebooks anew; what is kept of them has no trace of the machine. NOTEBOOKS names some of them.
notebooks: python
	$(BIN)/python -m notebooks.execute $(NOTEBOOKS)

# The table of verdicts in the README: the catalogue on this server and others.
verdicts: python
	PYTHONPATH=tests $(BIN)/python tests/verdicts.py

# Ten minutes of everything at once; SOAK_SECONDS says otherwise.
SOAK_SECONDS ?= 600
soak: python target/release/httpserver
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -rP tests/test_soak.py

# What is installed where there is no compiler: a wheel for every Python from 3.11 on, one for each free-threaded Python in
# FREE_THREADED (python3.14t and later; it need not be installed), and the source distribution. Zig links for the glibc of
# manylinux2014, and paths of this machine are kept out: the same source and compiler make the same bytes.
DIST ?= dist
FREE_THREADED ?= $(notdir $(shell which python3.14t python3.15t python3.16t 2>/dev/null))
CARGO_HOME ?= $(HOME)/.cargo
dist: $(VENV)/installed
	rm -rf $(DIST)
	PATH="$(CURDIR)/$(BIN):$$PATH" RUSTFLAGS="$(RUSTFLAGS) --remap-path-prefix=$(CARGO_HOME)=cargo" $(BIN)/maturin build --quiet \
		--locked --zig --compatibility manylinux2014 --out $(DIST) -i $(BIN)/python $(FREE_THREADED:%=-i %)
	$(BIN)/maturin sdist --out $(DIST)

# The API reference, from the stubs and docstrings, to docs/build/index.html: whatever is wrong with it is an error.
docs: python
	$(BIN)/python docs/reference.py

# The drawings in docs and the table of states, from the server's own table.
drawings: python
	$(BIN)/python docs/drawings.py

# What checks each promise of the README: `make promise-P1` and so on.
P1_PYTEST := tests/test_heap.py
P2_PYTEST := tests/test_heap.py
P2_RUST := server::memory
P3_PYTEST := tests/test_lifecycle.py tests/test_program.py tests/test_openat2.py tests/test_load.py
P4_RUST := connection::invariants sim::
P5_PYTEST := tests/test_attack_catalogue.py tests/test_attack_generators.py
P5_RUST := connection::cases
P6_PYTEST := tests/test_statistics.py tests/test_attack_machine.py
P6_RUST := sim::
P7_PYTEST := tests/test_lifecycle.py
P8_PYTEST := tests/test_freshness.py
P8_RUST := file::cache
P9_PYTEST := tests/test_attacks.py
P9_RUST := file::
PROMISES := promise-P1 promise-P2 promise-P3 promise-P4 promise-P5 promise-P6 promise-P7 promise-P8 promise-P9
.PHONY: $(PROMISES)
$(PROMISES): promise-%: python target/release/httpserver
	$(if $($*_RUST),cargo test --locked --lib -- $($*_RUST))
	$(if $($*_PYTEST),$(BIN)/python -m pytest $($*_PYTEST))

clean:
	rm -rf target dist docs/build fuzz/target fuzz/found $(VENV)
