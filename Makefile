# Everything runs in .venv, by relative paths, so that the repository may stand
# anywhere, also below a folder with spaces in its name.

VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
RECIPE := recipes/LibriSpeech/ASR/packet_loss

# A program that runs with status 0 for a Python that the pinned packages have
# releases for.
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo reproduce-packet-loss reproduce-perceptual \
	reproduce-inpainting reproduce-ssl-mse reproduce-fusion docs test lint \
	clean

help:
	@echo "make setup   install the pinned packages into $(VENV) (about 6 GB)"
	@echo "make demo    train the packet-loss recipe on the mini corpus, print its table"
	@echo "make reproduce-packet-loss [ARGS=--quick]"
	@echo "             the packet-loss paper's figures, tables and claims, 1.5 hours"
	@echo "make reproduce-perceptual [ARGS=--quick]"
	@echo "             the perceptual-loss paper's tables and claims"
	@echo "make reproduce-inpainting [ARGS=--quick]"
	@echo "             the inpainting paper's tables and claims"
	@echo "make reproduce-ssl-mse [ARGS=--quick]"
	@echo "             the SSL-MSE paper's tables, figure and claims"
	@echo "make reproduce-fusion [ARGS=--quick]"
	@echo "             the spectrogram-fusion paper's tables, figure and claims"
	@echo "make docs    build the documentation into site/, warnings are errors"
	@echo "make test    check the style, then run every test and docstring example"
	@echo "make lint    check the style alone"
	@echo "make clean   remove $(VENV) and caches; results and data stay"
	@echo
	@echo "Needs Python 3.10, 3.11 or 3.12; name one with PYTHON=/path/to/python."

setup: $(STAMP)

# Build isolation would fetch a setuptools that no constraint pins. Without it
# what builds (pesq: Cython and NumPy) is there first; --use-pep517, so that an
# old pip does not let pesq's setup.py fetch more.
$(STAMP): pyproject.toml constraints.txt
	@if $(RUN) -c 'import pip; $(SUPPORTED)' 2>/dev/null; then exit 0; fi; \
	if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; \
	else set -- python3 python3.12 python3.11 python3.10; fi; \
	for python in "$$@"; do \
		if "$$python" -c '$(SUPPORTED)' 2>/dev/null; then \
			echo "making $(VENV) with $$python"; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "error: $$*: no Python 3.10, 3.11 or 3.12 among them;" \
		"name one with: make setup PYTHON=/path/to/python" >&2; \
	exit 2
	$(RUN) -m pip install --constraint constraints.txt \
		setuptools cython numpy
	$(RUN) -m pip install --constraint constraints.txt --no-build-isolation \
		--use-pep517 \
		--editable '.[base,bench,ctranslate2,demo,dev,docs,kaldi,lexicon,metrics]'
	@$(RUN) -m pip install --constraint constraints.txt --no-build-isolation \
		--use-pep517 --editable '.[pesq]' || echo "warning: pesq was not built;" \
		"it needs a C compiler and Python's headers. All else works, but" \
		"there is no PESQ, and none of the composite measures" >&2
	@LWS_USE_CYTHON=1 $(RUN) -m pip install --constraint constraints.txt \
		--no-build-isolation --use-pep517 --editable '.[phase]' || \
		echo "warning: lws was not built; it needs a C++ compiler and Python's" \
		"headers. Phases are then estimated by Griffin-Lim" >&2
	# Nothing but its file of weights is used; what it requires has no wheels.
	$(RUN) -m pip install --constraint constraints.txt --no-deps resemblyzer
	@touch $@

demo: setup
	cd $(RECIPE) && ../../../../$(RUN) train.py hparams/mini.yaml

reproduce-packet-loss: setup
	$(RUN) tools/reproduce_packet_loss.py $(ARGS)

reproduce-perceptual: setup
	$(RUN) tools/reproduce_perceptual.py $(ARGS)

reproduce-inpainting: setup
	$(RUN) tools/reproduce_inpainting.py $(ARGS)

reproduce-ssl-mse: setup
	$(RUN) tools/reproduce_ssl_mse.py $(ARGS)

reproduce-fusion: setup
	$(RUN) tools/reproduce_fusion.py $(ARGS)

docs: setup
	$(RUN) -m sphinx -W --keep-going -q -d site/.doctrees docs site
	@echo "site/index.html"

lint: setup
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m yamllint --no-warnings .
	$(RUN) -m codespell_lib

# A process a core, one thread each: most tests are too small for two threads.
test: lint
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses auto --maxprocesses 4 \
		--dist worksteal

clean:
	rm -rf $(VENV) build site docs/_pages *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
