//! The [`Templar`]: text and nodes in, values out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use minijinja::value::{Kwargs, Object};
use minijinja::{Environment, Error, Expression, Value};

use super::error::{TemplateError, TemplateErrorKind, words};
use super::rewrite::{self, Dialect, Form, Rewritten};
use super::values::{self, finished, is_omit};
use super::{Outside, TemplateOptions};
use crate::source::{Files, Sources, Span};
use crate::yaml::{Node, NodeKind, ScalarValue, Tag};

/// Renders templates; clones share everything.
#[derive(Clone)]
pub struct Templar {
    inner: Arc<Inner>,
}

struct Inner {
    sources: Sources,
    files: Arc<dyn Files>,
    outside: Arc<dyn Outside>,
    compiled: RwLock<HashMap<Text, Arc<Compiled>>>,
}

/// Whether it is a bare expression, and the text.
type Text = (bool, Arc<str>);

/// More compiled texts than this are thrown away together: a long run with generated texts must not grow for ever.
const KEPT: usize = 20_000;

struct Compiled {
    rewritten: Rewritten,
    /// `None` for texts with statements: the engine's templates borrow their source.
    expression: Option<Expression<'static, 'static>>,
}

/// The engine with all filters, tests and functions; the same for all, since what they need comes by the context.
static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = super::library::environment();
    environment.set_syntax(syntax(&TemplateOptions::default()).unwrap_or_default());
    environment
});

impl fmt::Debug for Templar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templar").finish_non_exhaustive()
    }
}

thread_local! {
    /// Names of undefined things that were looked up, while the cause of an error is being found.
    static TRAIL: RefCell<Option<Vec<(String, TemplateError)>>> = const { RefCell::new(None) };
}

/// Notes an undefined look-up, when somebody wants to know.
pub(super) fn note(name: &str, error: impl FnOnce() -> TemplateError) {
    TRAIL.with_borrow_mut(|trail| {
        if let Some(trail) = trail {
            trail.push((name.to_owned(), error()));
        }
    });
}

/// Returns the name of the last undefined look-up, while a cause is being found.
pub(super) fn last_noted() -> Option<String> {
    TRAIL.with_borrow(|trail| trail.as_ref()?.last().map(|(name, _)| name.clone()))
}

/// The name under which a context answers with its [`Root`].
pub(super) const ROOT: &str = "\u{1}root";
/// What stands before a name to ask a scope why that name is undefined.
pub(crate) const CAUSE: &str = "\u{1}cause:";

/// What templates see: the scope, and for lookups the templar itself.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) scope: Value,
    pub(super) templar: Templar,
    /// The folders files are looked for in, nearest first; empty: as the scope says.
    pub(super) search: Vec<PathBuf>,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "omit" => Some(values::omit()),
            ROOT => Some(Value::from_dyn_object(self.clone())),
            _ => self.scope.as_object()?.get_value_by_str(key),
        }
    }
}

/// Tells whether a text holds a template.
pub fn has_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

impl Templar {
    /// Makes a templar.
    pub fn new(sources: Sources, files: Arc<dyn Files>, outside: Arc<dyn Outside>) -> Self {
        let compiled = RwLock::default();
        Self { inner: Arc::new(Inner { sources, files, outside, compiled }) }
    }

    pub(super) fn files(&self) -> &dyn Files {
        &*self.inner.files
    }

    pub(super) fn outside(&self) -> &dyn Outside {
        &*self.inner.outside
    }

    /// Returns the table of loaded texts.
    pub fn sources(&self) -> &Sources {
        &self.inner.sources
    }

