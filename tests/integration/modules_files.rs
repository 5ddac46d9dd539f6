//! File modules against real shells. Expected keys and texts were observed with ansible-core 2.19.14.

use std::os::unix::fs::MetadataExt as _;

use matron::outcome::Status;
use serde_json::{Value, json};

use crate::support::shell_host::{ShellHost, data, text};

#[test]
fn copy_of_content_converges_in_one_trip_and_reports_ansibles_keys() {
    for host in ShellHost::each() {
        let dest = host.path("a");
        let args = json!({"content": "hello\n", "dest": dest, "mode": "0640"});
        let first = host.converges("copy", args.clone());
        assert_eq!(host.read("a"), "hello\n");
        assert_eq!(text(&first, "dest"), dest);
        assert_eq!(text(&first, "checksum"), "f572d396fae9206628714fb2ce00f72e94f2258f");
        assert_eq!(text(&first, "md5sum"), "b1946ac92492d2347c6235b4d2611184");
        assert_eq!(text(&first, "mode"), "0640");
        assert_eq!(text(&first, "state"), "file");
        assert_eq!(data(&first, "size"), json!(6));
        let diff = &first.diff[0];
        assert_eq!((diff.before_header.as_str(), diff.before.as_str()), ("", ""));
        assert_eq!((diff.after_header.as_str(), diff.after.as_str()), (dest.as_str(), "hello\n"));
        let second = host.stays("copy", args);
        assert_eq!(text(&second, "path"), dest);
        assert_eq!(text(&second, "checksum"), "f572d396fae9206628714fb2ce00f72e94f2258f");
    }
}

#[test]
fn copy_keeps_owner_and_mode_of_the_file_it_replaces_and_a_backup() {
    for host in ShellHost::each() {
        let dest = host.write("a", "old\n");
        host.chmod("a", 0o604);
        std::os::unix::fs::chown(&dest, Some(1), Some(1)).expect("tests run as root");
        let outcome =
            host.converges("copy", json!({"content": "new\n", "dest": dest, "backup": true}));
        let now = std::fs::metadata(&dest).expect("file");
        assert_eq!((now.uid(), now.gid(), now.mode() & 0o7777), (1, 1, 0o604));
        assert_eq!(text(&outcome, "owner"), "daemon");
        let backup = text(&outcome, "backup_file");
        assert_eq!(std::fs::read_to_string(backup).expect("backup"), "old\n");
        let tail = backup.strip_prefix(&format!("{dest}.")).expect("beside the file");
        assert!(tail.ends_with('~') && tail.contains('@'), "{tail}");
        let diff = &outcome.diff[0];
        assert_eq!((diff.before_header.as_str(), diff.before.as_str()), (dest.as_str(), "old\n"));
    }
}

#[test]
fn copy_changes_only_the_mode_when_only_the_mode_differs() {
    for host in ShellHost::each() {
        let dest = host.write("a", "same\n");
        host.chmod("a", 0o600);
        let outcome = host
            .converges("copy", json!({"content": "same\n", "dest": dest, "mode": "u=rw,g=r,o="}));
        assert_eq!(host.mode("a"), "0640");
        let path = &dest;
        assert_eq!(
            outcome.diff[0].before,
            format!("{{\n    \"mode\": \"0600\",\n    \"path\": \"{path}\"\n}}\n")
        );
        assert_eq!(
            outcome.diff[0].after,
            format!("{{\n    \"mode\": \"0640\",\n    \"path\": \"{path}\"\n}}\n")
        );
    }
}

#[test]
fn copy_brings_every_byte_and_quotes() {
    for host in ShellHost::each() {
        let all: Vec<u8> = (0..=255).collect();
        let without_nul: Vec<u8> = (1..=255).chain(*b"'\\'$(reboot)`x`\n\n").collect();
        host.project("files/all", &all);
        host.project("files/most", &without_nul);
        host.project("files/empty", "");
        for (name, content) in [("all", &all), ("most", &without_nul), ("empty", &Vec::new())] {
            let path = host.path(&format!("it's {name}"));
            host.converges("copy", json!({"src": name, "dest": path}));
            assert_eq!(&std::fs::read(&path).expect("file"), content, "{} {name}", host.name);
        }
    }
}

