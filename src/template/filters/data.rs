//! Filters for data: JSON, YAML, merging and turning mappings around.

use indexmap::IndexMap;
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, Value};

use super::super::library::Shelf;
use super::super::values::{defined, finished, type_name};
use super::{failed, items, pairs};
use crate::source::Sources;
use crate::yaml::{self, EmitOptions, Flow};

pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("to_json", to_json);
    shelf.filter("tojson", to_json);
    shelf.filter("to_nice_json", to_nice_json);
    shelf.filter("from_json", from_json);
    shelf.filter("to_yaml", |value: &Value, kwargs: Kwargs| {
        to_yaml(value, EmitOptions::yaml(), kwargs)
    });
    shelf.filter("to_nice_yaml", to_nice_yaml);
    shelf.filter("from_yaml", from_yaml);
    shelf.filter("from_yaml_all", from_yaml_all);
    shelf.filter("combine", combine);
    shelf.filter("dict2items", dict2items);
    shelf.filter("items2dict", items2dict);
    shelf.filter("rekey_on_member", rekey_on_member);
    shelf.filter("extract", extract);
    shelf.filter("dict", |value: &Value| -> Result<Value, Error> { mapping(value) });
    shelf.function("dict", dict);
}

/// How JSON is written.
struct Json {
    indent: Option<usize>,
    sort: bool,
    ascii: bool,
}

impl Json {
    /// Writes as Python's `json.dumps` does.
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Undefined => return Err(super::super::values::undefined()),
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => match f64::try_from(value.clone()) {
                Ok(n) if !value.is_integer() && n.is_nan() => out.push_str("NaN"),
                Ok(n) if !value.is_integer() && n.is_infinite() => {
                    out.push_str(if n > 0.0 { "Infinity" } else { "-Infinity" });
                }
                _ => out.push_str(&value.to_string()),
            },
            ValueKind::Map => {
                let mut entries = pairs(value)?;
                if self.sort {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.many(out, depth, ['{', '}'], entries, |out, (key, item)| {
                    let key = match key.kind() {
                        ValueKind::Bool => key.is_true().to_string(),
                        ValueKind::None => "null".to_owned(),
                        _ => key.to_string(),
                    };
                    self.text(&key, out);
                    out.push_str(": ");
                    self.write(&item, depth + 1, out)
                })?;
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let list = items(value)?;
                self.many(out, depth, ['[', ']'], list, |out, item| {
                    self.write(&item, depth + 1, out)
                })?;
            }
            _ => self.text(&super::super::dates::json(value), out),
        }
        Ok(())
    }

    fn many<T>(
        &self,
        out: &mut String,
        depth: usize,
        [open, close]: [char; 2],
        items: Vec<T>,
        mut write: impl FnMut(&mut String, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        let empty = items.is_empty();
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                out.push_str(if self.indent.is_some() { "," } else { ", " });
            }
            self.line(out, depth + 1);
            write(out, item)?;
        }
        if !empty {
            self.line(out, depth);
        }
        out.push(close);
        Ok(())
    }

    fn line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * depth));
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        use std::fmt::Write as _;
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if u32::from(c) < 0x20 || (self.ascii && !c.is_ascii()) => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn json(value: &Value, mut style: Json, kwargs: &Kwargs) -> Result<String, Error> {
    if let Some(indent) = kwargs.get::<Option<usize>>("indent")? {
        style.indent = Some(indent);
    }
    style.sort = kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(style.sort);
    style.ascii = kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(style.ascii);
    for quiet in ["vault_to_text", "preprocess_unsafe", "default", "separators"] {
        kwargs.get::<Option<Value>>(quiet)?;
    }
    kwargs.assert_all_used()?;
    let mut out = String::new();
    style.write(defined(value)?, 0, &mut out)?;
    Ok(out)
}

fn to_json(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    json(value, Json { indent: None, sort: false, ascii: true }, &kwargs)
}

fn to_nice_json(value: &Value, indent: Option<usize>, kwargs: Kwargs) -> Result<String, Error> {
    json(value, Json { indent: indent.or(Some(4)), sort: true, ascii: true }, &kwargs)
}

fn from_json(text: &str) -> Result<Value, Error> {
    let read: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        failed(
            "from_json",
            format_args!("not JSON at line {} column {}", error.line(), error.column()),
        )
    })?;
    Ok(Value::from(minijinja::value::Serde(&read)))
}

