use minijinja::Value;

use super::*;
use crate::modules::Mode;
use crate::modules::test_context::{Fake, Host};
use crate::outcome::Status;

/// A `docker` that keeps containers as files: enough of it to see what is asked for, in which order.
const FAKE_DOCKER: &str = r#"#!/bin/sh
store=$FAKE_DOCKER; log=$store/log
case $1 in
  container)
    shift 3; format=$1; name=$2; file=$store/c.$name
    [ -f "$file" ] || { echo "no such container" >&2; exit 1; }
    . "$file"
    case $format in
      *org.matron.command*) cat "$file.command" ;;
      *) echo "id-$name $status 7 sha256:img 0 $digest" ;;
    esac
    exit 0 ;;
  image) [ -f "$store/image" ] && echo sha256:img && exit 0; exit 1 ;;
  version) echo 24.0; exit 0 ;;
esac
echo "$*" | head -1 >>"$log"
case $1 in
  pull) : >"$store/image" ;;
  create)
    [ -f "$store/refuse" ] && { echo "bad option" >&2; exit 125; }
    shift; name=$2; digest=${4#org.matron.digest=}; command=${6#org.matron.command=}
    echo "status=created digest=$digest" >"$store/c.$name"; printf '%s' "$command" >"$store/c.$name.command" ;;
  start) sed -i 's/status=[a-z]*/status=running/' "$store/c.$2" ;;
  stop) sed -i 's/status=[a-z]*/status=exited/' "$store/c.$4" ;;
  rename) mv "$store/c.$2" "$store/c.$3"; mv "$store/c.$2.command" "$store/c.$3.command" ;;
  rm) rm -f "$store/c.$2" "$store/c.$2.command" ;;
esac
"#;

struct Ward {
    host: Host,
}

impl Ward {
    fn new() -> Self {
        let host = Host::temporary();
        host.program("docker", &FAKE_DOCKER.replace("$FAKE_DOCKER", &host.path("")));
        host.write("image", "");
        Self { host }
    }

    fn run(&self, command: Option<&str>, state: &str, mode: Mode) -> Outcome {
        let mut args = Args::of([("name", Value::from("db")), ("state", Value::from(state))]);
        if let Some(command) = command {
            args.named.insert("command".to_owned(), crate::modules::Arg::of(command));
        }
        let docker = self.host.path("bin/docker");
        args.named.insert("docker_command".to_owned(), crate::modules::Arg::of(docker));
        args.named.insert("pull".to_owned(), crate::modules::Arg::of("never"));
        let action = Fake::default().parse(&Container, &mut args).expect("parses");
        self.host.drive(action, mode)
    }

    fn log(&self) -> String {
        self.host.read("log").replace(&self.host.path(""), "")
    }
}

const ONE: &str = "docker run -d -p 1:1 postgres:15";
const TWO: &str = "docker run -d -p 2:2 postgres:15";

fn actions(outcome: &Outcome) -> String {
    let list = outcome.data.get("actions").and_then(|list| list.as_array()).cloned();
    let words =
        list.unwrap_or_default().into_iter().map(|word| word.as_str().unwrap_or("").to_owned());
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn first_run_makes_it_and_the_second_leaves_it_alone() {
    let ward = Ward::new();
    let first = ward.run(Some(ONE), "started", Mode::default());
    assert_eq!(
        (first.status, actions(&first)),
        (Status::Changed, "create start".to_owned()),
        "{first:?}"
    );
    let second = ward.run(Some(ONE), "started", Mode::default());
    assert_eq!((second.status, actions(&second)), (Status::Ok, String::new()), "{second:?}");
    assert_eq!(second.data["status"], "running");
}

#[test]
fn changed_command_replaces_it_and_shows_the_difference() {
    let ward = Ward::new();
    ward.run(Some(ONE), "started", Mode::default());
    let outcome = ward.run(Some(TWO), "started", Mode::default());
    assert_eq!(
        (outcome.status, actions(&outcome)),
        (Status::Changed, "stop remove create start".to_owned()),
        "{outcome:?}"
    );
    let diff = outcome.diff.first().expect("a diff");
    assert!(diff.before.contains("1:1") && diff.after.contains("2:2"), "{diff:?}");
    assert!(ward.log().contains("stop -t 600 db\nrename db db.matron-old\n"), "{}", ward.log());
}

#[test]
fn replacement_that_cannot_be_created_leaves_the_old_one_running() {
    let ward = Ward::new();
    ward.run(Some(ONE), "started", Mode::default());
    ward.host.write("refuse", "");
    let outcome = ward.run(Some(TWO), "started", Mode::default());
    assert_eq!(
        outcome.message(),
        Some(
            "cannot create container db: bad option; the container that was there is back as it was"
        )
    );
    let after = ward.run(Some(ONE), "started", Mode::default());
    assert_eq!((after.status, &after.data["status"]), (Status::Ok, &Json::from("running")));
}

#[test]
fn check_mode_says_and_does_nothing() {
    let ward = Ward::new();
    let outcome = ward.run(Some(ONE), "started", Mode { check: true, diff: true });
    assert_eq!(
        (outcome.status, actions(&outcome)),
        (Status::Changed, "create start".to_owned()),
        "{outcome:?}"
    );
    assert_eq!(ward.log(), "");
}

#[test]
fn stopped_and_absent_go_all_the_way_and_rest_there() {
    let ward = Ward::new();
    ward.run(Some(ONE), "started", Mode::default());
    assert_eq!(actions(&ward.run(None, "stopped", Mode::default())), "stop");
    assert_eq!(actions(&ward.run(None, "stopped", Mode::default())), "");
    assert_eq!(actions(&ward.run(None, "absent", Mode::default())), "remove");
    assert_eq!(actions(&ward.run(None, "absent", Mode::default())), "");
}

#[test]
fn missing_image_that_may_not_be_pulled_is_refused_before_anything_is_touched() {
    let ward = Ward::new();
    ward.host.remove("image");
    let outcome = ward.run(Some(ONE), "started", Mode::default());
    let wanted = "image postgres:15 is not on this host and pull is never: load it with 'docker load', or set pull: missing";
    assert_eq!(outcome.message(), Some(wanted));
}

#[test]
fn template_file_is_rendered_to_the_command() {
    let ward = Ward::new();
    let fake = Fake::default().file("run.j2", "docker run -p {{ port }}:1 x\n").variable("port", 7);
    let mut args = Args::of([
        ("name", Value::from("db")),
        ("template", Value::from("run.j2")),
        ("pull", Value::from("never")),
        ("docker_command", Value::from(ward.host.path("bin/docker"))),
    ]);
    let outcome =
        ward.host.drive(fake.parse(&Container, &mut args).expect("parses"), Mode::default());
    assert_eq!(outcome.status, Status::Changed, "{outcome:?}");
    assert!(outcome.diff.first().is_some_and(|diff| diff.after.contains("--publish 7:1")));
}
