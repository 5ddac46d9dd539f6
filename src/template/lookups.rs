//! `lookup()` and `query()`: what a template may fetch from the controller.

mod shapes;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::filters::items;
use super::library::{Shelf, as_text};
use super::templar::{ROOT, Root};
use super::values::{defined, finished};

/// Adds the functions.
pub(super) fn add(shelf: &mut Shelf) {
    shelf.function(
        "lookup",
        |state: &mut State<'_, '_>, name: &str, args: &[Value], kwargs: Kwargs| {
            let wanted = kwargs.get::<Option<bool>>("wantlist")?.unwrap_or(false);
            run(&root(state)?, name, args.to_vec(), &kwargs, wanted)
        },
    );
    for name in ["query", "q"] {
        shelf.function(
            name,
            |state: &mut State<'_, '_>, name: &str, args: &[Value], kwargs: Kwargs| {
                run(&root(state)?, name, args.to_vec(), &kwargs, true)
            },
        );
    }
    shelf.function("undef", |hint: Option<&str>, kwargs: Kwargs| -> Result<Value, Error> {
        let hint =
            hint.or(kwargs.get("hint")?).unwrap_or("Mandatory variable has not been overridden");
        Err(super::TemplateError::new(super::TemplateErrorKind::Undefined, hint).into())
    });
}

/// Returns what the template that runs was given.
pub(super) fn root(state: &State<'_, '_>) -> Result<Arc<Root>, Error> {
    state.lookup(ROOT).and_then(|root| root.downcast_object::<Root>()).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            "this cannot be used here: the template has no surroundings",
        )
    })
}

/// Makes a lookup's error in Ansible's words.
pub(super) fn failed(lookup: &str, message: impl std::fmt::Display) -> Error {
    let text = format!("The lookup plugin '{lookup}' failed: {message}");
    Error::new(ErrorKind::InvalidOperation, text)
}

/// Reads a list of folders.
pub(super) fn paths(paths: &Value) -> Vec<PathBuf> {
    let read = |paths: minijinja::value::ValueIter| {
        paths.filter_map(|path| path.as_str().map(PathBuf::from)).collect()
    };
    paths.try_iter().map(read).unwrap_or_default()
}

/// One call of a lookup.
pub(super) struct Call<'a> {
    root: &'a Arc<Root>,
    name: &'a str,
    terms: Vec<Value>,
    kwargs: &'a Kwargs,
}

/// Runs a lookup.
pub(super) fn run(
    root: &Arc<Root>,
    name: &str,
    terms: Vec<Value>,
    kwargs: &Kwargs,
    want_list: bool,
) -> Result<Value, Error> {
    let name = name
        .strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .unwrap_or(name);
    let errors = kwargs.get::<Option<&str>>("errors")?.unwrap_or("strict");
    let terms: Vec<Value> = terms
        .into_iter()
        .map(|term| defined(&term).cloned().and_then(finished))
        .collect::<Result<_, _>>()?;
    let call = Call { root, name, terms, kwargs };
    let found = match call.run() {
        Ok(found) => found,
        Err(_) if errors == "ignore" || errors == "warn" => {
            return Ok(if want_list { Value::from(Vec::<Value>::new()) } else { Value::from(()) });
        }
        Err(error) => return Err(error),
    };
    if want_list {
        return Ok(Value::from(found));
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        many if !many.is_empty() && many.iter().all(|value| value.kind() == ValueKind::String) => {
            let texts: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
            Ok(Value::from(texts.join(",")))
        }
        _ => Ok(Value::from(found)),
    }
}

