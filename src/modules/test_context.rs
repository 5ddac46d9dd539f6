//! A stand-in for the engine, for tests of modules that never reach a host.

use std::path::{Path, PathBuf};

use minijinja::Value;

use crate::modules::{
    Action, ArgError, Args, Evaluate, Mode, Module, ProjectFiles, Step, TaskContext,
};
use crate::outcome::Outcome;
use crate::source::Span;
use crate::template::TemplateOptions;

/// A context with plain variables, files by name, and minijinja's own expressions.
#[derive(Clone, Debug, Default)]
pub(super) struct Fake {
    variables: Vec<(String, Value)>,
    files: Vec<(String, String)>,
}

impl Fake {
    /// Adds a variable.
    pub(super) fn variable(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a project file.
    pub(super) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Parses arguments in this context.
    pub(super) fn parse(
        &self,
        module: &dyn Module,
        args: &mut Args,
    ) -> Result<Box<dyn Action>, ArgError> {
        module.parse(
            args,
            &TaskContext {
                host: "db1",
                mode: Mode::default(),
                vars: self,
                files: self,
                environment: &[],
                user: "root",
                timeout: None,
                verbosity: 0,
            },
        )
    }

    fn context(&self) -> Value {
        Value::from_pairs(self.variables.iter().map(|(name, value)| (name.clone(), value.clone())))
    }
}

/// Parses and begins an action that must be done at once.
pub(super) fn finish(
    module: &dyn Module,
    args: &mut Args,
    fake: &Fake,
) -> Result<Outcome, ArgError> {
    match fake.parse(module, args)?.begin(Mode::default()) {
        Step::Done(outcome) => Ok(outcome),
        other => panic!("not done at once: {other:?}"),
    }
}

impl Evaluate for Fake {
    fn expression(&self, text: &str, _at: Option<Span>) -> Result<Value, String> {
        let environment = minijinja::Environment::new();
        let expression = environment.compile_expression(text).map_err(|e| e.to_string())?;
        let value = expression.eval(self.context()).map_err(|e| e.to_string())?;
        if value.is_undefined() { Err(format!("'{text}' is undefined")) } else { Ok(value) }
    }

    fn condition(&self, text: &str, at: Option<Span>) -> Result<bool, String> {
        self.expression(text, at).map(|value| value.is_true())
    }

    fn variable(&self, name: &str) -> Result<Option<Value>, String> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        Ok(found.map(|(_, value)| value.clone()))
    }

    fn template(
        &self,
        text: &str,
        _name: &Path,
        _overrides: &TemplateOptions,
        _extra: &[(&str, Value)],
    ) -> Result<String, String> {
        let environment = minijinja::Environment::new();
        environment.render_str(text, self.context()).map_err(|e| e.to_string())
    }
}

impl ProjectFiles for Fake {
    fn find(&self, _subfolder: &str, name: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let known = self.files.iter().any(|(file, _)| file == name);
        if known { Ok(PathBuf::from(name)) } else { Err(vec![PathBuf::from(name)]) }
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let found = self.files.iter().find(|(file, _)| Path::new(file) == path);
        found
            .map(|(_, text)| text.clone().into_bytes())
            .ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn is_dir(&self, _path: &Path) -> bool {
        false
    }

    fn list(&self, _path: &Path) -> std::io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn mode(&self, _path: &Path) -> Option<u32> {
        None
    }
}
