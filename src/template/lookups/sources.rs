//! Lookups that read something: files, variables, the environment, commands.

use std::path::{Path, PathBuf};

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::super::TemplateOptions;
use super::super::filters::{items, pairs, pattern};
use super::super::library::as_text;
use super::{Call, failed};

impl Call<'_> {
    pub(super) fn env(&self) -> Result<Vec<Value>, Error> {
        let other = self.kwargs.get::<Option<Value>>("default")?;
        let one = |name: String| {
            let name = name.split_whitespace().next().unwrap_or_default();
            match (self.root.templar.outside().env(name), &other) {
                (Some(value), _) => Value::from(value),
                (None, Some(other)) => other.clone(),
                (None, None) => Value::from(""),
            }
        };
        Ok(self.texts()?.into_iter().map(one).collect())
    }

    pub(super) fn file(&self) -> Result<Vec<Value>, Error> {
        let right = self.kwargs.get::<Option<bool>>("rstrip")?.unwrap_or(true);
        let left = self.kwargs.get::<Option<bool>>("lstrip")?.unwrap_or(false);
        let mut out = Vec::new();
        for name in self.texts()? {
            let (_, text) = self.read("files", &name)?;
            let text = if right { text.trim_end() } else { &text };
            out.push(Value::from(if left { text.trim_start() } else { text }));
        }
        Ok(out)
    }

    /// Files are opened wherever they are read; this one keeps their last line's end.
    pub(super) fn unvault(&self) -> Result<Vec<Value>, Error> {
        let one = |name: &String| self.read("files", name).map(|(_, text)| Value::from(text));
        self.texts()?.iter().map(one).collect()
    }

    pub(super) fn template(&self) -> Result<Vec<Value>, Error> {
        let mut options = TemplateOptions::default();
        options.trim_blocks =
            self.kwargs.get::<Option<bool>>("trim_blocks")?.unwrap_or(options.trim_blocks);
        options.lstrip_blocks =
            self.kwargs.get::<Option<bool>>("lstrip_blocks")?.unwrap_or(options.lstrip_blocks);
        let start = self.option("variable_start_string")?;
        let end = self.option("variable_end_string")?;
        if start.is_some() || end.is_some() {
            let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
            let variable =
                (start.unwrap_or_else(|| "{{".to_owned()), end.unwrap_or_else(|| "}}".to_owned()));
            options.delimiters = Some([pair("{%", "%}"), variable, pair("{#", "#}")]);
        }
        let scope = match self.kwargs.get::<Option<Value>>("template_vars")? {
            Some(own) => Value::from_object(Over { own, below: self.root.scope.clone() }),
            None => self.root.scope.clone(),
        };
        let mut out = Vec::new();
        for name in self.texts()? {
            let (path, text) = self.read("templates", &name)?;
            let folders: Vec<PathBuf> = self
                .folders()
                .iter()
                .flat_map(|folder| [folder.join("templates"), folder.clone()])
                .collect();
            let text = self.root.templar.file(&text, &path, &options, &scope, &folders)?;
            out.push(Value::from(text));
        }
        Ok(out)
    }

    pub(super) fn vars(&self) -> Result<Vec<Value>, Error> {
        let other = self.kwargs.get::<Option<Value>>("default")?;
        let mut out = Vec::new();
        for name in self.texts()? {
            let found = self.root.scope.get_attr(&name)?;
            if found.kind() == ValueKind::Invalid {
                items(&Value::from(vec![found.clone()]))?;
            }
            out.push(match (found.is_undefined(), &other) {
                (false, _) => found,
                (true, Some(other)) => other.clone(),
                (true, None) => {
                    let text = format!("No variable named '{name}' was found.");
                    return Err(Error::new(ErrorKind::InvalidOperation, text));
                }
            });
        }
        Ok(out)
    }

    pub(super) fn varnames(&self) -> Result<Vec<Value>, Error> {
        let names: Vec<Value> = self.root.scope.try_iter()?.collect();
        let mut out = Vec::new();
        for regex in self.texts()? {
            let regex = pattern(&regex, false, false, "")?;
            for name in &names {
                if name.as_str().is_some_and(|name| regex.is_match(name).unwrap_or(false)) {
                    out.push(name.clone());
                }
            }
        }
        Ok(out)
    }

    fn output(&self, command: &str) -> Result<String, Error> {
        let folder = self.folders().into_iter().next().unwrap_or_else(|| PathBuf::from("."));
        self.root.templar.outside().pipe(command, &folder).map_err(|error| failed(self.name, error))
    }

    pub(super) fn pipe(&self) -> Result<Vec<Value>, Error> {
        let one = |command: String| Ok(Value::from(self.output(&command)?.trim_end()));
        self.texts()?.into_iter().map(one).collect()
    }

    pub(super) fn lines(&self) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        for command in self.texts()? {
            out.extend(self.output(&command)?.lines().map(Value::from));
        }
        Ok(out)
    }

    pub(super) fn password(&self) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        for term in self.texts()? {
            let (name, options) =
                self.with_options(&term, &["length", "chars", "encrypt", "seed", "ident"])?;
            let option = |name: &str| {
                options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            };
            if option("encrypt").is_some() {
                return Err(failed(
                    "password",
                    "matron does not make crypt(3) hashes yet (encrypt=)",
                ));
            }
            let length: usize = option("length")
                .unwrap_or("20")
                .parse()
                .map_err(|_| failed("password", "length must be a number"))?;
            let path = if Path::new(&name).is_absolute() {
                PathBuf::from(&name)
            } else {
                self.folders().last().cloned().unwrap_or_default().join(&name)
            };
            let keep = name != "/dev/null";
            if keep && self.root.templar.files().is_file(&path) {
                let text = self.root.templar.files().read_text(&path).map_err(|error| {
                    failed("password", format_args!("cannot read {}: {error}", path.display()))
                })?;
                let line = text.lines().next().unwrap_or_default();
                out.push(Value::from(line.split(" salt=").next().unwrap_or(line)));
                continue;
            }
            let alphabet = alphabet(option("chars").unwrap_or("ascii_letters,digits,.,:-_"));
            let password = self.drawn(&alphabet, length, option("seed"))?;
            if keep {
                self.root.templar.outside().keep(&path, &format!("{password}\n")).map_err(
                    |error| {
                        failed("password", format_args!("cannot write {}: {error}", path.display()))
                    },
                )?;
            }
            out.push(Value::from(password));
        }
        Ok(out)
    }

    fn drawn(&self, alphabet: &[char], length: usize, seed: Option<&str>) -> Result<String, Error> {
        let count = u64::try_from(alphabet.len()).unwrap_or(u64::MAX);
        if count == 0 {
            return Err(failed("password", "chars names no characters"));
        }
        let mut seeded = seed.map(super::super::twister::Twister::of_text);
        let mut text = String::new();
        for _ in 0..length {
            let at = if let Some(twister) = &mut seeded {
                twister.below(count)
            } else {
                let mut bytes = [0; 8];
                self.root.templar.outside().random(&mut bytes);
                u64::from_le_bytes(bytes) % count
            };
            text.extend(usize::try_from(at).ok().and_then(|at| alphabet.get(at)));
        }
        Ok(text)
    }

    pub(super) fn first_found(&self) -> Result<Vec<Value>, Error> {
        let mut skip = self.kwargs.get::<Option<bool>>("skip")?.unwrap_or(false);
        let mut candidates = Vec::new();
        let crossed = |files: Vec<String>, paths: Vec<String>| -> Vec<String> {
            if paths.is_empty() {
                return files;
            }
            let join = |path: &String| {
                files
                    .iter()
                    .map(|file| Path::new(path).join(file).display().to_string())
                    .collect::<Vec<_>>()
            };
            paths.iter().flat_map(join).collect()
        };
        let files = Self::listed(self.kwargs.get::<Option<Value>>("files")?.as_ref())?;
        let paths = Self::listed(self.kwargs.get::<Option<Value>>("paths")?.as_ref())?;
        candidates.extend(crossed(files, paths.clone()));
        for term in self.one_flat()? {
            if term.kind() == ValueKind::Map {
                let option = |name: &str| term.get_attr(name);
                skip |= option("skip")?.is_true();
                candidates.extend(crossed(
                    Self::listed(Some(&option("files")?))?,
                    Self::listed(Some(&option("paths")?))?,
                ));
            } else {
                candidates.extend(crossed(vec![as_text(&term)?], paths.clone()));
            }
        }
        let found = candidates.iter().find_map(|name| {
            let home = name.strip_prefix("~/").and_then(|rest| {
                Some(format!("{}/{rest}", self.root.templar.outside().env("HOME")?))
            });
            let name = home.as_deref().unwrap_or(name);
            ["files", "templates", "vars", "tasks"].iter().find_map(|kind| self.find(kind, name))
        });
        match found {
            Some(path) => Ok(vec![Value::from(path.display().to_string())]),
            None if skip => Ok(Vec::new()),
            None => {
                let text = format!(
                    "No file was found when using first_found. Tried: {}",
                    candidates.join(", ")
                );
                Err(Error::new(ErrorKind::InvalidOperation, text))
            }
        }
    }

    pub(super) fn fileglob(&self) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        for pattern in self.texts()? {
            let patterns = if Path::new(&pattern).is_absolute() {
                vec![PathBuf::from(&pattern)]
            } else {
                self.folders()
                    .iter()
                    .flat_map(|folder| [folder.join("files").join(&pattern), folder.join(&pattern)])
                    .collect()
            };
            for pattern in patterns {
                let found = self.root.templar.outside().glob(&pattern.display().to_string());
                let files =
                    found.into_iter().filter(|path| self.root.templar.files().is_file(path));
                let before = out.len();
                out.extend(files.map(|path| Value::from(path.display().to_string())));
                if out.len() > before {
                    break;
                }
            }
        }
        Ok(out)
    }

    pub(super) fn ini(&self) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        for term in self.texts()? {
            let names = [
                "section",
                "file",
                "re",
                "default",
                "type",
                "encoding",
                "case_sensitive",
                "allow_no_value",
            ];
            let (key, options) = self.with_options(&term, &names)?;
            let option = |name: &str| {
                options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            };
            let (_, text) = self.read("files", option("file").unwrap_or("ansible.ini"))?;
            let section = if option("type") == Some("properties") {
                ""
            } else {
                option("section").unwrap_or("global")
            };
            let by_pattern = option("re").is_some_and(|re| re.eq_ignore_ascii_case("true"));
            let entries = ini_entries(&text, section);
            if by_pattern {
                let regex = pattern(&key, true, false, "")?;
                let fits = |(name, _): &&(String, String)| regex.is_match(name).unwrap_or(false);
                out.extend(
                    entries.iter().filter(fits).map(|(_, value)| Value::from(value.as_str())),
                );
                continue;
            }
            let found = entries.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(&key));
            out.push(Value::from(match found {
                Some((_, value)) => value.as_str(),
                None => option("default").unwrap_or_default(),
            }));
        }
        Ok(out)
    }

    pub(super) fn csvfile(&self) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        for term in self.texts()? {
            let (key, options) = self.with_options(
                &term,
                &["file", "delimiter", "col", "default", "encoding", "keycol"],
            )?;
            let option = |name: &str| {
                options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            };
            let (_, text) = self.read("files", option("file").unwrap_or("ansible.csv"))?;
            let delimiter = match option("delimiter").unwrap_or("TAB") {
                "TAB" | "\\t" => '\t',
                other => other.chars().next().unwrap_or('\t'),
            };
            let column = |name: &str, other: usize| option(name).map_or(Ok(other), str::parse);
            let wrong = |_| failed("csvfile", "col and keycol must be numbers");
            let (column, key_column) =
                (column("col", 1).map_err(wrong)?, column("keycol", 0).map_err(wrong)?);
            let row = csv_rows(&text, delimiter)
                .into_iter()
                .find(|row| row.get(key_column) == Some(&key));
            match (row.and_then(|row| row.get(column).cloned()), option("default")) {
                (Some(cell), _) => out.push(Value::from(cell)),
                (None, Some(other)) => out.push(Value::from(other)),
                (None, None) => {}
            }
        }
        Ok(out)
    }
}

