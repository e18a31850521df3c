# make = check + test
.PHONY: default style check test docs smoke dist
default: check test

style:
	ruff check --fix . && ruff format .

check:
	ruff check . && ruff format --check . && mypy

test:
	python -m pytest -q -n logical

docs: # the tables of settings and of run files
	python -m audio_cls.cli.options.settings_table docs/settings.md docs/run_folder.md

smoke:
	accelerate launch --config_file examples/accelerate/one.yaml scripts/train.py --preset demo --overwrite

dist: # a wheel in dist/
	pip wheel --no-deps --wheel-dir dist .
