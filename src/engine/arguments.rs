//! Renders a task's arguments into what a module takes: defaults merged, templates resolved, aliases made one.

use minijinja::Value;

use crate::engine::compile::TaskPlan;
use crate::engine::view::{View, shown};
use crate::modules::{Arg, ArgDoc, ArgKind, Args, Doc};
use crate::source::Span;
use crate::template::{TemplateError, has_template, is_omit};
use crate::yaml::{Node, NodeKind};

/// Why arguments could not be finished; the text is Ansible's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArgumentsError {
    /// A template in them failed, there.
    Template(String, Option<Span>),
    /// A name the module does not know.
    Unknown(String),
}

impl ArgumentsError {
    /// Returns the text for the task's result.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Template(text, _) | Self::Unknown(text) => text,
        }
    }

    /// Returns where the mistake stands.
    pub(crate) fn place(&self) -> Option<Span> {
        match self {
            Self::Template(_, place) => *place,
            Self::Unknown(_) => None,
        }
    }
}

/// Returns the argument of a module by name or alias.
pub(crate) fn find<'a>(doc: &'a Doc, name: &str) -> Option<&'a ArgDoc> {
    doc.args.iter().find(|arg| arg.name == name || arg.aliases.contains(&name))
}

/// Renders the arguments of a task.
pub(crate) fn render(
    plan: &TaskPlan,
    doc: &'static Doc,
    view: &View,
) -> Result<Args, ArgumentsError> {
    let mut args = Args::default();
    let action = &plan.task.action;
    let full = full_name(&action.written);
    for defaults in &plan.keywords.module_defaults {
        add_defaults(defaults, doc, &full, view, &mut args)?;
    }
    if let Some(whole) = &action.whole {
        let value = view.resolve(whole).map_err(|error| finalization(&full, None, &error))?;
        add_mapping(&value, doc, &full, &mut args)?;
    }
    for argument in &action.named {
        // The free text of a command may also come under its old inner name.
        let name = match (argument.name.as_str(), doc.free_form) {
            ("_raw_params", Some(meant)) => meant,
            (name, _) => name,
        };
        if doc.open && has_template(name) {
            // A variable's name may itself be made: `set_fact: {"port_{{ item }}": 5432}`.
            let made = view
                .resolve(&Node::string(name, argument.value.span))
                .map_err(|error| finalization(&full, None, &error))?;
            add(&shown(&made), &argument.value, doc, &full, view, &mut args)?;
            continue;
        }
        add(name, &argument.value, doc, &full, view, &mut args)?;
    }
    if let (Some(text), Some(meant)) = (&action.free_form, doc.free_form) {
        add_as(meant, "_raw_params", text, doc, &full, view, &mut args)?;
    }
    args.named.retain(|_, arg| !is_omit(&arg.value));
    Ok(args)
}

fn add_defaults(
    defaults: &Node,
    doc: &'static Doc,
    full: &str,
    view: &View,
    args: &mut Args,
) -> Result<(), ArgumentsError> {
    if let Some(entries) = defaults.as_map() {
        for (key, value) in entries {
            let name = key.raw().unwrap_or_default();
            if name != doc.name && name != full {
                continue;
            }
            if let Some(given) = value.as_map() {
                for (name, node) in given {
                    let name = name.raw().unwrap_or_default();
                    add(name, node, doc, full, view, args)?;
                }
            } else {
                let value =
                    view.resolve(value).map_err(|error| finalization(full, None, &error))?;
                add_mapping(&value, doc, full, args)?;
            }
        }
        return Ok(());
    }
    let value = view.resolve(defaults).map_err(|error| finalization(full, None, &error))?;
    for name in [doc.name, full] {
        if let Ok(given) = value.get_attr(name)
            && !given.is_undefined()
        {
            add_mapping(&given, doc, full, args)?;
        }
    }
    Ok(())
}

fn add_mapping(
    value: &Value,
    doc: &'static Doc,
    full: &str,
    args: &mut Args,
) -> Result<(), ArgumentsError> {
    if value.is_none() || value.is_undefined() || is_omit(value) {
        return Ok(());
    }
    if value.kind() != minijinja::value::ValueKind::Map {
        let text = format!(
            "Task failed: Finalization of task args for '{full}' failed: Task args must resolve \
             to a 'dict' not '{}'.",
            python_type(value)
        );
        return Err(ArgumentsError::Template(text, None));
    }
    let names = value.try_iter().into_iter().flatten();
    for key in names {
        let name = key.as_str().unwrap_or_default().to_owned();
        let value = value.get_item(&key).unwrap_or_default();
        let canonical = canonical(&name, doc)?;
        args.named.insert(canonical, Arg { value, raw: None, span: None });
    }
    Ok(())
}

fn add(
    name: &str,
    node: &Node,
    doc: &'static Doc,
    full: &str,
    view: &View,
    args: &mut Args,
) -> Result<(), ArgumentsError> {
    add_as(name, name, node, doc, full, view, args)
}

/// Adds one argument; `label` is what errors call it.
fn add_as(
    name: &str,
    label: &str,
    node: &Node,
    doc: &'static Doc,
    full: &str,
    view: &View,
    args: &mut Args,
) -> Result<(), ArgumentsError> {
    let canonical = canonical(name, doc)?;
    let untouched = find(doc, &canonical).is_some_and(|arg| arg.kind == ArgKind::Expression);
    let value = if untouched {
        crate::yaml::to_value(node)
    } else {
        view.resolve(node).map_err(|error| finalization(full, Some(label), &error))?
    };
    let raw = match &node.kind {
        NodeKind::Scalar(scalar) if !has_template(&scalar.raw) => Some(scalar.raw.to_string()),
        NodeKind::Scalar(_) | NodeKind::Seq(_) | NodeKind::Map(_) => None,
    };
    args.named.insert(canonical, Arg { value, raw, span: Some(node.span) });
    Ok(())
}

fn canonical(name: &str, doc: &'static Doc) -> Result<String, ArgumentsError> {
    match find(doc, name) {
        Some(arg) => Ok(arg.name.to_owned()),
        None if doc.open => Ok(name.to_owned()),
        None => Err(ArgumentsError::Unknown(unsupported(name, doc))),
    }
}

/// Says that a module has no such argument.
pub(crate) fn unsupported(name: &str, doc: &Doc) -> String {
    let mut known: Vec<String> = doc
        .args
        .iter()
        .map(|arg| match arg.aliases {
            [] => arg.name.to_owned(),
            aliases => format!("{} ({})", arg.name, aliases.join(", ")),
        })
        .collect();
    known.sort();
    format!(
        "Unsupported parameters for ({}) module: {name}. Supported parameters include: {}.",
        doc.name,
        known.join(", ")
    )
}

/// Returns the full name of a module as Ansible shows it in errors.
pub(crate) fn full_name(written: &str) -> String {
    if written.contains('.') { written.to_owned() } else { format!("ansible.builtin.{written}") }
}

fn finalization(full: &str, label: Option<&str>, error: &TemplateError) -> ArgumentsError {
    let inner = match label {
        Some(label) => format!("Error while resolving value for '{label}': {}", error.message),
        None => error.message.clone(),
    };
    let text = format!("Task failed: Finalization of task args for '{full}' failed: {inner}");
    ArgumentsError::Template(text, error.span)
}

/// Names a value's type as Python does.
pub(crate) fn python_type(value: &Value) -> &'static str {
    use minijinja::value::ValueKind;
    match value.kind() {
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "dict",
        ValueKind::None => "NoneType",
        ValueKind::Bytes => "bytes",
        ValueKind::Undefined => "Undefined",
        _ => "object",
    }
}
