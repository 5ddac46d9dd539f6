"""Reduces the default output of ansible-playbook to the lines the engine's cases compare."""

import json
import re
import sys

lines = sys.stdin.read().split("\n")
out, block = [], []


def flush():
    block.sort(key=lambda pair: pair[0])
    out.extend(text for _, text in block)
    block.clear()


def tail(word, data):
    if word in ("fatal", "failed"):
        data = data.get("msg", data.get("reason", ""))
        if isinstance(data, str):
            data = re.sub(r"(on the Ansible Controller).*", r"\1", data, flags=re.S)
            data = re.sub(r"(the role '.*' was not found).*", r"\1", data)
            data = re.sub(r" at '[^']*'\. Cond", ". Cond", data)
            data = data.replace("via ssh: ssh: ", "via ssh: ")
        return " => " + (data if isinstance(data, str) else json.dumps(data, sort_keys=True))
    return " => " + json.dumps(data, sort_keys=True)


at = 0
while at < len(lines):
    line = lines[at]
    at += 1
    banner = re.match(r"^(PLAY|TASK|RUNNING HANDLER|NO MORE HOSTS LEFT)(.*?) \*+$", line)
    if banner and line.startswith("PLAY RECAP"):
        continue
    if banner:
        flush()
        out.append((banner.group(1) + banner.group(2)).rstrip())
        continue
    result = re.match(r"^(ok|changed|skipping|fatal|failed): \[([^\]]*)\](.*)$", line)
    if result:
        word, who, rest = result.groups()
        split = re.match(r"^((?: => \(item=.*\)| \(item=.*\))?(?:: [A-Z]+!)?)(?: => )(\{.*)$", rest)
        text = ""
        if split and split.group(2).startswith("{"):
            rest, blob = split.groups()
            while True:
                try:
                    data = json.loads(blob)
                    break
                except ValueError:
                    if at >= len(lines):
                        data = {"msg": blob}
                        break
                    blob += "\n" + lines[at]
                    at += 1
            if word in ("fatal", "failed") or line.endswith("=> {"):
                text = tail(word, data)
        rest = re.sub(r" => \(item=", " (item=", rest.rstrip())
        rest = re.sub(r" =>$", "", rest)
        block.append((who.split(" ")[0], f"{word}: [{who}]{rest}{text}"))
        continue
    if line == "...ignoring" and block:
        host, text = block[-1]
        block[-1] = (host, text + " ...ignoring")
        continue
    included = re.match(r"^included: (?:.*/)?([^/ ]+) for (.*)$", line)
    if included:
        block.append(("", f"included: {included.group(1)} for {included.group(2)}"))
        continue
    retry = re.match(r"^FAILED - RETRYING: \[([^\]]*)\].*$", line)
    if retry:
        block.append((retry.group(1), line))
        continue
    recap = re.match(r"^(\S+) +: (ok=.*)$", line)
    if recap:
        flush()
        out.append(f"{recap.group(1)} : " + " ".join(recap.group(2).split()))
        continue
    if line.startswith(("exit ", "skipping: no hosts")):
        flush()
        out.append(line)
flush()
print("\n".join(out))