#[test]
fn copy_of_something_large_asks_first_and_uploads_only_when_it_differs() {
    for host in ShellHost::each() {
        let large: Vec<u8> = (0..700 * 1024).map(|n: u32| (n % 251) as u8).collect();
        host.project("files/large", &large);
        let dest = host.path("large");
        let args = json!({"src": "large", "dest": dest, "mode": "0600"});
        host.converges("copy", args);
        assert_eq!(std::fs::read(&dest).expect("file"), large);
        assert_eq!(host.mode("large"), "0600");
        assert_eq!(host.picture().len(), 1, "no temporary file is left");
    }
}

#[test]
fn copy_into_a_folder_appends_the_name_and_makes_a_folder_named_with_a_slash() {
    for host in ShellHost::each() {
        host.project("files/one.conf", "1\n");
        std::fs::create_dir(host.path("d")).expect("folder");
        let into = host.converges("copy", json!({"src": "one.conf", "dest": host.path("d")}));
        assert_eq!(text(&into, "dest"), host.path("d/one.conf"));
        host.converges("copy", json!({"src": "one.conf", "dest": host.path("new/deep") + "/"}));
        assert_eq!(host.read("new/deep/one.conf"), "1\n");
    }
}

#[test]
fn copy_refuses_with_ansibles_words() {
    for host in ShellHost::each() {
        std::fs::create_dir(host.path("d")).expect("folder");
        host.write("a", "kept\n");
        let refuses = |args| host.refuses("copy", args);
        let nope = host.path("nope/a");
        assert_eq!(
            refuses(json!({"content": "x", "dest": nope})),
            format!("Destination directory {} does not exist", host.path("nope"))
        );
        assert_eq!(
            refuses(json!({"content": "x", "dest": host.path("d")})),
            "can not use content with a dir as dest"
        );
        assert_eq!(
            refuses(json!({"content": "x", "dest": host.path("a/b")})),
            format!(
                "Failed to get information on remote file ({}): Not a directory",
                host.path("a/b")
            )
        );
        assert_eq!(
            refuses(json!({"content": "x", "dest": host.path("a"), "owner": "nosuch"})),
            "chown failed: failed to look up user nosuch"
        );
        assert_eq!(
            refuses(json!({"content": "x", "dest": host.path("a"), "group": "nosuch"})),
            "chgrp failed: failed to look up group nosuch"
        );
        assert_eq!(
            refuses(json!({"content": "x", "dest": host.path("a"), "validate": "grep -q y %s"})),
            "failed to validate"
        );
        assert_eq!(
            refuses(json!({"content": "x", "dest": host.path("a"), "validate": "true"})),
            "validate must contain %s: true"
        );
        assert_eq!(
            refuses(json!({"content": "x", "src": "y", "dest": "/z"})),
            "src and content are mutually exclusive"
        );
        assert_eq!(refuses(json!({"dest": "/z"})), "src (or content) is required");
        assert_eq!(
            refuses(json!({"src": "/nofile", "dest": "/z", "remote_src": true})),
            "Source /nofile not found"
        );
        assert_eq!(host.read("a"), "kept\n", "a refusal changes nothing");
        assert_eq!(host.picture().len(), 2, "no temporary file is left");
    }
}

#[test]
fn copy_validates_the_new_file_before_it_is_in_place() {
    for host in ShellHost::each() {
        let dest = host.path("a");
        let args = json!({"content": "good\n", "dest": dest, "validate": "sh -c 'grep -q good \"$0\"' %s"});
        host.converges("copy", args);
        assert_eq!(host.read("a"), "good\n");
    }
}

#[test]
fn copy_without_force_leaves_a_file_alone() {
    for host in ShellHost::each() {
        let dest = host.write("a", "mine\n");
        host.stays(
            "copy",
            json!({"content": "theirs\n", "dest": dest, "force": false, "mode": "0600"}),
        );
        assert_eq!(host.read("a"), "mine\n");
    }
}

#[test]
fn copy_replaces_a_link_unless_told_to_follow_it() {
    for host in ShellHost::each() {
        host.write("target", "old\n");
        let link = host.link("target", "l");
        host.converges("copy", json!({"content": "one\n", "dest": link, "follow": true}));
        assert_eq!(host.read("target"), "one\n");
        host.converges("copy", json!({"content": "two\n", "dest": link}));
        assert_eq!(host.read("target"), "one\n");
        assert_eq!(std::fs::symlink_metadata(&link).expect("file").len(), 4);
    }
}

