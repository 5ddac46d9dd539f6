//! One host's variables at one moment, and everything that is evaluated against them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::Value;

use crate::engine::scene::Run;
use crate::modules::{Evaluate, as_bool};
use crate::source::Span;
use crate::template::{Templar, TemplateError, TemplateOptions};
use crate::vars::{Layer, Layers, Rank};
use crate::yaml::Node;

/// Variables and the language to ask them.
#[derive(Clone)]
pub(crate) struct View {
    templar: Templar,
    /// The layers behind the scope.
    pub(crate) layers: Arc<Layers>,
    /// The lazy mapping templates see.
    pub(crate) scope: Value,
    search: Arc<[PathBuf]>,
}

/// A keyword whose value cannot be used; the text is Ansible's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeywordError(pub(crate) String);

impl View {
    /// Makes a view of layers.
    pub(crate) fn new(run: &Run, layers: Layers, search: Arc<[PathBuf]>) -> Self {
        let layers = Arc::new(layers);
        let scope = crate::vars::scope(layers.clone(), &run.templar);
        Self { templar: run.templar.clone(), layers, scope, search }
    }

    /// Returns a view with more variables on top.
    pub(crate) fn with(&self, rank: Rank, layer: Layer) -> Self {
        let mut layers = Layers::clone(&self.layers);
        layers.push(rank, Arc::new(layer));
        let layers = Arc::new(layers);
        let scope = crate::vars::scope(layers.clone(), &self.templar);
        Self { templar: self.templar.clone(), layers, scope, search: self.search.clone() }
    }

    /// Resolves a node: templates inside rendered, types kept.
    pub(crate) fn resolve(&self, node: &Node) -> Result<Value, TemplateError> {
        self.templar.resolve(node, &self.scope)
    }

    /// Resolves a node to text.
    pub(crate) fn text(&self, node: &Node) -> Result<String, TemplateError> {
        self.resolve(node).map(|value| shown(&value))
    }

    /// Tells a condition's verdict.
    pub(crate) fn condition(&self, node: &Node) -> Result<bool, TemplateError> {
        self.templar.condition(node, &self.scope)
    }

    /// Calls a lookup (`with_*`).
    pub(crate) fn lookup(&self, name: &str, terms: Vec<Value>) -> Result<Value, TemplateError> {
        let none: Vec<(String, Value)> = Vec::new();
        self.templar.lookup(name, terms, none.into_iter().collect(), &self.scope, true)
    }

    /// Tells whether a variable is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.layers.get(name).is_some()
    }

    /// Returns a variable's value; `None` when it is not there, or none.
    pub(crate) fn variable(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        if !self.has(name) {
            return Ok(None);
        }
        let value = self.templar.expression(name, None, &self.scope)?;
        Ok(Some(value).filter(|value| !value.is_none() && !value.is_undefined()))
    }

    /// Returns the first of several variables that has a text.
    pub(crate) fn first_text(&self, names: &[&str]) -> Result<Option<String>, TemplateError> {
        for name in names {
            if let Some(value) = self.variable(name)? {
                return Ok(Some(shown(&value)));
            }
        }
        Ok(None)
    }

    /// Returns a yes/no keyword.
    pub(crate) fn flag(
        &self,
        keyword: &str,
        node: Option<&Node>,
        default: bool,
    ) -> Result<bool, KeywordError> {
        let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(default) };
        if let Some(value) = node.as_bool() {
            return Ok(value);
        }
        let value = self.keyword(keyword, node)?;
        if crate::template::is_omit(&value) || value.is_none() {
            return Ok(default);
        }
        as_bool(&value).ok_or_else(|| {
            KeywordError(format!(
                "The value '{value}' of keyword '{keyword}' is not a valid boolean."
            ))
        })
    }

    /// Returns a keyword's value.
    pub(crate) fn keyword(&self, keyword: &str, node: &Node) -> Result<Value, KeywordError> {
        self.resolve(node).map_err(|error| {
            KeywordError(format!("Error processing keyword '{keyword}': {}", error.message))
        })
    }

    /// Returns a keyword's text; `None` when it is not given, null, empty or `omit`.
    pub(crate) fn keyword_text(
        &self,
        keyword: &str,
        node: Option<&Node>,
    ) -> Result<Option<String>, KeywordError> {
        let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(None) };
        let value = self.keyword(keyword, node)?;
        if crate::template::is_omit(&value) || value.is_none() {
            return Ok(None);
        }
        Ok(Some(shown(&value)).filter(|text| !text.is_empty()))
    }

    /// Returns a keyword's number.
    pub(crate) fn keyword_number(
        &self,
        keyword: &str,
        node: Option<&Node>,
    ) -> Result<Option<f64>, KeywordError> {
        let Some(text) = self.keyword_text(keyword, node)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| {
            KeywordError(format!("The value '{text}' of keyword '{keyword}' is not a number."))
        })
    }
}

impl Evaluate for View {
    fn expression(&self, text: &str, at: Option<Span>) -> Result<Value, String> {
        self.templar.expression(text, at, &self.scope).map_err(|error| error.message)
    }

    fn condition(&self, text: &str, at: Option<Span>) -> Result<bool, String> {
        self.templar.condition_text(text, at, &self.scope).map_err(|error| error.message)
    }

    fn variable(&self, name: &str) -> Result<Option<Value>, String> {
        View::variable(self, name).map_err(|error| error.message)
    }

    fn template(
        &self,
        text: &str,
        name: &Path,
        overrides: &TemplateOptions,
        extra: &[(&str, Value)],
    ) -> Result<String, String> {
        let values = extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let view = self.with(Rank::Magic, Layer::data(values, "template"));
        let mut search: Vec<PathBuf> = name.parent().map(Path::to_owned).into_iter().collect();
        for folder in self.search.iter() {
            search.push(folder.join("templates"));
            search.push(folder.clone());
        }
        self.templar
            .file(text, name, overrides, &view.scope, &search)
            .map_err(|error| error.message)
    }
}

/// Returns a value as Ansible shows it in text: strings as they are, the rest in Python's way.
pub(crate) fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => match serde_json::to_value(value) {
            Ok(json) => python(&json),
            Err(_) => value.to_string(),
        },
    }
}

fn python(value: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Json::String(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Json::Array(items) => {
            format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| {
                    format!("{}: {}", python(&Json::from(key.as_str())), python(value))
                })
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// Returns data as a template value.
pub(crate) fn value_of(data: impl serde::Serialize) -> Value {
    Value::from(minijinja::value::Serde(data))
}
