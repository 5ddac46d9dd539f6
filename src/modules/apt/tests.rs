use minijinja::Value;

use super::*;
use crate::modules::test_context::Fake;

fn text(value: &str) -> Value {
    Value::from(value)
}

#[test]
fn two_names_in_one_word_are_refused() {
    let mut args = Args::of([("name", text("a b"))]);
    let error = Fake::default().parse(&Apt, &mut args).err().map(|error| error.message);
    assert_eq!(error.as_deref(), Some("package name 'a b' has white space in it"));
}
