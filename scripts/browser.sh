#!/usr/bin/env bash
# Makes what tests in a browser need: .venv-browser (Gradio, Playwright and what the server needs) and Chromium.
# Safe to interrupt and to repeat; at once when all is there. Reads PYTHON, PIP_FIND_LINKS, PIP_INDEX_URL.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv-browser pins=hashes/constraints-browser.txt

main() {
	local wanted
	wanted=$(sha256sum <"$pins")
	if [ "$(cat "$venv/.ready" 2>/dev/null)" != "$wanted" ]; then
		echo "setting up $venv …"
		"${PYTHON:-.venv/bin/python}" -m venv --clear "$venv"
		"$venv/bin/pip" install -q --disable-pip-version-check --require-hashes --no-deps -r "$pins"
		echo "$wanted" >"$venv/.ready"
	fi
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || install_chromium
}

install_chromium() {
	local root=()
	command -v apt-get >/dev/null || die "no Chromium on PATH: install it (chromium or google-chrome), and run this again"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "no Chromium on PATH: run as root: apt-get install chromium"
		root=(sudo -n)
	fi
	echo "installing Chromium …"
	# a font with Chinese characters: the screenshots of the pages show them
	{
		"${root[@]}" apt-get -qq update &&
			DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get -qq install -y --no-install-recommends chromium fonts-noto-cjk
	} >/dev/null || die "Chromium could not be installed; run as root: apt-get install chromium"
}

die() {
	echo "error: $*" >&2
	exit 1
}

main
