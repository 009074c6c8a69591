# make demo   sets up .venv and runs the whole path on the bundled model and picture
# make test   sets up .venv and runs checks and tests
# make check  format, lint and types alone
# make docs   the documentation as a site, in site/
PYTHON ?= python3
# PyTorch's Linux builds on PyPI bring gigabytes of CUDA. The CPU build has "+cpu" in its version: it is taken wherever
# pip can find it (PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS may point to where it lies, see README), the default build else.
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
PIP := .venv/bin/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test check docs

demo: .venv/.installed
	.venv/bin/afformer-cli demo -o demo-output

test: .venv/.installed
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/check
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q -n 2 # one thread of PyTorch for each of the two processes

check: .venv/.installed
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/check

docs: .venv/.docs
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/docs

.venv/.docs: .venv/.installed
	$(PIP) install -c constraints.txt -e ".[docs]"
	touch $@

.venv/.installed: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv .venv
	$(PIP) install "torch==$(TORCH)+cpu" 2>/dev/null || \
	  { echo "no CPU build of torch $(TORCH) where pip looks: installing the default build"; $(PIP) install "torch==$(TORCH)"; }
	$(PIP) install -c constraints.txt -e ".[dev]"
	touch $@
