//! Shell words and scripts: how data reaches a POSIX `sh` without ever being pasted into code.
//!
//! Lives here: quoting, [`Script`] (constant code plus data), and the reading of structured replies.
//! Does not: sending (transport), or what a script is for (modules).
//!
//! A script's code is a constant. Its data arrives as shell variables that [`Script::render`] assigns in front of the
//! code, quoted. The code answers on file descriptor 3 by `reply KEY VALUE` (defined in the prelude the conduit loads
//! once); stdout and stderr stay free for the commands that it runs.

use std::fmt::Write as _;
use std::time::Duration;

/// Quotes one word for a POSIX shell; safe for any text without NUL bytes.
///
/// ```
/// assert_eq!(matron::shell::quote("it's"), r"'it'\''s'");
/// ```
pub fn quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./=:,@%+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Joins words into one command line, each quoted.
pub fn join<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&quote(word.as_ref()));
    }
    line
}

/// Why a line has no words. The texts are those of Python's `shlex`, which is what users find when they search for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SplitError {
    /// A quote is never closed.
    #[error("No closing quotation")]
    OpenQuote,
    /// The line ends with a backslash.
    #[error("No escaped character")]
    OpenEscape,
}

/// Splits a line into words as Python's `shlex.split` does (POSIX rules, no comments), without any expansion: Ansible
/// reads command lines and ssh arguments that way.
///
/// ```
/// let words = matron::shell::split(r#"-o ProxyCommand="ssh -W %h:%p jump" -4"#);
/// assert_eq!(words, Ok(vec!["-o".into(), "ProxyCommand=ssh -W %h:%p jump".into(), "-4".into()]));
/// ```
pub fn split(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or(SplitError::OpenQuote)? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or(SplitError::OpenQuote)? {
                        '"' => break,
                        '\\' => match letters.next().ok_or(SplitError::OpenQuote)? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => {
                                word.push('\\');
                                word.push(other);
                            }
                        },
                        other => word.push(other),
                    }
                }
            }
            '\\' => {
                let next = letters.next().ok_or(SplitError::OpenEscape)?;
                word.get_or_insert_default().push(next);
            }
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The functions every script may call; the conduit defines them once per shell.
///
/// `reply KEY VALUE` writes one field to fd 3. `reply_file KEY PATH` writes a file's bytes as a field, base64 on the wire.
/// Keys are `[a-z0-9_]+`. Values may hold anything but NUL. The frame of a field is `KEY LENGTH\nVALUE\n` in bytes, and
/// `KEY +BASE64\n` for `reply_file`. Scripts run with LC_ALL=C, so `${#v}` counts bytes.
pub const PRELUDE: &str = r#"reply() { printf '%s %s\n%s\n' "$1" "${#2}" "$2" >&3; }
reply_file() { printf '%s +' "$1" >&3; base64 <"$2" | tr -d '\n' >&3; printf '\n' >&3; }
"#;

/// One piece of POSIX sh to run on a host: constant code, and data that is assigned to variables before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    code: String,
    variables: Vec<Variable>,
    /// How long it may run before it is killed.
    pub deadline: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: &'static str,
    value: Vec<u8>,
    secret: bool,
}

/// The deadline of a script that does not set one.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

impl Script {
    /// Starts a script from constant code (no data in it: data goes by [`Script::var`]).
    pub fn new(code: &'static str) -> Self {
        Self { code: code.to_owned(), variables: Vec::new(), deadline: DEFAULT_DEADLINE }
    }

    /// Starts a script whose code the user wrote (shell, raw, script): it is run as it is.
    pub fn of_user(code: impl Into<String>) -> Self {
        Self { code: code.into(), variables: Vec::new(), deadline: DEFAULT_DEADLINE }
    }

    /// Appends constant code on a new line.
    #[must_use]
    pub fn then(mut self, code: &'static str) -> Self {
        self.code.push('\n');
        self.code.push_str(code);
        self
    }

    /// Gives the code a variable.
    #[must_use]
    pub fn var(self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.variable(name, value.as_ref(), false)
    }

    /// Gives the code a variable that is empty when there is no value.
    #[must_use]
    pub fn var_or_empty(self, name: &'static str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.variable(name, value.as_ref(), false),
            None => self.variable(name, b"", false),
        }
    }

    /// Gives the code a flag: `1` or empty.
    #[must_use]
    pub fn flag(self, name: &'static str, value: bool) -> Self {
        self.variable(name, if value { b"1" } else { b"" }, false)
    }

    /// Gives the code a variable that [`Script::shown`] masks.
    #[must_use]
    pub fn secret(self, name: &'static str, value: &str) -> Self {
        self.variable(name, value.as_bytes(), true)
    }

    /// Sets the deadline.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn variable(mut self, name: &'static str, value: &[u8], secret: bool) -> Self {
        self.variables.push(Variable { name, value: value.to_vec(), secret });
        self
    }

    /// Returns the bytes a shell evaluates: assignments, then the code.
    ///
    /// A value with a NUL byte cannot be a shell variable: it is assigned as base64 text to `NAME_b64` instead, and
    /// `NAME` is left unset, so code that takes bytes checks `NAME_b64` first.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for variable in &self.variables {
            if variable.value.contains(&0) {
                use base64::Engine as _;
                let text = base64::engine::general_purpose::STANDARD.encode(&variable.value);
                out.extend_from_slice(format!("{}_b64='{text}'\n", variable.name).as_bytes());
            } else {
                out.extend_from_slice(variable.name.as_bytes());
                out.extend_from_slice(b"='");
                for (at, part) in variable.value.split(|b| *b == b'\'').enumerate() {
                    if at > 0 {
                        out.extend_from_slice(br"'\''");
                    }
                    out.extend_from_slice(part);
                }
                out.extend_from_slice(b"'\n");
            }
        }
        out.extend_from_slice(self.code.as_bytes());
        out.push(b'\n');
        out
    }

    /// Returns the script for people (`--show-scripts`): secrets masked, bytes as lossy text.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        for variable in &self.variables {
            if variable.secret {
                let _ = writeln!(out, "{}='********'", variable.name);
            } else {
                let value = String::from_utf8_lossy(&variable.value);
                let _ = writeln!(out, "{}={}", variable.name, quote(&value));
            }
        }
        out.push_str(&self.code);
        out
    }
}