#[test]
fn copy_of_a_mapping_writes_json() {
    for host in ShellHost::each() {
        let dest = host.path("j");
        host.converges("copy", json!({"content": {"a": 1, "b": [1, true]}, "dest": dest}));
        let value: Value = serde_json::from_str(&host.read("j")).expect("JSON");
        assert_eq!(value, json!({"a": 1, "b": [1, true]}));
    }
}

#[test]
fn copy_of_a_folder_takes_few_trips_and_one_when_nothing_differs() {
    for host in ShellHost::each() {
        host.project("files/tree/one", "1\n");
        host.project("files/tree/sub/two it's", "2\n");
        std::fs::create_dir_all(host.folder.join("files/tree/sub/empty")).expect("folder");
        let args = json!({"src": "tree", "dest": host.path("d"), "mode": "0600", "directory_mode": "0710"});
        let first = host.converges("copy", args.clone());
        assert_eq!(text(&first, "dest"), host.path("d") + "/");
        assert_eq!(host.read("d/tree/sub/two it's"), "2\n");
        assert_eq!(host.mode("d/tree/one"), "0600");
        assert_eq!(host.mode("d/tree/sub/empty"), "0710");
        host.converges("copy", json!({"src": "tree/", "dest": host.path("e")}));
        assert_eq!(host.read("e/one"), "1\n");
    }
}

#[test]
fn copy_of_a_folder_with_large_files_sends_only_what_differs() {
    for host in ShellHost::each() {
        host.project("files/tree/a", vec![b'a'; 300 * 1024]);
        host.project("files/tree/b", vec![b'b'; 300 * 1024]);
        host.project("files/tree/c", vec![b'c'; 600 * 1024]);
        host.write("d/tree/b", vec![b'b'; 300 * 1024]);
        let args = json!({"src": "tree", "dest": host.path("d")});
        host.converges("copy", args);
        for (name, size) in [("a", 300), ("b", 300), ("c", 600)] {
            let path = host.path(&format!("d/tree/{name}"));
            assert_eq!(std::fs::metadata(path).expect("file").len(), size * 1024);
        }
    }
}

#[test]
fn copy_on_the_host_itself_copies_files_and_folders() {
    for host in ShellHost::each() {
        let src = host.write("src", "x\n");
        let one = host
            .converges("copy", json!({"src": src, "dest": host.path("dst"), "remote_src": true}));
        assert_eq!(host.read("dst"), "x\n");
        assert_eq!(text(&one, "src"), src);
        assert_eq!(one.diff[0].after, "x\n");
        host.write("t/one", "1\n");
        host.write("t/sub/.two", "2\n");
        host.chmod("t/one", 0o700);
        host.link("one", "t/l");
        let args = json!({"src": host.path("t"), "dest": host.path("u"), "remote_src": true});
        host.converges("copy", args);
        assert_eq!(host.read("u/t/sub/.two"), "2\n");
        assert_eq!(host.mode("u/t/one"), "0700");
        assert_eq!(std::fs::read_link(host.path("u/t/l")).expect("link").to_str(), Some("one"));
        let args = json!({"src": host.path("t/"), "dest": host.path("v"), "remote_src": true});
        host.converges("copy", args);
        assert_eq!(host.read("v/one"), "1\n");
    }
}

#[test]
fn template_is_rendered_and_put_in_place() {
    for host in ShellHost::each() {
        host.project("templates/a.j2", "hello {{ v }}\n");
        host.project("templates/bad.j2", "{{ nope }}\n");
        let args = json!({"src": "a.j2", "dest": host.path("a"), "mode": "0644"});
        let first = host.converges("template", args);
        assert_eq!(host.read("a"), "hello world\n");
        assert_eq!(first.diff[0].after, "hello world\n");
        std::fs::create_dir(host.path("d")).expect("folder");
        host.converges("template", json!({"src": "a.j2", "dest": host.path("d")}));
        assert_eq!(host.read("d/a.j2"), "hello world\n");
        let message = host.refuses("template", json!({"src": "bad.j2", "dest": host.path("b")}));
        assert_eq!(message, "'nope' is undefined");
        let message = host.refuses("template", json!({"src": "none.j2", "dest": host.path("b")}));
        assert!(message.starts_with("Could not find or access 'none.j2'"), "{message}");
    }
}