fn to_yaml(value: &Value, mut options: EmitOptions, kwargs: Kwargs) -> Result<String, Error> {
    let value = finished(defined(value)?.clone())?;
    options.indent = kwargs.get::<Option<usize>>("indent")?.unwrap_or(options.indent);
    options.width = kwargs.get::<Option<usize>>("width")?.unwrap_or(options.width);
    options.sort_keys = kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(options.sort_keys);
    options.allow_unicode =
        kwargs.get::<Option<bool>>("allow_unicode")?.unwrap_or(options.allow_unicode);
    options.explicit_start = kwargs.get::<Option<bool>>("explicit_start")?.unwrap_or(false);
    options.explicit_end = kwargs.get::<Option<bool>>("explicit_end")?.unwrap_or(false);
    if kwargs.has("default_flow_style") {
        options.flow = match kwargs.get::<Option<bool>>("default_flow_style")? {
            Some(true) => Flow::Always,
            Some(false) => Flow::Never,
            None => Flow::Leaves,
        };
    }
    kwargs.assert_all_used()?;
    Ok(yaml::emit(&value, &options))
}

fn to_nice_yaml(value: &Value, indent: Option<usize>, kwargs: Kwargs) -> Result<String, Error> {
    let options = EmitOptions::nice();
    let indent = indent.unwrap_or(options.indent);
    to_yaml(value, EmitOptions { indent, ..options }, kwargs)
}

fn from_yaml(value: &Value) -> Result<Value, Error> {
    let Some(text) = defined(value)?.as_str() else { return Ok(value.clone()) };
    let sources = Sources::default();
    let file = sources.add("from_yaml", text);
    let node =
        yaml::parse_one(&sources, file).map_err(|error| failed("from_yaml", error.message))?;
    Ok(yaml::to_value(&node))
}

fn from_yaml_all(text: &str) -> Result<Value, Error> {
    let sources = Sources::default();
    let file = sources.add("from_yaml_all", text);
    let nodes =
        yaml::parse(&sources, file).map_err(|error| failed("from_yaml_all", error.message))?;
    Ok(Value::from(nodes.iter().map(yaml::to_value).collect::<Vec<_>>()))
}

/// What becomes of two lists under one key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendUnique,
    PrependUnique,
}

fn combine(value: &Value, rest: &[Value], kwargs: Kwargs) -> Result<Value, Error> {
    let recursive = kwargs.get::<Option<bool>>("recursive")?.unwrap_or(false);
    let lists = match kwargs.get::<Option<&str>>("list_merge")?.unwrap_or("replace") {
        "replace" => ListMerge::Replace,
        "keep" => ListMerge::Keep,
        "append" => ListMerge::Append,
        "prepend" => ListMerge::Prepend,
        "append_rp" => ListMerge::AppendUnique,
        "prepend_rp" => ListMerge::PrependUnique,
        _ => {
            return Err(failed(
                "combine",
                "'list_merge' must be one of replace, keep, append, prepend, append_rp, prepend_rp",
            ));
        }
    };
    kwargs.assert_all_used()?;
    let mut all = Vec::new();
    for value in std::iter::once(value).chain(rest) {
        // A list of mappings counts as that many arguments.
        if defined(value)?.kind() == ValueKind::Seq {
            all.extend(items(value)?);
        } else {
            all.push(value.clone());
        }
    }
    let mut all = all.into_iter();
    let Some(mut result) = all.next() else {
        return Ok(Value::from_pairs(Vec::<(Value, Value)>::new()));
    };
    if result.kind() != ValueKind::Map {
        let next = all.next().unwrap_or_default();
        return Err(not_mappings(&result, &next));
    }
    for next in all {
        if next.kind() != ValueKind::Map {
            return Err(not_mappings(&result, &next));
        }
        result = merged(&result, &next, recursive, lists)?;
    }
    Ok(result)
}

fn not_mappings(a: &Value, b: &Value) -> Error {
    failed(
        "combine",
        format_args!(
            "failed to combine variables, expected dicts but got a '{}' and a '{}'.",
            type_name(a),
            type_name(b)
        ),
    )
}

fn merged(a: &Value, b: &Value, recursive: bool, lists: ListMerge) -> Result<Value, Error> {
    let mut map: IndexMap<Value, Value> = pairs(a)?.into_iter().collect();
    for (key, new) in pairs(b)? {
        let old = map.get(&key).cloned();
        let both = |kind: ValueKind| {
            old.as_ref().is_some_and(|old| old.kind() == kind) && new.kind() == kind
        };
        let item = match &old {
            Some(old) if recursive && both(ValueKind::Map) => merged(old, &new, recursive, lists)?,
            Some(old) if both(ValueKind::Seq) => list_merged(old, &new, lists)?,
            _ => new,
        };
        map.insert(key, item);
    }
    Ok(Value::from_pairs(map))
}

