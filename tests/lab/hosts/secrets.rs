//! What must not be seen, and what must be kept.

use std::time::Duration;

use super::{ensure, play};
use crate::ward::Ward;

/// Values that may stand in no line, no record and no command line.
const SECRETS: [&str; 6] = [
    "of-the-task-9f3",
    "of-the-file-9f3",
    "of-the-fact-9f3",
    "of-the-flag-9f3",
    "of-the-block-9f3",
    "practice-sudo",
];

const TEXT: &str = "
- hosts: h4
  gather_facts: false
  become: true
  vars:
    ansible_user: pwsudo
    ansible_become_password: practice-sudo
  tasks:
    - include_vars: secret-vars.yml
    - set_fact:
        fact_token: of-the-fact-9f3
    - name: told
      debug:
        msg: '{{ task_password }} {{ file_secret }} {{ fact_token }} {{ flag_password }}'
      vars:
        task_password: of-the-task-9f3
    - block:
        - name: in a script
          shell: |
            cat >/dev/null <<'END'
            {{ block_passphrase }}
            END
            touch /run/secret-began
            for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; test -e /run/secret-seen && break; done
          register: ran
        - debug:
            var: ran
        - copy:
            content: 'password={{ file_secret }} {{ block_passphrase }}'
            dest: /run/secret-file
            mode: '0600'
      vars:
        block_passphrase: of-the-block-9f3
    - file:
        path: '{{ item }}'
        state: absent
      loop: [/run/secret-file, /run/secret-seen, /run/secret-began]
";

pub(crate) fn secrets_show_nowhere(ward: &Ward) -> Result<(), String> {
    ward.write("secret-vars.yml", "file_secret: of-the-file-9f3\n");
    for output in ["text", "json"] {
        let more = ["-e", "flag_password=of-the-flag-9f3", "--diff", "-vvv", "--show-scripts"];
        let more = [more.as_slice(), &["--output", output]].concat();
        let (ran, seen) = std::thread::scope(|scope| {
            let playing = scope.spawn(|| play(ward, "secrets", TEXT, &more));
            let began = ward.wait("the script runs", Duration::from_secs(15), || {
                ward.on_host("h4", "test -e /run/secret-began").code == 0
            });
            let look = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; touch /run/secret-seen";
            let seen = ward.on_host("h4", look).stdout;
            let ran = playing.join().map_err(|_| "it broke off".to_owned());
            (ran, began.map(|()| seen))
        });
        let ran = ran?.expect_code(0)?;
        let seen = seen.map_err(|why| format!("{why}\n{}", ran.all()))?;
        let record = ward.records()?;
        ensure(ran.all().contains("********"), || ran.all())?;
        for secret in SECRETS {
            // The shell module's own script is its command line: what a template puts there is for `ps` to see.
            ensure(!seen.contains(secret) || secret == "of-the-block-9f3", || {
                format!("'{secret}' stands in a command line on the host:\n{seen}")
            })?;
            ensure(!ran.all().contains(secret), || format!("'{secret}' was said:\n{}", ran.all()))?;
            let line = record.lines().find(|line| line.contains(secret));
            ensure(line.is_none(), || format!("'{secret}' stands in the record: {line:?}"))?;
        }
    }
    Ok(())
}

pub(crate) fn records_are_whole(ward: &Ward) -> Result<(), String> {
    let text = "- hosts: h3\n  gather_facts: false\n  tasks:\n    - command: hostname\n";
    play(ward, "record", text, &["--reason", "practice", "--ticket", "T-1"]).expect_code(0)?;
    let records = ward.records()?;
    ensure(records.contains("practice") && records.contains("T-1"), || records)?;
    ward.matron(&["runs", "verify"]).expect_code(0).map(drop)
}
