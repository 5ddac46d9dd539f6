//! Values as Ansible knows them: type names, `omit`, lists and mappings a template may change, and what leaves a template.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// The value that makes an argument vanish.
#[derive(Debug)]
struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<<Omit>>")
    }
}

/// Returns the value that makes an argument vanish (`default(omit)`).
pub fn omit() -> Value {
    Value::from_object(Omit)
}

/// Tells whether a value is [`omit`].
pub fn is_omit(value: &Value) -> bool {
    value.downcast_object_ref::<Omit>().is_some()
}

/// Something that is worked out when it is looked at; [`finished`] turns it into plain data.
pub(crate) trait Lazy {
    /// Returns the whole as plain data.
    fn whole(&self) -> Result<Value, Error>;
}

/// Names a value's type as Python does.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "Undefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Bytes => "bytes",
        ValueKind::Seq if value.is_tuple() => "tuple",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "dict",
        ValueKind::Plain if super::dates::is_date(value) => "datetime",
        _ => "object",
    }
}

/// Makes an error that says an undefined thing is used; the look-up's name is found afterwards.
pub(crate) fn undefined() -> Error {
    Error::from(ErrorKind::UndefinedError)
}

/// Refuses undefined.
pub(crate) fn defined(value: &Value) -> Result<&Value, Error> {
    if value.is_undefined() { Err(undefined()) } else { Ok(value) }
}

/// Returns a template's result as plain data: lazy parts worked out, `omit` inside of containers gone, iterators as lists.
/// Fails on undefined anywhere in it.
pub(crate) fn finished(value: Value) -> Result<Value, Error> {
    if is_finished(&value) {
        return Ok(value);
    }
    if value.is_undefined() {
        return Err(undefined());
    }
    match value.kind() {
        ValueKind::Map => {
            if let Some(lazy) = crate::vars::lazy(&value) {
                return lazy.whole();
            }
            let mut map = IndexMap::new();
            for key in value.try_iter()?.checked() {
                let key = key?;
                let item = value.get_item(&key)?;
                if !is_omit(&item) {
                    map.insert(key, finished(item)?);
                }
            }
            Ok(Value::from_pairs(map))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            if let Some(lazy) = crate::vars::lazy(&value) {
                return lazy.whole();
            }
            let mut list = Vec::new();
            for item in value.try_iter()?.checked() {
                let item = item?;
                if !is_omit(&item) {
                    list.push(finished(item)?);
                }
            }
            Ok(Value::from(list))
        }
        _ => Ok(value),
    }
}

/// Tells whether [`finished`] would leave a value as it is.
fn is_finished(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Undefined | ValueKind::Iterable | ValueKind::Invalid => false,
        ValueKind::Seq => {
            if value.downcast_object_ref::<Vec<Value>>().is_none() {
                return false;
            }
            value.try_iter().is_ok_and(|mut items| items.all(|item| inner_finished(&item)))
        }
        ValueKind::Map => {
            if crate::vars::lazy(value).is_some() || value.downcast_object_ref::<Dict>().is_some() {
                return false;
            }
            // A host's whole scope (`hostvars[x]`) is left as it is: it works itself out when looked at.
            if crate::vars::is_scope(value) {
                return true;
            }
            let Some(object) = value.as_object() else { return true };
            object
                .try_iter_pairs()
                .is_some_and(|mut pairs| pairs.all(|(_, item)| inner_finished(&item)))
        }
        _ => true,
    }
}

fn inner_finished(value: &Value) -> bool {
    !is_omit(value) && is_finished(value)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A list that a template may change (`{% set _ = x.append(1) %}`).
#[derive(Debug, Default)]
pub(super) struct List(Mutex<Vec<Value>>);

/// A mapping that a template may change.
#[derive(Debug, Default)]
pub(super) struct Dict(Mutex<IndexMap<Value, Value>>);

impl List {
    /// Makes a changeable copy of a list.
    pub(super) fn copy(value: &Value) -> Result<Value, Error> {
        Ok(Value::from_object(Self(Mutex::new(value.try_iter()?.collect()))))
    }
}

impl Dict {
    /// Makes a changeable copy of a mapping.
    pub(super) fn copy(value: &Value) -> Result<Value, Error> {
        let mut map = IndexMap::new();
        for key in value.try_iter()? {
            let item = value.get_item(&key)?;
            map.insert(key, item);
        }
        Ok(Value::from_object(Self(Mutex::new(map))))
    }
}

fn position(index: Option<&Value>, length: usize) -> Option<usize> {
    let index = index.and_then(Value::as_i64)?;
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

fn wrong(method: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("wrong arguments for {method}()"))
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        lock(&self.0).get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(lock(&self.0).len())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let first = args.first();
        let none = Value::from(());
        match method {
            "append" => lock(&self.0).push(first.ok_or_else(|| wrong(method))?.clone()),
            "extend" => {
                let more: Vec<Value> = first.ok_or_else(|| wrong(method))?.try_iter()?.collect();
                lock(&self.0).extend(more);
            }
            "insert" => {
                let item = args.get(1).ok_or_else(|| wrong(method))?.clone();
                let mut list = lock(&self.0);
                let length = list.len();
                list.insert(position(first, length).unwrap_or(length).min(length), item);
            }
            "pop" => {
                let mut items = lock(&self.0);
                let length = items.len();
                let last = length.checked_sub(1);
                let at = if first.is_some() { position(first, length) } else { last };
                let at = at.filter(|at| *at < length).ok_or_else(|| {
                    Error::new(ErrorKind::InvalidOperation, "pop index out of range")
                })?;
                return Ok(items.remove(at));
            }
            "remove" => {
                let item = first.ok_or_else(|| wrong(method))?;
                let mut list = lock(&self.0);
                let at = list.iter().position(|known| known == item).ok_or_else(|| {
                    Error::new(ErrorKind::InvalidOperation, "list.remove(x): x not in list")
                })?;
                list.remove(at);
            }
            "clear" => lock(&self.0).clear(),
            "reverse" => lock(&self.0).reverse(),
            "sort" => lock(&self.0).sort(),
            "copy" => return Ok(Value::from_object(Self(Mutex::new(lock(&self.0).clone())))),
            _ => {
                let plain = Value::from(lock(&self.0).clone());
                return super::methods::call(state, &plain, method, args);
            }
        }
        Ok(none)
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        lock(&self.0).get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(lock(&self.0).len())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let first = args.first();
        match method {
            "update" => {
                for more in args {
                    for key in more.try_iter()? {
                        let item = more.get_item(&key)?;
                        lock(&self.0).insert(key, item);
                    }
                }
                Ok(Value::from(()))
            }
            "setdefault" => {
                let key = first.ok_or_else(|| wrong(method))?.clone();
                let item = args.get(1).cloned().unwrap_or_else(|| Value::from(()));
                Ok(lock(&self.0).entry(key).or_insert(item).clone())
            }
            "pop" => {
                let key = first.ok_or_else(|| wrong(method))?;
                match (lock(&self.0).shift_remove(key), args.get(1)) {
                    (Some(item), _) => Ok(item),
                    (None, Some(other)) => Ok(other.clone()),
                    (None, None) => {
                        Err(Error::new(ErrorKind::InvalidOperation, "pop: the key is not there"))
                    }
                }
            }
            "clear" => {
                lock(&self.0).clear();
                Ok(Value::from(()))
            }
            "copy" => Ok(Value::from_object(Self(Mutex::new(lock(&self.0).clone())))),
            _ => {
                let plain = Value::from_pairs(lock(&self.0).clone());
                super::methods::call(state, &plain, method, args)
            }
        }
    }
}
