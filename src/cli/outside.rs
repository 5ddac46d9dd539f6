//! What lookups may reach of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::inventory::{ProgramOutput, Programs};
use crate::template::Outside;

/// The real world.
#[derive(Debug)]
pub(super) struct ThisMachine;

impl Outside for ThisMachine {
    #[expect(clippy::disallowed_methods, reason = "the door is where the environment is read")]
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn pipe(&self, command: &str, folder: &Path) -> Result<String, String> {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command);
        if folder.is_dir() {
            shell.current_dir(folder);
        }
        let output = shell.output().map_err(|error| format!("cannot run '{command}': {error}"))?;
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            return Ok(text.trim_end_matches('\n').to_owned());
        }
        let code = output.status.code().map_or_else(|| "a signal".to_owned(), |c| c.to_string());
        Err(format!("lookup_plugin.pipe({command}) returned {code}"))
    }

    fn keep(&self, path: &Path, text: &str) -> Result<(), String> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let say = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(say)?;
        }
        let mut file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(say)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(say)
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let (folder, name) = match pattern.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some((folder, name)) => (folder, name),
            None => (".", pattern),
        };
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut found: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| {
                matches(name.as_bytes(), entry.file_name().to_string_lossy().as_bytes())
            })
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    }

    fn now(&self) -> (i64, u32, i32) {
        let now = jiff::Zoned::now();
        let stamp = now.timestamp();
        (stamp.as_second(), stamp.subsec_nanosecond().unsigned_abs(), now.offset().seconds())
    }

    fn random(&self, bytes: &mut [u8]) {
        use rand::Rng as _;
        rand::rng().fill_bytes(bytes);
    }
}

impl Programs for ThisMachine {
    fn run(&self, program: &Path, arguments: &[&str]) -> std::io::Result<ProgramOutput> {
        // A name without a slash would be looked for in PATH.
        let program = std::path::absolute(program)?;
        let output = Command::new(program).args(arguments).output()?;
        Ok(ProgramOutput {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Matches a file name against `*`, `?` and `[…]`; a leading dot is matched only by a dot.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    matches_rest(pattern, name)
}

fn matches_rest(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|at| matches_rest(rest, &name[at..])),
        Some((b'?', rest)) => name.split_first().is_some_and(|(_, tail)| matches_rest(rest, tail)),
        Some((b'[', rest)) => {
            let Some(end) = rest.iter().skip(1).position(|b| *b == b']').map(|at| at + 1) else {
                return name.first() == Some(&b'[') && matches_rest(rest, &name[1..]);
            };
            let Some((first, tail)) = name.split_first() else { return false };
            let (set, after) = (&rest[..end], &rest[end + 1..]);
            let (set, wanted) = match set.split_first() {
                Some((b'!' | b'^', inner)) => (inner, false),
                _ => (set, true),
            };
            in_set(set, *first) == wanted && matches_rest(after, tail)
        }
        Some((byte, rest)) => name
            .split_first()
            .is_some_and(|(first, tail)| first == byte && matches_rest(rest, tail)),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == b'-' {
            if (set[at]..=set[at + 2]).contains(&byte) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == byte {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_matches_as_a_shell_does() {
        let cases: &[(&str, &str, bool)] = &[
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            ("a?[0-9].yml", "ab3.yml", true),
            ("[!a]*", "abc", false),
            ("*", "", true),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), *want, "{pattern} {name}");
        }
    }
}
