use minijinja::Value;
use minijinja::value::Serde;

use super::*;
use crate::modules::Mode;
use crate::modules::group::Group;
use crate::modules::test_context::Host;
use crate::outcome::Status;

const IMAGE: &str = "lab/host:bookworm";

fn text(value: &str) -> Value {
    Value::from(value)
}

/// `cargo test -- --ignored` with Docker and the lab's images: real useradd, usermod, chpasswd under three shells.
#[test]
#[ignore = "needs Docker and the image lab/host:bookworm"]
fn user_is_made_changed_left_alone_and_removed() {
    for shell in [&["dash"][..], &["bash"]] {
        let host = Host::container(IMAGE, shell);
        let check = Mode { check: true, diff: false };
        let run = |args: Vec<(&'static str, Value)>, mode| host.run(&User, args, mode);
        let group =
            host.run(&Group, [("name", text("ward")), ("gid", Value::from(4321))], Mode::default());
        assert_eq!(
            (group.status, &group.data["gid"]),
            (Status::Changed, &Json::from(4321)),
            "{group:?}"
        );
        let again =
            host.run(&Group, [("name", text("ward")), ("gid", Value::from(4321))], Mode::default());
        assert_eq!(again.status, Status::Ok);

        let full = || {
            vec![
                ("name", text("nurse")),
                ("uid", Value::from(4400)),
                ("group", text("ward")),
                ("groups", Value::from(Serde(["docker", "sudo"]))),
                ("comment", text("N. Urse, ward")),
                ("shell", text("/bin/bash")),
                ("password", text("$6$salt$hash")),
                ("generate_ssh_key", Value::from(true)),
                ("ssh_key_type", text("ed25519")),
                ("ssh_key_file", text(".ssh/id_ed25519")),
            ]
        };
        assert_eq!(run(full(), check).status, Status::Changed);
        let made = run(full(), Mode::default());
        assert_eq!(made.status, Status::Changed, "{made:?}");
        assert_eq!(made.data["home"], "/home/nurse");
        assert_eq!(made.data["group"], 4321);
        assert_eq!(made.data["ssh_key_file"], "/home/nurse/.ssh/id_ed25519");
        let again = run(full(), Mode::default());
        assert_eq!(again.status, Status::Ok, "{again:?}");

        let append = vec![
            ("name", text("nurse")),
            ("groups", text("docker")),
            ("append", Value::from(true)),
        ];
        assert_eq!(run(append, Mode::default()).status, Status::Ok);
        let only = || vec![("name", text("nurse")), ("groups", text("docker"))];
        assert_eq!(run(only(), Mode::default()).status, Status::Changed);
        assert_eq!(run(only(), Mode::default()).status, Status::Ok);
        let lock = || vec![("name", text("nurse")), ("password_lock", Value::from(true))];
        assert_eq!(run(lock(), Mode::default()).status, Status::Changed);
        assert_eq!(run(lock(), Mode::default()).status, Status::Ok);
        let expires = || vec![("name", text("nurse")), ("expires", Value::from(1_900_000_000))];
        assert_eq!(run(expires(), Mode::default()).status, Status::Changed);
        assert_eq!(run(expires(), Mode::default()).status, Status::Ok);

        let bad = run(vec![("name", text("x")), ("group", text("nope"))], Mode::default());
        assert_eq!(bad.message(), Some("Group nope does not exist"));
        let gone = || {
            vec![("name", text("nurse")), ("state", text("absent")), ("remove", Value::from(true))]
        };
        assert_eq!(run(gone(), Mode::default()).status, Status::Changed);
        assert_eq!(run(gone(), Mode::default()).status, Status::Ok);
    }
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
