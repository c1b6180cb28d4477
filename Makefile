# `make hrpo` trains and measures the embedded default; `make hrpo ARGS="--hrpo.learning_rate 1e-5"`
# changes a setting. Each target installs and builds what it needs; a stage whose run is complete skips itself.

MODEL ?= tiny
CONFIG ?=
ARGS ?=
QUICK ?=
SEEDS ?= 1
SEED ?=
LAYOUT ?=
PEFT ?=
DEEPSPEED ?=
PROCESSES ?=
RUNS ?= runs
DATA ?= data/sources
RUN ?= $(RUNS)/$(MODEL)/seed-0/hrpo
REPO ?=
PYTHON ?= python3
TORCH_INDEX ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ADASR := $(BIN)/adasr
TORCH := torch==2.13.0

export OMP_NUM_THREADS ?= 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

# CONFIG and ARGS belong to the targets named on the command line, not to the stages before them.
named = $(filter $(1),$(MAKECMDGOALS))
config = --config $(if $(and $(CONFIG),$(call named,$(1))),$(CONFIG),configs/$(MODEL)/$(2).yaml)
args = $(if $(call named,$(1)),$(ARGS))
folder = $(RUNS)/$(MODEL)$(if $(filter parallel,$(LAYOUT)),-parallel)$(addprefix -,$(PEFT))/seed-$(or $(SEED),0)
own = $(if $(SEED)$(LAYOUT)$(PEFT),$(call seed,--seed) --output_dir $(folder)/$(1)) \
  $(if $(LAYOUT),--streaming.layout $(LAYOUT)) $(if $(DEEPSPEED),--deepspeed configs/deepspeed/$(DEEPSPEED).yaml)
compared = $(RUNS)/$(MODEL)$(if $(filter parallel,$(LAYOUT)),-parallel)$(if $(QUICK),-quick)
from_sft = $(if $(SEED)$(LAYOUT)$(PEFT),--model.path $(folder)/sft)
# RL goes on with the adapter of SFT, and on its weights.
peft-lora = --lora.r 16
peft-qlora = --lora.r 16 --model.quantization '{kind: nf4}'
peft-full = --lora null
peft = $(if $(PEFT),$(or $(peft-$(PEFT)),$(error PEFT=$(PEFT): expected lora, qlora or full)))
TRAIN = $(if $(PROCESSES),$(BIN)/python -m torch.distributed.run --standalone --nproc_per_node $(PROCESSES) -m adasr_trl,$(ADASR))
seed = $(if $(SEED),$(1) $(SEED))
layout = $(if $(LAYOUT),--layout $(LAYOUT))
quick = $(if $(QUICK),--quick)

.DEFAULT_GOAL := help
.PHONY: help install data data-docs sft grpo hrpo compare ablate eval report show push demo bench test test-all lint format check clean distclean

help:  ## print this help
	@echo 'usage: make TARGET [MODEL=$(MODEL)] [CONFIG=FILE] [ARGS="--key value"] [QUICK=1]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14
	@echo 'variables:'
	@echo '  MODEL=$(MODEL)         the folder under configs/'
	@echo '  CONFIG=FILE        this configuration file for the target you name'
	@echo '  ARGS="--key value" settings over the file'"'"'s, for the target you name'
	@echo '  LAYOUT=parallel    input and thoughts in two streams (runs of its own)'
	@echo '  PEFT=qlora         or lora, full: the adapter, on 4 bits, or none (runs of its own)'
	@echo '  DEEPSPEED=zero2    a file of configs/deepspeed; PROCESSES=N: so many, one a GPU'
	@echo '  QUICK=1            few steps and questions (hrpo, compare)'
	@echo '  SEED=N, SEEDS=N    the first seed (else the file'"'"'s); how many, for compare'
	@echo '  RUN=DIR            the run to show or push; REPO=OWNER/NAME where to'
	@echo '  DATA=DIR           the files that data-docs builds'
	@echo '  PYTHON=$(PYTHON), TORCH_INDEX=URL   what install uses, such as'
	@echo '                     TORCH_INDEX=https://download.pytorch.org/whl/cpu'

# ---- installation: one stamp for use, one for development, both inside the environment

$(BIN)/python:
	@echo 'creating .venv'
	@$(PYTHON) -m venv .venv

# A torch that is there already, of whatever build, is kept: its version replaces the constraint.
.venv/constraints.txt: constraints.txt | $(BIN)/python
	@$(BIN)/python -c 'import torch' 2>/dev/null || { echo 'installing $(TORCH)'; \
	  $(PIP) install -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH); }
	@{ grep -v '^torch==' constraints.txt; \
	  $(BIN)/python -c 'from importlib.metadata import version; print("torch==" + version("torch"))'; \
	  } > $@.partial && mv $@.partial $@

.venv/.installed: pyproject.toml .venv/constraints.txt
	@echo 'installing adasr-trl'
	@$(PIP) install -q -c .venv/constraints.txt -e .
	@touch $@

