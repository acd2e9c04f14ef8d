#!/usr/bin/env bash
# Prints the interpreter of a version: from PATH, or the newest that pyenv has.
# usage: scripts/find_python.sh 3.12
set -euo pipefail

main() {
	local version=$1 root python
	root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}
	for python in "python$version" $(compgen -G "$root/versions/$version.*/bin/python" | sort -Vr); do
		if is_version "$python" "$version"; then # a shim of pyenv may name a version and not start it
			command -v "$python"
			return
		fi
	done
	echo "there is no Python $version on PATH or in $root/versions" >&2
	return 1
}

is_version() { # PYTHON VERSION
	[ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$2" ]
}

main "$@"
