//! What the script brought, cut into pieces by name.

use std::collections::BTreeMap;

use crate::shell::Fields;

/// The answer of `gather.sh`.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    files: BTreeMap<String, Vec<String>>,
    marks: Vec<String>,
    fields: BTreeMap<String, String>,
    /// Local facts: path, exit status, text.
    pub(super) local: Vec<(String, i32, String)>,
}

impl Raw {
    /// Cuts the reply.
    pub(super) fn of(fields: &Fields) -> Self {
        let mut raw = Self::default();
        for (key, value) in &fields.0 {
            let value = String::from_utf8_lossy(value).into_owned();
            match key.as_str() {
                "files" => raw.take_files(&value),
                "marks" => raw.marks = value.split_whitespace().map(str::to_owned).collect(),
                "local" => raw.local.extend(local(&value)),
                _ => {
                    raw.fields.insert(key.clone(), value);
                }
            }
        }
        raw
    }

    /// Takes lines `PATH:LINE`.
    fn take_files(&mut self, text: &str) {
        for line in text.lines() {
            if let Some((path, line)) = line.split_once(':') {
                self.files.entry(path.to_owned()).or_default().push(line.to_owned());
            }
        }
    }

    /// Returns a file's lines; none when it is missing.
    pub(super) fn lines(&self, path: &str) -> &[String] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }

    /// Returns a file's first line, trimmed, when it says something.
    pub(super) fn line(&self, path: &str) -> Option<&str> {
        self.lines(path).first().map(|line| line.trim()).filter(|line| !line.is_empty())
    }

    /// Returns the files under a folder with the part of the path after it.
    pub(super) fn under<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a [String])> + 'a {
        self.files
            .iter()
            .filter_map(move |(path, lines)| Some((path.strip_prefix(folder)?, lines.as_slice())))
    }

    /// Returns `/proc/NAME`-style `Key: value` from a file.
    pub(super) fn entry(&self, path: &str, key: &str) -> Option<&str> {
        self.lines(path).iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then(|| value.trim())
        })
    }

    /// Tells whether the path was there.
    pub(super) fn has(&self, mark: &str) -> bool {
        self.marks.iter().any(|known| known == mark)
    }

    /// Returns a field of its own, empty when it did not come.
    pub(super) fn field(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }
}

/// Reads `PATH\nSTATUS\nTEXT`.
fn local(value: &str) -> Option<(String, i32, String)> {
    let (path, rest) = value.split_once('\n')?;
    let (status, text) = rest.split_once('\n')?;
    Some((path.to_owned(), status.parse().ok()?, text.to_owned()))
}