#[test]
fn paths_are_made_whole_on_the_host() {
    for host in ShellHost::each() {
        *host.environment.borrow_mut() = vec![("PLACE".to_owned(), host.path("p"))];
        std::fs::create_dir(host.path("p")).expect("folder");
        host.converges("copy", json!({"content": "1", "dest": "~/home file"}));
        assert_eq!(host.read("home file"), "1");
        host.converges("copy", json!({"content": "2", "dest": "${PLACE}/x$NOPE"}));
        assert_eq!(host.read("p/x$NOPE"), "2");
        assert!(
            host.refuses("copy", json!({"content": "2", "dest": "~daemon/nope/x"}))
                .starts_with("Destination directory /usr/sbin/nope does not exist")
        );
    }
}

#[test]
fn file_makes_folders_with_their_parents() {
    for host in ShellHost::each() {
        let path = host.path("p/q/r");
        let args = json!({"path": path, "state": "directory", "mode": "0750", "owner": "daemon"});
        let first = host.converges("file", args);
        assert_eq!(host.mode("p"), "0750");
        assert_eq!(text(&first, "state"), "directory");
        assert_eq!(text(&first, "owner"), "daemon");
        assert!(first.diff[0].before.contains("\"state\": \"absent\""));
        let args = json!({"path": path, "state": "directory", "mode": "g+s,o=x"});
        let outcome = host.converges("file", args);
        assert_eq!(text(&outcome, "mode"), "02751");
    }
}

#[test]
fn file_symbolic_modes_are_what_ansible_makes_of_them() {
    for host in ShellHost::each() {
        std::fs::create_dir(host.path("d")).expect("folder");
        host.chmod("d", 0o3777);
        for (mode, bits) in [
            ("u=rwx,g=rx,o=", "0750"),
            ("g+s,o+t,+x", "03751"),
            ("a=rx", "0555"),
            ("=rw", "0644"),
            ("g=u", "0664"),
            ("a-x,a+X", "0775"),
            ("u-w+x,go-rwx", "0500"),
        ] {
            host.converges("file", json!({"path": host.path("d"), "mode": mode}));
            assert_eq!(host.mode("d"), bits, "{} {mode}", host.name);
        }
    }
}

#[test]
fn file_refuses_with_ansibles_words() {
    for host in ShellHost::each() {
        let f = host.write("f", "x");
        std::fs::create_dir(host.path("full")).expect("folder");
        host.write("full/x", "");
        let refuses = |args| host.refuses("file", args);
        assert_eq!(
            refuses(json!({"path": f, "state": "directory"})),
            format!("{f} already exists as a file")
        );
        let none = host.path("none");
        assert_eq!(
            refuses(json!({"path": none, "state": "file"})),
            format!("file ({none}) is absent, cannot continue")
        );
        assert_eq!(
            refuses(json!({"path": none})),
            format!("file ({none}) is absent, cannot continue")
        );
        let full = host.path("full");
        assert_eq!(
            refuses(json!({"path": full, "state": "file"})),
            format!("file ({full}) is directory, cannot continue")
        );
        assert_eq!(
            refuses(json!({"path": host.path("no/t"), "state": "touch"})),
            "Error, could not touch target."
        );
        let l3 = host.path("l3");
        assert_eq!(
            refuses(json!({"src": "zzz", "path": l3, "state": "link"})),
            format!(
                "src file does not exist, use 'force=yes' if you really want to create the link: {}",
                host.path("zzz")
            )
        );
        assert_eq!(
            refuses(json!({"src": "full", "path": f, "state": "link"})),
            format!("refusing to convert from file to symlink for {f}")
        );
        assert_eq!(
            refuses(json!({"src": "x", "path": full, "state": "link"})),
            format!("refusing to convert from directory to symlink for {full}")
        );
        assert_eq!(
            refuses(json!({"src": "../f", "path": full, "state": "link", "force": true})),
            format!("the directory {full} is not empty, refusing to convert it")
        );
        assert_eq!(
            refuses(json!({"path": l3, "state": "link"})),
            "src is required for creating new symlinks"
        );
        assert_eq!(
            refuses(json!({"src": none, "path": l3, "state": "hard"})),
            "src does not exist"
        );
        assert_eq!(
            refuses(json!({"path": f, "recurse": true, "state": "touch"})),
            "recurse option requires state to be 'directory'"
        );
        let below = host.path("f/x");
        let message = refuses(json!({"path": below, "state": "directory"}));
        assert_eq!(
            message,
            format!("There was an issue creating {below} as requested: Not a directory")
        );
        assert_eq!(
            refuses(json!({"path": f, "owner": "nosuch"})),
            "chown failed: failed to look up user nosuch"
        );
    }
}

