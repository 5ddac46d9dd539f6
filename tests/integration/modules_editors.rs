//! lineinfile, replace and blockinfile against real shells. Texts were observed with ansible-core 2.19.14.

use matron::outcome::Status;
use serde_json::{Value, json};

use crate::support::shell_host::ShellHost;

/// Runs one edit on each host: text before, arguments, text after, message. Then again: nothing changes, in one trip.
fn edits(module: &str, cases: Vec<(&str, Value, &str, &str)>) {
    for host in ShellHost::each() {
        for (before, args, after, message) in &cases {
            let path = host.write("f", before);
            let mut args = args.clone();
            args["path"] = json!(path);
            let outcome = if before == after {
                host.stays(module, args.clone())
            } else {
                let planned = host.check(module, args.clone());
                assert_eq!(planned.status, Status::Changed, "{} {args}", host.name);
                host.trips();
                let first = host.run(module, args.clone());
                assert_eq!(host.trips(), 2, "{} {args}", host.name);
                assert_eq!(first.status, Status::Changed, "{} {args} {first:?}", host.name);
                assert_eq!(planned.diff, first.diff);
                assert_eq!(
                    (first.diff[0].before.as_str(), first.diff[0].after.as_str()),
                    (*before, *after)
                );
                first
            };
            assert_eq!(host.read("f"), *after, "{} {args}", host.name);
            assert_eq!(outcome.message(), Some(*message), "{} {args}", host.name);
        }
    }
}

#[test]
fn lineinfile_puts_lines_where_ansible_puts_them() {
    let four = "first\nx=1\ny=2\n";
    edits(
        "lineinfile",
        vec![
            ("one\n", json!({"line": "two"}), "one\ntwo\n", "line added"),
            ("one\ntwo\n", json!({"line": "one"}), "one\ntwo\n", ""),
            ("one\ntwo\n", json!({"regexp": "^tw", "line": "TWO"}), "one\nTWO\n", "line replaced"),
            ("one\nTWO\n", json!({"regexp": "^tw", "line": "TWO"}), "one\nTWO\n", ""),
            ("x=1\ny=2", json!({"line": "z=3"}), "x=1\ny=2\nz=3\n", "line added"),
            (
                "x=1\n",
                json!({"line": "first", "insertbefore": "BOF"}),
                "first\nx=1\n",
                "line added",
            ),
            (
                four,
                json!({"line": "aft", "insertafter": "^x"}),
                "first\nx=1\naft\ny=2\n",
                "line added",
            ),
            (
                four,
                json!({"line": "bef", "insertbefore": "^y"}),
                "first\nx=1\nbef\ny=2\n",
                "line added",
            ),
            (
                four,
                json!({"line": "end", "insertafter": "^q"}),
                "first\nx=1\ny=2\nend\n",
                "line added",
            ),
            (
                four,
                json!({"line": "end", "insertbefore": "^q"}),
                "first\nx=1\ny=2\nend\n",
                "line added",
            ),
            (
                four,
                json!({"regexp": "^(x)=(.*)", "line": "\\2=\\g<1>\\t!", "backrefs": true}),
                "first\n1=x\t!\ny=2\n",
                "line replaced",
            ),
            (four, json!({"regexp": "^(q)=(.*)", "line": "\\2=\\1", "backrefs": true}), four, ""),
            (
                four,
                json!({"search_string": "y=", "line": "y=9"}),
                "first\nx=1\ny=9\n",
                "line replaced",
            ),
            ("a1\na2\nb\n", json!({"regexp": "^a", "line": "a9"}), "a1\na9\nb\n", "line replaced"),
            (
                "a1\na2\nb\n",
                json!({"regexp": "^a", "line": "a9", "firstmatch": true}),
                "a9\na2\nb\n",
                "line replaced",
            ),
            (
                "a8\na9\nb\n",
                json!({"regexp": "^zz", "line": "zz=1", "insertafter": "^a8"}),
                "a8\nzz=1\na9\nb\n",
                "line added",
            ),
            (
                "a\nzz\nb\n",
                json!({"regexp": "^no", "line": "zz", "insertafter": "^a"}),
                "a\nzz\nb\n",
                "",
            ),
            (
                "a\nzz\nb\n",
                json!({"line": "q", "insertafter": "[az]"}),
                "a\nzz\nq\nb\n",
                "line added",
            ),
            (
                "a\nzz\nb\n",
                json!({"line": "q", "insertafter": "[az]", "firstmatch": true}),
                "a\nq\nzz\nb\n",
                "line added",
            ),
            (
                "a=1\r\nb=2\r\n",
                json!({"regexp": "^a=", "line": "a=2"}),
                "a=2\nb=2\r\n",
                "line replaced",
            ),
            (
                "listen {\n",
                json!({"regexp": "^listen {$", "line": "server {"}),
                "server {\n",
                "line replaced",
            ),
        ],
    );
}

