//! The ssh_config files: `~/.ssh/config` and `/etc/ssh/ssh_config`, as in ssh_config(5).

use std::path::{Path, PathBuf};

use super::options::{Options, keyword, words};
use super::pattern::matches;

/// How deep files may include each other (OpenSSH's limit).
const DEPTH: usize = 16;

/// Runs the command of a `Match exec`; true when it ends with status 0.
pub(super) type Exec<'a> = &'a dyn Fn(&str) -> bool;

/// Who connects to what: what `Host` and `Match` are asked about.
pub(super) struct Question<'a> {
    /// The host as given.
    pub(super) host: &'a str,
    /// Login name on this machine.
    pub(super) local_user: &'a str,
    /// This machine's home folder.
    pub(super) home: &'a Path,
    /// Runs `Match exec`.
    pub(super) exec: Exec<'a>,
}

struct Reading<'a> {
    question: &'a Question<'a>,
    options: &'a mut Options,
    /// Where relative includes are looked for.
    base: PathBuf,
    last_pass: bool,
    wants_last_pass: bool,
}

/// Adds what the files say to options that are already there (and win). Files that do not exist say nothing.
pub(super) fn apply(
    question: &Question<'_>,
    user_file: Option<&Path>,
    system_file: Option<&Path>,
    options: &mut Options,
) -> Result<(), String> {
    let mut again = false;
    for last_pass in [false, true] {
        if last_pass && !again {
            break;
        }
        let files = [
            user_file.map(|file| (file, question.home.join(".ssh"))),
            system_file.map(|file| (file, PathBuf::from("/etc/ssh"))),
        ];
        for (file, base) in files.into_iter().flatten() {
            let mut reading =
                Reading { question, options, base, last_pass, wants_last_pass: false };
            reading.file(file, true, 0)?;
            again |= reading.wants_last_pass;
        }
    }
    Ok(())
}

impl Reading<'_> {
    fn file(&mut self, path: &Path, outer: bool, depth: usize) -> Result<(), String> {
        let Ok(bytes) = std::fs::read(path) else { return Ok(()) };
        if depth > DEPTH {
            return Err(format!("{}: files include each other too deeply", path.display()));
        }
        let mut active = outer;
        for (at, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let Some((name, rest)) = keyword(line) else { continue };
            let place = |error: String| format!("{}:{}: {error}", path.display(), at + 1);
            let words = words(rest).map_err(place)?;
            match name.to_ascii_lowercase().as_str() {
                "host" => active = outer && self.host(&words),
                "match" => active = self.conditions(&words, outer).map_err(place)?,
                "include" => {
                    for pattern in &words {
                        for file in self.included(pattern) {
                            // Inside a block that does not apply nothing of the file can.
                            self.file(&file, active, depth + 1)?;
                        }
                    }
                }
                _ if active => self.options.set(name, &words, rest).map_err(place)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn host(&self, patterns: &[String]) -> bool {
        let host = self.question.host.to_lowercase();
        let mut found = false;
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                Some(negated) if matches(&negated.to_lowercase(), &host) => return false,
                Some(_) => {}
                None => found |= matches(&pattern.to_lowercase(), &host),
            }
        }
        found
    }

    fn conditions(&mut self, words: &[String], outer: bool) -> Result<bool, String> {
        if words.is_empty() {
            return Err("Match needs a condition".to_owned());
        }
        let mut all = outer;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (negated, word) =
                word.strip_prefix('!').map_or((false, word.as_str()), |rest| (true, rest));
            let (name, given) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            let name = name.to_ascii_lowercase();
            if matches!(name.as_str(), "all" | "final" | "canonical") {
                let holds = match name.as_str() {
                    "all" => true,
                    "final" => {
                        self.wants_last_pass = true;
                        self.last_pass
                    }
                    _ => self.last_pass,
                };
                all &= holds != negated;
                continue;
            }
            let value = given
                .or_else(|| words.next().cloned())
                .ok_or_else(|| format!("Match {name} needs a value"))?;
            let holds = self.condition(&name, &value, all)?;
            all &= holds != negated;
        }
        Ok(all)
    }

    fn condition(&self, name: &str, value: &str, so_far: bool) -> Result<bool, String> {
        let question = self.question;
        let host = self.hostname();
        let user = self.options.user.as_deref().unwrap_or(question.local_user);
        Ok(match name {
            "host" => any_of(value, &host.to_lowercase()),
            "originalhost" => any_of(value, &question.host.to_lowercase()),
            "user" => any_of(value, user),
            "localuser" => any_of(value, question.local_user),
            // Only when all before it held, as OpenSSH does: a command may be slow.
            "exec" => so_far && (question.exec)(&self.expand(value)),
            "tagged" | "command" | "version" | "sessiontype" | "localnetwork" => false,
            other => return Err(format!("Match {other} is not known")),
        })
    }

    fn hostname(&self) -> String {
        match &self.options.hostname {
            Some(name) => name.replace("%h", self.question.host),
            None => self.question.host.to_owned(),
        }
    }

    fn expand(&self, text: &str) -> String {
        let host = self.hostname();
        let question = self.question;
        Tokens {
            host: &host,
            original: question.host,
            port: self.options.port.unwrap_or(22),
            user: self.options.user.as_deref().unwrap_or(question.local_user),
            local_user: question.local_user,
            home: question.home,
        }
        .expand(text)
    }

    fn included(&self, pattern: &str) -> Vec<PathBuf> {
        let pattern = home(pattern, self.question.home);
        let path = Path::new(&pattern);
        let path = if path.is_absolute() { path.to_owned() } else { self.base.join(path) };
        glob(&path)
    }
}

/// Matches a comma-separated pattern list.
fn any_of(list: &str, value: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, value) => return false,
            Some(_) => {}
            None => found |= matches(pattern, value),
        }
    }
    found
}

/// Replaces a leading `~/`.
pub(super) fn home(text: &str, home: &Path) -> String {
    match text.strip_prefix("~/") {
        Some(rest) => home.join(rest).display().to_string(),
        None => text.to_owned(),
    }
}

/// Returns the files a pattern names, sorted; a part without wildcards is taken as it is.
fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components().skip(1) {
        let part = part.as_os_str().to_string_lossy();
        if !part.contains(['*', '?']) {
            for path in &mut found {
                path.push(&*part);
            }
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
            next.extend(names.filter_map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let shown = !name.starts_with('.') || part.starts_with('.');
                (shown && matches(&part, &name)).then(|| entry.path())
            }));
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.is_file());
    found
}

/// What `%` words stand for.
pub(super) struct Tokens<'a> {
    pub(super) host: &'a str,
    pub(super) original: &'a str,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) local_user: &'a str,
    pub(super) home: &'a Path,
}

impl Tokens<'_> {
    /// Replaces `%h %n %p %r %u %d %%`; others stay as they are.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('h') => out.push_str(self.host),
                Some('n') => out.push_str(self.original),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(self.local_user),
                Some('d') => out.push_str(&self.home.display().to_string()),
                Some('%') | None => out.push('%'),
                Some(other) => out.extend(['%', other]),
            }
        }
        out
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
