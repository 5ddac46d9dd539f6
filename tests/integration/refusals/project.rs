//! Mistakes in what a person wrote: playbooks, inventories, flags.

use insta::assert_snapshot;

use crate::support::bench::Bench;

const HEAD: &str = "- hosts: all\n  gather_facts: false\n  tasks:\n";

#[test]
fn undefined_variable_in_a_task_is_told_with_its_place() {
    let bench = Bench::new();
    let task = "    - name: greet\n      copy:\n        content: \"hi {{ nope }}\"\n        dest: /tmp/never\n";
    assert_snapshot!(bench.play(&format!("{HEAD}{task}")), @r##"
    exit 2
    PLAY [all]
    TASK [greet]
    fatal: [h1]: FAILED! => {"changed": false, "msg": "Task failed: Finalization of task args for 'ansible.builtin.copy' failed: Error while resolving value for 'content': 'nope' is undefined"}
      at: site.yml:6:19
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn undefined_variable_in_a_template_file_is_told_with_the_line_of_the_template() {
    let bench = Bench::new();
    bench.write("templates/pg.conf.j2", "# settings\nport = {{ pg.port }}\n");
    let task = "    - name: render\n      template: {src: pg.conf.j2, dest: /tmp/never}\n      vars: {pg: {}}\n";
    assert_snapshot!(bench.play(&format!("{HEAD}{task}")), @r##"
    exit 2
    PLAY [all]
    TASK [render]
    fatal: [h1]: FAILED! => {"changed": false, "msg": "object of type 'dict' has no attribute 'port' ([PROJECT]/templates/pg.conf.j2:2)"}
      at: site.yml:4:7
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn undefined_variable_in_a_condition_is_told_with_its_place() {
    let bench = Bench::new();
    assert_snapshot!(bench.play(&format!("{HEAD}    - ping:\n      when: nope | int > 3\n")), @r##"
    exit 2
    PLAY [all]
    TASK [ping]
    fatal: [h1]: FAILED! => {"changed": false, "msg": "Task failed: Error while evaluating conditional: 'nope' is undefined"}
      at: site.yml:5:20
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn secret_in_a_failing_task_is_not_shown() {
    let bench = Bench::new();
    let task = "    - command: sh -c 'echo hunter22hunter22; exit 3'\n      no_log: true\n";
    assert_snapshot!(bench.play(&format!("{HEAD}{task}")), @r##"
    exit 2
    PLAY [all]
    TASK [command]
    fatal: [h1]: FAILED! => {"censored": "the output has been hidden due to the fact that 'no_log: true' was specified for this result", "changed": true}
      at: site.yml:4:7
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn failing_command_shows_its_words_and_its_place() {
    let bench = Bench::new();
    let task = "    - name: check\n      raw: echo out; echo err >&2; exit 3\n";
    assert_snapshot!(bench.play(&format!("{HEAD}{task}")), @r##"
    exit 2
    PLAY [all]
    TASK [check]
    fatal: [h1]: FAILED! => {"changed": false, "msg": "non-zero return code", "rc": 3, "stderr": "err\n", "stderr_lines": ["err"], "stdout": "out\n", "stdout_lines": ["out"]}
      at: site.yml:4:7
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn unknown_argument_is_refused_before_anything_runs() {
    let bench = Bench::new();
    let task = "    - ping:\n    - file:\n        path: /tmp/never\n        stat: absent\n";
    assert_snapshot!(bench.play(&format!("{HEAD}{task}")), @r##"
    exit 4
    error: Unsupported parameters for (file) module: stat. Supported parameters include: access_time, access_time_format, follow, force, group, mode, modification_time, modification_time_format, owner, path (dest, name), recurse, selevel, serole, setype, seuser, src, state, unsafe_writes.
     --> site.yml:7:9
      |
    7 |         stat: absent
      |         ^^^^
      |
      = help: did you mean 'state'?
    "##);
}

#[test]
fn missing_argument_and_bad_choice_are_refused_together() {
    let bench = Bench::new();
    let task = "    - copy:\n        content: x\n    - file:\n        path: /tmp/never\n        state: presnt\n";
    assert_snapshot!(bench.play(&format!("{HEAD}{task}")), @r##"
    exit 4
    error: missing required arguments: dest
     --> site.yml:4:7
      |
    4 |     - copy:
      |       ^^^^
      |
      = help: matron doc copy
    error: value of state must be one of: absent, directory, file, hard, link, touch, got: presnt
     --> site.yml:8:16
      |
    8 |         state: presnt
      |                ^^^^^^
    2 errors; nothing was touched.
    "##);
}

#[test]
fn unknown_module_and_unknown_keywords_are_refused_with_what_was_meant() {
    let bench = Bench::new();
    assert_snapshot!(bench.play("- hosts: all\n  gather_fact: false\n  tasks:\n    - coppy: {}\n    - ping:\n      whne: true\n"), @r##"
    exit 4
    error: 'gather_fact' is not a valid attribute for a Play
     --> site.yml:2:3
      |
    2 |   gather_fact: false
      |   ^^^^^^^^^^^
      |
      = help: did you mean 'gather_facts'?
    error: couldn't resolve module/action 'coppy'
     --> site.yml:4:7
      |
    4 |     - coppy: {}
      |       ^^^^^
      |
      = help: did you mean 'copy'?
    error: 'whne' is not a valid attribute for a Task
     --> site.yml:6:7
      |
    6 |       whne: true
      |       ^^^^
      |
      = help: did you mean 'when'?
    3 errors; nothing was touched.
    "##);
}

#[test]
fn unknown_filter_and_open_expression_are_refused() {
    let bench = Bench::new();
    let task =
        "    - debug:\n        msg: \"{{ 1 | to_jsn }}\"\n    - debug:\n        msg: \"{{ 1 \"\n";
    assert_snapshot!(bench.play(&format!("{HEAD}{task}")), @r##"
    exit 4
    error: Syntax error in template: No filter named 'to_jsn'.
     --> site.yml:5:22
      |
    5 |         msg: "{{ 1 | to_jsn }}"
      |                      ^^^^^^
    error: Syntax error in template: unexpected end of input, expected end of variable block
     --> site.yml:7:18
      |
    7 |         msg: "{{ 1 "
      |                  ^
    2 errors; nothing was touched.
    "##);
}

#[test]
fn yaml_mistakes_are_refused_with_a_caret() {
    let bench = Bench::new();
    assert_snapshot!(bench.play("- hosts: all\n  tasks:\n    - debug:\n        msg: a: b\n"), @r##"
    exit 4
    error: mapping values are not allowed in this context
     --> site.yml:4:15
      |
    4 |         msg: a: b
      |               ^
      |
      = help: quote a value that holds a colon: msg: "a: b"
    "##);
    assert_snapshot!(bench.play("- hosts: all\n  tasks:\n    - name: \"never closed\n      ping:\n"), @r##"
    exit 4
    error: invalid indentation in quoted scalar
     --> site.yml:3:13
      |
    3 |     - name: "never closed
      |             ^
      |
      = help: close the quote that opens the value of name
    "##);
    assert_snapshot!(bench.play("- hosts: all\n\ttasks: []\n"), @r##"
    exit 4
    error: while scanning a plain scalar, found a tab
     --> site.yml:1:10
      |
    1 | - hosts: all
      |          ^
      |
      = help: indent with spaces: YAML does not allow tabs there
    "##);
}

#[test]
fn playbook_that_is_no_list_of_plays_is_refused() {
    let bench = Bench::new();
    assert_snapshot!(bench.play("hosts: all\ntasks: []\n"), @r##"
    exit 4
    error: a playbook must be a list of plays, got a mapping instead: site.yml
     --> site.yml:1:1
      |
    1 | hosts: all
      | ^^^^^^^^^^
    "##);
}

#[test]
fn missing_files_are_refused_with_where_they_were_looked_for() {
    let bench = Bench::new();
    assert_snapshot!(bench.run(&["play", "-i", "hosts.ini", "nope.yml"]), @r##"
    exit 1
    error: the playbook: nope.yml could not be found
    "##);
    assert_snapshot!(bench.play("- import_playbook: nope.yml\n"), @r##"
    exit 1
    error: could not find or access 'nope.yml'
     --> site.yml:1:20
      |
    1 | - import_playbook: nope.yml
      |                    ^^^^^^^^ imported here
    "##);
    assert_snapshot!(bench.play("- hosts: all\n  roles: [nope]\n"), @r##"
    exit 1
    error: the role 'nope' was not found in roles:[PROJECT]/home/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles:.
     --> site.yml:2:11
      |
    2 |   roles: [nope]
      |           ^^^^ asked for here
      |
      = help: looked for: roles/nope, [PROJECT]/home/.ansible/roles/nope, /usr/share/ansible/roles/nope, /etc/ansible/roles/nope, nope
    "##);
    assert_snapshot!(bench.play("- hosts: all\n  tasks:\n    - import_tasks: nope.yml\n"), @r##"
    exit 1
    error: could not find or access 'nope.yml'
     --> site.yml:3:21
      |
    3 |     - import_tasks: nope.yml
      |                     ^^^^^^^^ imported here
      |
      = help: looked for: nope.yml, tasks/nope.yml
    "##);
    assert_snapshot!(bench.play("- hosts: all\n  vars_files: [nope.yml]\n"), @r##"
    exit 1
    error: vars file nope.yml was not found
     --> site.yml:2:16
      |
    2 |   vars_files: [nope.yml]
      |                ^^^^^^^^
      |
      = help: looked for: [PROJECT]/vars/nope.yml, [PROJECT]/nope.yml
    "##);
}

#[test]
fn file_included_at_run_time_that_is_missing_fails_the_host() {
    let bench = Bench::new();
    assert_snapshot!(bench.play(&format!("{HEAD}    - include_tasks: nope.yml\n")), @r##"
    exit 2
    PLAY [all]
    TASK [include_tasks]
    fatal: [h1]: FAILED! => {"changed": false, "include": "nope.yml", "reason": "Could not find or access 'nope.yml' on the Ansible Controller."}
      at: site.yml:4:7
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn limit_that_leaves_no_host_is_refused() {
    let bench = Bench::new();
    assert_snapshot!(bench.ping(&["-l", "h2"]), @r##"
    exit 1
    error: --limit 'h2' leaves no host: nothing in the inventory matches it
    hint: did you mean 'h1'?
    "##);
    assert_snapshot!(bench.ping(&["-l", "hospital_*"]), @r##"
    exit 1
    error: --limit 'hospital_*' leaves no host: nothing in the inventory matches it
    hint: matron inventory --graph shows the hosts and groups there are
    "##);
    assert_snapshot!(bench.ping(&["-l", "@retry"]), @r##"
    exit 1
    error: unable to find limit file retry: No such file or directory
    "##);
}

#[test]
fn bad_extra_variables_are_refused() {
    let bench = Bench::new();
    assert_snapshot!(bench.ping(&["-e", "@nope.yml"]), @r##"
    exit 1
    error: -e @nope.yml: cannot read nope.yml: No such file or directory
    "##);
    bench.write("list.yml", "- a\n");
    assert_snapshot!(bench.ping(&["-e", "@list.yml"]), @r##"
    exit 1
    error: extra variables must be a mapping, these are a list
     --> list.yml:1:1
      |
    1 | - a
      | ^^^
      |
      = help: write them as NAME: VALUE
    "##);
    bench.write("broken.yml", "a: [1\n");
    assert_snapshot!(bench.ping(&["-e", "@broken.yml"]), @r##"
    exit 1
    error: while parsing a flow sequence, expected ',' or ']'
     --> broken.yml:1:7
      |
    1 | a: [1
      |      ^
      |
      = help: close the [ that opens the value of a
    "##);
    assert_snapshot!(bench.ping(&["-e", "novalue"]), @r##"
    exit 1
    error: -e 'novalue' is not NAME=VALUE, a mapping in JSON or YAML, or @FILE
    "##);
}

#[test]
fn bad_inventories_are_refused() {
    let bench = Bench::new();
    let with = |name: &str| bench.run(&["play", "-i", name, "ping.yml"]);
    bench.write("children.ini", "[databases:children]\nnope\n[all:vars]\nfoo\n");
    assert_snapshot!(with("children.ini"), @r##"
    exit 4
    error: section [databases:children] includes undefined group 'nope'
     --> children.ini:2:1
      |
    2 | nope
      | ^^^^
      |
      = help: add a section [nope], empty or not
    error: expected key=value, got: foo
     --> children.ini:4:1
      |
    4 | foo
      | ^^^
      |
      = help: below [group:vars] each line is name=value; hosts go below [group]
    2 errors; nothing was touched.
    "##);
    bench.write("heading.ini", "[databases\nh1\n");
    assert_snapshot!(with("heading.ini"), @r##"
    exit 4
    error: the section heading '[databases' is not closed
     --> heading.ini:1:1
      |
    1 | [databases
      | ^^^^^^^^^^
      |
      = help: write [databases]
    "##);
    bench.write("broken.yml", "all:\n  hosts: [h1\n");
    assert_snapshot!(with("broken.yml"), @r##"
    exit 4
    error: while parsing a flow sequence, expected ',' or ']'
     --> broken.yml:2:14
      |
    2 |   hosts: [h1
      |             ^
      |
      = help: close the [ that opens the value of hosts
    "##);
    bench.write("port.ini", "h1 ansible_host=127.0.0.1 ansible_port=ssh\n");
    assert_snapshot!(with("port.ini"), @r##"
    exit 2
    PLAY [all]
    TASK [answer]
    fatal: [h1]: FAILED! => {"msg": "Task failed: the port (ansible_port) 'ssh' is not a number from 1 to 65535"}
      at: ping.yml:4:7
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn missing_inventory_warns_and_matches_no_host() {
    let bench = Bench::new();
    assert_snapshot!(bench.run(&["play", "-i", "nope.ini", "ping.yml"]), @r##"
    exit 0
    warning: unable to parse nope.ini as an inventory source
      help: no such file or folder; a list of hosts needs a comma: 'host,'
    PLAY [all]
    skipping: no hosts matched
    PLAY RECAP
    "##);
}

#[test]
fn unknown_flag_is_refused_with_exit_2() {
    let bench = Bench::new();
    assert_snapshot!(bench.ping(&["--limt", "h1"]), @r##"
    exit 2
    error: unexpected argument '--limt' found
      tip: a similar argument exists: '--limit'
    Usage: matron play --inventory <SOURCE> --limit <PATTERN> <PLAYBOOK>...
    For more information, try '--help'.
    "##);
}

#[test]
fn module_for_exec_is_checked_like_a_task() {
    let bench = Bench::new();
    assert_snapshot!(bench.run(&["exec", "-i", "hosts.ini", "all", "-m", "pnig"]), @r##"
    exit 4
    error: there is no module 'pnig'
      help: did you mean 'ping'?
    "##);
    assert_snapshot!(bench.run(&["exec", "-i", "hosts.ini", "all", "-m", "file", "-a", "pth=/tmp/never"]), @r##"
    exit 4
    error: Unsupported parameters for (file) module: pth. Supported parameters include: access_time, access_time_format, follow, force, group, mode, modification_time, modification_time_format, owner, path (dest, name), recurse, selevel, serole, setype, seuser, src, state, unsafe_writes.
      help: did you mean 'path'?
    "##);
}