# DS_BUILD_OPS=0: DeepSpeed compiles nothing while it is installed, so no CUDA is needed.
.venv/.installed-dev: pyproject.toml .venv/constraints.txt
	@echo 'installing adasr-trl for development'
	@DS_BUILD_OPS=0 $(PIP) install -q -c .venv/constraints.txt -e '.[dev]'
	@touch .venv/.installed $@

.venv/.installed-gpu: pyproject.toml .venv/constraints.txt
	@echo 'installing bitsandbytes and DeepSpeed'
	@DS_BUILD_OPS=0 $(PIP) install -q -c .venv/constraints.txt -e '.[gpu]'
	@touch .venv/.installed $@

.venv/.installed-report: pyproject.toml .venv/constraints.txt
	@echo 'installing what the report is made with'
	@$(PIP) install -q -c .venv/constraints.txt -e '.[report]'
	@touch .venv/.installed $@

install: .venv/.installed $(if $(filter qlora,$(PEFT))$(DEEPSPEED),.venv/.installed-gpu)  ## make .venv with torch and adasr-trl (TORCH_INDEX= chooses the build)

# ---- stages

# --refresh: go on with an unfinished run, skip a complete one, start anew where an input changed.

data: install  ## build the episodes
	@$(BIN)/python -m data_builders $(call config,data,data) $(call args,data)

data-docs: install  ## build every source on the files in DATA=, and write the figures into docs/DATA.md
	@$(BIN)/python -m tools.data_docs --data $(DATA)

sft: data  ## supervised fine-tuning on the traces
	@$(TRAIN) sft $(call config,sft,sft) --refresh $(call own,sft) $(peft) $(if $(DEEPSPEED),--muon_learning_rate null) $(call args,sft)

grpo: sft  ## the GRPO baseline, from the SFT model
	@$(TRAIN) grpo $(call config,grpo,grpo) --refresh $(call own,grpo) $(from_sft) $(call args,grpo)

ifeq ($(PEFT)$(DEEPSPEED)$(PROCESSES),)
hrpo: data  ## SFT, HRPO, evaluation on unseen questions, and the table (with PEFT= and the like: SFT and HRPO)
	@$(ADASR) compare $(call config,hrpo,compare) --variants hrpo \
	  $(quick) $(layout) $(call seed,--seed) $(call args,hrpo)
else
hrpo: sft
	@$(TRAIN) hrpo $(call config,hrpo,hrpo) --refresh $(call own,hrpo) $(from_sft) $(call args,hrpo)
endif

compare: data  ## the same with GRPO and SEEDS= seeds
	@$(ADASR) compare $(call config,compare,compare) --variants hrpo,grpo --seeds $(SEEDS) \
	  $(quick) $(layout) $(call seed,--seed) $(call args,compare)

ablate: data  ## the paper's tables at this size, with SEEDS= seeds
	@for file in $(wildcard $(addprefix configs/$(MODEL)/,exact.yaml long.yaml far.yaml)); do \
	  $(BIN)/python -m data_builders --config $$file || exit 1; done
	@$(ADASR) ablate $(call config,ablate,ablate) --seeds $(SEEDS) \
	  $(quick) $(layout) $(call seed,--seed) $(call args,ablate)

eval: data  ## answer unseen questions with the run that the config names
	@$(ADASR) eval $(call config,eval,eval) --refresh $(call seed,--eval.seed) \
	  $(if $(PEFT),--model.path $(folder)/hrpo) $(call args,eval)

report: .venv/.installed-report  ## one page on RUN=, else on the comparison: make compare report
	@$(ADASR) report $(if $(filter-out file,$(origin RUN)),$(RUN),$(compared)) $(call args,report)

show: install  ## print rollouts of RUN=, coloured by phase
	@$(ADASR) show $(RUN) $(ARGS)

push: install  ## publish RUN= as REPO= on the Hub (ARGS=--dry-run shows what)
	@$(ADASR) push $(RUN) --repo $(REPO) $(ARGS)

demo: install  ## train the model in the package again (40 minutes)
	@$(BIN)/python -m data_builders --config configs/demo/data.yaml
	@$(ADASR) sft --config configs/demo/pretrain.yaml --refresh
	@$(ADASR) sft --config configs/demo/sft.yaml --refresh
	@$(ADASR) hrpo --config configs/demo/hrpo.yaml --refresh
	@$(BIN)/python -m tools.demo_model runs/demo/hrpo

# ---- development

test: .venv/.installed-dev  ## the fast tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m 'not slow and not gpu and not network' $(ARGS)

test-all: .venv/.installed-dev  ## the slow tests too
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m 'not gpu and not network' $(ARGS)

lint: .venv/.installed-dev  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/.installed-dev  ## the tables of docs/PERFORMANCE.md (an hour; ARGS="step sft" for some)
	@$(BIN)/python -m benchmarks $(ARGS)

format: .venv/.installed-dev  ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

check: lint test  ## what .ci/run does

clean:  ## remove caches (never runs/, data/ or .venv)
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .stamps build dist
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## remove .venv too
	@rm -rf .venv
