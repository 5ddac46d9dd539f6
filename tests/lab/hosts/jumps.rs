//! Hosts behind other hosts.

use super::{H3, H4, ensure};
use crate::ward::{Ran, Ward};

/// Writes an inventory whose hosts are reached through h4, with `known` as what is known of host keys.
fn inventory(ward: &Ward, known: &str) -> String {
    let key = ward.key().display().to_string();
    let options =
        format!("-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes");
    let text = format!(
        "all:
  vars:
    ansible_user: deploy
    ansible_ssh_private_key_file: {key}
    ansible_host: {H3}
  hosts:
    jump:
      ansible_ssh_common_args: '{options} -J deploy@{H4}'
    jump_again:
      ansible_host: {H4}
      ansible_ssh_common_args: '{options} -J deploy@{H4}'
    proxy:
      ansible_ssh_common_args: '{options} -o ProxyCommand=\"ssh -W %h:%p -q -i {key} {options} deploy@{H4}\"'
    program:
      ansible_ssh_common_args: '{options} -o ProxyCommand=\"env ssh -i {key} {options} -W %h:%p deploy@{H4}\"'
    broken:
      ansible_ssh_common_args: '{options} -o ProxyCommand=\"echo no way to %h >&2; exit 3\"'
"
    );
    ward.write("behind.yml", &text).display().to_string()
}

fn run(ward: &Ward, known: &str, hosts: &str) -> Ran {
    let inventory = inventory(ward, known);
    ward.matron(&["exec", "-i", &inventory, hosts, "-m", "shell", "-a", "echo $SSH_CONNECTION"])
}

pub(crate) fn jumps_lead_to_hosts_behind_them(ward: &Ward) -> Result<(), String> {
    let known = ward.known_hosts().display().to_string();
    for host in ["jump", "proxy", "program"] {
        let ran = run(ward, &known, host).expect_code(0)?;
        let through = ran.stdout.lines().any(|line| line.starts_with(&format!("{H4} ")));
        ensure(through, || format!("{host} did not go through h4:\n{}", ran.all()))?;
    }
    run(ward, &known, "broken").expect_code(4)?.expect_says(&format!("no way to {H3}")).map(drop)
}

pub(crate) fn ssh_config_is_honoured(ward: &Ward) -> Result<(), String> {
    let text = format!(
        "Host inner
  HostName {H3}
  ProxyJump outer
Host outer
  HostName {H4}
Host inner outer
  User deploy
  IdentityFile {}
  IdentitiesOnly yes
  UserKnownHostsFile {}
",
        ward.key().display(),
        ward.known_hosts().display()
    );
    let config = ward.write("home/.ssh/config", &text);
    let given = format!("-F {}", config.display());
    let words = ["exec", "-i", "inner,", "inner", "-m", "shell", "-a", "echo $SSH_CONNECTION"];
    let by_flag = ward.matron(&[words.as_slice(), &["--ssh-common-args", &given]].concat());
    by_flag.expect_code(0)?.expect_says(&format!("{H4} "))?;
    let home = config.parent().and_then(std::path::Path::parent).ok_or("no home")?;
    let output = ward.command(&words).env("HOME", home).output();
    let by_home = Ran::from(output.map_err(|error| error.to_string())?);
    by_home.expect_code(0)?.expect_says(&format!("{H4} ")).map(drop)
}

pub(crate) fn an_unknown_jump_is_refused(ward: &Ward) -> Result<(), String> {
    let known = std::fs::read_to_string(ward.known_hosts()).map_err(|error| error.to_string())?;
    let without: Vec<&str> = known.lines().filter(|line| !line.contains(H4)).collect();
    let without = ward.write("known_hosts_without_h4", &(without.join("\n") + "\n"));
    let without = without.display().to_string();
    let ran = run(ward, &without, "jump").expect_code(4)?;
    let ran = ran.expect_says(&format!("jump host {H4}"))?;
    ran.expect_says("Host key verification failed")?.expect_says("ssh-keyscan").map(drop)
}

pub(crate) fn one_connection_serves_all(ward: &Ward) -> Result<(), String> {
    let known = ward.known_hosts().display().to_string();
    let inventory = inventory(ward, &known);
    let text = "
- hosts: jump,jump_again
  gather_facts: false
  tasks:
    - command: hostname
      register: name
    # One login on h4 as the jump, one as a host behind itself.
    - command:
        argv: [pgrep, -cf, '^sshd: deploy .priv.']
      register: logins
      when: inventory_hostname == 'jump_again'
    - assert:
        that: logins.stdout == '2'
      when: inventory_hostname == 'jump_again'
";
    let playbook = ward.write("behind-play.yml", text).display().to_string();
    ward.wait("no login is left on h4", std::time::Duration::from_secs(10), || {
        ward.on_host("h4", "pgrep -f '^sshd: deploy'").code != 0
    })?;
    let ran = ward.matron(&["play", "-i", &inventory, &playbook]).expect_code(0)?;
    ensure(ran.tally("jump_again", "ok")? == 3, || ran.all())
}
