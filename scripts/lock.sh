#!/usr/bin/env bash
# Renews constraints.txt: one exact version for everything that `.[dev]` brings, on every Python and platform we support.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/pip install -q --disable-pip-version-check uv
printf 'hatchling\neditables\n' >.venv/build.in
.venv/bin/uv pip compile -q --universal --python-version 3.11 --upgrade \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	--extra dev --extra pyright pyproject.toml .venv/build.in -o .venv/constraints.txt
{
	echo "# Exact versions of everything .[dev] brings; made by \`make lock\`, used by \`make setup\`."
	# a local tag (+cpu) names a build of one machine, not a version
	sed -E 's/^([A-Za-z0-9._-]+==[^+; ]+)\+[^; ]+/\1/' .venv/constraints.txt
} >constraints.txt
echo "constraints.txt: $(grep -c == constraints.txt) versions"
