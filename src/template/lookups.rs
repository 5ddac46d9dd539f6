//! stub
use super::library::Shelf;
use super::templar::Root;
use minijinja::value::Kwargs;
use minijinja::{Error, Value};
use std::path::PathBuf;
use std::sync::Arc;
pub(super) fn add(_: &mut Shelf) {}
pub(super) fn paths(paths: &Value) -> Vec<PathBuf> {
    paths
        .try_iter()
        .map(|paths| paths.filter_map(|path| path.as_str().map(PathBuf::from)).collect())
        .unwrap_or_default()
}
pub(super) fn run(
    _: &Arc<Root>,
    _: &str,
    _: Vec<Value>,
    _: &Kwargs,
    _: bool,
) -> Result<Value, Error> {
    Ok(Value::UNDEFINED)
}