#[test]
fn file_absent_removes_what_is_there() {
    for host in ShellHost::each() {
        host.write("d/sub/x", "");
        let d = host.path("d");
        let outcome = host.converges("file", json!({"path": d, "state": "absent"}));
        assert_eq!(text(&outcome, "state"), "absent");
        assert!(outcome.diff[0].before.contains("d/sub/x"), "{:?}", outcome.diff);
        host.write("f", "");
        host.link("f", "l");
        host.converges("file", json!({"path": host.path("l"), "state": "absent"}));
        assert_eq!(host.mode("f"), "0644", "the target stays");
    }
}

#[test]
fn file_links_are_made_changed_and_replaced() {
    for host in ShellHost::each() {
        host.write("f", "");
        host.write("t", "");
        let path = host.path("l");
        let first = host.converges("file", json!({"src": "f", "path": path, "state": "link"}));
        assert_eq!((text(&first, "src"), text(&first, "dest")), ("f", path.as_str()));
        assert_eq!(text(&first, "state"), "link");
        let moved = host.converges("file", json!({"src": "t", "path": path, "state": "link"}));
        assert!(moved.diff[0].before.contains("\"src\": \"f\""));
        host.converges(
            "file",
            json!({"src": "../gone", "path": path, "state": "link", "force": true}),
        );
        host.converges(
            "file",
            json!({"src": "t", "path": host.path("f"), "state": "link", "force": true}),
        );
        let hard = host.converges(
            "file",
            json!({"src": host.path("t"), "path": host.path("h"), "state": "hard"}),
        );
        assert_eq!(text(&hard, "state"), "hard");
        std::fs::create_dir(host.path("d1")).expect("folder");
        std::fs::create_dir(host.path("d2")).expect("folder");
        let path = host.link("d1", "dl");
        host.converges("file", json!({"src": "d2", "path": path, "state": "link"}));
        assert_eq!(std::fs::read_link(&path).expect("link").to_str(), Some("d2"));
        assert_eq!(std::fs::read_dir(host.path("d1")).expect("folder").count(), 0);
    }
}

#[test]
fn file_touch_always_changes_unless_times_are_given() {
    for host in ShellHost::each() {
        let path = host.path("t");
        let args = json!({"path": path, "state": "touch"});
        assert_eq!(host.run("file", args.clone()).status, Status::Changed);
        assert_eq!(host.run("file", args).status, Status::Changed);
        let keep = json!({"path": path, "state": "touch", "access_time": "preserve", "modification_time": "preserve"});
        host.stays("file", keep);
        // Looking at the file moves its access time, so only the other one is set.
        let at = "202001010101.01";
        let set = json!({"path": path, "state": "touch", "access_time": "preserve", "modification_time": at});
        host.converges("file", set);
    }
}

#[test]
fn file_recurses_without_touching_what_is_right() {
    for host in ShellHost::each() {
        host.write("r/s/one", "");
        host.write("r/s/it's two", "");
        host.chmod("r/s/one", 0o755);
        host.link("one", "r/s/l");
        let args = json!({"path": host.path("r"), "state": "directory", "recurse": true, "mode": "u=rwX,go=", "owner": "daemon"});
        host.converges("file", args);
        assert_eq!(host.mode("r/s"), "0700");
        assert_eq!(host.mode("r/s/one"), "0700");
        assert_eq!(host.mode("r/s/it's two"), "0600");
        assert_eq!(std::fs::symlink_metadata(host.path("r/s/l")).expect("link").uid(), 1);
    }
}

#[test]
fn file_follows_a_link_unless_told_not_to() {
    for host in ShellHost::each() {
        std::fs::create_dir(host.path("full")).expect("folder");
        let link = host.link("full", "ld");
        let outcome =
            host.converges("file", json!({"path": link, "state": "directory", "mode": "0700"}));
        assert_eq!(text(&outcome, "path"), host.path("full"));
        host.write("f", "");
        let link = host.link("f", "l");
        let outcome = host.converges("file", json!({"path": link, "mode": "0604"}));
        assert_eq!(host.mode("f"), "0604");
        assert_eq!((text(&outcome, "dest"), text(&outcome, "src")), (link.as_str(), "f"));
        host.stays("file", json!({"path": link, "mode": "0644", "follow": false}));
    }
}
