//! Becoming another user.

use super::{ensure, exec, play};
use crate::ward::{Ran, Ward};

pub(crate) fn tasks_become_other_users(ward: &Ward) -> Result<(), String> {
    let large = ward.write("large-for-pwsudo", &"0123456789abcdef\n".repeat(100_000));
    let text = "
- hosts: h3
  gather_facts: false
  become: true
  tasks:
    - command: id -un
      register: root
    - command: id -un
      become: false
      register: login
    - shell: id -un; echo $HOME $USER
      become_user: pwsudo
      register: other
    - command: id -un
      become_user: pwsudo
      become_method: su
      become_flags: ''
      vars:
        ansible_become_password: practice-sudo
      register: su
    - copy:
        src: '{{ large }}'
        dest: /tmp/of-pwsudo
        mode: '0600'
      become_user: pwsudo
    - command: stat -c '%U %a' /tmp/of-pwsudo
      register: copied
    - file:
        path: /tmp/of-pwsudo
        state: absent
    - command: id -un
      register: again
    # One shell for each user there is to become, whatever the number of tasks.
    - command: pgrep -cf '^sudo -H'
      register: shells
      changed_when: false
    - assert:
        that:
          - root.stdout == 'root' and again.stdout == 'root'
          - login.stdout == 'deploy'
          - \"other.stdout == 'pwsudo\\n/home/pwsudo pwsudo'\"
          - su.stdout == 'pwsudo'
          - copied.stdout == 'pwsudo 600'
          - shells.stdout == '2'
";
    let large = format!("large={}", large.display());
    play(ward, "become", text, &["-e", &large]).expect_code(0).map(drop)
}

/// Runs a command as root by way of the user whose sudo wants a password.
fn with_password(ward: &Ward, file: Option<&str>, more: &[&str]) -> Ran {
    let path = file.map(|text| ward.write("become-password", text));
    let path = path.map(|path| path.display().to_string());
    let mut words = vec!["-b", "-e", "ansible_user=pwsudo"];
    if let Some(path) = &path {
        words.extend(["--become-password-file", path]);
    }
    words.extend(more);
    exec(ward, "h3", "command", "id -un", &words)
}

pub(crate) fn sudo_passwords_are_asked_and_judged(ward: &Ward) -> Result<(), String> {
    with_password(ward, Some("practice-sudo\n"), &[]).expect_code(0)?.expect_says("root")?;
    let wrong = with_password(ward, Some("wrong-one\n"), &[]).expect_code(2)?;
    let wrong = wrong.expect_says("Incorrect sudo password")?;
    ensure(!wrong.all().contains("wrong-one"), || wrong.all())?;
    let missing = with_password(ward, None, &[]).expect_code(2)?;
    missing.expect_says("Missing sudo password")?.expect_says("--ask-become-pass")?;
    // Nobody can be asked: refused before any host is met.
    with_password(ward, None, &["-K"]).expect_code(5)?.expect_says("there is no terminal")?;
    let nobody = exec(ward, "h3", "command", "id", &["-b", "--become-user", "nobody-such"]);
    nobody.expect_code(2)?.expect_says("unknown user")?;
    let wrong = exec(ward, "h3", "command", "id", &["-b", "--become-method", "su"]);
    wrong.expect_code(2)?.expect_says("Missing su password").map(drop)
}
