//! slurp, fetch, find, tempfile, raw and script against real shells. Expectations were observed with ansible-core 2.19.14.

#![expect(clippy::expect_used, reason = "a claim that cannot be looked at is a failed test")]

use matron::outcome::{Effect, Status};
use serde_json::{Value, json};

use crate::support::shell_host::ShellHost;

#[test]
fn slurp_returns_base64() {
    for host in ShellHost::each() {
        let path = host.write("f", "vm\n");
        let outcome = host.stays("slurp", json!({"src": path}));
        assert_eq!(outcome.data["content"], json!("dm0K"));
        assert_eq!(outcome.data["encoding"], json!("base64"));
        assert_eq!(outcome.data["source"], json!(path));
        let none = host.path("none");
        assert_eq!(host.refuses("slurp", json!({"src": none})), format!("File not found: {none}"));
        let message = host.refuses("slurp", json!({"src": "/etc"}));
        assert_eq!(message, "Source is a directory and must be a file: /etc");
    }
}

#[test]
fn fetch_keeps_a_file_here_only_when_it_differs() {
    for host in ShellHost::each() {
        let path = host.write("f", "vm\n");
        let kept = host.folder.join("kept").display().to_string();
        let outcome = host.run("fetch", json!({"src": path, "dest": kept}));
        assert_eq!(outcome.status, Status::Changed);
        let place = format!("{kept}/h1{path}");
        assert_eq!(outcome.data["dest"], json!(place));
        assert_eq!(outcome.data["checksum"], json!("52390946c590e974a358c25d40f09b566cf314be"));
        assert_eq!(outcome.data["md5sum"], json!("6520213d3695a344f306efffa2523807"));
        assert_eq!(
            outcome.effects,
            vec![Effect::Keep { path: place.into(), content: b"vm\n".to_vec() }]
        );
        host.project("flat", "vm\n");
        let flat = host.folder.join("flat").display().to_string();
        let same = host.stays("fetch", json!({"src": path, "dest": flat, "flat": true}));
        assert_eq!((&same.data["file"], &same.effects), (&json!(path), &Vec::new()));
        let message = "the remote file does not exist, not transferring, ignored";
        let missing = json!({"src": host.path("none"), "dest": flat, "flat": true});
        assert_eq!(host.refuses("fetch", missing), message);
        let mut missing = json!({"src": host.path("none"), "dest": flat, "flat": true});
        missing["fail_on_missing"] = json!(false);
        assert_eq!(host.stays("fetch", missing).message(), Some(message));
        assert_eq!(
            host.refuses("fetch", json!({"src": "/etc", "dest": flat, "flat": true})),
            "remote file is a directory, fetch cannot work on directories"
        );
    }
}

