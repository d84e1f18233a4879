#!/usr/bin/env bash
# Everything that must hold before a change lands: style, types, layers, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ruff check .
ruff format --check .
mypy
lint-imports --no-cache
python -m pytest -n 2 "$@"
