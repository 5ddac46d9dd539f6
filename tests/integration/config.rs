//! `ansible.cfg` and `ANSIBLE_*`: where settings come from and what they do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::desk::Desk;

const PLAY: &str = "\
- hosts: localhost
  vars: {d: {a: 1}}
  tasks:
    - debug: msg=\"{{ ansible_facts | length }} {{ d }}\"
    - command: echo never
      when: false
    - debug: msg=last
";

#[test]
fn file_and_environment_are_shown_with_their_origin() {
    let mut desk = Desk::new();
    desk.write(
        "ansible.cfg",
        "[defaults]\nforks = 7 ; seven\nroles_path = r1:/r2\nnocows = 1\nfork = 3\n[ssh_connection]\npipelining = True\n",
    );
    desk.set("ANSIBLE_TIMEOUT", "33");
    let dump = desk.run(&["config", "dump", "--only-changed"]).well();
    let folder = desk.folder.path().display().to_string();
    let shown = dump.out.replace(&folder, "[HERE]");
    insta::assert_snapshot!(shown.trim_end(), @r"
    CONFIG_FILE() = [HERE]/ansible.cfg
    ANSIBLE_NOCOWS([HERE]/ansible.cfg) = True
    ANSIBLE_PIPELINING([HERE]/ansible.cfg) = True
    DEFAULT_FORKS([HERE]/ansible.cfg) = 7
    DEFAULT_ROLES_PATH([HERE]/ansible.cfg) = ['[HERE]/r1', '/r2']
    DEFAULT_TIMEOUT(env: ANSIBLE_TIMEOUT) = 33
    ");
    assert!(
        dump.err
            .contains("ansible.cfg:5: [defaults] fork has no effect here; did you mean 'forks'?"),
        "{}",
        dump.err
    );
}

#[test]
fn a_value_that_cannot_be_is_refused_with_its_place() {
    let mut desk = Desk::new();
    desk.write("p.yml", PLAY);
    desk.write("ansible.cfg", "[defaults]\n\ngathering = never\n");
    desk.run(&["play", "p.yml"])
        .refuses(1, "ansible.cfg:3: [defaults] gathering is 'never'; it must be one of: implicit, explicit, smart");
    desk.set("ANSIBLE_GATHERING", "explicit");
    desk.set("ANSIBLE_FORKS", "many");
    desk.run(&["config", "dump"]).refuses(5, "ANSIBLE_FORKS is 'many'; it must be a whole number");
}

#[test]
fn a_file_in_a_folder_that_anybody_may_write_to_is_not_used() {
    let desk = Desk::new();
    desk.write("ansible.cfg", "[defaults]\nforks = 9\n");
    fs::set_permissions(desk.folder.path(), fs::Permissions::from_mode(0o777)).expect("mode");
    let dump = desk.run(&["config", "dump", "--only-changed"]).well();
    assert!(!dump.out.contains("FORKS") && dump.err.contains("its ansible.cfg is not used"));
}

#[test]
fn settings_do_what_they_say() {
    let mut desk = Desk::new();
    desk.write("p.yml", PLAY);
    desk.write("vars.json", "{\"d\": {\"b\": 2}}");
    desk.write(
        "ansible.cfg",
        "[defaults]\ngathering = explicit\nhash_behaviour = merge\ndisplay_skipped_hosts = no\ncallback_result_format = yaml\n",
    );
    desk.set("ANSIBLE_CHECK_MODE_MARKERS", "1");
    let ran = desk.run(&["play", "p.yml", "-C", "-e", "@vars.json"]).well();
    let lines: Vec<&str> = ran
        .out
        .lines()
        .map(|line| line.trim_end_matches('*').trim_end())
        .filter(|line| !line.is_empty())
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    DRY RUN
    PLAY [localhost] [CHECK MODE]
    TASK [debug] [CHECK MODE]
    ok: [localhost] =>
        msg: '0 {''a'': 1, ''b'': 2}'
    TASK [debug] [CHECK MODE]
    ok: [localhost] =>
        msg: last
    PLAY RECAP
    localhost                  : ok=2    changed=0    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0
    DRY RUN
    ");
}
