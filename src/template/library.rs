//! Everything a template may call: the engine with Ansible's filters, tests and functions in place of its own.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use minijinja::functions::Function;
use minijinja::value::{FunctionArgs, FunctionResult, Rest};
use minijinja::{Environment, Error, Output, State, UndefinedBehavior, Value};

use super::values::{self, undefined};

/// The engine while it is being furnished.
pub(super) struct Shelf {
    environment: Environment<'static>,
}

static FILTERS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
static TESTS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

/// Filters of minijinja that we leave as they are.
const OWN_FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "capitalize",
    "chain",
    "count",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "sum",
    "title",
    "trim",
    "upper",
    "urlencode",
];

/// Tests of minijinja that we leave as they are.
const OWN_TESTS: &[&str] = &[
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "le",
    "lessthan",
    "lower",
    "lt",
    "ne",
    "odd",
    "safe",
    "startingwith",
    "test",
    "true",
    "undefined",
    "upper",
];

impl Shelf {
    /// Adds a filter under its name and its full name.
    pub(super) fn filter<F, Rv, Args>(&mut self, name: &'static str, filter: F)
    where
        F: Function<Rv, Args> + Clone,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_filter(format!("ansible.builtin.{name}"), filter.clone());
        self.environment.add_filter(name, filter);
        FILTERS.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Adds a test under its name and its full name.
    pub(super) fn test<F, Rv, Args>(&mut self, name: &'static str, test: F)
    where
        F: Function<Rv, Args> + Clone,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_test(format!("ansible.builtin.{name}"), test.clone());
        self.environment.add_test(name, test);
        TESTS.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Adds a function.
    pub(super) fn function<F, Rv, Args>(&mut self, name: &'static str, function: F)
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_function(name, function);
    }
}

/// Tells whether a filter is there.
pub(super) fn is_filter(name: &str) -> bool {
    OWN_FILTERS.contains(&name)
        || FILTERS.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
}

/// Tells whether a test is there.
pub(super) fn is_test(name: &str) -> bool {
    OWN_TESTS.contains(&name) || TESTS.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
}

/// Makes the engine.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Debug information would hold values, and looking them up would run other templates.
    environment.set_debug(false);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(super::methods::call);
    environment.set_formatter(print);
    environment.remove_global("debug");
    let mut shelf = Shelf { environment };
    shelf.function("__text", joined);
    shelf.function("__order", order);
    shelf.function("__list", |value: &Value| values::List::copy(value));
    shelf.function("__dict", |value: &Value| values::Dict::copy(value));
    super::filters::add(&mut shelf);
    super::checks::add(&mut shelf);
    super::dates::add(&mut shelf);
    super::lookups::add(&mut shelf);
    shelf.environment
}

/// Compares as Python does: only numbers with numbers, text with text, lists with lists.
fn order(sign: &str, a: &Value, b: &Value) -> Result<bool, Error> {
    use minijinja::value::ValueKind as Kind;
    let class = |value: &Value| match value.kind() {
        Kind::Number | Kind::Bool => 1,
        Kind::String => 2,
        Kind::Seq | Kind::Iterable => 3,
        Kind::Plain if super::dates::is_date(value) => 4,
        _ => 0,
    };
    values::defined(a)?;
    values::defined(b)?;
    if class(a) == 0 || class(a) != class(b) {
        let (a, b) = (values::type_name(a), values::type_name(b));
        let text = format!("'{sign}' not supported between instances of '{a}' and '{b}'");
        return Err(Error::new(minijinja::ErrorKind::InvalidOperation, text));
    }
    Ok(match sign {
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    })
}

/// The one value printed so far, if it was one.
#[derive(Debug, Default)]
struct Printed {
    count: usize,
    first: Option<Value>,
}

/// Returns the value printed, when there was exactly one.
pub(super) fn printed(state: &mut State<'_, '_>) -> Option<Value> {
    let printed = state.get_extension_mut::<Printed>()?;
    if printed.count == 1 { printed.first.take() } else { None }
}

/// Prints a value into a text.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let printed = state.get_or_insert_extension(Printed::default());
    printed.count += 1;
    if printed.count == 1 {
        printed.first = Some(value.clone());
    }
    if let Some(text) = value.as_str() {
        return out.write_str(text).map_err(Error::from);
    }
    let text = as_text(value)?;
    out.write_str(&text).map_err(Error::from)
}

/// Returns a value as Python would print it; None prints nothing.
pub(super) fn as_text(value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(undefined());
    }
    if value.is_none() {
        return Ok(String::new());
    }
    if value.as_object().is_some() && !super::dates::is_date(value) {
        return Ok(values::finished(value.clone())?.to_string());
    }
    Ok(value.to_string())
}

/// Joins the parts of a text.
fn joined(parts: Rest<Value>) -> Result<String, Error> {
    let mut text = String::new();
    for part in parts.iter() {
        match part.as_str() {
            Some(part) => text.push_str(part),
            None => text.push_str(&as_text(part)?),
        }
    }
    Ok(text)
}
