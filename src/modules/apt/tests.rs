use minijinja::Value;
use minijinja::value::Serde;

use super::*;
use crate::modules::Mode;
use crate::modules::test_context::{Fake, Host};

fn text(value: &str) -> Value {
    Value::from(value)
}

/// `cargo test -- --ignored` with Docker and the lab's images: real apt and dpkg, no packages fetched.
#[test]
#[ignore = "needs Docker and the image lab/host:bookworm"]
fn what_is_installed_is_left_alone_and_what_is_unknown_is_refused() {
    for shell in [&["dash"][..], &["bash"]] {
        let host = Host::container("lab/host:bookworm", shell);
        let status = |name: &str, state: &str| {
            let outcome =
                host.run(&Apt, [("name", text(name)), ("state", text(state))], Mode::default());
            (outcome.status, outcome.message().unwrap_or_default().to_owned())
        };
        assert_eq!(status("sudo", "present"), (Status::Ok, String::new()));
        assert_eq!(status("sudo=1.9*", "present"), (Status::Ok, String::new()));
        assert_eq!(status("awk", "present"), (Status::Ok, String::new()));
        assert_eq!(status("no-such-thing", "absent"), (Status::Ok, String::new()));
        let missing = "No package matching 'no-such-thing' is available".to_owned();
        assert_eq!(status("no-such-thing", "present"), (Status::Failed, missing));
        let check = Mode { check: true, diff: true };
        let gone = host.run(&Apt, [("name", text("sudo")), ("state", text("absent"))], check);
        assert_eq!(gone.status, Status::Changed, "{gone:?}");
        let list = Value::from(Serde(["iptables", "docker.io"]));
        let gone = host.run(
            &Package,
            [("name", list.clone()), ("state", text("absent"))],
            Mode::default(),
        );
        assert_eq!(gone.status, Status::Changed, "{gone:?}");
        let gone = host.run(&Package, [("name", list), ("state", text("absent"))], Mode::default());
        assert_eq!(gone.status, Status::Ok, "{gone:?}");
    }
}

/// The same with the network: fetches lists and a small package.
#[test]
#[ignore = "needs Docker, the image lab/host:bookworm and a Debian mirror"]
fn package_is_fetched_installed_upgraded_and_purged() {
    let host = Host::container("lab/host:bookworm", &["dash"]);
    let run = |args: Vec<(&'static str, Value)>, mode| host.run(&Apt, args, mode);
    let update = vec![("update_cache", Value::from(true)), ("cache_valid_time", Value::from(3600))];
    let first = run(update.clone(), Mode::default());
    assert_eq!(
        (first.status, first.data["cache_updated"].clone()),
        (Status::Changed, true.into()),
        "{first:?}"
    );
    let second = run(update, Mode::default());
    assert_eq!(
        (second.status, second.data["cache_updated"].clone()),
        (Status::Ok, false.into()),
        "{second:?}"
    );
    let tree = |state: &str| vec![("name", text("tree")), ("state", text(state))];
    let check = Mode { check: true, diff: false };
    let steps = [
        run(tree("present"), check).status,
        run(tree("present"), Mode::default()).status,
        run(tree("present"), Mode::default()).status,
        run(tree("latest"), Mode::default()).status,
        run(tree("absent"), Mode::default()).status,
        run(tree("absent"), Mode::default()).status,
    ];
    assert_eq!(
        steps,
        [Status::Changed, Status::Changed, Status::Ok, Status::Ok, Status::Changed, Status::Ok]
    );
}

#[test]
fn two_names_in_one_word_are_refused() {
    let mut args = Args::of([("name", text("a b"))]);
    let error = Fake::default().parse(&Apt, &mut args).err().map(|error| error.message);
    assert_eq!(error.as_deref(), Some("package name 'a b' has white space in it"));
}
