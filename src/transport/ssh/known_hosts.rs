//! The known_hosts files: which keys a host may show.
//!
//! Our own reader, because russh's takes a revoked key for an unknown one, knows no wildcards and no authorities, and calls
//! a host unknown whose key of another type is known. The form is sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// All lines of all known_hosts files, read once.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    file: Arc<Path>,
    line: usize,
    marker: Marker,
    names: Names,
    key_type: String,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Plain,
    Authority,
    Revoked,
}

#[derive(Clone, Debug)]
enum Names {
    Patterns(Vec<Pattern>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

#[derive(Clone, Debug)]
struct Pattern {
    negated: bool,
    text: String,
}

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What the files say about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This key is known for this host.
    Known,
    /// Nothing is known of this host.
    Unknown,
    /// The host is known by another key.
    Changed(Place),
    /// The key must not be used any more.
    Revoked(Place),
}

impl KnownHosts {
    /// Reads files; those that do not exist are empty. Lines nobody can read are left out, as OpenSSH does.
    pub fn load(files: &[PathBuf]) -> Self {
        let mut all = Self::default();
        for file in files {
            if let Ok(bytes) = std::fs::read(file) {
                all.add(file, &String::from_utf8_lossy(&bytes));
            }
        }
        all
    }

    /// Adds the lines of one file.
    pub fn add(&mut self, file: &Path, text: &str) {
        let file: Arc<Path> = Arc::from(file);
        for (at, line) in text.lines().enumerate() {
            self.entries.extend(entry(&file, at + 1, line));
        }
    }

    /// Tells whether a host may show a key; `key` is the key in wire form.
    pub fn check(&self, host: &str, port: u16, key_type: &str, key: &[u8]) -> Verdict {
        let name = lookup_name(host, port);
        let mut verdict = Verdict::Unknown;
        let mut other_type = None;
        for entry in self.entries.iter().filter(|entry| entry.names.hold(&name)) {
            match entry.marker {
                Marker::Revoked if entry.key == key => return Verdict::Revoked(entry.place()),
                Marker::Plain if entry.key == key => verdict = Verdict::Known,
                Marker::Plain if entry.key_type == key_type && verdict == Verdict::Unknown => {
                    verdict = Verdict::Changed(entry.place());
                }
                Marker::Plain => {
                    other_type.get_or_insert_with(|| entry.place());
                }
                Marker::Authority | Marker::Revoked => {}
            }
        }
        // The host was asked for the types known here first. That it shows only another one is not a new host.
        match (verdict, other_type) {
            (Verdict::Unknown, Some(place)) => Verdict::Changed(place),
            (verdict, _) => verdict,
        }
    }

    /// Tells whether a certificate's authority may speak for a host.
    pub fn check_authority(&self, host: &str, port: u16, key: &[u8]) -> Verdict {
        let name = lookup_name(host, port);
        let bare = host.to_lowercase();
        let mut verdict = Verdict::Unknown;
        for entry in &self.entries {
            if entry.key != key || !(entry.names.hold(&name) || entry.names.hold(&bare)) {
                continue;
            }
            match entry.marker {
                Marker::Revoked => return Verdict::Revoked(entry.place()),
                Marker::Authority => verdict = Verdict::Known,
                Marker::Plain => {}
            }
        }
        verdict
    }

    /// Tells whether any authority is named for a host.
    pub fn has_authority(&self, host: &str, port: u16) -> bool {
        let name = lookup_name(host, port);
        let bare = host.to_lowercase();
        self.entries.iter().any(|entry| {
            entry.marker == Marker::Authority
                && (entry.names.hold(&name) || entry.names.hold(&bare))
        })
    }

    /// Returns the types of the keys known for a host, in file order.
    pub fn key_types(&self, host: &str, port: u16) -> Vec<String> {
        let name = lookup_name(host, port);
        let mut types: Vec<String> = Vec::new();
        for entry in &self.entries {
            if entry.marker == Marker::Plain
                && entry.names.hold(&name)
                && !types.contains(&entry.key_type)
            {
                types.push(entry.key_type.clone());
            }
        }
        types
    }
}

/// Returns the name under which a host is written: `[host]:port` unless the port is 22.
pub fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Appends a line for a host under a lock on the file, creating folder and file when missing.
pub fn learn(file: &Path, host: &str, port: u16, key_line: &str) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut open = std::fs::OpenOptions::new();
    let mut known = open.read(true).append(true).create(true).mode(0o600).open(file)?;
    // Held until the file is closed: several hosts may be met at once, by several of us.
    known.lock()?;
    let mut text = String::new();
    if known.seek(SeekFrom::End(0))? > 0 {
        known.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        known.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.extend([lookup_name(host, port).as_str(), " ", key_line, "\n"]);
    known.write_all(text.as_bytes())?;
    known.sync_data()
}

impl Entry {
    fn place(&self) -> Place {
        Place { file: self.file.to_path_buf(), line: self.line }
    }
}

impl Names {
    fn hold(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                Hmac::<Sha1>::new_from_slice(salt).is_ok_and(|mut mac| {
                    mac.update(name.as_bytes());
                    mac.verify_slice(hash).is_ok()
                })
            }
            Self::Patterns(patterns) => {
                let mut held = false;
                for pattern in patterns {
                    if super::pattern::matches(&pattern.text, name) {
                        if pattern.negated {
                            return false;
                        }
                        held = true;
                    }
                }
                held
            }
        }
    }
}

fn entry(file: &Arc<Path>, line: usize, text: &str) -> Option<Entry> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let mut words = text.split_ascii_whitespace().peekable();
    let marker = match words.peek() {
        Some(&"@cert-authority") => Marker::Authority,
        Some(&"@revoked") => Marker::Revoked,
        Some(word) if word.starts_with('@') => return None,
        Some(_) | None => Marker::Plain,
    };
    if marker != Marker::Plain {
        words.next();
    }
    let (hosts, key_type, key) = (words.next()?, words.next()?, words.next()?);
    let key = STANDARD.decode(key).ok()?;
    let names = if let Some(hashed) = hosts.strip_prefix("|1|") {
        let (salt, hash) = hashed.split_once('|')?;
        Names::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? }
    } else {
        let patterns = hosts.split(',').filter(|part| !part.is_empty()).map(|part| {
            let (negated, text) = part.strip_prefix('!').map_or((false, part), |rest| (true, rest));
            Pattern { negated, text: text.to_lowercase() }
        });
        Names::Patterns(patterns.collect())
    };
    Some(Entry { file: Arc::clone(file), line, marker, names, key_type: key_type.to_owned(), key })
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
