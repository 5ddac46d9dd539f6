//! `command`, `shell` and `stat` against real shells. Expected keys and texts were observed with ansible-core 2.19.14.

use std::os::unix::fs::MetadataExt as _;

use matron::outcome::Status;
use serde_json::{Value, json};

use crate::support::shell_host::{ShellHost, data, text};

#[test]
fn command_returns_what_ansible_returns() {
    for host in ShellHost::each() {
        let ok = host.run("command", json!({"cmd": "echo 'a  b' \"c\""}));
        assert_eq!(ok.status, Status::Changed);
        assert_eq!(text(&ok, "stdout"), "a  b c");
        assert_eq!(data(&ok, "cmd"), json!(["echo", "a  b", "c"]));
        assert_eq!(data(&ok, "rc"), json!(0));
        assert_eq!(data(&ok, "stdout_lines"), json!(["a  b c"]));
        assert_eq!(data(&ok, "stderr_lines"), json!([]));
        assert_eq!(text(&ok, "start").len(), "2026-11-22 21:57:14.111242".len());
        assert!(text(&ok, "delta").starts_with("0:00:0"), "{ok:?}");
        let bad = host.run("command", json!({"cmd": "sh -c 'echo o; echo e >&2; exit 3'"}));
        assert_eq!(bad.status, Status::Failed);
        assert_eq!((text(&bad, "msg"), data(&bad, "rc")), ("non-zero return code", json!(3)));
        assert_eq!((text(&bad, "stdout"), text(&bad, "stderr")), ("o", "e"));
        let none = host.run("command", json!({"cmd": "nosuchbinary a"}));
        assert_eq!(none.status, Status::Failed);
        assert_eq!((text(&none, "msg"), data(&none, "rc")), ("Error executing command.", json!(2)));
        assert_eq!(text(&none, "cmd"), "nosuchbinary a");
        let folder = host.run("command", json!({"argv": [host.path("")]}));
        assert_eq!(data(&folder, "rc"), json!(13));
        assert_eq!(
            host.refuses("command", json!({"chdir": "/"})),
            "one of the following is required: cmd, argv"
        );
        assert!(
            host.refuses("command", json!({"cmd": "echo 'a"})).starts_with("No closing quotation")
        );
        assert_eq!(
            host.refuses("command", json!({"cmd": "pwd", "chdir": "/nowhere"})),
            "Unable to change directory before execution."
        );
    }
}

#[test]
fn command_expands_variables_of_the_host_only_when_asked() {
    for host in ShellHost::each() {
        *host.environment.borrow_mut() = vec![("GIVEN".to_owned(), "it's $HOME".to_owned())];
        let home = host.path("");
        let home = home.trim_end_matches('/');
        let run = |args| text(&host.run("command", args), "stdout").to_owned();
        assert_eq!(
            run(json!({"cmd": "echo $HOME '$HOME' ${HOME}x $NOPE $GIVEN $ *"})),
            format!("{home} {home} {home}x $NOPE it's $HOME $ *")
        );
        assert_eq!(run(json!({"cmd": "echo $HOME ~", "expand_argument_vars": false})), "$HOME ~");
        assert_eq!(run(json!({"argv": ["echo", "~/x", "a~"]})), format!("{home}/x a~"));
    }
}

#[test]
fn command_skips_by_creates_and_removes() {
    for host in ShellHost::each() {
        host.write("there is", "");
        let run = |args| host.run("command", args);
        let pattern = host.path("there*");
        let skipped = run(json!({"cmd": "false", "creates": pattern}));
        assert_eq!(skipped.status, Status::Ok);
        assert_eq!(text(&skipped, "stdout"), format!("skipped, since {pattern} exists"));
        assert_eq!(text(&skipped, "msg"), format!("Did not run command since '{pattern}' exists"));
        assert_eq!(data(&skipped, "rc"), json!(0));
        let missing = run(json!({"cmd": "false", "removes": "none*", "chdir": host.path("")}));
        assert_eq!(text(&missing, "msg"), "Did not run command since 'none*' does not exist");
        assert_eq!(run(json!({"cmd": "true", "creates": "none"})).status, Status::Changed);
        assert_eq!(run(json!({"cmd": "true", "removes": "there is"})).status, Status::Changed);
    }
}

#[test]
fn command_in_check_mode_runs_nothing() {
    for host in ShellHost::each() {
        let args = json!({"cmd": format!("touch {}", host.path("made"))});
        let skipped = host.check("command", args);
        assert_eq!(skipped.status, Status::Skipped);
        assert_eq!(text(&skipped, "msg"), "Command would have run if not in check mode");
        let known = host.check("command", json!({"cmd": "touch made", "creates": "made"}));
        assert_eq!(known.status, Status::Changed);
        host.write("made", "");
        let known = host.check("command", json!({"cmd": "touch made", "creates": "made"}));
        assert_eq!(text(&known, "msg"), "Would not run command since 'made' exists");
    }
}

