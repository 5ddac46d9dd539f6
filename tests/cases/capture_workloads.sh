#!/bin/sh
# Writes what ansible-core leaves behind after each of tests/cases/workloads beside it, as NAME.expected: mode, SHA-256 and
# path of every file and folder, with the folder itself read as BASE wherever a file names it.
# Usage: ANSIBLE=/path/to/ansible-playbook tests/cases/capture_workloads.sh
cd "$(dirname "$0")/workloads" || exit 1
base=$(mktemp -d) || exit 1
trap 'rm -rf "$base"' EXIT
export ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3
for name in w2 w3; do
  rm -rf "${base:?}"/host-001
  "${ANSIBLE:-ansible-playbook}" -i host-001, -c local -e "bench_base=$base" "$name.yml" >/dev/null || exit 1
  find "$base/host-001" -mindepth 1 | LC_ALL=C sort | while read -r path; do
    if [ -d "$path" ]; then sum=-; else sum=$(sed "s#$base#BASE#g" "$path" | sha256sum | cut -d ' ' -f 1); fi
    echo "$(stat -c %a "$path") $sum ${path#"$base"/host-001/}"
  done >"$name.expected"
done