    /// Returns a node's value with all templates in it resolved; keys of mappings are not templated.
    ///
    /// The result is plain data, or [`super::omit`] itself; `omit` inside of lists and mappings is taken out.
    pub fn resolve(&self, node: &Node, scope: &Value) -> Result<Value, TemplateError> {
        match node.tag {
            Some(Tag::Vault) => return self.unsealed(node),
            Some(Tag::Unsafe) => return Ok(crate::yaml::to_value(node)),
            None => {}
        }
        match &node.kind {
            NodeKind::Scalar(scalar) if scalar.value == ScalarValue::Str => {
                self.text(&scalar.raw, Some(node.span), scope)
            }
            NodeKind::Scalar(scalar) => Ok(crate::yaml::scalar_value(scalar)),
            NodeKind::Seq(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    let value = self.resolve(item, scope)?;
                    if !is_omit(&value) {
                        list.push(value);
                    }
                }
                Ok(Value::from(list))
            }
            NodeKind::Map(entries) => {
                let mut map = Vec::with_capacity(entries.len());
                for (key, item) in entries {
                    let value = self.resolve(item, scope)?;
                    if !is_omit(&value) {
                        map.push((crate::yaml::to_value(key), value));
                    }
                }
                Ok(Value::from_pairs(map))
            }
        }
    }

    /// Returns what a `!vault` value holds: text that is never templated.
    fn unsealed(&self, node: &Node) -> Result<Value, TemplateError> {
        let text = node.raw().unwrap_or_default().as_bytes();
        let plain = self.files().keyring().open(text).map_err(|error| {
            TemplateError::runtime(format!("Attempt to use undecryptable variable: {error}"))
                .or_at(Some(node.span))
        })?;
        Ok(Value::from(String::from_utf8_lossy(&plain).as_ref()))
    }

    /// Returns the value of a text: a lone `{{ expression }}` keeps its type, anything else is a string.
    pub fn text(
        &self,
        text: &str,
        at: Option<Span>,
        scope: &Value,
    ) -> Result<Value, TemplateError> {
        if !has_template(text) {
            return Ok(Value::from(text));
        }
        self.evaluate(text, false, at, scope)
    }

    /// Returns an expression's value; undefined is an error with its name.
    pub fn expression(
        &self,
        text: &str,
        at: Option<Span>,
        scope: &Value,
    ) -> Result<Value, TemplateError> {
        self.evaluate(text, true, at, scope)
    }

    /// Returns a condition's verdict; the value must be a boolean, as in ansible-core 2.19.
    pub fn condition(&self, node: &Node, scope: &Value) -> Result<bool, TemplateError> {
        let wrong = |message: &str| {
            TemplateError::new(TemplateErrorKind::NotBoolean, message).or_at(Some(node.span))
        };
        match &node.kind {
            NodeKind::Scalar(scalar) => match scalar.value {
                ScalarValue::Bool(value) => Ok(value),
                // `when:` with nothing behind it holds (observed).
                ScalarValue::Null => Ok(true),
                ScalarValue::Str => self.condition_text(&scalar.raw, Some(node.span), scope),
                ScalarValue::Int(_) | ScalarValue::Float(_) => {
                    Err(wrong("Conditional expressions must be strings."))
                }
            },
            NodeKind::Seq(items) => {
                for item in items {
                    if !self.condition(item, scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            NodeKind::Map(_) => Err(wrong("Conditional expressions must be strings.")),
        }
    }

    /// Returns a condition's verdict. Text in `{{ }}` is taken too, as 2.19 still does ([`has_template`] tells, for a warning).
    pub fn condition_text(
        &self,
        text: &str,
        at: Option<Span>,
        scope: &Value,
    ) -> Result<bool, TemplateError> {
        let text = text.trim();
        let wrapped = text.starts_with("{{") || text.starts_with("{%");
        if !wrapped {
            if text.is_empty() {
                return Ok(true);
            }
            let value = self.expression(text, at, scope)?;
            return self.verdict(&value, at);
        }
        let value = self.text(text, at, scope)?;
        if value.as_str().is_none() {
            return self.verdict(&value, at);
        }
        // A string is a condition again only when it was written as one: `when: "{{ my_condition }}"`.
        let name = text.trim_start_matches('{').trim_end_matches('}').trim();
        match crate::vars::written(scope, name) {
            Some((text, span)) if !has_template(&text) => {
                let value = self.expression(&text, Some(span), scope)?;
                self.verdict(&value, Some(span))
            }
            _ => {
                Err(TemplateError::runtime("Encountered untrusted template or expression.")
                    .or_at(at))
            }
        }
    }

    fn verdict(&self, value: &Value, at: Option<Span>) -> Result<bool, TemplateError> {
        if let Ok(verdict) = bool::try_from(value.clone())
            && value.kind() == minijinja::value::ValueKind::Bool
        {
            return Ok(verdict);
        }
        let place = at
            .and_then(|span| self.inner.sources.locate(span))
            .map_or_else(|| "<unknown>".to_owned(), |place| place.to_string());
        let truth = if value.is_true() { "True" } else { "False" };
        let kind = values::type_name(value);
        Err(TemplateError::new(
            TemplateErrorKind::NotBoolean,
            format!(
                "Conditional result ({truth}) was derived from value of type '{kind}' at '{place}'. Conditionals must have a boolean result."
            ),
        )
        .or_at(at))
    }

    /// Renders a template file's text as the `template` module does: one trailing line end is kept, a `#jinja2:` first
    /// line overrides `options`, includes and imports are looked for in `search`, then beside the template.
    pub fn file(
        &self,
        text: &str,
        name: &Path,
        options: &TemplateOptions,
        scope: &Value,
        search: &[PathBuf],
    ) -> Result<String, TemplateError> {
        super::files::render(self, text, name, options, scope, search)
    }

    /// Runs a lookup: `want_list` as `query()` does, else as `lookup()` (strings joined by commas).
    pub fn lookup(
        &self,
        name: &str,
        terms: Vec<Value>,
        kwargs: Kwargs,
        scope: &Value,
        want_list: bool,
    ) -> Result<Value, TemplateError> {
        let root = self.root(scope);
        super::lookups::run(&root, name, terms, &kwargs, want_list)
            .and_then(finished)
            .map_err(|error| words(&error))
    }

    /// Checks a text without evaluating it: syntax, and that every filter and test is there.
    pub fn check(&self, text: &str, at: Option<Span>) -> Result<(), TemplateError> {
        if !has_template(text) {
            return Ok(());
        }
        self.check_as(text, false, at)
    }

    /// Checks an expression (`when`, `until` ...) without evaluating it.
    pub fn check_expression(&self, text: &str, at: Option<Span>) -> Result<(), TemplateError> {
        if text.trim_start().starts_with("{{") {
            return self.check(text, at);
        }
        self.check_as(text, true, at)
    }

    fn check_as(
        &self,
        text: &str,
        expression: bool,
        at: Option<Span>,
    ) -> Result<(), TemplateError> {
        let compiled = self.compile(text, expression, at)?;
        if compiled.expression.is_none() {
            ENGINE
                .template_from_named_str("template", &compiled.rewritten.text)
                .map_err(|error| self.located(&error, &compiled.rewritten, text, at))?;
        }
        let known = |names: &[(String, usize)], is_known: fn(&str) -> bool, what: &str| {
            let Some((name, place)) = names.iter().find(|(name, _)| !is_known(name)) else {
                return Ok(());
            };
            let error = TemplateError::new(
                TemplateErrorKind::Syntax,
                format!("Syntax error in template: No {what} named '{name}'."),
            );
            Err(error.or_at(self.within(text, at, *place..place + name.len())).or_at(at))
        };
        known(&compiled.rewritten.filters, super::library::is_filter, "filter")?;
        known(&compiled.rewritten.tests, super::library::is_test, "test")
    }

    pub(super) fn root(&self, scope: &Value) -> Arc<Root> {
        if let Some(root) = scope.downcast_object::<Root>() {
            return root;
        }
        let search = Vec::new();
        Arc::new(Root { scope: scope.clone(), templar: self.clone(), search })
    }

    fn compile(
        &self,
        text: &str,
        expression: bool,
        at: Option<Span>,
    ) -> Result<Arc<Compiled>, TemplateError> {
        let key = (expression, Arc::<str>::from(text));
        {
            let known = self.inner.compiled.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(compiled) = known.get(&key) {
                return Ok(compiled.clone());
            }
        }
        let compiled = Arc::new(self.compile_as(text, expression, &dialect(expression), at)?);
        let mut known = self.inner.compiled.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, compiled.clone());
        Ok(compiled)
    }

    fn compile_as(
        &self,
        text: &str,
        expression: bool,
        dialect: &Dialect,
        at: Option<Span>,
    ) -> Result<Compiled, TemplateError> {
        let rewritten = if expression {
            rewrite::expression(text, dialect)
        } else {
            rewrite::template(text, dialect)
        };
        let expression = match rewritten.form {
            Form::Template => None,
            Form::Expression { .. } | Form::Joined => Some(
                ENGINE
                    .compile_expression_owned(rewritten.text.clone())
                    .map_err(|error| self.located(&error, &rewritten, text, at))?,
            ),
        };
        Ok(Compiled { rewritten, expression })
    }

    fn evaluate(
        &self,
        text: &str,
        expression: bool,
        at: Option<Span>,
        scope: &Value,
    ) -> Result<Value, TemplateError> {
        let compiled = self.compile(text, expression, at)?;
        let root = self.root(scope);
        match run(&compiled, &root) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.explained(&error, &compiled, text, expression, at, &root)),
        }
    }

    /// Turns an engine's error into ours, with a name for what is undefined.
    fn explained(
        &self,
        error: &Error,
        compiled: &Compiled,
        text: &str,
        expression: bool,
        at: Option<Span>,
        root: &Arc<Root>,
    ) -> TemplateError {
        let found = self.located(error, &compiled.rewritten, text, at);
        let unnamed = found.kind == TemplateErrorKind::Undefined
            && super::error::inner(error).is_none()
            && !found.message.contains('\'');
        if !unnamed {
            return found;
        }
        let dialect = Dialect { trail: true, ..dialect(expression) };
        let Ok(compiled) = self.compile_as(text, expression, &dialect, at) else { return found };
        match traced(|| run(&compiled, root), &compiled.rewritten.text) {
            Some(cause) => TemplateError { span: found.span, ..cause },
            None => found,
        }
    }

    /// Turns an engine's error into ours, with its place.
    fn located(
        &self,
        error: &Error,
        rewritten: &Rewritten,
        text: &str,
        at: Option<Span>,
    ) -> TemplateError {
        let inside = error.range().and_then(|range| {
            let from = rewritten.place(range.start);
            self.within(text, at, from..rewritten.place(range.end).max(from))
        });
        words(error).or_at(inside).or_at(at)
    }

    /// Returns the place of a part of a text in its file, when the file has the text as it is (one line, no escapes).
    fn within(&self, text: &str, at: Option<Span>, part: std::ops::Range<usize>) -> Option<Span> {
        let at = at?;
        let file = self.inner.sources.get(at.file)?;
        let written = file.text.get(at.start as usize..at.end as usize)?;
        let skip = written.find(text).filter(|skip| *skip <= 1)?;
        let start = at.start as usize + skip;
        (part.end <= text.len()).then(|| Span::new(at.file, start + part.start, start + part.end))
    }
}

