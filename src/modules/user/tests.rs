use minijinja::Value;

use super::*;
use crate::modules::Mode;
use crate::modules::test_context::Host;
use crate::outcome::Status;

fn text(value: &str) -> Value {
    Value::from(value)
}

#[test]
fn check_mode_says_a_missing_user_would_be_made() {
    for host in Host::each() {
        let args = [("name", text("matron-nobody-here")), ("uid", Value::from(4444))];
        let outcome = host.run(&User, args, Mode { check: true, diff: false });
        assert_eq!(
            (outcome.status, &outcome.data["uid"]),
            (Status::Changed, &Json::from(4444)),
            "{outcome:?}"
        );
    }
}

#[test]
fn root_as_it_is_needs_no_change() {
    for host in Host::each() {
        let outcome = host.run(&User, [("name", text("root"))], Mode::default());
        assert_eq!(
            (outcome.status, &outcome.data["home"]),
            (Status::Ok, &Json::from("/root")),
            "{outcome:?}"
        );
    }
}
