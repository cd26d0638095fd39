# Everything that a developer runs; `make help` lists it. Needs make, sh and Python 3.11 or newer.
#
# One environment serves every target. torch and its CUDA libraries are nearly all of it, and the
# demo needs them as much as the tests do: a second, smaller environment would save a newcomer a few
# seconds on the first command and cost minutes on the second.

VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
CODE := model controller benchmarks demo tools

# Not ?=: an exported PROMPT would be a shell's own. `make demo PROMPT="..."` overrides it.
PROMPT = a fox on a yellow background
export PROMPT

# Some machines ask Python to keep no bytecode. Then every start of a server reads the source of
# torch, diffusers and transformers anew, which takes longer than loading the model.
unexport PYTHONDONTWRITEBYTECODE

# mypy knows an unchanged file by its content, so a fresh clone need not read torch's types again.
export MYPY_CACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kiln/mypy

# A file's tests stay in one worker, which shares its server among them; in the order of the
# folders, because the slow ones come first there. More workers than cores only wait for each other.
# A worker that dies fails the run at once: with another in its place, the run may never end.
IN_PARALLEL := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# The stamp's name holds a checksum of what the environment is made from, and of where it lies.
STAMP := $(VENV)/.ready-$(shell { pwd; cat constraints/dev.txt pyproject.toml; } | cksum | tr -d ' ')

.PHONY: help setup demo test cluster cluster-down node-packages test-cluster lint generate verify \
	constraints images bench bench-gpu clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## Create .venv with the pinned packages

$(STAMP):
	@sh tools/setup.sh
	@rm -f $(VENV)/.ready-*
	@touch $@

demo: setup ## Start a server, watch it warm up, draw PROMPT="..." into out/
	@$(PY) -m demo "$$PROMPT"

test: lint ## Run lint, types, layers, and every test that needs neither root nor a cluster
	$(PY) -m pytest $(IN_PARALLEL) --ignore tests/cluster $(ARGS)

cluster: setup ## Bring up a real API server with KServe (needs Go once); NODE=1 as root: and pods
	@$(PY) -m tools.cluster up $(if $(NODE),--node)

cluster-down: setup ## End what `make cluster` brought up; nothing of it stays
	@$(PY) -m tools.cluster down

node-packages: setup ## Install the Debian packages that a node and its tests lack here (root)
	@$(PY) -m tools.cluster packages --install

test-cluster: setup ## Run the tests on a real API server: ours, or that of KUBECONFIG; as root, on pods
	$(PY) -m pytest -n 2 --dist loadscope --max-worker-restart 0 tests/cluster $(ARGS)

lint: setup ## Check style (ruff), types (mypy) and layers (import-linter)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(CODE) tests/conftest.py
	$(PY) $(VENV)/bin/lint-imports --no-logo

generate: setup ## Write what is made from code: the CRD, the rights, the schemas, the reference pages
	$(PY) -m tools.reference

verify: setup ## Fail when a generated file is out of date
	$(PY) -m tools.reference --check

COMPILE = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url \
	--custom-compile-command 'make constraints' $(ARGS)

constraints: setup ## Pin the packages again after a change of pyproject.toml; ARGS=--upgrade for newer ones
	$(COMPILE) --extra model --output-file constraints/model.txt
	$(COMPILE) --extra controller --output-file constraints/controller.txt
	$(COMPILE) --extra model --extra controller --extra dev --output-file constraints/dev.txt

images: setup ## Build the images with docker, podman or buildah; ARGS="--help" lists what can be chosen
	@$(PY) -m tools.images $(ARGS)

bench: setup ## Run the benchmarks; ARGS="--help" lists the scenarios
	$(PY) -m benchmarks $(ARGS)

# SDXL and FLUX.1 at full size, with random weights: 41 GB of disk, and a GPU with 40 GB. As JPEG:
# the PNG of a picture of noise takes a CPU longer than the difference that is looked for.
FULL_SIZE := out/full-size
bench-gpu: setup ## Run P1, P2 and P3 on a GPU, with SDXL and FLUX.1 at full size
	$(PY) -m benchmarks.full_size sdxl $(FULL_SIZE)/sdxl
	$(PY) -m benchmarks.full_size flux $(FULL_SIZE)/flux
	for model in sdxl flux; do $(PY) -m benchmarks --scenario P1 P3 --model $(FULL_SIZE)/$$model \
		--sizes 1024x1024 768x1344 --undeclared 896x1152 --compile off regional full \
		--output-format jpeg $(ARGS) || exit; done

clean: ## Remove caches, pictures and reports; the environment stays
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name .venv -prune -o -name .git -prune -o -name __pycache__ -type d -print | xargs rm -rf
