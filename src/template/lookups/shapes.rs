//! Lookups that give lists another shape (`with_items`, `with_dict`, `with_sequence` ...).

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::super::filters::{crossed, items, pairs, sub_pairs};
use super::super::library::as_text;
use super::{Call, failed};

impl Call<'_> {
    pub(super) fn all_flat(&self) -> Result<Vec<Value>, Error> {
        fn walk(value: &Value, out: &mut Vec<Value>) -> Result<(), Error> {
            for item in items(value)? {
                if item.kind() == ValueKind::Seq { walk(&item, out)? } else { out.push(item) }
            }
            Ok(())
        }
        let mut out = Vec::new();
        walk(&Value::from(self.terms.clone()), &mut out)?;
        Ok(out)
    }

    pub(super) fn dict(&self) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        for term in self.one_flat()? {
            if term.kind() != ValueKind::Map {
                return Err(failed("dict", "the 'dict' lookup plugin expects a dictionary"));
            }
            let item = |(key, value)| Value::from_pairs([("key", key), ("value", value)]);
            out.extend(pairs(&term)?.into_iter().map(item));
        }
        Ok(out)
    }

    fn lists(&self) -> Result<Vec<Vec<Value>>, Error> {
        let list = |term: &Value| match term.kind() {
            ValueKind::Seq | ValueKind::Iterable => items(term),
            _ => Ok(vec![term.clone()]),
        };
        self.terms.iter().map(list).collect()
    }

    pub(super) fn together(&self) -> Result<Vec<Value>, Error> {
        let lists = self.lists()?;
        let length = lists.iter().map(Vec::len).max().unwrap_or(0);
        let row = |at: usize| {
            let cell = |list: &Vec<Value>| list.get(at).cloned().unwrap_or_else(|| Value::from(()));
            Value::from(lists.iter().map(cell).collect::<Vec<_>>())
        };
        Ok((0..length).map(row).collect())
    }

    pub(super) fn nested(&self) -> Result<Vec<Value>, Error> {
        if self.terms.is_empty() {
            return Err(failed(
                "nested",
                "with_nested requires at least one element in the nested list",
            ));
        }
        let flat = |row: Vec<Value>| -> Result<Value, Error> {
            let mut out = Vec::new();
            for cell in row {
                if cell.kind() == ValueKind::Seq {
                    out.extend(items(&cell)?);
                } else {
                    out.push(cell);
                }
            }
            Ok(Value::from(out))
        };
        crossed(&self.lists()?).into_iter().map(flat).collect()
    }

    pub(super) fn subelements(&self) -> Result<Vec<Value>, Error> {
        let [list, path, rest @ ..] = self.terms.as_slice() else {
            return Err(failed(
                "subelements",
                "subelements lookup expects a list of two or three items",
            ));
        };
        let skip = match rest.first() {
            Some(flags) => flags.get_attr("skip_missing")?.is_true(),
            None => false,
        };
        sub_pairs(list, path, skip)
    }

    pub(super) fn indexed_items(&self) -> Result<Vec<Value>, Error> {
        let row = |(at, item)| Value::from(vec![Value::from(at), item]);
        Ok(self.one_flat()?.into_iter().enumerate().map(row).collect())
    }

    pub(super) fn random_choice(&self) -> Vec<Value> {
        let length = u64::try_from(self.terms.len()).unwrap_or(u64::MAX);
        if length == 0 {
            return Vec::new();
        }
        let mut bytes = [0; 8];
        self.root.templar.outside().random(&mut bytes);
        let at = usize::try_from(u64::from_le_bytes(bytes) % length).unwrap_or(0);
        self.terms.get(at).cloned().into_iter().collect()
    }

    pub(super) fn inventory_hostnames(&self) -> Result<Vec<Value>, Error> {
        let groups = self.root.scope.as_object().and_then(|scope| scope.get_value_by_str("groups"));
        let Some(groups) = groups else {
            return Err(failed("inventory_hostnames", "there is no inventory here"));
        };
        let all = items(&groups.get_attr("all")?)?;
        let of = |name: &str| -> Result<Vec<Value>, Error> {
            let group = groups.get_attr(name)?;
            if !group.is_undefined() {
                return items(&group);
            }
            let (start, end) = name.split_once('*').unwrap_or((name, ""));
            let fits = |host: &&Value| {
                host.as_str().is_some_and(|host| {
                    if name.contains('*') {
                        host.starts_with(start) && host.ends_with(end)
                    } else {
                        host == name
                    }
                })
            };
            Ok(all.iter().filter(fits).cloned().collect())
        };
        let mut chosen: Vec<Value> = Vec::new();
        for term in self.texts()? {
            for part in term.split([':', ',']).filter(|part| !part.is_empty()) {
                if let Some(name) = part.strip_prefix('!') {
                    let out = of(name)?;
                    chosen.retain(|host| !out.contains(host));
                } else if let Some(name) = part.strip_prefix('&') {
                    let kept = of(name)?;
                    chosen.retain(|host| kept.contains(host));
                } else {
                    for host in of(part)? {
                        if !chosen.contains(&host) {
                            chosen.push(host);
                        }
                    }
                }
            }
        }
        Ok(chosen)
    }

    pub(super) fn sequence(&self) -> Result<Vec<Value>, Error> {
        const NAMES: [&str; 5] = ["start", "end", "count", "stride", "format"];
        let terms = if self.terms.is_empty() { vec![String::new()] } else { self.texts()? };
        let mut out = Vec::new();
        for term in terms {
            let (short, options) = self.with_options(&term, &NAMES)?;
            let option = |name: &str| {
                options.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            };
            let number = |text: &str| -> Result<i64, Error> {
                let (text, base) = match text.strip_prefix("0x") {
                    Some(text) => (text, 16),
                    None if text.len() > 1 && text.starts_with('0') => (text, 8),
                    None => (text, 10),
                };
                i64::from_str_radix(text, base).map_err(|_| {
                    failed(
                        "sequence",
                        format_args!("unrecognized arguments to with_sequence: '{text}'"),
                    )
                })
            };
            let given = |name: &str| option(name).map(|text| number(&text)).transpose();
            let (mut start, mut end, mut stride) =
                (given("start")?, given("end")?, given("stride")?);
            let mut format = option("format");
            let count = given("count")?;
            // [start-]end[/stride][:format]
            let (range, short_format) = short
                .split_once(':')
                .map_or((short.as_str(), None), |(range, format)| (range, Some(format)));
            if !range.is_empty() {
                let (range, step) = range
                    .split_once('/')
                    .map_or((range, None), |(range, step)| (range, Some(step)));
                let split = range.char_indices().skip(1).find(|(_, c)| *c == '-').map(|(at, _)| at);
                match split {
                    Some(at) => {
                        start = Some(number(&range[..at])?);
                        end = Some(number(&range[at + 1..])?);
                    }
                    None => end = Some(number(range)?),
                }
                stride = step.map(number).transpose()?.or(stride);
            }
            format = short_format.map(str::to_owned).or(format);
            let start = start.unwrap_or(1);
            let stride = stride.unwrap_or(1);
            let end = match (end, count) {
                (Some(_), Some(_)) => {
                    return Err(failed(
                        "sequence",
                        "can't specify both count and end in with_sequence",
                    ));
                }
                (Some(end), None) => end,
                (None, Some(0)) => continue,
                (None, Some(count)) => start + count * stride - stride,
                (None, None) => {
                    return Err(failed("sequence", "must specify count or end in with_sequence"));
                }
            };
            if stride == 0 {
                continue;
            }
            if (stride > 0 && end < start) || (stride < 0 && end > start) {
                let text = if stride > 0 {
                    "to count backwards make stride negative"
                } else {
                    "to count forward don't make stride negative"
                };
                return Err(failed("sequence", text));
            }
            let format = format.unwrap_or_else(|| "%d".to_owned());
            let mut at = start;
            while (stride > 0 && at <= end) || (stride < 0 && at >= end) {
                let text = minijinja::formatting::format(
                    minijinja::formatting::FormatStyle::Printf,
                    &format,
                    &[Value::from(at)],
                )?;
                out.push(Value::from(text));
                at += stride;
            }
        }
        Ok(out)
    }

    /// Returns all options of a mapping term, or of keyword arguments, under a name as a list of texts.
    pub(super) fn listed(term: Option<&Value>) -> Result<Vec<String>, Error> {
        let Some(term) = term.filter(|term| !term.is_undefined() && !term.is_none()) else {
            return Ok(Vec::new());
        };
        if let Some(text) = term.as_str() {
            return Ok(text.split([',', ';']).map(|part| part.trim().to_owned()).collect());
        }
        items(term)?.iter().map(as_text).collect()
    }
}