/// Runs something that failed on undefined once more, with every look-up telling its name; returns the cause.
pub(super) fn traced(
    run: impl FnOnce() -> Result<Value, Error>,
    code: &str,
) -> Option<TemplateError> {
    let before = TRAIL.replace(Some(Vec::new()));
    let outcome = run();
    let trail = TRAIL.replace(before)?;
    let error = outcome.err()?;
    if let Some(ours) = super::error::inner(&error) {
        return Some(ours);
    }
    // The first undefined name in the part that failed, else the last one looked up.
    let part = error.range().and_then(|range| code.get(range)).unwrap_or_default();
    let named = |(name, _): &&(String, TemplateError)| part.contains(&rewrite::literal(name));
    trail.iter().find(named).or(trail.last()).map(|(_, error)| error.clone())
}

fn run(compiled: &Compiled, root: &Arc<Root>) -> Result<Value, Error> {
    let context = Value::from_dyn_object(root.clone());
    let Some(expression) = &compiled.expression else {
        let template = ENGINE.template_from_named_str("template", &compiled.rewritten.text)?;
        let mut captured = template.render_captured(context)?;
        let printed = captured.with_state_mut(super::library::printed);
        let output = captured.into_output();
        return match printed {
            // `{% if x %}{{ list }}{% endif %}`: one value and nothing else keeps its type.
            Some(value) if value.as_str().is_none() && value.to_string() == output => {
                finished(value)
            }
            _ => Ok(Value::from(output)),
        };
    };
    let value = finished(expression.eval(context)?)?;
    match (compiled.rewritten.form, value.as_str()) {
        (Form::Expression { newline: true }, Some(text)) => Ok(Value::from(format!("{text}\n"))),
        _ => Ok(value),
    }
}

/// Returns the engine's settings for a template's options.
pub(super) fn syntax(options: &TemplateOptions) -> Result<minijinja::syntax::SyntaxConfig, Error> {
    let mut builder = minijinja::syntax::SyntaxConfig::builder();
    builder
        .trim_blocks(options.trim_blocks)
        .lstrip_blocks(options.lstrip_blocks)
        .keep_trailing_newline(true);
    if let Some([block, variable, comment]) = &options.delimiters {
        builder
            .block_delimiters(block.0.clone(), block.1.clone())
            .variable_delimiters(variable.0.clone(), variable.1.clone())
            .comment_delimiters(comment.0.clone(), comment.1.clone());
    }
    builder.build()
}

/// Returns a copy of the engine with other settings (template files).
pub(super) fn engine() -> Environment<'static> {
    ENGINE.clone()
}
/// Returns how a playbook's text is read: backslashes are escapes in bare expressions (`when`), and text inside of `{{ }}`.
fn dialect(expression: bool) -> Dialect {
    Dialect { escapes: expression, ..Dialect::playbook() }
}