/// What came back from one script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Exit status; 128 + N for a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The fields written by `reply`, in order.
    pub fields: Fields,
    /// Run time on the host, as seen from here.
    pub took: Duration,
    /// This machine's clock when the script was sent and when its answer was there.
    pub between: Option<(std::time::SystemTime, std::time::SystemTime)>,
    /// Set when the script ran into its deadline and was killed.
    pub timed_out: bool,
}

impl Reply {
    /// Returns stdout as text (lossy) without trailing line ends.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Returns stderr as text (lossy) without trailing line ends.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Returns a field as text.
    pub fn field(&self, key: &str) -> Option<String> {
        self.fields.text(key)
    }
}

/// Structured reply fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, Vec<u8>)>);

/// Why bytes on fd 3 are not fields.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the host's reply is not in the agreed form at byte {at}")]
pub struct FieldsError {
    /// Offset of the first bad byte.
    pub at: usize,
}

impl Fields {
    /// Reads the bytes that [`PRELUDE`]'s functions wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, FieldsError> {
        use base64::Engine as _;
        let mut fields = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let bad = FieldsError { at };
            let rest = &bytes[at..];
            let end = rest.iter().position(|b| *b == b'\n').ok_or(FieldsError { at })?;
            let head = std::str::from_utf8(&rest[..end]).map_err(|_| FieldsError { at })?;
            let (key, size) = head.split_once(' ').ok_or(FieldsError { at })?;
            if let Some(coded) = size.strip_prefix('+') {
                let value = base64::engine::general_purpose::STANDARD
                    .decode(coded)
                    .map_err(|_| FieldsError { at })?;
                fields.push((key.to_owned(), value));
                at += end + 1;
                continue;
            }
            let size: usize = size.parse().map_err(|_| bad)?;
            let from = end + 1;
            let to = from.checked_add(size).ok_or(FieldsError { at })?;
            if rest.get(to) != Some(&b'\n') {
                return Err(FieldsError { at });
            }
            fields.push((key.to_owned(), rest[from..to].to_vec()));
            at += to + 1;
        }
        Ok(Self(fields))
    }

    /// Returns the last value of a key as text (lossy).
    pub fn text(&self, key: &str) -> Option<String> {
        self.bytes(key).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Returns the last value of a key.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_slice())
    }

    /// Returns all values of a key in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = String> + 'a {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// Tells whether a key came with a value that is not empty.
    pub fn is_set(&self, key: &str) -> bool {
        self.bytes(key).is_some_and(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_a_quote_and_leaves_plain_words_alone() {
        assert_eq!(join(["echo", "it's", "", "a/b=c"]), r"echo 'it'\''s' '' a/b=c");
    }

    #[test]
    fn words_are_split_as_shlex_splits_them() {
        let line = r#"a 'b c' "d \"e\" \n $f" g\ h '' x"y"z # no"#;
        let words = ["a", "b c", r#"d "e" \n $f"#, "g h", "", "xyz", "#", "no"];
        assert_eq!(split(line), Ok(words.map(str::to_owned).to_vec()));
        assert_eq!(split("echo 'a"), Err(SplitError::OpenQuote));
        assert_eq!(split("echo \\"), Err(SplitError::OpenEscape));
    }

    #[test]
    fn rendered_script_keeps_data_out_of_code() {
        let script = Script::new("rm \"$path\"").var("path", "x'; reboot; '");
        assert_eq!(
            String::from_utf8_lossy(&script.render()),
            "path='x'\\''; reboot; '\\'''\nrm \"$path\"\n"
        );
    }

    #[test]
    fn secret_is_masked_when_shown() {
        let script = Script::new(":").secret("password", "hunter22");
        assert_eq!(script.shown(), "password='********'\n:");
    }

    #[test]
    fn fields_with_newlines_and_base64_are_read_back() {
        let fields = Fields::parse(b"a 3\nx\ny\nb +aGk=\n").map(|f| f.0);
        assert_eq!(
            fields,
            Ok(vec![("a".to_owned(), b"x\ny".to_vec()), ("b".to_owned(), b"hi".to_vec())])
        );
    }

    #[test]
    fn wrong_length_is_an_error_not_a_guess() {
        assert_eq!(Fields::parse(b"a 2\nxyz\n"), Err(FieldsError { at: 0 }));
    }
}
