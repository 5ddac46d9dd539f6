//! A real sshd on 127.0.0.1 with its own port, keys and configuration.

#![expect(clippy::expect_used, reason = "a failure here is a failed test")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use matron::remote::FleetOptions;
use matron::secret::Redactor;
use matron::transport::ssh::Person;
use matron::transport::{Address, ConnectionKind, HostKeys};

/// A folder that is removed with its owner.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("matron-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).expect("temporary folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
    pub(crate) folder: Folder,
}

fn sshd() -> &'static str {
    ["/usr/sbin/sshd", "/usr/bin/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("the package openssh-server holds sshd")
}

pub(crate) fn keygen(words: &[&str]) -> String {
    let made = Command::new("ssh-keygen").args(words).output().expect("ssh-keygen runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).into_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("path is text")
}

impl Sshd {
    /// Starts one whose `sh` is the given program.
    pub(crate) fn start(shell: &str) -> Self {
        Self::with(shell, "")
    }

    /// Starts one with more lines in its configuration.
    pub(crate) fn with(shell: &str, more: &str) -> Self {
        super::packages::ensure(&["openssh-server", "openssh-client", "busybox"]);
        let folder = Folder::new();
        fs::create_dir_all("/run/sshd").expect("sshd's folder");
        for (name, comment) in [("host", "host key"), ("id", "user key")] {
            keygen(&[
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                comment,
                "-f",
                text(&folder.join(name)),
            ]);
        }
        fs::copy(folder.join("id.pub"), folder.join("authorized")).expect("authorized keys");
        fs::create_dir_all(folder.join("bin")).expect("bin");
        symlink(shell, folder.join("bin/sh")).expect("sh");
        fs::create_dir_all(folder.join("home/.ssh")).expect("home");
        let port = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/authorized\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxStartups 200:30:300\nMaxAuthTries 6\n\
             SetEnv SHLVL=5 PATH={dir}/bin:/usr/bin:/bin:/usr/sbin:/sbin\n{more}\n",
            dir = text(folder.path()),
        );
        fs::write(folder.join("sshd_config"), config).expect("configuration");
        let log = fs::File::create(folder.join("log")).expect("log");
        let child = Command::new(sshd())
            .args(["-D", "-e", "-f", text(&folder.join("sshd_config"))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let sshd = Self { child, port, folder };
        let known = format!("[127.0.0.1]:{port} {}", sshd.host_key());
        fs::write(sshd.folder.join("home/.ssh/known_hosts"), known).expect("known_hosts");
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "sshd does not listen: {}", sshd.log());
            std::thread::yield_now();
        }
        sshd
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn host_key(&self) -> String {
        fs::read_to_string(self.folder.join("host.pub")).expect("host key")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.folder.join("home/.ssh/known_hosts")
    }

    pub(crate) fn address(&self) -> Address {
        Address {
            name: "db1".into(),
            kind: ConnectionKind::Ssh,
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
            user: Some("root".to_owned()),
            password: None,
            private_key: Some(text(&self.folder.join("id")).to_owned()),
            ssh_args: Vec::new(),
            timeout: Duration::from_secs(10),
            host_keys: HostKeys::Strict,
        }
    }

    pub(crate) fn person(&self) -> Person {
        Person::new("root", self.folder.join("home"), None)
    }

    pub(crate) fn fleet(&self) -> matron::remote::Fleet {
        matron::remote::Fleet::new(FleetOptions {
            person: self.person(),
            redactor: Redactor::default(),
            connecting: matron::remote::CONNECTING,
        })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