impl Call<'_> {
    fn run(&self) -> Result<Vec<Value>, Error> {
        match self.name {
            "items" => self.one_flat(),
            "list" => Ok(self.terms.clone()),
            "flattened" => self.all_flat(),
            "dict" => self.dict(),
            "together" => self.together(),
            "nested" | "cartesian" => self.nested(),
            "subelements" => self.subelements(),
            "indexed_items" => self.indexed_items(),
            "sequence" => self.sequence(),
            "random_choice" => Ok(self.random_choice()),
            "inventory_hostnames" => self.inventory_hostnames(),
            "env" => self.env(),
            "file" => self.file(),
            "template" => self.template(),
            "vars" => self.vars(),
            "varnames" => self.varnames(),
            "pipe" => self.pipe(),
            "lines" => self.lines(),
            "password" => self.password(),
            "first_found" => self.first_found(),
            "fileglob" => self.fileglob(),
            "ini" => self.ini(),
            "csvfile" => self.csvfile(),
            "unvault" => self.unvault(),
            "url" => Err(failed(
                "url",
                "matron's controller fetches nothing; fetch it on a host, by command",
            )),
            "config" => Err(failed("config", "matron has no ansible.cfg settings to look up")),
            _ => {
                let text = format!("The lookup plugin '{}' was not found.", self.name);
                Err(Error::new(ErrorKind::InvalidOperation, text))
            }
        }
    }

    /// Returns a term as text.
    fn texts(&self) -> Result<Vec<String>, Error> {
        self.terms.iter().map(as_text).collect()
    }

    fn option(&self, name: &str) -> Result<Option<String>, Error> {
        self.kwargs
            .get::<Option<Value>>(name)?
            .filter(|value| !value.is_none())
            .map(|value| as_text(&value))
            .transpose()
    }

    /// Returns the folders to look in, nearest first.
    fn folders(&self) -> Vec<PathBuf> {
        if !self.root.search.is_empty() {
            return self.root.search.clone();
        }
        let value = |name: &str| self.root.scope.as_object()?.get_value_by_str(name);
        if let Some(folders) = value(super::SEARCH_PATH) {
            return paths(&folders);
        }
        let folder = |name: &str| value(name)?.as_str().map(PathBuf::from);
        ["role_path", "playbook_dir"].into_iter().filter_map(folder).collect()
    }

    /// Finds a file as Ansible does: in `kind/` of each folder, then in the folder.
    fn find(&self, kind: &str, name: &str) -> Option<PathBuf> {
        let files = self.root.templar.files();
        let path = Path::new(name);
        if path.is_absolute() {
            return files.is_file(path).then(|| path.to_path_buf());
        }
        self.folders()
            .iter()
            .flat_map(|folder| [folder.join(kind).join(name), folder.join(name)])
            .find(|path| files.is_file(path))
    }

    fn missing(&self, name: &str) -> Error {
        let folders = self.folders();
        let searched: Vec<String> =
            folders.iter().map(|folder| folder.display().to_string()).collect();
        let searched = if searched.is_empty() {
            String::new()
        } else {
            format!(" Searched in: {}", searched.join(", "))
        };
        failed(
            self.name,
            format_args!("Unable to access the file '{name}': File not found.{searched}"),
        )
    }

    fn read(&self, kind: &str, name: &str) -> Result<(PathBuf, String), Error> {
        let path = self.find(kind, name).ok_or_else(|| self.missing(name))?;
        let text = self.root.templar.files().read_text(&path).map_err(|error| {
            failed(self.name, format_args!("Unable to access the file '{name}': {error}"))
        })?;
        Ok((path, text))
    }

    /// Splits a term `word key=value …` into the word and the options; keyword arguments win.
    fn with_options(
        &self,
        term: &str,
        names: &[&str],
    ) -> Result<(String, Vec<(String, String)>), Error> {
        let mut words = Vec::new();
        let mut options = Vec::new();
        for word in term.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) if names.contains(&name) => {
                    options.push((name.to_owned(), value.trim_matches(['"', '\'']).to_owned()));
                }
                _ => words.push(word),
            }
        }
        for name in names {
            if let Some(value) = self.option(name)? {
                options.retain(|(known, _)| known != name);
                options.push(((*name).to_owned(), value));
            }
        }
        Ok((words.join(" "), options))
    }

    /// Returns the terms with lists among them opened, one level deep.
    fn one_flat(&self) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        for term in &self.terms {
            if matches!(term.kind(), ValueKind::Seq | ValueKind::Iterable) {
                out.extend(items(term)?);
            } else {
                out.push(term.clone());
            }
        }
        Ok(out)
    }
}
