//! Unusual ways that work: through a jump host, to a host with no Python and hardly anything else.

#![expect(clippy::expect_used, reason = "a test stands or falls by its host")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;

use crate::support::bench::Bench;
use crate::support::packages;
use crate::support::sshd::Sshd;

/// Makes the bench's host reachable through another sshd only by name; returns that one.
fn behind_a_jump(bench: &mut Bench, jump_is_known: bool) -> Sshd {
    let jump = Sshd::start("/bin/dash");
    fs::copy(bench.sshd.folder.join("id.pub"), jump.folder.join("authorized")).expect("key");
    let known = bench.sshd.known_hosts();
    let mut lines = fs::read_to_string(&known).expect("known_hosts");
    if jump_is_known {
        lines = format!("{lines}[127.0.0.1]:{} {}", jump.port, jump.host_key());
    }
    fs::write(&known, lines).expect("known_hosts");
    let hosts = fs::read_to_string(bench.project.join("hosts.ini")).expect("inventory");
    let with_jump = hosts.replace(
        "ansible_ssh_common_args=",
        &format!("ansible_ssh_common_args=-J root@127.0.0.1:{} ", jump.port),
    );
    bench.write("hosts.ini", &with_jump);
    // Keys for jump hosts come from the home, as with ssh -J.
    let ssh = bench.project.join("home/.ssh");
    fs::create_dir_all(&ssh).expect("home");
    fs::copy(bench.sshd.folder.join("id"), ssh.join("id_ed25519")).expect("key");
    bench.tag(jump.port.to_string(), "[JUMP]");
    jump
}

#[test]
fn jump_host_works() {
    let mut bench = Bench::new();
    let jump = behind_a_jump(&mut bench, true);
    let said = bench.ping(&[]);
    assert_eq!(said.code, Some(0), "{said}\n{}", jump.log());
    assert!(jump.log().contains("Accepted publickey for root"), "{}", jump.log());
}

#[test]
fn unknown_key_of_a_jump_host_is_refused_as_the_jump_hosts() {
    let mut bench = Bench::new();
    let _jump = behind_a_jump(&mut bench, false);
    assert_snapshot!(bench.ping(&[]), @r##"
    exit 4
    PLAY [all]
    TASK [answer]
    fatal: [h1]: UNREACHABLE! => {"changed": false, "msg": "Task failed: jump host 127.0.0.1: Failed to connect to the host via ssh: Host key verification failed: no key is known for [127.0.0.1]:[JUMP]; it shows ssh-ed25519 [FINGERPRINT]", "unreachable": true}
      hint: compare that fingerprint with the host's, then ssh-keyscan -p [JUMP] 127.0.0.1 >> [SSH]/home/.ssh/known_hosts, or run with --accept-new-host-keys
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=1 failed=0 skipped=0 rescued=0 ignored=0
    "##);
}

/// A root folder with busybox and nothing else; goes with its value.
struct BareRoot(PathBuf);

impl BareRoot {
    fn new() -> Self {
        packages::ensure(&["busybox"]);
        // sshd wants every folder above to be root's alone, which /tmp is not.
        let root = Self(PathBuf::from(format!("/var/lib/matron-test-{}", uuid::Uuid::new_v4())));
        for folder in ["bin", "dev", "etc", "root", "tmp"] {
            fs::create_dir_all(root.0.join(folder)).expect("folder");
        }
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(root.0.join("tmp"), mode).expect("mode");
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("busybox");
        root.copy(busybox, "bin/busybox");
        let needs = Command::new("ldd").arg(busybox).output().expect("ldd runs");
        for path in String::from_utf8_lossy(&needs.stdout).split_whitespace() {
            if path.starts_with('/') {
                root.copy(path, path.trim_start_matches('/'));
            }
        }
        let install = "cd / && /bin/busybox --install -s /bin && mknod -m 666 /dev/null c 1 3 && \
                       mknod -m 444 /dev/urandom c 1 9";
        let mut chroot = Command::new("chroot");
        chroot.arg(&root.0).args(["/bin/busybox", "sh", "-c", install]);
        let installed = chroot.output().expect("chroot runs");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        // The login shell that this machine gives root is a name for the one there.
        for shell in ["bash", "dash"] {
            let path = root.0.join("bin").join(shell);
            fs::remove_file(&path).ok();
            fs::write(&path, "#!/bin/sh\nexec /bin/sh \"$@\"\n").expect("shell");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        fs::write(root.0.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("users");
        fs::write(root.0.join("etc/group"), "root:x:0:\n").expect("groups");
        root
    }

    fn copy(&self, from: &str, to: &str) {
        let to = self.0.join(to);
        fs::create_dir_all(to.parent().expect("a parent")).expect("folder");
        fs::copy(from, to).expect("copy");
    }
}

impl Drop for BareRoot {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn host_with_busybox_alone_gathers_facts_and_takes_files() {
    let root = BareRoot::new();
    let more = format!("ChrootDirectory {}\nSetEnv HOME=/root", root.0.display());
    let bench = Bench::over(Sshd::with("/bin/busybox", &more));
    bench.write("note.j2", "{{ ansible_facts.kernel is defined }} {{ inventory_hostname }}\n");
    let said = bench.play(
        "- hosts: all\n  tasks:\n    - command: sh -c 'command -v python3 || command -v perl || echo none'\n      \
         register: found\n    - assert: {that: found.stdout == 'none'}\n    - template: {src: note.j2, dest: \
         /root/note, mode: '0600'}\n",
    );
    assert_snapshot!(said, @r##"
    exit 0
    PLAY [all]
    TASK [Gathering Facts]
    ok: [h1]
    TASK [command]
    changed: [h1]
    TASK [assert]
    ok: [h1] => {
        "changed": false,
        "msg": "All assertions passed"
    }
    TASK [template]
    changed: [h1]
    PLAY RECAP
    h1 : ok=4 changed=2 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0
    "##);
    assert_eq!(fs::read_to_string(root.0.join("root/note")).expect("note"), "True h1\n");
}
