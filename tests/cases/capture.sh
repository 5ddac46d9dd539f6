#!/bin/sh
# Writes what ansible-core 2.19 says to each playbook of tests/cases/engine beside it, as NAME.expected.
# Usage: ANSIBLE=/path/to/ansible-playbook tests/cases/capture.sh [NAME...]
# A first line `# args: ...` in a playbook holds further words of the command line.
cd "$(dirname "$0")/engine" || exit 1
ansible=${ANSIBLE:-ansible-playbook}
export ANSIBLE_NOCOLOR=1 ANSIBLE_DEPRECATION_WARNINGS=0 ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3
printf "" >/tmp/capture-empty.cfg; export ANSIBLE_CONFIG=/tmp/capture-empty.cfg ANSIBLE_FORKS=5
if [ $# -eq 0 ]; then
  for file in *.yml; do set -- "$@" "${file%.yml}"; done
fi
for name; do
  args=$(sed -n '1s/^# args: //p' "$name.yml")
  # The words of the first line are meant to be split.
  # shellcheck disable=SC2086
  out=$(eval "set -- $args"; "$ansible" -i hosts "$name.yml" "$@" 2>/dev/null; echo "exit $?")
  printf '%s\n' "$out" | sed "s#$PWD/##g" | python3 ../reduce.py >"$name.expected"
  echo "$name"
done