fn list_merged(old: &Value, new: &Value, how: ListMerge) -> Result<Value, Error> {
    let (old_items, new_items) = (items(old)?, items(new)?);
    let without = |list: &[Value], other: &[Value]| -> Vec<Value> {
        list.iter().filter(|item| !other.contains(item)).cloned().collect()
    };
    Ok(Value::from(match how {
        ListMerge::Replace => return Ok(new.clone()),
        ListMerge::Keep => return Ok(old.clone()),
        ListMerge::Append => [old_items, new_items].concat(),
        ListMerge::Prepend => [new_items, old_items].concat(),
        ListMerge::AppendUnique => [without(&old_items, &new_items), new_items].concat(),
        ListMerge::PrependUnique => {
            let rest = without(&old_items, &new_items);
            [new_items, rest].concat()
        }
    }))
}

fn dict2items(
    value: &Value,
    key_name: Option<&str>,
    value_name: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let key_name = key_name.or(kwargs.get("key_name")?).unwrap_or("key");
    let value_name = value_name.or(kwargs.get("value_name")?).unwrap_or("value");
    if defined(value)?.kind() != ValueKind::Map {
        let text = format!("dict2items requires a dictionary, got {} instead.", type_name(value));
        return Err(failed("dict2items", text));
    }
    let item = |(key, item)| Value::from_pairs([(key_name, key), (value_name, item)]);
    Ok(Value::from(pairs(value)?.into_iter().map(item).collect::<Vec<_>>()))
}

fn items2dict(
    value: &Value,
    key_name: Option<&str>,
    value_name: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let key_name = key_name.or(kwargs.get("key_name")?).unwrap_or("key");
    let value_name = value_name.or(kwargs.get("value_name")?).unwrap_or("value");
    let mut map = IndexMap::new();
    for item in items(value)? {
        let (key, item) = (item.get_attr(key_name)?, item.get_attr(value_name)?);
        if key.is_undefined() || item.is_undefined() {
            let text = format!(
                "items2dict requires each dictionary in the list to contain the keys '{key_name}' and '{value_name}'"
            );
            return Err(failed("items2dict", text));
        }
        map.insert(key, item);
    }
    Ok(Value::from_pairs(map))
}

fn rekey_on_member(
    value: &Value,
    key: &str,
    duplicates: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let overwrite = duplicates.or(kwargs.get("duplicates")?) == Some("overwrite");
    let list = match value.kind() {
        ValueKind::Map => pairs(value)?.into_iter().map(|(_, item)| item).collect(),
        _ => items(value)?,
    };
    let mut map = IndexMap::new();
    for item in list {
        let name = item.get_attr(key)?;
        if name.is_undefined() {
            return Err(failed("rekey_on_member", format_args!("Key {key} was not found")));
        }
        if map.insert(name, item).is_some() && !overwrite {
            let text = format!("Key {key} is not unique, cannot convert to dict");
            return Err(failed("rekey_on_member", text));
        }
    }
    Ok(Value::from_pairs(map))
}

fn extract(
    key: &Value,
    container: &Value,
    more: Option<&Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let mut keys = vec![defined(key)?.clone()];
    match more.cloned().or(kwargs.get::<Option<Value>>("morekeys")?) {
        Some(more) if more.kind() == ValueKind::Seq => keys.extend(items(&more)?),
        Some(more) => keys.push(more),
        None => {}
    }
    let mut value = defined(container)?.clone();
    for key in keys {
        if value.is_undefined() {
            break;
        }
        value = super::basic::at(&value, &key)?;
    }
    Ok(value)
}

/// Makes a mapping from one, or from a list of pairs.
fn mapping(value: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Map {
        return Ok(Value::from_pairs(pairs(value)?));
    }
    let mut map = IndexMap::new();
    for pair in items(value)? {
        let pair = items(&pair)?;
        let [key, item] = pair.as_slice() else {
            return Err(failed("dict", "a pair must have two elements"));
        };
        map.insert(key.clone(), item.clone());
    }
    Ok(Value::from_pairs(map))
}

fn dict(args: &[Value], kwargs: Kwargs) -> Result<Value, Error> {
    let (first,): (Option<&Value>,) = from_args(args)?;
    let mut map: IndexMap<Value, Value> = match first {
        Some(first) => pairs(&mapping(first)?)?.into_iter().collect(),
        None => IndexMap::new(),
    };
    for name in kwargs.args() {
        map.insert(Value::from(name), kwargs.peek::<Value>(name)?);
    }
    Ok(Value::from_pairs(map))
}

/// Makes a tuple of two.
pub(super) fn pair(a: Value, b: Value) -> Value {
    Value::from(Tuple::from([a, b]))
}
