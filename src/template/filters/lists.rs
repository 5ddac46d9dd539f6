//! Filters for lists.

use indexmap::IndexSet;
use minijinja::value::{Kwargs, Tuple, ValueKind};
use minijinja::{Error, State, Value};

use super::super::error::{TemplateError, TemplateErrorKind};
use super::super::library::{Shelf, as_text};
use super::super::templar::note;
use super::super::values::{defined, type_name};
use super::data::pair;
use super::{failed, items};

pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("flatten", flatten);
    shelf.filter("unique", unique);
    shelf.filter("union", |a: &Value, b: &Value| set(a, b, |a, b| a.union(b).cloned().collect()));
    shelf.filter("intersect", |a: &Value, b: &Value| {
        set(a, b, |a, b| a.intersection(b).cloned().collect())
    });
    shelf.filter("difference", |a: &Value, b: &Value| {
        set(a, b, |a, b| a.difference(b).cloned().collect())
    });
    shelf.filter("symmetric_difference", |a: &Value, b: &Value| {
        set(a, b, |a, b| a.symmetric_difference(b).cloned().collect())
    });
    shelf.filter("zip", |list: &Value, others: &[Value]| zipped(list, others, None));
    shelf.filter("zip_longest", |list: &Value, others: &[Value], kwargs: Kwargs| {
        let fill = kwargs.get::<Option<Value>>("fillvalue")?.unwrap_or_else(|| Value::from(()));
        zipped(list, others, Some(&fill))
    });
    shelf.filter("product", product);
    shelf.filter("subelements", subelements);
    shelf.filter("permutations", |list: &Value, size: Option<usize>| -> Result<Value, Error> {
        let list = items(list)?;
        let size = size.unwrap_or(list.len());
        Ok(choices(&list, size, true))
    });
    shelf.filter("combinations", |list: &Value, size: usize| -> Result<Value, Error> {
        Ok(choices(&items(list)?, size, false))
    });
    shelf.filter("map", map);
    shelf.filter("join", join);
    shelf.filter("first", |list: &Value| -> Result<Value, Error> {
        Ok(end_of(items(list)?.first(), "first"))
    });
    shelf.filter("last", |list: &Value| -> Result<Value, Error> {
        Ok(end_of(items(list)?.last(), "last"))
    });
    shelf.filter("min", |list: &Value, kwargs: Kwargs| extreme(list, &kwargs, "min"));
    shelf.filter("max", |list: &Value, kwargs: Kwargs| extreme(list, &kwargs, "max"));
    shelf.filter("sum", sum);
}

/// Returns an element, or undefined with the reason noted.
fn end_of(element: Option<&Value>, filter: &str) -> Value {
    if let Some(element) = element {
        return element.clone();
    }
    let what = match filter {
        "first" => "No first item",
        "last" => "No last item",
        _ => "No aggregated item",
    };
    note(filter, || {
        TemplateError::new(TemplateErrorKind::Undefined, format!("{what}, sequence was empty."))
    });
    Value::UNDEFINED
}

/// Returns what an attribute path of an element leads to (`a.b`).
fn attribute(item: &Value, path: Option<&str>) -> Result<Value, Error> {
    let Some(path) = path else { return Ok(item.clone()) };
    path.split('.')
        .try_fold(item.clone(), |value, name| super::basic::at(&value, &Value::from(name)))
}

fn map(
    state: &mut State<'_, '_>,
    list: &Value,
    args: &[Value],
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let list = items(list)?;
    if let Some(path) = kwargs.get::<Option<Value>>("attribute")? {
        let other = kwargs.get::<Option<Value>>("default")?;
        kwargs.assert_all_used()?;
        let one = |item: &Value| -> Result<Value, Error> {
            let found = match path.as_str() {
                Some(path) => attribute(item, Some(path))?,
                None => super::basic::at(item, &path)?,
            };
            Ok(if found.is_undefined() { other.clone().unwrap_or(found) } else { found })
        };
        return list.iter().map(one).collect::<Result<Vec<_>, _>>().map(Value::from);
    }
    let Some((name, rest)) = args.split_first() else {
        return Err(failed("map", "map requires a filter argument"));
    };
    let name = text_name(name)?;
    let mut out = Vec::with_capacity(list.len());
    for item in list {
        let mut all = vec![item];
        all.extend(rest.iter().cloned());
        if kwargs.args().next().is_some() {
            let own = kwargs.args().map(|key| Ok((key, kwargs.peek::<Value>(key)?)));
            all.push(Kwargs::from_iter(own.collect::<Result<Vec<_>, Error>>()?).into());
        }
        out.push(state.apply_filter(&name, &all)?);
    }
    Ok(Value::from(out))
}

