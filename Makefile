# Every target works on a fresh clone with only Python >= 3.11 and make; it sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROTO_TOOLS := .venv-protos
PROTOS := $(patsubst protos/mockcloud/%,mockcloud/api/%,$(wildcard protos/mockcloud/*/v1/*.proto))

.PHONY: demo up test check bench golden simulate coverage protos clean

demo: $(READY)  ## an order workflow survives two failovers; then two regions are active at once
	$(BIN)/python examples/failover_mid_workflow.py
	$(BIN)/python examples/split_brain.py

up: $(READY)  ## two regions until Ctrl-C
	$(BIN)/mockcloud up

test: $(READY)  ## the whole suite; tests that assert a time run alone, afterwards
	$(BIN)/pytest -n 2 --dist loadgroup -m "not serial"
	$(BIN)/pytest -m serial

check: $(READY)  ## format, lint, types, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests/project

bench: $(READY)  ## figures against null servers in the same run; FULL=1 adds the 10,000s
	$(BIN)/python -m bench $(if $(FULL),--full) $(BENCH_ARGS)

coverage: $(READY)  ## regenerate docs/coverage.md from the tables in the code
	$(BIN)/python -m mockcloud.coverage docs/coverage.md

simulate: $(READY)  ## random workflows under random faults on simulated time: SEEDS=how many, FIRST=the first, JOBS=processes
	PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),200) --first $(or $(FIRST),1) --jobs $(or $(JOBS),1) $(SIMULATE_ARGS)

golden: $(READY)  ## play recordings of a real pair of clusters: DIR=a folder of them
	$(BIN)/python -m tests.golden $(or $(DIR),tests/golden/event-based)

protos: $(PROTO_TOOLS)/.ready  ## regenerate mockcloud/api from protos/
	$(PROTO_TOOLS)/bin/python -m grpc_tools.protoc -Imockcloud/api=protos/mockcloud --python_out=. --pyi_out=. $(PROTOS)

clean:
	rm -rf $(VENV) $(PROTO_TOOLS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Compiled at once, as pip compiles what it copies: else the first start takes nearly twice as long as the next.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install -q --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m compileall -q mockcloud
	touch $@

# Old enough that its output loads under every protobuf that temporalio allows.
$(PROTO_TOOLS)/.ready: constraints-protos.txt
	$(PYTHON) -m venv $(PROTO_TOOLS)
	PIP_CONSTRAINT=constraints-protos.txt $(PROTO_TOOLS)/bin/pip install -q --disable-pip-version-check grpcio-tools setuptools
	touch $@
