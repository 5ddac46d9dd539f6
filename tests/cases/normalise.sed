# Puts words for what differs from run to run, and leaves out what only Ansible says, so that two outputs can be compared.
s/"delta": "[^"]*"/"delta": "DELTA"/g
s/"\(start\|end\)": "[^"]*"/"\1": "TIME"/g
# Folders are as large as their file system says.
s/"size": [0-9]*, "state": "directory"/"size": N, "state": "directory"/g
# Where the sender kept the content.
s/"src": "[^"]*", //g
s/^+++ after: .*\/\([^/]*\)$/+++ after: \1/
s/via ssh: ssh: /via ssh: /g
# What to do about it, which only matron says.
s/"hint": "[^"]*", //g
# Traces of Python.
s/"\(exception\|failed_when_suppressed_exception\)": "(traceback unavailable)", //g
s/Unexpected AnsibleActionFail error: //
# Where a file was looked for, which Ansible lists twice.
s/Searched in:.* on the Ansible Controller/Searched in: FOLDERS on the Ansible Controller/
s/on the Ansible Controller: Unable to retrieve file contents.*"}/on the Ansible Controller."}/
# Talk of -v and -vv about Ansible itself.
/^Using .*ansible.cfg as config file$/d
/^ansible-playbook \[core/,/^[0-9]* plays in /d
/^\(META: \|Notification for handler \|NOTIFIED HANDLER \)/d
# Ansible quotes the playbook around a failure; the excerpt is not compared.
/^\[ERROR\]: /,/^\(fatal\|failed\): \[/{
/^\(fatal\|failed\): \[/!d
}
