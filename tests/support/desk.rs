//! A desk to run the program at: a folder, files, a clean environment.

#![expect(clippy::expect_used, reason = "a test stands or falls by its desk")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::sshd::Folder;

/// A folder to run the program in, with nothing of this machine's settings.
pub(crate) struct Desk {
    pub(crate) folder: Folder,
    set: Vec<(&'static str, String)>,
}

/// What the program said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: Folder::new(), set: Vec::new() }
    }

    /// Sets an environment variable for what is run from here on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.set.push((name, value.to_owned()));
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("file")
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.folder.join(name)).expect("file").permissions().mode() & 0o777
    }

    pub(crate) fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        let path = self.folder.join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
    }

    pub(crate) fn run_with(&self, words: &[&str], stdin: &str, editor: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_matron"))
            .args(words)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("EDITOR", editor)
            .env("MATRON_STATE_DIR", self.folder.join("state"))
            .envs(self.set.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("stdin").write_all(stdin.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.run_with(words, "", "false")
    }

    pub(crate) fn vault(&self, words: &[&str]) -> Said {
        self.run(&[&["vault"], words].concat())
    }
}

impl Said {
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    pub(crate) fn refuses(self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        let said = format!("{}{}", self.out, self.err);
        assert!(said.contains(words), "'{words}' is not in: {said}");
    }
}