fn text_name(name: &Value) -> Result<String, Error> {
    let name = super::text::text_only(name, "map")?;
    Ok(name.strip_prefix("ansible.legacy.").unwrap_or(name).to_owned())
}

fn folded(value: &Value, case_sensitive: bool) -> Value {
    match value.as_str() {
        Some(text) if !case_sensitive => Value::from(text.to_lowercase()),
        _ => value.clone(),
    }
}

fn extreme(list: &Value, kwargs: &Kwargs, filter: &str) -> Result<Value, Error> {
    let path = kwargs.get::<Option<&str>>("attribute")?;
    let case = kwargs.get::<Option<bool>>("case_sensitive")?.unwrap_or(false);
    let mut best: Option<(Value, Value)> = None;
    for item in items(list)? {
        let key = folded(defined(&attribute(&item, path)?)?, case);
        let better = best
            .as_ref()
            .is_none_or(|(known, _)| if filter == "min" { key < *known } else { key > *known });
        if better {
            best = Some((key, item));
        }
    }
    Ok(end_of(best.as_ref().map(|(_, item)| item), filter))
}

fn sum(
    state: &mut State<'_, '_>,
    list: &Value,
    path: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let path = path.or(kwargs.get("attribute")?);
    let start = kwargs.get::<Option<Value>>("start")?;
    let list: Vec<Value> =
        items(list)?.iter().map(|item| attribute(item, path)).collect::<Result<_, _>>()?;
    // Lists are added by the engine's `+` in Python; here they are joined.
    if start.as_ref().is_some_and(|start| start.kind() == ValueKind::Seq) {
        let mut all = items(&start.unwrap_or_default())?;
        for item in list {
            all.extend(items(&item)?);
        }
        return Ok(Value::from(all));
    }
    let mut total = start.unwrap_or_else(|| Value::from(0));
    for item in list {
        total = match (total.as_i64(), item.as_i64()) {
            (Some(a), Some(b)) if total.is_integer() && item.is_integer() => Value::from(a + b),
            _ => {
                let numbers =
                    (f64::try_from(total.clone()), f64::try_from(defined(&item)?.clone()));
                if let (Ok(a), Ok(b)) = numbers {
                    Value::from(a + b)
                } else {
                    let text = format!(
                        "unsupported operand type(s) for +: '{}' and '{}'",
                        type_name(&total),
                        type_name(&item)
                    );
                    return Err(failed("sum", text));
                }
            }
        };
    }
    let _ = state;
    Ok(total)
}

fn join(
    list: &Value,
    glue: Option<&Value>,
    path: Option<&str>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let glue = glue.cloned().or(kwargs.get::<Option<Value>>("d")?);
    let glue = glue.map(|glue| as_text(&glue)).transpose()?.unwrap_or_default();
    let path = path.or(kwargs.get("attribute")?);
    let mut out = String::new();
    for (at, item) in items(list)?.iter().enumerate() {
        if at > 0 {
            out.push_str(&glue);
        }
        let item = attribute(item, path)?;
        if item.is_none() {
            out.push_str("None");
        } else {
            out.push_str(&as_text(&item)?);
        }
    }
    Ok(out)
}

fn flatten(list: &Value, levels: Option<i64>, kwargs: Kwargs) -> Result<Value, Error> {
    let levels = levels.or(kwargs.get("levels")?);
    let skip = kwargs.get::<Option<bool>>("skip_nulls")?.unwrap_or(true);
    kwargs.assert_all_used()?;
    let mut out = Vec::new();
    flatten_into(list, levels, skip, &mut out)?;
    Ok(Value::from(out))
}

fn flatten_into(
    list: &Value,
    levels: Option<i64>,
    skip: bool,
    out: &mut Vec<Value>,
) -> Result<(), Error> {
    for item in items(list)? {
        let null = item.is_none() || matches!(item.as_str(), Some("None" | "null"));
        if null && skip {
            continue;
        }
        let deeper = levels.is_none_or(|levels| levels >= 1);
        if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) && deeper {
            flatten_into(&item, levels.map(|levels| levels - 1), skip, out)?;
        } else {
            out.push(item);
        }
    }
    Ok(())
}

fn unique(
    list: &Value,
    case_sensitive: Option<bool>,
    path: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let case = case_sensitive.or(kwargs.get("case_sensitive")?).unwrap_or(true);
    let path = path.or(kwargs.get("attribute")?);
    kwargs.assert_all_used()?;
    let mut seen = IndexSet::new();
    let mut out = Vec::new();
    for item in items(list)? {
        let key = attribute(&item, path)?;
        if seen.insert(folded(defined(&key)?, case)) {
            out.push(item);
        }
    }
    Ok(Value::from(out))
}

