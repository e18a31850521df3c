# make = check + test
.PHONY: default style check test docs site smoke dist
default: check test

style:
	ruff check --fix . && ruff format .

check:
	ruff check . && ruff format --check . && mypy

test:
	python -m pytest -q -n logical

docs: # the tables of settings and of run files
	python -m audio_cls.cli.options.settings_table docs/settings.md docs/run_folder.md

site: # the pages of docs/, README and examples as a web site in site/; a broken link is an error
	mkdocs build --strict

smoke:
	accelerate launch --config_file examples/accelerate/one.yaml scripts/train.py --preset demo --overwrite

dist: # wheel and sdist in dist/, checked
	rm -rf dist
	python -m build
	twine check --strict dist/*
