use minijinja::Value;

use super::*;
use crate::modules::Mode;
use crate::modules::test_context::Host;
use crate::outcome::Status;

fn text(value: &str) -> Value {
    Value::from(value)
}

/// A `systemctl` that keeps one unit as a file: enough to see what is asked for.
const SYSTEMCTL: &str = r#"#!/bin/sh
store=@STORE@
[ -f "$store/unit" ] && . "$store/unit"
: "${load:=loaded}" "${file:=disabled}" "${active:=inactive}"
while [ $# -gt 0 ]; do case $1 in --*) shift ;; *) break ;; esac; done
verb=$1
case $verb in
  show) printf 'LoadState=%s\nUnitFileState=%s\nActiveState=%s\n' "$load" "$file" "$active"; exit 0 ;;
  is-enabled) [ "$file" = enabled ]; exit ;;
esac
echo "$*" >>"$store/log"
case $verb in
  enable) file=enabled ;; disable) file=disabled ;; mask) file=masked load=masked ;; unmask) file=disabled load=loaded ;;
  start|restart) active=active ;; stop) active=inactive ;;
esac
echo "load=$load file=$file active=$active" >"$store/unit"
"#;

fn ward(host: Host) -> Host {
    let store = host.path("");
    host.program("systemctl", &SYSTEMCTL.replace("@STORE@", store.trim_end_matches('/')));
    host
}

#[test]
fn enabling_is_done_once_and_by_systemctl() {
    for host in Host::each().map(ward) {
        let args = || [("name", text("docker")), ("enabled", Value::from(true))];
        let first = host.run(&Systemd, args(), Mode::default());
        let second = host.run(&Systemd, args(), Mode::default());
        assert_eq!((first.status, second.status), (Status::Changed, Status::Ok), "{first:?}");
        assert_eq!(first.data["status"]["UnitFileState"], "enabled");
        assert_eq!(host.read("log"), "enable -- docker\n");
    }
}

#[test]
fn unit_that_is_not_there_is_refused_by_name() {
    let host = ward(Host::temporary());
    host.write("unit", "load=not-found file= active=inactive\n");
    let outcome = host.run(
        &Systemd,
        [("name", text("nope")), ("enabled", Value::from(true))],
        Mode::default(),
    );
    assert_eq!(outcome.message(), Some("Could not find the requested service nope: host"));
}

#[test]
fn masking_and_check_mode_say_the_change() {
    let host = ward(Host::temporary());
    let args = || [("name", text("docker")), ("masked", Value::from(true))];
    let check = host.run(&Systemd, args(), Mode { check: true, diff: false });
    assert_eq!((check.status, host.read("log")), (Status::Changed, String::new()));
    assert_eq!(host.run(&Systemd, args(), Mode::default()).status, Status::Changed);
    assert_eq!(host.run(&Systemd, args(), Mode::default()).status, Status::Ok);
}
