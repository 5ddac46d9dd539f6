//! One host's and task's view of its variables: a mapping that works itself out when looked at.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, Value};

use super::{Layers, Variable};
use crate::source::Span;
use crate::template::{
    CAUSE, Lazy, Templar, TemplateError, TemplateErrorKind, has_template, is_omit,
};
use crate::yaml::{Node, NodeKind, ScalarValue, Tag};

/// Returns a lazy mapping of all variables: written ones are templated on first use, with the mapping itself as context,
/// and kept; data is given as it is. `vars` answers with the mapping itself unless a layer has that name.
///
/// A variable whose template uses something undefined is itself undefined, so that `is defined` and `default` work on it;
/// its other errors are raised where it is used. Values of lists and mappings are lazy too.
pub fn scope(layers: Arc<Layers>, templar: &Templar) -> Value {
    Value::from_object(Scope {
        layers,
        templar: templar.clone(),
        known: Mutex::default(),
        under_way: Mutex::default(),
    })
}

/// See [`scope`].
struct Scope {
    layers: Arc<Layers>,
    templar: Templar,
    known: Mutex<HashMap<Arc<str>, Answer>>,
    /// Names that are being worked out, outermost first.
    under_way: Mutex<Vec<Arc<str>>>,
}

/// What became of a look-up.
#[derive(Clone)]
enum Answer {
    Value(Value),
    /// Undefined, because of something else.
    Undefined(TemplateError),
    Failed(TemplateError),
}

impl Answer {
    fn into_option(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Undefined(_) => None,
            Self::Failed(error) => Some(Value::from(Error::from(error))),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Scope {
    // Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<variables>")
    }
}

impl Scope {
    fn answer(self: &Arc<Self>, name: &str) -> Option<Answer> {
        if let Some(known) = lock(&self.known).get(name) {
            return Some(known.clone());
        }
        let variables = self.layers.counting(name);
        let (winner, others) = variables.split_first()?;
        if let (Variable::Data(value), []) = (winner, others) {
            return Some(Answer::Value(value.clone()));
        }
        let name: Arc<str> = Arc::from(name);
        let mut answer = self.answer_of(&name, winner);
        for lower in others {
            // What is no mapping replaces what is below it, and is replaced.
            if !is_mapping(&answer) {
                break;
            }
            let below = self.answer_of(&name, lower);
            match (&answer, &below) {
                (Answer::Value(high), Answer::Value(low)) if is_mapping(&below) => {
                    answer = Answer::Value(merged(low, high));
                }
                _ => break,
            }
        }
        lock(&self.known).insert(name, answer.clone());
        Some(answer)
    }

    fn answer_of(self: &Arc<Self>, name: &Arc<str>, variable: &Variable) -> Answer {
        match variable {
            Variable::Data(value) => Answer::Value(value.clone()),
            Variable::Written(node) => self.work_out(name, node),
        }
    }

    /// Works out a node of the variable (or part of one) that `path` names.
    fn work_out(self: &Arc<Self>, path: &Arc<str>, node: &Node) -> Answer {
        {
            let mut under_way = lock(&self.under_way);
            if let Some(first) = under_way.iter().position(|known| known == path) {
                let chain: Vec<&str> = under_way.iter().skip(first).map(|name| &**name).collect();
                let message = format!(
                    "recursive loop detected in template: {} -> {path}",
                    chain.join(" -> ")
                );
                let error = TemplateError::new(TemplateErrorKind::Recursion, message);
                return Answer::Failed(error.or_at(Some(node.span)));
            }
            under_way.push(path.clone());
        }
        let answer = self.value_of(path, node);
        lock(&self.under_way).pop();
        answer
    }

    fn value_of(self: &Arc<Self>, path: &Arc<str>, node: &Node) -> Answer {
        if !is_templated(node) {
            return Answer::Value(crate::yaml::to_value(node));
        }
        if node.tag.is_none() && node.as_scalar().is_none() {
            let scope = Arc::downgrade(self);
            let part =
                Part { scope, path: path.clone(), node: node.clone(), known: Mutex::default() };
            return Answer::Value(Value::from_object(part));
        }
        let scope = Value::from_dyn_object(self.clone());
        match self.templar.resolve(node, &scope) {
            Ok(value) => Answer::Value(value),
            Err(error) if error.kind == TemplateErrorKind::Undefined => Answer::Undefined(error),
            Err(error) => Answer::Failed(error),
        }
    }
}

fn is_mapping(answer: &Answer) -> bool {
    matches!(answer, Answer::Value(value) if value.kind() == minijinja::value::ValueKind::Map)
}

/// Lays one mapping over another, mappings inside as well.
fn merged(low: &Value, high: &Value) -> Value {
    let mut out: IndexMap<Value, Value> = IndexMap::new();
    for mapping in [low, high] {
        for key in mapping.try_iter().into_iter().flatten() {
            let value = mapping.get_item(&key).unwrap_or_default();
            let both = |known: &Value| {
                [known, &value].iter().all(|value| value.kind() == minijinja::value::ValueKind::Map)
            };
            let value = match out.get(&key) {
                Some(known) if both(known) => merged(known, &value),
                Some(_) | None => value,
            };
            out.insert(key, value);
        }
    }
    Value::from_pairs(out)
}

/// Tells whether anything in a node must be worked out.
fn is_templated(node: &Node) -> bool {
    match node.tag {
        Some(Tag::Vault) => return true,
        Some(Tag::Unsafe) => return false,
        None => {}
    }
    match &node.kind {
        NodeKind::Scalar(scalar) => scalar.value == ScalarValue::Str && has_template(&scalar.raw),
        NodeKind::Seq(items) => items.iter().any(is_templated),
        NodeKind::Map(entries) => entries.iter().any(|(_, item)| is_templated(item)),
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if let Some(name) = key.strip_prefix(CAUSE) {
            return match lock(&self.known).get(name)? {
                Answer::Undefined(error) => Some(Value::from(error.message.clone())),
                Answer::Value(_) | Answer::Failed(_) => None,
            };
        }
        match self.answer(key) {
            Some(answer) => answer.into_option(),
            None if key == "vars" => Some(Value::from_dyn_object(self.clone())),
            None => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.layers.names().map(Value::from).collect())
    }
}

/// A list or mapping in a variable, with templates somewhere inside.
struct Part {
    /// Weak, because the scope keeps its parts.
    scope: Weak<Scope>,
    path: Arc<str>,
    node: Node,
    known: Mutex<HashMap<usize, Answer>>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<variables>")
    }
}

