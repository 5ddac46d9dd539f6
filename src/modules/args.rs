//! Arguments of a module: typed reading with Ansible's conversions, and errors that point at the word.

use std::fmt;

use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::ValueKind;

use crate::source::Span;

/// One templated argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// The value after templating.
    pub value: Value,
    /// The text as written, when it was a plain scalar without templates (`0644`, `yes`, `1.20`).
    pub raw: Option<String>,
    /// Where it stands.
    pub span: Option<Span>,
}

impl Arg {
    /// Makes an argument that matron itself supplies.
    pub fn of(value: impl Into<Value>) -> Self {
        Self { value: value.into(), raw: None, span: None }
    }
}

/// The templated arguments of a task, under canonical names (aliases resolved, `omit` taken out, unknown ones refused
/// by the engine against the module's table).
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// By name.
    pub named: IndexMap<String, Arg>,
}

/// An argument that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgError {
    /// What is wrong: names the argument, the value, and what is allowed.
    pub message: String,
    /// Where it stands.
    pub span: Option<Span>,
    /// What to do.
    pub hint: Option<String>,
}

impl ArgError {
    /// Makes an error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, hint: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place of an argument.
    #[must_use]
    pub fn at(mut self, arg: &Arg) -> Self {
        self.span = arg.span;
        self
    }
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ArgError {}

/// A file mode as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Permission bits.
    Octal(u32),
    /// `u=rwX,g-w` …: left to the host's chmod.
    Symbolic(String),
    /// `preserve`: as the source file has it.
    Preserve,
}

impl Args {
    /// Makes arguments from pairs (tests, and modules that call others).
    pub fn of(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let named =
            pairs.into_iter().map(|(name, value)| (name.to_owned(), Arg::of(value))).collect();
        Self { named }
    }

    /// Returns an argument that is there and not none.
    pub fn get(&self, name: &str) -> Option<&Arg> {
        self.named.get(name).filter(|arg| !arg.value.is_none() && !arg.value.is_undefined())
    }

    /// Returns text; numbers and booleans as written.
    pub fn text(&self, name: &str) -> Result<Option<String>, ArgError> {
        self.get(name).map(|arg| as_text(name, arg)).transpose()
    }

    /// Returns text that must be there.
    pub fn required(&self, name: &str) -> Result<String, ArgError> {
        self.text(name)?.ok_or_else(|| ArgError::new(format!("missing required arguments: {name}")))
    }

