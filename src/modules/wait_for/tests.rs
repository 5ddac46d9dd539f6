use minijinja::Value;

use super::*;
use crate::modules::test_context::Host;
use crate::outcome::Status;

fn text(value: &str) -> Value {
    Value::from(value)
}

#[test]
fn file_with_the_text_is_found_with_its_groups() {
    for host in Host::each() {
        host.write("log", "starting\nready at 5432\n");
        let args =
            [("path", text(&host.path("log"))), ("search_regex", text(r"^ready at (?P<port>\d+)"))];
        let outcome = host.run(&WaitFor, args, Mode::default());
        assert_eq!(outcome.status, Status::Ok, "{outcome:?}");
        assert_eq!(outcome.data["match_groupdict"]["port"], "5432");
        assert_eq!(outcome.data["state"], "file");
    }
}

#[test]
fn file_that_does_not_come_is_a_timeout_by_name() {
    let host = Host::temporary();
    let outcome =
        host.run(&WaitFor, [("path", text("/nope")), ("timeout", Value::from(3))], Mode::default());
    assert_eq!(outcome.message(), Some("Timeout when waiting for file /nope"));
    assert_eq!(outcome.data["elapsed"], 3);
}

#[test]
fn listening_port_is_found_and_a_closed_one_is_not() {
    for host in Host::each() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let run = |state: &str| {
            let args =
                [("port", Value::from(port)), ("state", text(state)), ("timeout", Value::from(2))];
            host.run(&WaitFor, args, Mode::default())
        };
        assert_eq!(run("started").status, Status::Ok);
        let wanted = format!("Timeout when waiting for 127.0.0.1:{port} to stop.");
        assert_eq!(run("stopped").message(), Some(wanted.as_str()));
        drop(listener);
        assert_eq!(run("stopped").status, Status::Ok);
        let wanted = format!("Timeout when waiting for 127.0.0.1:{port}");
        assert_eq!(run("started").message(), Some(wanted.as_str()));
    }
}

/// A busybox-only PATH: no bash, no nc.
#[test]
fn listener_is_found_without_any_tool_to_connect() {
    let host = Host::temporary();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let script = Script::new("PATH=$only").then(VERBS).then(include_str!("probe.sh"));
    let script = script
        .var("only", host.path("tools"))
        .var("kind", "port")
        .var("host", "127.0.0.1")
        .var("port", port.to_string())
        .var("regex", "");
    host.write("tools/grep", "#!/bin/sh\nexec /bin/grep \"$@\"\n");
    std::process::Command::new("chmod")
        .args(["755", &host.path("tools/grep")])
        .status()
        .expect("chmod");
    let action = crate::modules::action::OneTrip::new(Reach::Local, script, |reply| {
        Outcome::ok().with("there", reply.fields.is_set("there"))
    });
    assert_eq!(host.drive(Box::new(action), Mode::default()), Outcome::ok().with("there", true));
}

#[test]
fn connections_that_count_are_those_of_the_port_in_the_states_named() {
    let waiting = Waiting {
        target: Target::Drained { port: 5432 },
        host: "127.0.0.1".to_owned(),
        state: "drained",
        gone: false,
        regex: None,
        pattern: None,
        counted: vec!["01"],
        excluded: vec!["10.0.0.9".to_owned()],
        timeout: Duration::ZERO,
        delay: Duration::ZERO,
        sleep: Duration::ZERO,
        connect: Duration::ZERO,
        message: None,
        elapsed: Duration::ZERO,
        under_way: Duration::ZERO,
    };
    // From a Debian 12 host; port 5432 is 1538 in hexadecimal.
    let sockets = "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n   1: 0100007F:1538 0200000A:D431 01 00000000:00000000 00:00000000 00000000 0 0 2\n   2: 0100007F:1538 0900000A:D432 01 00000000:00000000 00:00000000 00000000 0 0 3\n   3: 0100007F:D431 0100007F:1538 01 00000000:00000000 00:00000000 00000000 0 0 4\n";
    assert_eq!(waiting.connections(sockets), 1);
}

#[test]
fn without_port_and_path_time_passes() {
    let host = Host::temporary();
    let outcome = host.run(&WaitFor, [("timeout", Value::from(7))], Mode::default());
    assert_eq!((outcome.status, &outcome.data["elapsed"]), (Status::Ok, &Json::from(7)));
}
