#!/usr/bin/env bash
# Renews constraints.txt, one exact version for everything that `.[dev]` brings, on every Python and platform we support;
# and constraints-fuzz.txt, the same for what the slow tests make requests up with.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/pip install -q --disable-pip-version-check uv
printf 'hatchling\neditables\n' >.venv/build.in
printf 'schemathesis\n' >.venv/fuzz.in

lock() { # FILE WORDS…: what uv finds for the rest of the arguments, under a line that says what it is
	local file=$1 words=$2
	shift 2
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --upgrade \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@" -o ".venv/$file"
	{
		echo "# $words"
		# a local tag (+cpu) names a build of one machine, not a version
		sed -E 's/^([A-Za-z0-9._-]+==[^+; ]+)\+[^; ]+/\1/' ".venv/$file"
	} >"$file"
	echo "$file: $(grep -c == "$file") versions"
}

lock constraints.txt "Exact versions of everything .[dev] brings; made by \`make lock\`, used by \`make setup\`." \
	--extra dev --extra pyright pyproject.toml .venv/build.in
lock constraints-fuzz.txt "Exact versions of schemathesis and what it needs; made by \`make lock\`, used by \`make test-slow\`." \
	.venv/fuzz.in