    /// Returns a boolean by Ansible's words, or the default.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool, ArgError> {
        Ok(self.maybe_boolean(name)?.unwrap_or(default))
    }

    /// Returns a boolean by Ansible's words.
    pub fn maybe_boolean(&self, name: &str) -> Result<Option<bool>, ArgError> {
        let Some(arg) = self.get(name) else { return Ok(None) };
        as_bool(&arg.value).map(Some).ok_or_else(|| {
            ArgError::new(format!("argument '{name}' is not a boolean: {}", arg.value))
                .at(arg)
                .hint("use true or false")
        })
    }

    /// Returns a whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ArgError> {
        let Some(arg) = self.get(name) else { return Ok(None) };
        let number = match arg.value.kind() {
            ValueKind::String => arg.value.as_str().and_then(|text| text.trim().parse().ok()),
            _ => i64::try_from(arg.value.clone()).ok(),
        };
        number.map(Some).ok_or_else(|| {
            ArgError::new(format!("argument '{name}' is not a whole number: {}", arg.value)).at(arg)
        })
    }

    /// Returns a number.
    pub fn float(&self, name: &str) -> Result<Option<f64>, ArgError> {
        let Some(arg) = self.get(name) else { return Ok(None) };
        let number = match arg.value.kind() {
            ValueKind::String => arg.value.as_str().and_then(|text| text.trim().parse().ok()),
            _ => f64::try_from(arg.value.clone()).ok(),
        };
        number.map(Some).ok_or_else(|| {
            ArgError::new(format!("argument '{name}' is not a number: {}", arg.value)).at(arg)
        })
    }

    /// Returns a list of text: a list, or a comma-separated string; `None` when it is not given.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, ArgError> {
        let Some(arg) = self.get(name) else { return Ok(None) };
        match arg.value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                let items = arg.value.try_iter().map_err(|error| {
                    ArgError::new(format!("argument '{name}' is not a list: {error}")).at(arg)
                })?;
                let item = |value| as_text(name, &Arg { value, raw: None, span: arg.span });
                items.map(item).collect::<Result<_, _>>().map(Some)
            }
            _ => {
                let text = as_text(name, arg)?;
                let parts = text.split(',').map(|part| part.trim().to_owned());
                Ok(Some(parts.filter(|part| !part.is_empty()).collect()))
            }
        }
    }

    /// Returns one of the words allowed, or the default.
    pub fn choice(
        &self,
        name: &str,
        choices: &[&'static str],
        default: &'static str,
    ) -> Result<&'static str, ArgError> {
        let Some(arg) = self.get(name) else { return Ok(default) };
        let text = as_text(name, arg)?;
        choices.iter().copied().find(|choice| *choice == text).ok_or_else(|| {
            let near = crate::names::nearest(&text, choices.iter().copied());
            let error = ArgError::new(format!(
                "value of {name} must be one of: {}, got: {text}",
                choices.join(", ")
            ));
            let error = error.at(arg);
            match near {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error,
            }
        })
    }

    /// Returns a file mode. `0644` unquoted is octal as YAML reads it; `644` unquoted is refused, because YAML reads it as
    /// a decimal number and Ansible would set nonsense.
    pub fn mode(&self, name: &str) -> Result<Option<Mode>, ArgError> {
        let Some(arg) = self.get(name) else { return Ok(None) };
        let bad = |why: &str| {
            ArgError::new(format!("argument '{name}' is not a file mode: {} ({why})", arg.value))
                .at(arg)
                .hint("write it quoted: mode: '0644'")
        };
        if let Ok(number) = i64::try_from(arg.value.clone())
            && arg.value.kind() == ValueKind::Number
        {
            let looks_decimal = arg.raw.as_deref().is_some_and(|raw| {
                raw.bytes().all(|b| b.is_ascii_digit()) && !raw.starts_with('0')
            });
            if looks_decimal {
                return Err(bad("a number without a leading zero is decimal"));
            }
            let bits = u32::try_from(number).ok().filter(|bits| *bits <= 0o7777);
            return bits.map(|bits| Some(Mode::Octal(bits))).ok_or_else(|| bad("out of range"));
        }
        let text = as_text(name, arg)?;
        let text = text.trim();
        if text == "preserve" {
            return Ok(Some(Mode::Preserve));
        }
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            let bits = u32::from_str_radix(digits, 8).ok().filter(|bits| *bits <= 0o7777);
            return bits.map(|bits| Some(Mode::Octal(bits))).ok_or_else(|| bad("not octal"));
        }
        let symbolic = !text.is_empty()
            && text.split(',').all(|clause| {
                let who = clause.trim_start_matches(['u', 'g', 'o', 'a']);
                who.starts_with(['+', '-', '='])
                    && who.bytes().all(|b| b"+-=rwxXstugo".contains(&b))
            });
        if symbolic { Ok(Some(Mode::Symbolic(text.to_owned()))) } else { Err(bad("unknown form")) }
    }

    /// Returns an argument as JSON data.
    pub fn json(&self, name: &str) -> Result<Option<serde_json::Value>, ArgError> {
        let Some(arg) = self.get(name) else { return Ok(None) };
        to_json(&arg.value).map(Some).map_err(|error| {
            ArgError::new(format!("argument '{name}' cannot be used as data: {error}")).at(arg)
        })
    }
}

/// Turns a template value into JSON data.
pub fn to_json(value: &Value) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(value)
}

/// Reads a boolean as Ansible does.
pub fn as_bool(value: &Value) -> Option<bool> {
    match value.kind() {
        ValueKind::Bool => Some(value.is_true()),
        ValueKind::Number => match f64::try_from(value.clone()).ok()? {
            1.0 => Some(true),
            0.0 => Some(false),
            _ => None,
        },
        ValueKind::String => match value.as_str()?.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn as_text(name: &str, arg: &Arg) -> Result<String, ArgError> {
    match arg.value.kind() {
        ValueKind::String => Ok(arg.value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Bool | ValueKind::Number => {
            Ok(arg.raw.clone().unwrap_or_else(|| arg.value.to_string()))
        }
        ValueKind::Bytes => {
            Ok(String::from_utf8_lossy(arg.value.as_bytes().unwrap_or_default()).into_owned())
        }
        // A templated mapping or list given as text (`content: "{{ dict }}"`) becomes JSON, as Ansible does.
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => serde_json::to_string(&arg.value)
            .map_err(|error| {
                ArgError::new(format!("argument '{name}' cannot be turned into text: {error}"))
                    .at(arg)
            }),
        _ => Err(ArgError::new(format!("argument '{name}' cannot be turned into text")).at(arg)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, value: impl Into<Value>, raw: &str) -> Args {
        let mut args = Args::default();
        let arg = Arg { value: value.into(), raw: Some(raw.to_owned()), span: None };
        args.named.insert(name.to_owned(), arg);
        args
    }

    #[test]
    fn mode_written_with_a_leading_zero_is_octal() {
        assert_eq!(raw("mode", 420, "0644").mode("mode"), Ok(Some(Mode::Octal(0o644))));
    }

    #[test]
    fn mode_written_without_a_leading_zero_is_refused() {
        let error = raw("mode", 644, "644").mode("mode").map_err(|e| e.message);
        let text =
            "argument 'mode' is not a file mode: 644 (a number without a leading zero is decimal)";
        assert_eq!(error, Err(text.to_owned()));
    }

    #[test]
    fn text_keeps_what_was_written() {
        assert_eq!(raw("v", 1.2, "1.20").text("v"), Ok(Some("1.20".to_owned())));
    }
}
