//! Hosts that cannot be reached, do not let us in, or do not let us become another.

#![expect(clippy::expect_used, reason = "a test stands or falls by its host")]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::support::bench::Bench;
use crate::support::packages;
use crate::support::sshd::{free_port, keygen, text};

#[test]
fn changed_host_key_stops_and_names_the_line_to_check() {
    let bench = Bench::new();
    let other = bench.sshd.folder.join("other");
    keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", text(&other)]);
    let key = fs::read_to_string(other.with_extension("pub")).expect("key");
    let line = format!("# the ward\n[127.0.0.1]:{} {key}", bench.sshd.port);
    fs::write(bench.sshd.known_hosts(), line).expect("known_hosts");
    assert_snapshot!(bench.ping(&["--accept-new-host-keys"]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: the host key of [127.0.0.1]:[PORT] has changed: it shows ssh-ed25519 [FINGERPRINT], [SSH]/home/.ssh/known_hosts:2 knows another", "unreachable": true}
      hint: someone may be listening in. If the host was set up anew, remove the old key: ssh-keygen -R '[127.0.0.1]:[PORT]' -f [SSH]/home/.ssh/known_hosts
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn unknown_host_key_stops_with_its_fingerprint_and_the_ways_out() {
    let bench = Bench::new();
    fs::write(bench.sshd.known_hosts(), "").expect("known_hosts");
    assert_snapshot!(bench.ping(&[]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: Host key verification failed: no key is known for [127.0.0.1]:[PORT]; it shows ssh-ed25519 [FINGERPRINT]", "unreachable": true}
      hint: compare that fingerprint with the host's, then ssh-keyscan -p [PORT] 127.0.0.1 >> [SSH]/home/.ssh/known_hosts, or run with --accept-new-host-keys
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn accepted_host_key_is_written_down_and_known_from_then_on() {
    let bench = Bench::new();
    fs::write(bench.sshd.known_hosts(), "").expect("known_hosts");
    assert_eq!(bench.ping(&["--accept-new-host-keys"]).code, Some(0));
    assert_eq!(bench.ping(&[]).code, Some(0));
}

#[test]
fn wrong_user_is_named_with_what_was_offered() {
    let bench = Bench::new();
    assert_snapshot!(bench.ping(&["-e", "ansible_user=nosuchuser"]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: nosuchuser@127.0.0.1: Permission denied (publickey,password,keyboard-interactive)", "unreachable": true}
      hint: offered: key [SSH]/id. Is the user right (-u, ansible_user), and the key in that user's authorized_keys?
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn key_that_needs_a_passphrase_is_named_with_the_way_out() {
    let bench = Bench::new();
    let key = bench.sshd.folder.join("id");
    keygen(&["-q", "-p", "-P", "", "-N", "secret phrase", "-f", text(&key)]);
    assert_snapshot!(bench.ping(&[]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: root@127.0.0.1: Permission denied (publickey,password,keyboard-interactive); key [SSH]/id is encrypted and needs its passphrase", "unreachable": true}
      hint: load the key into an agent: ssh-add [SSH]/id
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn missing_key_file_is_named() {
    let bench = Bench::new();
    assert_snapshot!(bench.ping(&["-e", "ansible_ssh_private_key_file=keys/nope"]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: root@127.0.0.1: Permission denied (publickey,password,keyboard-interactive); key keys/nope: No such file or directory", "unreachable": true}
      hint: nothing could be offered: name a key (--private-key, ansible_ssh_private_key_file), start an agent, or give a password (-k)
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn closed_port_is_told_with_address_and_port() {
    let mut bench = Bench::new();
    let port = free_port().to_string();
    bench.tag(&port, "[CLOSED]");
    assert_snapshot!(bench.ping(&["-e", &format!("ansible_port={port}")]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: connect to host 127.0.0.1 port [CLOSED]: Connection refused", "unreachable": true}
      hint: the host is there, but nothing listens: is sshd running, and on this port (ansible_port)?
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn host_without_a_route_is_unreachable() {
    let bench = Bench::new();
    let mut alone = Command::new("unshare");
    alone.args(["--net", env!("CARGO_BIN_EXE_matron")]);
    let words = ["play", "-i", "hosts.ini", "ping.yml", "-e", "ansible_host=192.0.2.1"];
    assert_snapshot!(bench.run_by(alone, &words), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: connect to host 192.0.2.1 port [PORT]: Network is unreachable", "unreachable": true}
      hint: check the address (ansible_host) and the route to it; a host behind a jump host needs -J in ansible_ssh_common_args
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn host_that_does_not_answer_is_given_up_at_the_deadline() {
    let mut bench = Bench::new();
    // A listener whose queue is full drops what comes, as a firewall does.
    let full =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    full.bind(&any.into()).expect("an address");
    full.listen(0).expect("a listener");
    let there = full.local_addr().expect("an address").as_socket().expect("an address");
    let waiting: Vec<socket2::Socket> = (0..3)
        .map(|_| {
            let one = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
                .expect("a socket");
            one.set_nonblocking(true).expect("non-blocking");
            // In progress is what it says.
            one.connect(&there.into()).ok();
            one
        })
        .collect();
    bench.tag(there.port().to_string(), "[SILENT]");
    let port = format!("ansible_port={}", there.port());
    assert_snapshot!(bench.ping(&["-T", "1", "-e", &port]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: connect to host 127.0.0.1 port [SILENT]: Connection timed out after 1 s", "unreachable": true}
      hint: the host may be off, or a firewall drops what comes; --timeout waits longer
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
    drop(waiting);
}

#[test]
fn name_that_does_not_resolve_is_named() {
    let bench = Bench::new();
    let mut alone = Command::new("unshare");
    alone.args(["--net", env!("CARGO_BIN_EXE_matron")]);
    let words = ["play", "-i", "hosts.ini", "ping.yml", "-e", "ansible_host=db1.invalid"];
    let said = bench.run_by(alone, &words).to_string();
    assert!(said.starts_with("exit 4\n"), "{said}");
    assert!(said.contains("db1.invalid"), "{said}");
}

#[test]
fn two_hosts_of_which_one_fails_leave_the_other_its_work() {
    let bench = Bench::new();
    let hosts = fs::read_to_string(bench.project.join("hosts.ini")).expect("inventory");
    bench.write(
        "hosts.ini",
        &hosts
            .replace("[all:vars]", "h2 ansible_host=127.0.0.1 ansible_user=nosuchuser\n[all:vars]"),
    );
    // One fork: one host after the other, so the order of what is said is certain.
    bench.write(
        "site.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: first\n      ping:\n    - name: second\n      ping:\n",
    );
    assert_snapshot!(bench.run(&["play", "-i", "hosts.ini", "-f", "1", "site.yml"]), @r##"
    exit 4
    PLAY [all]
    TASK [first]
    ok: [h1]
    fatal: [h2]: UNREACHABLE! => {"changed": false, "msg": "Task failed: Failed to connect to the host via ssh: nosuchuser@127.0.0.1: Permission denied (publickey,password,keyboard-interactive)", "unreachable": true}
      hint: offered: key [SSH]/id. Is the user right (-u, ansible_user), and the key in that user's authorized_keys?
    TASK [second]
    ok: [h1]
    PLAY RECAP
    h1 : ok=2 changed=0 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0
    h2 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

/// A user of this machine who may use sudo with a password; goes with its value.
struct Patient {
    name: String,
}

const PASSWORD: &str = "correct horse";

impl Patient {
    fn new() -> Self {
        packages::ensure(&["sudo"]);
        let name = format!("matron-test-{}", std::process::id());
        let one = Self { name: name.clone() };
        let words = ["-M", "-d", "/tmp", "-s", "/bin/sh", &name];
        let made = Command::new("useradd").args(words).output().expect("useradd runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut set =
            Command::new("chpasswd").stdin(Stdio::piped()).spawn().expect("chpasswd runs");
        let mut input = set.stdin.take().expect("stdin");
        writeln!(input, "{name}:{PASSWORD}").expect("password");
        drop(input);
        assert!(set.wait().expect("chpasswd ends").success());
        let rule = format!("{name} ALL=(ALL:ALL) ALL\nDefaults:{name} passwd_tries=1\n");
        fs::write(one.rule(), rule).expect("sudo's rule");
        one
    }

    fn rule(&self) -> String {
        // sudo passes over names with a dot or a tilde, this one is read.
        format!("/etc/sudoers.d/{}", self.name)
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        fs::remove_file(self.rule()).ok();
        Command::new("userdel").arg(&self.name).stderr(Stdio::null()).status().ok();
    }
}

#[test]
fn sudo_says_whether_a_password_is_missing_or_wrong_and_takes_the_right_one() {
    let patient = Patient::new();
    let mut bench = Bench::new();
    bench.tag(&patient.name, "[USER]");
    let user = format!("ansible_user={}", patient.name);
    assert_snapshot!(bench.ping(&["-b", "-e", &user]), @r##"
    exit 2
    PLAY [all]
    TASK [answer]
    fatal: [h1]: FAILED! => {"changed": false, "msg": "Task failed: Missing sudo password"}
      at: ping.yml:4:7
      hint: give it with -K (--ask-become-pass) or ansible_become_password
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);

    bench.write("wrong", "battery staple\n");
    assert_snapshot!(bench.ping(&["-b", "--become-password-file", "wrong", "-e", &user]), @r##"
    exit 2
    PLAY [all]
    TASK [answer]
    fatal: [h1]: FAILED! => {"changed": false, "msg": "Task failed: Incorrect sudo password"}
      at: ping.yml:4:7
      hint: it is the login user's own for sudo, the other user's for su: give it with -K or ansible_become_password
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);

    bench.write("right", &format!("{PASSWORD}\n"));
    bench.write("who.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: id -un\n      register: who\n    - assert: {that: who.stdout == 'root'}\n");
    let words = ["play", "-i", "hosts.ini", "who.yml", "-b", "--become-password-file", "right"];
    assert_snapshot!(bench.run(&[&words[..], &["-e", &user]].concat()), @r##"
    exit 0
    PLAY [all]
    TASK [command]
    changed: [h1]
    TASK [assert]
    ok: [h1] => {
        "changed": false,
        "msg": "All assertions passed"
    }
    PLAY RECAP
    h1 : ok=2 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

#[test]
fn password_is_not_asked_for_without_a_terminal() {
    let bench = Bench::new();
    assert_snapshot!(bench.ping(&["-b", "-K"]), @r##"
    exit 5
    error: cannot ask for "BECOME password[defaults to SSH password]:": there is no terminal
    hint: give the password in a file: --connection-password-file, --become-password-file
    "##);
}