#[test]
fn lineinfile_removes_every_line_that_matches() {
    edits(
        "lineinfile",
        vec![
            (
                "one\ntwo\nthree\n",
                json!({"regexp": "^(one|three)", "state": "absent"}),
                "two\n",
                "2 line(s) removed",
            ),
            ("two\n", json!({"regexp": "^(one|three)", "state": "absent"}), "two\n", ""),
            ("one\ntwo\n", json!({"line": "one", "state": "absent"}), "two\n", "1 line(s) removed"),
        ],
    );
}

#[test]
fn lineinfile_makes_the_file_only_when_asked() {
    for host in ShellHost::each() {
        let path = host.path("deep/f");
        let refused = host.run("lineinfile", json!({"path": path, "line": "x"}));
        assert_eq!(
            refused.message(),
            Some(format!("Destination {path} does not exist !").as_str())
        );
        assert_eq!(refused.data["rc"], json!(257));
        host.converges(
            "lineinfile",
            json!({"path": path, "line": "x", "create": true, "mode": "0600"}),
        );
        assert_eq!((host.read("deep/f").as_str(), host.mode("deep/f").as_str()), ("x\n", "0600"));
        let none = host.path("none");
        let absent =
            host.stays("lineinfile", json!({"path": none, "line": "x", "state": "absent"}));
        assert_eq!(absent.message(), Some("file not present"));
        let folder = host.path("deep");
        assert_eq!(
            host.refuses("lineinfile", json!({"path": folder, "line": "x"})),
            format!("Path {folder} is a directory !")
        );
    }
}

#[test]
fn lineinfile_refuses_with_ansibles_words() {
    for host in ShellHost::each() {
        let path = host.write("f", "y=1\n");
        for (args, message) in [
            (json!({"line": "a", "backrefs": true}), "regexp is required with backrefs=true"),
            (json!({}), "line is required with state=present"),
            (
                json!({"state": "absent"}),
                "one of line, search_string, or regexp is required with state=absent",
            ),
            (
                json!({"line": "a", "regexp": "y", "search_string": "y"}),
                "parameters are mutually exclusive: regexp|search_string",
            ),
            (
                json!({"line": "a", "insertafter": "y", "insertbefore": "y"}),
                "parameters are mutually exclusive: insertbefore|insertafter",
            ),
            (json!({"line": "a", "validate": "false %s"}), "failed to validate: rc:1 error:"),
        ] {
            let mut args = args;
            args["path"] = json!(path);
            assert_eq!(host.refuses("lineinfile", args), message);
        }
        assert_eq!(host.read("f"), "y=1\n");
        assert_eq!(host.picture().len(), 1, "no temporary file is left");
    }
}

#[test]
fn editors_keep_backups_set_modes_and_write_through_links() {
    for host in ShellHost::each() {
        host.write("f", "a\n");
        let link = host.link("f", "l");
        let args =
            json!({"path": link, "line": "b", "backup": true, "mode": "0640", "owner": "daemon"});
        let first = host.converges("lineinfile", args);
        assert_eq!(host.read("f"), "a\nb\n");
        assert_eq!(host.mode("f"), "0640");
        let backup = first.data["backup"].as_str().expect("a path");
        assert_eq!(std::fs::read_to_string(backup).expect("backup"), "a\n");
        assert_eq!(
            first.message(),
            Some("line added and ownership, perms or SE linux context changed")
        );
        assert_eq!(first.diff[1].before, "{\n    \"mode\": \"0644\",\n    \"owner\": 0\n}\n");
        let only = host.converges(
            "blockinfile",
            json!({"path": host.path("f"), "state": "absent", "mode": "0600"}),
        );
        assert_eq!(only.message(), Some("ownership, perms or SE linux context changed"));
    }
}