#[test]
fn command_gets_stdin_and_keeps_or_strips_line_ends() {
    for host in ShellHost::each() {
        let run = |args| text(&host.run("command", args), "stdout").to_owned();
        assert_eq!(run(json!({"cmd": "wc -c", "stdin": "a b"})).trim(), "4");
        assert_eq!(
            run(json!({"cmd": "wc -c", "stdin": "a b", "stdin_add_newline": false})).trim(),
            "3"
        );
        assert_eq!(run(json!({"cmd": "cat"})), "");
        assert_eq!(run(json!({"cmd": r"printf '\n a \n\n'"})), "\n a ");
        assert_eq!(
            run(json!({"cmd": r"printf '\n a \n\n'", "strip_empty_ends": false})),
            "\n a \n\n"
        );
    }
}

#[test]
fn shell_runs_pipes_and_sees_the_environment() {
    for host in ShellHost::each() {
        *host.environment.borrow_mut() = vec![("GIVEN".to_owned(), "x y".to_owned())];
        let ok = host.run("shell", json!({"cmd": "echo \"$GIVEN\" | tr x X; echo e >&2"}));
        assert_eq!((text(&ok, "stdout"), text(&ok, "stderr")), ("X y", "e"));
        assert_eq!(text(&ok, "cmd"), "echo \"$GIVEN\" | tr x X; echo e >&2");
        assert_eq!(data(&host.run("shell", json!({"cmd": "exit 4"})), "rc"), json!(4));
        assert_eq!(data(&host.run("shell", json!({"cmd": "kill -9 $$"})), "rc"), json!(137));
        let none = host.run("shell", json!({"cmd": "echo", "executable": "/bin/nobash"}));
        assert_eq!((text(&none, "msg"), data(&none, "rc")), ("Error executing command.", json!(2)));
        let bash = host.run("shell", json!({"cmd": "echo $0", "executable": "/bin/bash"}));
        assert_eq!(text(&bash, "stdout"), "/bin/bash");
        // Neither our locale nor our reply channel is the command's business.
        let clean =
            host.run("shell", json!({"cmd": "echo ${LC_ALL-unset}; echo leak >&3 || true"}));
        assert_eq!(text(&clean, "stdout"), "unset");
    }
}

#[test]
fn stat_tells_what_ansible_tells() {
    for host in ShellHost::each() {
        let path = host.write("f", "abc");
        host.chmod("f", 0o640);
        let outcome = host.run("stat", json!({"path": path}));
        let stat = data(&outcome, "stat");
        for (key, value) in [
            ("exists", json!(true)),
            ("path", json!(path)),
            ("mode", json!("0640")),
            ("isreg", json!(true)),
            ("isdir", json!(false)),
            ("islnk", json!(false)),
            ("uid", json!(0)),
            ("size", json!(3)),
            ("nlink", json!(1)),
            ("rusr", json!(true)),
            ("wgrp", json!(false)),
            ("pw_name", json!("root")),
            ("gr_name", json!("root")),
            ("checksum", json!("a9993e364706816aba3e25717850c26c9cd0d89d")),
            ("readable", json!(true)),
            ("executable", json!(false)),
        ] {
            assert_eq!(stat[key], value, "{} {key}", host.name);
        }
        let real = std::fs::metadata(&path).expect("file");
        assert_eq!(stat["inode"], json!(real.ino()));
        assert_eq!(stat["dev"], json!(real.dev()));
        let exact =
            format!("{}.{:09}", real.mtime(), real.mtime_nsec()).parse::<f64>().expect("time");
        assert!((stat["mtime"].as_f64().expect("mtime") - exact).abs() < 1e-5, "{stat}");
        let folder = data(&host.run("stat", json!({"path": host.path("")})), "stat");
        assert_eq!((&folder["isdir"], &folder["checksum"]), (&json!(true), &Value::Null));
        let none = data(&host.run("stat", json!({"path": host.path("none")})), "stat");
        assert_eq!(none, json!({"exists": false}));
        assert_eq!(host.refuses("stat", json!({"path": host.path("f/x")})), "Not a directory");
        let sum = json!({"path": path, "checksum_algorithm": "sha256", "get_mime": false});
        let sum = data(&host.run("stat", sum), "stat");
        assert_eq!(
            sum["checksum"],
            json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }
}

#[test]
fn stat_of_a_link_names_both_ends() {
    for host in ShellHost::each() {
        host.write("f", "abc");
        let link = host.link("f", "l");
        let stat = data(&host.run("stat", json!({"path": link})), "stat");
        assert_eq!(stat["islnk"], json!(true));
        assert_eq!(
            (&stat["lnk_target"], &stat["lnk_source"]),
            (&json!("f"), &json!(host.path("f")))
        );
        let stat = data(&host.run("stat", json!({"path": link, "follow": true})), "stat");
        assert_eq!(
            (&stat["islnk"], &stat["isreg"], &stat["size"]),
            (&json!(false), &json!(true), &json!(3))
        );
        let broken = host.link("nope", "b");
        let stat = data(&host.run("stat", json!({"path": broken})), "stat");
        assert_eq!(stat["lnk_target"], json!("nope"));
    }
}
