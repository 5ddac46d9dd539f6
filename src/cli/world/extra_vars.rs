//! `-e`: variables from the command line, in all the forms Ansible takes.

use std::path::Path;
use std::sync::Arc;

use crate::cli::failure::{Failure, Kind, without_number};
use crate::playbook;
use crate::source::{Diagnostic, Diagnostics, Files, Sources};
use crate::vars::{Layer, Origin, Variable};

/// Why an `-e` could not be read.
pub(super) enum ExtraVarsError {
    Text(String),
    Yaml(Diagnostics),
}

impl ExtraVarsError {
    pub(super) fn into_failure(self, sources: &Sources, colour: bool) -> Failure {
        match self {
            Self::Text(text) => Failure::general(text),
            Self::Yaml(found) => Failure::of_diagnostics(Kind::General, &found, sources, colour),
        }
    }
}

/// Reads one `-e`: `@FILE`, a JSON or YAML mapping, or `NAME=VALUE` pairs.
pub(super) fn extra_vars(
    text: &str,
    files: &dyn Files,
    sources: &Sources,
    into: &mut Layer,
) -> Result<(), ExtraVarsError> {
    let (name, yaml) = if let Some(path) = text.strip_prefix('@') {
        let content = files.read_text(Path::new(path)).map_err(|error| {
            ExtraVarsError::Text(format!(
                "-e @{path}: cannot read {path}: {}",
                without_number(&error.to_string())
            ))
        })?;
        (path.to_owned(), content)
    } else if text.trim_start().starts_with(['{', '[', '-']) {
        ("-e".to_owned(), text.to_owned())
    } else {
        return pairs(text, sources, into);
    };
    let file = sources.add(name.clone(), yaml);
    let node =
        crate::yaml::parse_one(sources, file).map_err(|one| ExtraVarsError::Yaml(one.into()))?;
    if node.is_null() {
        return Ok(());
    }
    let Some(entries) = node.as_map() else {
        let wrong = Diagnostic::error(format!(
            "extra variables must be a mapping, these are a {}",
            node.type_name()
        ));
        return Err(ExtraVarsError::Yaml(
            wrong.at(node.span, "").hint("write them as NAME: VALUE").into(),
        ));
    };
    into.values.extend(Layer::written(entries, "extra vars (-e)").values);
    Ok(())
}

fn pairs(text: &str, sources: &Sources, into: &mut Layer) -> Result<(), ExtraVarsError> {
    let (pairs, rest) = playbook::key_value::split(text)
        .map_err(|error| ExtraVarsError::Text(format!("cannot read -e '{text}': {error}")))?;
    if pairs.is_empty() || rest.as_deref().is_some_and(|rest| !rest.trim().is_empty()) {
        return Err(ExtraVarsError::Text(format!(
            "-e '{text}' is not NAME=VALUE, a mapping in JSON or YAML, or @FILE"
        )));
    }
    let file = sources.add("-e", text);
    for (name, value) in pairs {
        let span = crate::source::Span::new(file, 0, text.len());
        let origin = Origin { what: Arc::from("extra vars (-e)"), span: Some(span) };
        let node = crate::yaml::Node::string(&value, span);
        into.values.insert(Arc::from(name), (Variable::Written(node), origin));
    }
    Ok(())
}