#[test]
fn replace_replaces_as_python_does() {
    edits(
        "replace",
        vec![
            (
                "a8\nzz=1\na9\n",
                json!({"regexp": "^a(\\d)$", "replace": "A\\1"}),
                "A8\nzz=1\nA9\n",
                "2 replacements made",
            ),
            ("A8\n", json!({"regexp": "^a(\\d)$", "replace": "A\\1"}), "A8\n", ""),
            ("A8\nb\nA9\n", json!({"regexp": "A.*\\n"}), "b\n", "2 replacements made"),
            (
                "a\n[s]\na\n[t]\na\n",
                json!({"regexp": "^a$", "replace": "X", "after": "\\[s\\]", "before": "\\[t\\]"}),
                "a\n[s]\nX\n[t]\na\n",
                "1 replacements made",
            ),
            (
                "a\n",
                json!({"regexp": "a", "replace": "b", "after": "QQQ"}),
                "a\n",
                "Pattern for before/after params did not match the given file: QQQ(?P<subsection>.*)",
            ),
        ],
    );
    for host in ShellHost::each() {
        let none = host.path("none");
        let outcome = host.run("replace", json!({"path": none, "regexp": "a"}));
        assert_eq!(outcome.message(), Some(format!("Path {none} does not exist !").as_str()));
        assert_eq!(outcome.data["rc"], json!(257));
        let bad = host.refuses("replace", json!({"path": none, "regexp": "a", "replace": "\\9"}));
        assert_eq!(
            bad,
            "Unable to process replace due to error: invalid group reference 9 at position 1"
        );
    }
}

#[test]
fn blockinfile_puts_blocks_where_ansible_puts_them() {
    let block = "# BEGIN ANSIBLE MANAGED BLOCK\nl1\nl2\n# END ANSIBLE MANAGED BLOCK\n";
    let two = format!("; S x\nk\n; E x\n{block}");
    edits(
        "blockinfile",
        vec![
            ("", json!({"block": "l1\nl2"}), block, "Block inserted"),
            (block, json!({"block": "l1\nl2\n"}), block, ""),
            (
                block,
                json!({"block": "l3"}),
                "# BEGIN ANSIBLE MANAGED BLOCK\nl3\n# END ANSIBLE MANAGED BLOCK\n",
                "Block inserted",
            ),
            (
                block,
                json!({"block": "k", "marker": "; {mark} x", "insertbefore": "BOF", "marker_begin": "S", "marker_end": "E"}),
                two.as_str(),
                "Block inserted",
            ),
            (
                "a\nb\n",
                json!({"block": "q", "marker": "{mark}", "insertafter": "^a", "append_newline": true, "prepend_newline": true}),
                "a\n\nBEGIN\nq\nEND\n\nb\n",
                "Block inserted",
            ),
            (
                "a\n\nBEGIN\nq\nEND\n\nb\n",
                json!({"block": "q", "marker": "{mark}", "insertafter": "^a", "append_newline": true, "prepend_newline": true}),
                "a\n\nBEGIN\nq\nEND\n\nb\n",
                "",
            ),
            (
                "a\n\nb\n",
                json!({"block": "q\n\nz", "marker": "{mark}", "insertbefore": "^b", "append_newline": true, "prepend_newline": true}),
                "a\n\nBEGIN\nq\n\nz\nEND\n\nb\n",
                "Block inserted",
            ),
            (
                &two,
                json!({"block": "", "marker": "; {mark} x", "marker_begin": "S", "marker_end": "E"}),
                block,
                "Block removed",
            ),
            ("x\n", json!({"state": "absent"}), "x\n", ""),
            ("x", json!({"state": "absent"}), "x", ""),
            (
                "x",
                json!({"block": "q", "marker": "{mark}"}),
                "x\nBEGIN\nq\nEND\n",
                "Block inserted",
            ),
            (
                "BEGIN\nx\n",
                json!({"block": "q", "marker": "{mark}"}),
                "BEGIN\nx\nBEGIN\nq\nEND\n",
                "Block inserted",
            ),
            (
                "a\r\n",
                json!({"block": "q", "marker": "{mark}"}),
                "a\r\nBEGIN\nq\nEND\n",
                "Block inserted",
            ),
        ],
    );
    for host in ShellHost::each() {
        let path = host.path("new/f");
        let refused = host.refuses("blockinfile", json!({"path": path, "block": "q"}));
        assert_eq!(refused, format!("Path {path} does not exist !"));
        let made =
            host.converges("blockinfile", json!({"path": path, "block": "q", "create": true}));
        assert_eq!(made.message(), Some("File created"));
    }
}