fn set(
    a: &Value,
    b: &Value,
    join: impl FnOnce(&IndexSet<Value>, &IndexSet<Value>) -> Vec<Value>,
) -> Result<Value, Error> {
    let a: IndexSet<Value> = items(a)?.into_iter().collect();
    let b: IndexSet<Value> = items(b)?.into_iter().collect();
    let mut out = join(&a, &b);
    // Python's sets give small integers in order and strings in no order one could rely on.
    if out.iter().all(Value::is_integer) {
        out.sort();
    }
    Ok(Value::from(out))
}

fn zipped(list: &Value, others: &[Value], fill: Option<&Value>) -> Result<Value, Error> {
    let mut lists = vec![items(list)?];
    for other in others {
        lists.push(items(other)?);
    }
    let lengths = lists.iter().map(Vec::len);
    let length = if fill.is_some() { lengths.max() } else { lengths.min() }.unwrap_or(0);
    let row = |at: usize| {
        let cell = |list: &Vec<Value>| list.get(at).or(fill).cloned().unwrap_or_default();
        Value::from(lists.iter().map(cell).collect::<Vec<_>>())
    };
    Ok(Value::from((0..length).map(row).collect::<Vec<_>>()))
}

fn product(list: &Value, others: &[Value], kwargs: Kwargs) -> Result<Value, Error> {
    let repeat = kwargs.get::<Option<usize>>("repeat")?.unwrap_or(1);
    let mut lists = vec![items(list)?];
    for other in others {
        lists.push(items(other)?);
    }
    let lists: Vec<Vec<Value>> = std::iter::repeat_n(lists, repeat).flatten().collect();
    Ok(Value::from(
        crossed(&lists).into_iter().map(|row| Value::from(Tuple::from(row))).collect::<Vec<_>>(),
    ))
}

/// Returns every choice of one element a list, the last list running fastest.
pub(crate) fn crossed(lists: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let mut rows = vec![Vec::new()];
    for list in lists {
        let longer = |row: &Vec<Value>| {
            let row = row.clone();
            list.iter()
                .map(move |item| [row.clone(), vec![item.clone()]].concat())
                .collect::<Vec<_>>()
        };
        rows = rows.iter().flat_map(longer).collect();
    }
    rows
}

fn subelements(
    list: &Value,
    path: &Value,
    skip_missing: Option<bool>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let skip = skip_missing.or(kwargs.get("skip_missing")?).unwrap_or(false);
    sub_pairs(list, path, skip).map(Value::from)
}

/// Returns pairs of an element and one of its sub-elements.
pub(crate) fn sub_pairs(list: &Value, path: &Value, skip: bool) -> Result<Vec<Value>, Error> {
    let path: Vec<Value> = match path.as_str() {
        Some(path) => path.split('.').map(Value::from).collect(),
        None => items(path)?,
    };
    let list = match list.kind() {
        ValueKind::Map => super::pairs(list)?.into_iter().map(|(_, item)| item).collect(),
        _ => items(list)?,
    };
    let mut out = Vec::new();
    for item in list {
        let mut inner = item.clone();
        for key in &path {
            inner = if inner.is_undefined() { inner } else { inner.get_item(key)? };
        }
        if inner.is_undefined() {
            if skip {
                continue;
            }
            let name = path.iter().map(Value::to_string).collect::<Vec<_>>().join(".");
            return Err(failed(
                "subelements",
                format_args!("could not find '{name}' key in iterated item"),
            ));
        }
        if !matches!(inner.kind(), ValueKind::Seq | ValueKind::Iterable) {
            let name = path.last().map(Value::to_string).unwrap_or_default();
            return Err(failed(
                "subelements",
                format_args!("the key {name} should point to a list, got '{}'", type_name(&inner)),
            ));
        }
        out.extend(items(&inner)?.into_iter().map(|sub| pair(item.clone(), sub)));
    }
    Ok(out)
}

/// Returns all choices of `size` elements, in the order of the list; with `order` each arrangement counts.
fn choices(list: &[Value], size: usize, order: bool) -> Value {
    fn walk(
        list: &[Value],
        size: usize,
        order: bool,
        chosen: &mut Vec<usize>,
        out: &mut Vec<Value>,
    ) {
        if chosen.len() == size {
            let row = chosen.iter().filter_map(|at| list.get(*at)).cloned().collect::<Vec<_>>();
            out.push(Value::from(Tuple::from(row)));
            return;
        }
        let from = if order { 0 } else { chosen.last().map_or(0, |last| last + 1) };
        for at in from..list.len() {
            if !chosen.contains(&at) {
                chosen.push(at);
                walk(list, size, order, chosen, out);
                chosen.pop();
            }
        }
    }
    let mut out = Vec::new();
    walk(list, size, order, &mut Vec::new(), &mut out);
    Value::from(out)
}
