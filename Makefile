# make demo    animate the sample speech into demo/ (light install, no torch)
# make test    lint, types, floors, tests           make lint    the first three
# make fuzz    damaged files by the thousand        make clean   remove what make made
# make soak    hours of live work, ten pages of the studio (75 minutes)
# make test installs ffmpeg and a few libraries (apt-get) where they are missing and we are root;
# make test SYSTEM=no leaves the machine alone; JOBS=4 runs four tests at once (then those that must be alone).
# PYTHON=python3.12 chooses the interpreter, PIP_ARGS=... is handed to pip. For torch without CUDA, on Linux:
#   make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_ARGS ?=
SYSTEM ?= yes
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt

# Tests on recordings run where the corpus is; elsewhere they skip and say so.
ifneq ($(wildcard ../shared/corpus),)
export DUOMORPH_CORPUS ?= $(abspath ../shared/corpus)
endif

.PHONY: demo test lint fuzz soak system clean

demo: $(VENV)/base
	@$(BIN)/duomorph animate src/duomorph/assets/sample.flac -o demo/ --fps 60 --plot
	@echo "curves   demo/sample.csv   (Live Link Face CSV: Unreal, MetaHuman, Blender)"
	@echo "picture  demo/sample.png"

test: system lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not alone"; \
	  together=$$?; $(BIN)/python -m pytest -m alone && exit $$together

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(VENV)/dev
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/test_fuzz.py
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris==3.0.0 \
	  || echo "no atheris for this Python: only the property tests ran"
	$(BIN)/python tests/fuzz/run.py --seconds 60 --json benchmarks/results/fuzz.json

soak: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/live_soak.py --json benchmarks/results/live_soak.json
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/studio_soak.py --json benchmarks/results/studio_soak.json

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Duomorph needs Python 3.11 or newer: got `$(PYTHON) --version`; try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/base: $(VENV)/python pyproject.toml constraints.txt
	$(INSTALL) -e ".[plot]"
	@touch $@

$(VENV)/dev: $(VENV)/python pyproject.toml constraints.txt
	$(INSTALL) -e ".[dev]"
	@touch $@ $(VENV)/base

# Programs and libraries that some tests use and skip without (MediaPipe needs EGL, OpenCV GL, the microphone PortAudio
# and a sound server); only where we may install them unasked.
PACKAGES := ffmpeg espeak-ng chromium libegl1 libgles2 libgl1 libglib2.0-0 libportaudio2 libasound2-plugins pulseaudio \
  pulseaudio-utils
system:
	@dpkg -s $(PACKAGES) >/dev/null 2>&1 || [ "$(SYSTEM)" = no ] || [ "`id -u`" != 0 ] || ! command -v apt-get >/dev/null \
	  || { echo "installing $(PACKAGES) with apt-get, for tests that need them; to skip: make test SYSTEM=no"; \
	       apt-get update -qq && apt-get install -qq -y --no-install-recommends $(PACKAGES) >/dev/null; } \
	  || echo "not installed: the tests that need them will skip"

clean:
	rm -rf $(VENV) demo build dist tests/web/node_modules examples/c/ort .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +
