# make = check + test
.PHONY: default style check audit test coverage faults docs site smoke dist
default: check test

style:
	ruff check --fix . && ruff format .

check: audit
	ruff check . && ruff format --check . && mypy && bandit -q -c pyproject.toml -r audio_cls scripts

audit: # known vulnerabilities of the tested versions; says so where their list cannot be reached
	@if python -c 'import urllib.request as r; r.urlopen("https://pypi.org/pypi/pip/json", timeout=10)' 2>/dev/null; \
	then pip-audit --no-deps --disable-pip -r constraints.txt; \
	else echo 'pip-audit: not run, because https://pypi.org/pypi cannot be reached'; fi

test:
	python -m pytest -q -n logical

coverage: # of lines and branches, by all tests
	coverage erase
	coverage run -m pytest -q -n logical -m ""
	coverage combine -q && coverage report

faults: # failures made on purpose; AUDIO_CLS_FAULTS=50 is the number of cases of each test
	python -m pytest -q -m faults tests/faults

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
