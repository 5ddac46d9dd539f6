//! Template files, as the `template` module renders them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::{Error, ErrorKind, Value};

use super::TemplateOptions;
use super::error::{TemplateError, TemplateErrorKind, words};
use super::rewrite::{self, Dialect};
use super::templar::{Root, Templar, engine, syntax, traced};

/// Renders a template file's text.
pub(super) fn render(
    templar: &Templar,
    text: &str,
    name: &Path,
    options: &TemplateOptions,
    scope: &Value,
    search: &[PathBuf],
) -> Result<String, TemplateError> {
    let (text, options) = header(text, options).map_err(|message| {
        TemplateError::new(TemplateErrorKind::Syntax, format!("{}: {message}", name.display()))
    })?;
    let text = text.replace("\r\n", "\n");
    let mut folders = search.to_vec();
    if let Some(folder) = name.parent()
        && !folders.iter().any(|known| known == folder)
    {
        folders.push(folder.to_path_buf());
    }
    let scope = scope.downcast_object::<Root>().map_or(scope.clone(), |root| root.scope.clone());
    let root = Arc::new(Root { scope, templar: templar.clone(), search: folders.clone() });
    let work = Work { templar, name, options: &options, folders: &folders };
    let rendered = work.render(&text, false, &root).map_err(|error| {
        let mut found = words(&error);
        if found.kind == TemplateErrorKind::Undefined && super::error::inner(&error).is_none() {
            let trail = work.rewritten(&text, true);
            let cause = traced(|| work.render(&text, true, &root).map(Value::from), &trail);
            found = cause.unwrap_or(found);
        }
        // The place is in the template, not in the playbook: say it in the text.
        let line = error.line().filter(|_| found.span.is_none());
        let file = error
            .name()
            .filter(|file| !file.is_empty())
            .map_or_else(|| name.display().to_string(), str::to_owned);
        if let Some(line) = line {
            found.message = format!("{} ({file}:{line})", found.message);
        }
        found
    })?;
    Ok(if options.newline == "\n" { rendered } else { rendered.replace('\n', options.newline) })
}

struct Work<'a> {
    templar: &'a Templar,
    name: &'a Path,
    options: &'a TemplateOptions,
    folders: &'a [PathBuf],
}

impl Work<'_> {
    fn dialect(&self, trail: bool) -> Dialect {
        let mut dialect = Dialect { escapes: true, trail, ..Dialect::playbook() };
        if let Some(delimiters) = &self.options.delimiters {
            dialect.delimiters.clone_from(delimiters);
        }
        dialect
    }

    fn rewritten(&self, text: &str, trail: bool) -> String {
        rewrite::statements(text, &self.dialect(trail)).text
    }

    fn render(&self, text: &str, trail: bool, root: &Arc<Root>) -> Result<String, Error> {
        let mut environment = engine();
        environment.set_syntax(syntax(self.options)?);
        let templar = self.templar.clone();
        let folders = self.folders.to_vec();
        let dialect = self.dialect(trail);
        let missing = Arc::new(Mutex::new(None));
        let noted = missing.clone();
        environment.set_loader(move |name| {
            let own = Path::new(name).is_absolute().then(|| PathBuf::from(name));
            let tried: Vec<PathBuf> = match own {
                Some(path) => vec![path],
                None => folders.iter().map(|folder| folder.join(name)).collect(),
            };
            for path in &tried {
                if templar.files().is_file(path) {
                    let text = templar.files().read_text(path).map_err(|error| {
                        let text = format!("cannot read {}: {error}", path.display());
                        Error::new(ErrorKind::InvalidOperation, text)
                    })?;
                    return Ok(Some(rewrite::statements(&text, &dialect).text));
                }
            }
            let list: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
            let text = format!("template '{name}' was not found; searched: {}", list.join(", "));
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
            Ok(None)
        });
        let text = self.rewritten(text, trail);
        let name = self.name.display().to_string();
        let template = environment.template_from_named_str(&name, &text)?;
        template.render(Value::from_dyn_object(root.clone())).map_err(|error| {
            let missing = missing.lock().unwrap_or_else(PoisonError::into_inner).take();
            match missing {
                Some(text) if error.kind() == ErrorKind::TemplateNotFound || deep(&error) => {
                    TemplateError::runtime(text).into()
                }
                _ => error,
            }
        })
    }
}

fn deep(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(next) = source {
        if next.downcast_ref::<Error>().is_some_and(|e| e.kind() == ErrorKind::TemplateNotFound) {
            return true;
        }
        source = next.source();
    }
    false
}

/// Reads a `#jinja2: key:value, …` first line and takes it off.
fn header<'t>(
    text: &'t str,
    options: &TemplateOptions,
) -> Result<(&'t str, TemplateOptions), String> {
    let mut options = options.clone();
    let Some(rest) = text.strip_prefix("#jinja2:") else { return Ok((text, options)) };
    let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
    let mut delimiters =
        options.delimiters.clone().unwrap_or_else(|| Dialect::playbook().delimiters);
    let mut own = options.delimiters.is_some();
    for pair in line.split(',') {
        let Some((key, value)) = pair.split_once(':') else {
            return Err(format!("the #jinja2 header is not key:value at '{}'", pair.trim()));
        };
        let value = value.trim().trim_matches(['\'', '"']);
        let flag = || match value.to_ascii_lowercase().as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            _ => Err(format!("the #jinja2 header wants True or False, got '{value}'")),
        };
        let mut delimiter = |at: usize, end: bool| {
            own = true;
            let pair = &mut delimiters[at];
            value.clone_into(if end { &mut pair.1 } else { &mut pair.0 });
        };
        match key.trim() {
            "trim_blocks" => options.trim_blocks = flag()?,
            "lstrip_blocks" => options.lstrip_blocks = flag()?,
            "newline_sequence" => {
                options.newline = match value {
                    "\\r\\n" => "\r\n",
                    "\\r" => "\r",
                    _ => "\n",
                }
            }
            "block_start_string" => delimiter(0, false),
            "block_end_string" => delimiter(0, true),
            "variable_start_string" => delimiter(1, false),
            "variable_end_string" => delimiter(1, true),
            "comment_start_string" => delimiter(2, false),
            "comment_end_string" => delimiter(2, true),
            // Kept whatever it says: the file ends as it was written.
            "keep_trailing_newline" => {}
            other => return Err(format!("the #jinja2 header does not know '{other}'")),
        }
    }
    if own {
        options.delimiters = Some(delimiters);
    }
    Ok((rest, options))
}
