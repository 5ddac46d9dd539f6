//! A place to run the program as a person would: a home, a project, a real sshd, nothing of this machine's own settings.

#![expect(clippy::expect_used, reason = "a test stands or falls by its host")]

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::sshd::{Folder, Sshd};

/// The program under test with a project of its own.
pub(crate) struct Bench {
    pub(crate) project: Folder,
    pub(crate) sshd: Sshd,
    /// Texts that differ from run to run, and what stands for them.
    tags: Vec<(String, String)>,
}

/// What the program said, both streams as they came, and its exit code.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    text: String,
}

/// A program that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    said: std::io::PipeReader,
}

impl Bench {
    /// Makes a project with an inventory of one host, `h1`, that is reached as root through an sshd of its own.
    pub(crate) fn new() -> Self {
        Self::over(Sshd::start("/bin/dash"))
    }

    /// Makes one over an sshd that is there.
    pub(crate) fn over(sshd: Sshd) -> Self {
        let bench = Self { project: Folder::new(), sshd, tags: Vec::new() };
        fs::create_dir_all(bench.project.join("home")).expect("home");
        fs::create_dir_all(bench.project.join("tmp")).expect("temporary folder");
        let ssh = bench.sshd.folder.path().display();
        bench.write(
            "hosts.ini",
            &format!(
                "[all]\nh1 ansible_host=127.0.0.1\n[all:vars]\nansible_port={port}\nansible_user=root\n\
                 ansible_ssh_private_key_file={ssh}/id\nansible_ssh_common_args=-o UserKnownHostsFile={known} \
                 -o GlobalKnownHostsFile=/dev/null\n",
                port = bench.sshd.port,
                known = bench.sshd.known_hosts().display(),
            ),
        );
        bench.write(
            "ping.yml",
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: answer\n      ping:\n",
        );
        bench
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(&path, text).expect("file");
        path
    }

    /// Shows `tag` where `text` is said.
    pub(crate) fn tag(&mut self, text: impl Into<String>, tag: &str) {
        self.tags.push((text.into(), tag.to_owned()));
    }

    /// Runs `matron play -i hosts.ini ping.yml` with more words.
    pub(crate) fn ping(&self, more: &[&str]) -> Said {
        self.run(&[&["play", "-i", "hosts.ini", "ping.yml"], more].concat())
    }

    /// Writes a playbook and runs it.
    pub(crate) fn play(&self, playbook: &str) -> Said {
        self.write("site.yml", playbook);
        self.run(&["play", "-i", "hosts.ini", "site.yml"])
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.run_by(Command::new(env!("CARGO_BIN_EXE_matron")), words)
    }

    /// Runs the program inside another (`unshare`).
    pub(crate) fn run_by(&self, command: Command, words: &[&str]) -> Said {
        self.ended(self.start(command, words))
    }

    /// Starts the program.
    pub(crate) fn start(&self, mut command: Command, words: &[&str]) -> Running {
        // One pipe for both streams: the order is what a person sees.
        let (said, out) = std::io::pipe().expect("a pipe");
        let child = command
            .args(words)
            .env_clear()
            .env("HOME", self.project.join("home"))
            .env("USER", "root")
            .env("TMPDIR", self.project.join("tmp"))
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("MATRON_STATE_DIR", self.project.join("state"))
            .current_dir(self.project.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a pipe"))
            .stderr(out)
            .spawn()
            .expect("the program starts");
        // The command holds the writing ends of the pipe: it goes with this call.
        drop(command);
        Running { child, said }
    }

    /// Waits for the end of a program.
    pub(crate) fn ended(&self, mut running: Running) -> Said {
        let mut text = String::new();
        running.said.read_to_string(&mut text).expect("text");
        let code = running.child.wait().expect("an end").code();
        Said { code, text: self.tagged(&text) }
    }

    fn tagged(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.tags {
            text = text.replace(from, to);
        }
        let folders = [(&self.sshd.folder, "[SSH]"), (&self.project, "[PROJECT]")];
        for (folder, tag) in folders {
            text = text.replace(&folder.path().display().to_string(), tag);
        }
        text = text.replace(&self.sshd.port.to_string(), "[PORT]");
        let mut shown = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("SHA256:") {
            shown.push_str(&rest[..at]);
            shown.push_str("[FINGERPRINT]");
            rest = &rest[(at + "SHA256:".len() + 43).min(rest.len())..];
        }
        shown.push_str(rest);
        shown
    }
}

impl std::fmt::Display for Said {
    /// Shows the exit code and every line that is not empty; banners without their stars, the recap without its padding.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit {code}")?,
            None => writeln!(f, "killed")?,
        }
        for line in self.text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if line.contains(" : ok=") {
                writeln!(f, "{}", line.split_whitespace().collect::<Vec<_>>().join(" "))?;
            } else {
                writeln!(f, "{}", line.trim_end_matches('*').trim_end())?;
            }
        }
        Ok(())
    }
}