/// Variables of a lookup over those of its template.
#[derive(Debug)]
struct Over {
    own: Value,
    below: Value,
}

impl minijinja::value::Object for Over {
    fn get_value(self: &std::sync::Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &std::sync::Arc<Self>, key: &str) -> Option<Value> {
        let own = self.own.as_object().and_then(|own| own.get_value_by_str(key));
        own.or_else(|| self.below.as_object()?.get_value_by_str(key))
    }

    fn enumerate(self: &std::sync::Arc<Self>) -> minijinja::value::Enumerator {
        let mut names: Vec<Value> =
            self.below.try_iter().map(Iterator::collect).unwrap_or_default();
        names.extend(pairs(&self.own).unwrap_or_default().into_iter().map(|(name, _)| name));
        minijinja::value::Enumerator::Values(names)
    }
}

/// Reads `chars=`: names of Python's `string` module and characters, parted by commas; `,,` is a comma.
fn alphabet(text: &str) -> Vec<char> {
    let mut out = String::new();
    let text = if text.contains(",,") {
        out.push(',');
        text.replace(",,", ",")
    } else {
        text.to_owned()
    };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let lower = "abcdefghijklmnopqrstuvwxyz";
        let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        match part {
            "ascii_letters" => out.extend([lower, upper]),
            "ascii_lowercase" => out.push_str(lower),
            "ascii_uppercase" => out.push_str(upper),
            "digits" => out.push_str("0123456789"),
            "hexdigits" => out.push_str("0123456789abcdefABCDEF"),
            "octdigits" => out.push_str("01234567"),
            "punctuation" => out.push_str("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
            other => out.push_str(other),
        }
    }
    let mut seen = Vec::new();
    for c in out.chars() {
        if !seen.contains(&c) {
            seen.push(c);
        }
    }
    seen
}

fn ini_entries(text: &str, wanted: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut out: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.trim().strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        if section != wanted {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = out.last_mut()
        {
            value.push('\n');
            value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        out.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    out
}

fn csv_rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    let push = |row: &mut Vec<String>, c: char| {
        if let Some(cell) = row.last_mut() {
            cell.push(c);
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut row, '"');
            }
            '"' => quoted = !quoted,
            c if c == delimiter && !quoted => row.push(String::new()),
            '\r' if !quoted => {}
            '\n' if !quoted => rows.push(std::mem::replace(&mut row, vec![String::new()])),
            c => push(&mut row, c),
        }
    }
    if row.len() > 1 || row.first().is_some_and(|cell| !cell.is_empty()) {
        rows.push(row);
    }
    rows
}
