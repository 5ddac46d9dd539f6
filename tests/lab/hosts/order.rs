//! Several hosts at once: strategies, delegation, handlers, metas, flags.

use super::{H4, ensure, exec, play};
use crate::ward::{Ran, Ward};

/// Returns the lines that name tasks and hosts, without decoration.
fn story(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines().take_while(|line| !line.starts_with("PLAY RECAP"));
    let wanted = |line: &&str| {
        ["TASK [", "RUNNING HANDLER [", "PLAY [", "ok: [", "changed: [", "fatal: ["]
            .iter()
            .any(|start| line.starts_with(start))
    };
    lines
        .filter(wanted)
        .map(|line| line.trim_end_matches('*').split(" => ").next().unwrap_or_default())
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn tells(ran: &Ran, wanted: &[&str]) -> Result<(), String> {
    let got = story(ran);
    ensure(got == wanted, || format!("{got:#?}\n{}", ran.all()))
}

/// Two tasks, the first of which is slow on h3.
fn slow_on_h3(strategy: &str, keywords: &str) -> String {
    format!(
        "
- name: race
  hosts: h3,h4
  strategy: {strategy}
  gather_facts: false
{keywords}
  tasks:
    - name: first
      shell: if [ \"$(hostname)\" = h3 ]; then sleep 0.7; fi
    - name: second
      command: hostname
"
    )
}

pub(crate) fn strategies_order_hosts(ward: &Ward) -> Result<(), String> {
    let linear = play(ward, "linear", &slow_on_h3("linear", ""), &[]).expect_code(0)?;
    let first = ["PLAY [race]", "TASK [first]", "changed: [h4]", "changed: [h3]", "TASK [second]"];
    ensure(story(&linear).starts_with(&first.map(str::to_owned)), || linear.all())?;
    let apart = [
        "PLAY [race]",
        "TASK [first]",
        "changed: [h4]",
        "TASK [second]",
        "changed: [h4]",
        "TASK [first]",
        "changed: [h3]",
        "TASK [second]",
        "changed: [h3]",
    ];
    for strategy in ["free", "host_pinned"] {
        tells(&play(ward, "free", &slow_on_h3(strategy, ""), &[]).expect_code(0)?, &apart)?;
    }
    let one_by_one = play(ward, "serial", &slow_on_h3("linear", "  serial: 1"), &[]);
    tells(
        &one_by_one.expect_code(0)?,
        &[
            "PLAY [race]",
            "TASK [first]",
            "changed: [h3]",
            "TASK [second]",
            "changed: [h3]",
            "PLAY [race]",
            "TASK [first]",
            "changed: [h4]",
            "TASK [second]",
            "changed: [h4]",
        ],
    )?;
    // One fork, and a throttle of one: never both at once.
    let once = "
- hosts: h3,h4
  strategy: free
  gather_facts: false
  tasks:
    - shell: date +%s.%N; sleep 0.3; date +%s.%N
      throttle: 1
      register: times
    - command: hostname
      run_once: true
- hosts: h3
  gather_facts: false
  tasks:
    - assert:
        that: >-
          hostvars.h3.times.stdout_lines[1] < hostvars.h4.times.stdout_lines[0] or
          hostvars.h4.times.stdout_lines[1] < hostvars.h3.times.stdout_lines[0]
";
    let ran = play(ward, "throttle", once, &["--forks", "4"]).expect_code(0)?;
    let ran = ran.expect_says("run_once with the free strategy is not currently supported")?;
    ensure(ran.tally("h3", "changed")? == 2 && ran.tally("h4", "changed")? == 2, || ran.all())
}

pub(crate) fn delegates_and_new_hosts(ward: &Ward) -> Result<(), String> {
    let text = format!(
        "
- hosts: h3,h4
  gather_facts: false
  tasks:
    - command: hostname
      delegate_to: h4
      register: there
    - command: id -un
      delegate_to: h4
      vars:
        ansible_become: true
        ansible_become_user: pwsudo
      register: user
    - command: hostname
      delegate_to: elsewhere
      vars:
        ansible_host: '{{{{ item }}}}'
      loop: [{H4}]
      register: unlisted
    - setup:
        gather_subset: '!all,!min,platform'
      delegate_to: h4
      delegate_facts: true
      run_once: true
    - assert:
        that:
          - there.stdout == 'h4'
          - user.stdout == 'pwsudo'
          - unlisted.results[0].stdout == 'h4'
          - hostvars.h4.ansible_facts.hostname == 'h4'
          - hostvars.h3.ansible_facts.hostname is not defined
    - add_host:
        name: newcomer
        groups: newcomers
        ansible_host: {H4}
        what: 7
    - group_by:
        key: 'is_{{{{ inventory_hostname }}}}'
- name: new
  hosts: newcomers,is_h3
  gather_facts: false
  tasks:
    - command: sh -c 'echo {{{{ what | default(1) }}}} $(hostname)'
      register: said
    - debug:
        msg: '{{{{ inventory_hostname }}}} said {{{{ said.stdout }}}}'
"
    );
    let ran = play(ward, "delegate", &text, &[]).expect_code(0)?;
    ran.expect_says("changed: [h3 -> h4]")?
        .expect_says("newcomer said 7 h4")?
        .expect_says("h3 said 1 h3")
        .map(drop)
}

pub(crate) fn handlers_on_hosts(ward: &Ward) -> Result<(), String> {
    let text = "
- name: handled
  hosts: h3,h4
  gather_facts: false
  tasks:
    - name: on h3
      command: hostname
      changed_when: inventory_hostname == 'h3'
      notify: mine
    - name: on both
      command: hostname
      notify: everyone
  handlers:
    - name: own
      command: hostname
      listen: mine
    - name: all
      command: hostname
      listen: everyone
";
    let ran = play(ward, "handlers", text, &["--forks", "1"]).expect_code(0)?;
    let wanted = [
        "PLAY [handled]",
        "TASK [on h3]",
        "changed: [h3]",
        "ok: [h4]",
        "TASK [on both]",
        "changed: [h3]",
        "changed: [h4]",
        "RUNNING HANDLER [own]",
        "changed: [h3]",
        "RUNNING HANDLER [all]",
        "changed: [h3]",
        "changed: [h4]",
    ];
    tells(&ran, &wanted)
}

pub(crate) fn one_failure_ends_all(ward: &Ward) -> Result<(), String> {
    let text = "
- name: fatal
  hosts: h3,h4
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: fails on h3
      shell: if [ \"$(hostname)\" = h3 ]; then exit 1; fi; sleep 0.4
    - name: never
      command: hostname
";
    let ran = play(ward, "fatal", text, &[]).expect_code(2)?;
    tells(&ran, &["PLAY [fatal]", "TASK [fails on h3]", "fatal: [h3]: FAILED!", "changed: [h4]"])
}

pub(crate) fn metas(ward: &Ward) -> Result<(), String> {
    let text = "
- hosts: h3,h4
  gather_facts: false
  vars_prompt:
    - name: given
      prompt: What
  tasks:
    - shell: echo $PPID
      register: before
    - meta: reset_connection
    - shell: echo $PPID
      register: after
    - assert:
        that:
          - before.stdout != after.stdout
          - given == 'this'
    - meta: end_host
      when: inventory_hostname == 'h3'
    - name: left
      command: hostname
";
    let ran = play(ward, "metas", text, &["-e", "given=this"]).expect_code(0)?;
    ensure(ran.tally("h3", "ok")? == 3 && ran.tally("h4", "ok")? == 4, || ran.all())?;
    let text = "- hosts: h3\n  gather_facts: false\n  tasks:\n    - meta: refresh_inventory\n";
    play(ward, "refresh", text, &[])
        .expect_code(4)?
        .expect_says("'meta: refresh_inventory' is not there yet")?;
    ward.write("roles/asking/tasks/main.yml", "- command: hostname\n");
    let spec = "argument_specs:\n  main:\n    options:\n      size:\n        required: true\n";
    ward.write("roles/asking/meta/argument_specs.yml", spec);
    let text = "- hosts: h3\n  gather_facts: false\n  roles: [asking]\n";
    let ran = play(ward, "asking", text, &[]).expect_code(4)?;
    ran.expect_says("the validation of role arguments is not there yet")?;
    let text =
        "- hosts: h3\n  gather_facts: false\n  tasks:\n    - include_role:\n        name: asking\n";
    let ran = play(ward, "asking", text, &[]).expect_code(2)?;
    ran.expect_says("the validation of role arguments is not there yet")?;
    let text = text.to_owned() + "        rolespec_validate: false\n";
    play(ward, "asking", &text, &[]).expect_code(0).map(drop)
}

pub(crate) fn flags(ward: &Ward) -> Result<(), String> {
    let text = "
- hosts: all
  gather_facts: false
  tasks:
    - name: one
      command: hostname
    - name: two
      command: hostname
";
    let on = |more: &[&str]| play(ward, "flags", text, &[&["--limit", "h4"], more].concat());
    let ran = on(&["--start-at-task", "two", "--show-scripts"]).expect_code(0)?;
    ensure(ran.tally("h4", "ok")? == 1 && ran.tally("h3", "ok").is_err(), || ran.all())?;
    ensure(ran.all().contains("hostname"), || ran.all())?;
    on(&["--start-at-task", "three"])
        .expect_code(0)?
        .expect_says("No matching task \"three\" found")?;
    let stepped = on(&["--step"]);
    let stepped = stepped.expect_code(5)?.expect_says("there is no terminal")?;
    ensure(!stepped.stdout.contains("changed: ["), || stepped.all())?;
    let events = on(&["--output", "json"]).expect_code(0)?;
    let mut done = 0;
    for line in events.stdout.lines() {
        let event: serde_json::Value =
            serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        done += usize::from(event["host"] == "h4" && event.get("status").is_some());
    }
    ensure(done == 2, || events.all())?;
    let ran = exec(ward, "h3:h4", "command", "hostname", &["-f", "4"]).expect_code(0)?;
    ran.expect_says("h3 | CHANGED | rc=0 >>\nh3")?
        .expect_says("h4 | CHANGED | rc=0 >>\nh4")
        .map(drop)
}