impl Part {
    fn child(&self, at: usize) -> Option<Answer> {
        if let Some(known) = lock(&self.known).get(&at) {
            return Some(known.clone());
        }
        let (name, node) = match &self.node.kind {
            NodeKind::Map(entries) => {
                let (key, node) = entries.get(at)?;
                (key.raw().unwrap_or_default().to_owned(), node)
            }
            NodeKind::Seq(items) => (at.to_string(), items.get(at)?),
            NodeKind::Scalar(_) => return None,
        };
        let Some(scope) = self.scope.upgrade() else {
            let text = format!("'{}.{name}' is used after its task has ended", self.path);
            return Some(Answer::Failed(TemplateError::runtime(text)));
        };
        let path: Arc<str> = Arc::from(format!("{}.{name}", self.path));
        let answer = scope.work_out(&path, node);
        lock(&self.known).insert(at, answer.clone());
        Some(answer)
    }

    fn position(&self, key: &Value) -> Option<usize> {
        match &self.node.kind {
            NodeKind::Map(entries) => {
                if let Some(text) = key.as_str() {
                    return entries.iter().position(|(known, _)| known.as_str() == Some(text));
                }
                entries.iter().position(|(known, _)| crate::yaml::to_value(known) == *key)
            }
            NodeKind::Seq(_) => key.as_usize(),
            NodeKind::Scalar(_) => None,
        }
    }

    fn length(&self) -> usize {
        match &self.node.kind {
            NodeKind::Map(entries) => entries.len(),
            NodeKind::Seq(items) => items.len(),
            NodeKind::Scalar(_) => 0,
        }
    }
}

impl Object for Part {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.node.kind {
            NodeKind::Seq(_) => ObjectRepr::Seq,
            NodeKind::Map(_) | NodeKind::Scalar(_) => ObjectRepr::Map,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(name) = key.as_str().and_then(|key| key.strip_prefix(CAUSE)) {
            let at = self
                .position(&Value::from(name))
                .or_else(|| name.parse().ok().filter(|_| self.node.as_seq().is_some()))?;
            return match lock(&self.known).get(&at)? {
                Answer::Undefined(error) => Some(Value::from(error.message.clone())),
                Answer::Value(_) | Answer::Failed(_) => None,
            };
        }
        match self.child(self.position(key)?)? {
            // In a list the place is there, only its value is not: raise when it is touched.
            Answer::Undefined(error) if self.node.as_seq().is_some() => {
                Some(Value::from(Error::from(error)))
            }
            answer => answer.into_option(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.node.kind {
            NodeKind::Map(entries) => Enumerator::Values(
                entries.iter().map(|(key, _)| crate::yaml::to_value(key)).collect(),
            ),
            NodeKind::Seq(items) => Enumerator::Seq(items.len()),
            NodeKind::Scalar(_) => Enumerator::Empty,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.length())
    }
}

impl Lazy for Part {
    fn whole(&self) -> Result<Value, Error> {
        let mut items = Vec::with_capacity(self.length());
        for at in 0..self.length() {
            let item = match self.child(at) {
                Some(Answer::Value(value)) => crate::template::finished(value)?,
                Some(Answer::Undefined(error) | Answer::Failed(error)) => return Err(error.into()),
                None => continue,
            };
            if is_omit(&item) {
                continue;
            }
            match &self.node.kind {
                NodeKind::Map(entries) => {
                    if let Some((key, _)) = entries.get(at) {
                        items.push((crate::yaml::to_value(key), item));
                    }
                }
                NodeKind::Seq(_) | NodeKind::Scalar(_) => items.push((Value::from(()), item)),
            }
        }
        Ok(match self.node.kind {
            NodeKind::Seq(_) => {
                Value::from(items.into_iter().map(|(_, item)| item).collect::<Vec<_>>())
            }
            NodeKind::Map(_) | NodeKind::Scalar(_) => {
                Value::from_pairs(items.into_iter().collect::<IndexMap<_, _>>())
            }
        })
    }
}

/// Returns the lazy part a value is.
pub(crate) fn lazy(value: &Value) -> Option<&dyn Lazy> {
    value.downcast_object_ref::<Part>().map(|part| part as &dyn Lazy)
}

/// Tells whether a value is a whole scope.
pub(crate) fn is_scope(value: &Value) -> bool {
    value.downcast_object_ref::<Scope>().is_some()
}

/// Returns the text a variable was written as, and where, when it is a string without templates and not `!unsafe`.
pub(crate) fn written(scope: &Value, name: &str) -> Option<(Arc<str>, Span)> {
    let scope = scope.downcast_object_ref::<Scope>()?;
    let (Variable::Written(node), _) = scope.layers.get(name)? else { return None };
    let scalar = node.as_scalar().filter(|scalar| scalar.value == ScalarValue::Str)?;
    node.tag.is_none().then(|| (scalar.raw.clone(), node.span))
}
