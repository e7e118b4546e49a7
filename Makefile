# Each command sets up all it needs: a virtual environment in .venv, and for the
# tests the servers they talk to. See tools/bootstrap.
#
#   PYTHON=python3.12   the interpreter that .venv is made with
#   PREFIX=/usr/local   where install puts it
#   ARGS='-k tags -x'   more arguments for the program that is run

PYTHON ?= python3
PREFIX ?= $(HOME)/.local
export PYTHON PREFIX

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo install test crash histories tree-histories fuzz check bench format clean

help:
	@echo 'make demo       the whole story on this machine, in a throw-away directory'
	@echo 'make install    gitdeploy for this user, in PREFIX (~/.local)'
	@echo 'make test       all tests, with a real git, sshd and nginx'
	@echo 'make crash      kills and errors at every point of every activity; a table'
	@echo 'make histories  hostile steps over random pushes; what broke'
	@echo 'make tree-histories  random trees, looked through by difference and whole'
	@echo 'make fuzz       anything at all for every reader of what strangers send; a table'
	@echo 'make check      format, lint, types and layers'
	@echo 'make bench      what a push costs'
	@echo 'make format     put the source into the form that check wants'
	@echo 'make clean      remove .venv and everything that was generated'

# A directory with blanks in its name is fine: every path here is relative.

demo:
	@tools/bootstrap run
	@.venv/bin/gitdeploy demo $(ARGS)

install:
	@tools/bootstrap install

test:
	@tools/bootstrap test
	@.venv/bin/pytest -n 2 $(ARGS)

crash:
	@tools/bootstrap test
	@PYTHONPATH=tests .venv/bin/python -m crash $(ARGS)

histories:
	@tools/bootstrap test
	@PYTHONPATH=tests .venv/bin/python -m hostile $(ARGS)

tree-histories:
	@tools/bootstrap test
	@PYTHONPATH=tests .venv/bin/python -m support.tree_histories $(ARGS)

fuzz:
	@tools/bootstrap fuzz
	@PYTHONPATH=tests .venv/bin/python -m fuzz $(ARGS)

check:
	@tools/bootstrap check
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports

bench:
	@tools/bootstrap run
	@.venv/bin/python bench $(ARGS)

format:
	@tools/bootstrap check
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache .fuzz dist *.egg-info
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