fn names(outcome: &matron::outcome::Outcome) -> Vec<String> {
    let files = outcome.data["files"].as_array().expect("files");
    let mut names: Vec<_> = files
        .iter()
        .map(|file| {
            file["path"].as_str().expect("path").rsplit('/').next().unwrap_or_default().to_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn find_finds_by_name_kind_size_mode_and_content() {
    for host in ShellHost::each() {
        host.write("d/a.conf", "port = 5432\nhost = x\n");
        host.write("d/b c.conf", "# port\n");
        host.write("d/.hidden.conf", "");
        host.write("d/sub/deep.log", "x".repeat(2048));
        host.write("d/sub/sub2/deeper.log", "");
        host.chmod("d/a.conf", 0o600);
        host.link("a.conf", "d/l");
        let find = |args: Value| {
            let mut args = args;
            args["paths"] = json!(host.path("d"));
            host.run("find", args)
        };
        for (args, expected) in [
            (json!({}), vec!["a.conf", "b c.conf"]),
            (
                json!({"patterns": "*.conf", "hidden": true}),
                vec![".hidden.conf", "a.conf", "b c.conf"],
            ),
            (json!({"patterns": ["[!a]*.conf", "zz"]}), vec!["b c.conf"]),
            (json!({"patterns": "a.*,b.*", "use_regex": true, "excludes": "b.*"}), vec!["a.conf"]),
            (json!({"recurse": true, "patterns": "*.log"}), vec!["deep.log", "deeper.log"]),
            (json!({"recurse": true, "patterns": "*.log", "depth": 2}), vec!["deep.log"]),
            (json!({"file_type": "directory", "recurse": true}), vec!["sub", "sub2"]),
            (json!({"file_type": "any"}), vec!["a.conf", "b c.conf", "l", "sub"]),
            (json!({"file_type": "link"}), vec!["l"]),
            (json!({"recurse": true, "size": "2k"}), vec!["deep.log"]),
            (json!({"recurse": true, "size": "-1k"}), vec!["a.conf", "b c.conf", "deeper.log"]),
            (json!({"mode": "0600"}), vec!["a.conf"]),
            (json!({"contains": "port"}), vec!["a.conf"]),
            (json!({"contains": ".*port"}), vec!["a.conf", "b c.conf"]),
            (json!({"age": "1d"}), vec![]),
            (json!({"age": "-1h"}), vec!["a.conf", "b c.conf"]),
        ] {
            assert_eq!(names(&find(args.clone())), expected, "{} {args}", host.name);
        }
        let summed = find(json!({"patterns": "b*", "get_checksum": true}));
        assert_eq!(summed.data["matched"], json!(1));
        assert_eq!(summed.data["examined"], json!(5));
        let file = &summed.data["files"][0];
        assert_eq!(file["checksum"], json!("4073d157578bb12b10ac0e24d5015c9919cde4df"), "{file}");
        assert_eq!(file["mode"], json!("0644"));
        let none = host.run("find", json!({"paths": host.path("none")}));
        assert_eq!(none.message(), Some("Not all paths examined, check warnings for details"));
        let why = format!("'{}' is not a directory", host.path("none"));
        assert_eq!(none.data["skipped_paths"][host.path("none")], json!(why));
    }
}

#[test]
fn tempfile_makes_what_only_its_owner_can_read() {
    for host in ShellHost::each() {
        let folder = host.path("");
        let file = host.run("tempfile", json!({"path": folder, "suffix": "tail"}));
        let path = file.data["path"].as_str().expect("path");
        assert!(path.contains("/ansible.") && path.ends_with("tail"), "{path}");
        assert_eq!((&file.data["mode"], &file.data["state"]), (&json!("0600"), &json!("file")));
        let made =
            host.run("tempfile", json!({"path": folder, "state": "directory", "prefix": "pp."}));
        assert_eq!(
            (&made.data["mode"], &made.data["state"]),
            (&json!("0700"), &json!("directory"))
        );
        let none = host.path("none");
        let message = host.refuses("tempfile", json!({"path": none}));
        assert!(
            message.starts_with(&format!("[Errno 2] No such file or directory: '{none}/ansible."))
        );
        assert_eq!(host.check("tempfile", json!({"path": folder})).status, Status::Skipped);
    }
}

#[test]
fn raw_runs_the_line_as_it_is() {
    for host in ShellHost::each() {
        let ok = host.run("raw", json!({"free_form": "echo hi; echo e >&2"}));
        assert_eq!(ok.status, Status::Changed);
        assert_eq!((&ok.data["stdout"], &ok.data["stderr"]), (&json!("hi\n"), &json!("e\n")));
        assert_eq!(ok.data["stdout_lines"], json!(["hi"]));
        let bad = host.run("raw", json!({"free_form": "if"}));
        assert_eq!((bad.status, bad.message()), (Status::Failed, Some("non-zero return code")));
        assert_eq!(host.check("raw", json!({"free_form": "touch x"})).status, Status::Skipped);
    }
}

#[test]
fn script_runs_and_leaves_nothing_behind() {
    for host in ShellHost::each() {
        let text = "#!/bin/sh\necho \"$PWD $*\"; echo err >&2\n[ \"$1\" != exit ] || exit 3\n";
        host.project("files/scr.sh", text);
        let before = host.picture();
        let ok = host.run("script", json!({"cmd": "scr.sh a 'b c'", "chdir": "/usr"}));
        assert_eq!(ok.data["stdout"], json!("/usr a b c\n"), "{} {ok:?}", host.name);
        assert_eq!(ok.data["stderr"], json!("err\n"));
        let bad = host.run("script", json!({"cmd": "scr.sh exit", "executable": "/bin/sh"}));
        assert_eq!((bad.status, &bad.data["rc"]), (Status::Failed, &json!(3)));
        let skipped = host.run("script", json!({"cmd": "scr.sh", "creates": "/tmp"}));
        assert_eq!(skipped.status, Status::Skipped);
        assert_eq!(skipped.message(), Some("/tmp exists, matching creates option"));
        assert!(
            host.refuses("script", json!({"cmd": "none.sh"}))
                .starts_with("Could not find or access 'none.sh'")
        );
        assert_eq!(before, host.picture());
    }
}
