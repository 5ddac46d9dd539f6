#!/bin/sh
# Writes what ansible-core 2.19 prints for each playbook of tests/cases/output beside it, as NAME.expected.
# Usage: ANSIBLE=/path/to/ansible-playbook tests/cases/capture_output.sh [NAME...]
# A first line `# args: ...` in a playbook holds further words of the command line.
cd "$(dirname "$0")/output" || exit 1
ansible=${ANSIBLE:-ansible-playbook}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
printf "" >"$folder/ansible.cfg"
mkdir "$folder/out"
export ANSIBLE_CONFIG="$folder/ansible.cfg" ANSIBLE_NOCOLOR=1 ANSIBLE_DEPRECATION_WARNINGS=0
export ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3 ANSIBLE_RETRY_FILES_ENABLED=0 COLUMNS=80
if [ $# -eq 0 ]; then
  for file in *.yml; do set -- "$@" "${file%.yml}"; done
fi
for name; do
  args=$(sed -n '1s/^# args: //p' "$name.yml")
  # The words of the first line are meant to be split.
  # shellcheck disable=SC2086
  { "$ansible" -i hosts -f 1 "$name.yml" -e "out=$folder/out" $args 2>/dev/null </dev/null; echo "exit $?"; } |
    sed -e "s#$PWD/##g" -e "s#$folder/out#OUT#g" -f ../normalise.sed >"$name.expected"
  echo "$name"
done
