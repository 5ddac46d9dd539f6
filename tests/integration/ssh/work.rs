//! What a connection does once it is there: the same claims for each shell, over SSH and locally.

#![expect(clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use matron::shell::Script;
use matron::transport::{Connection, Flight, Identity, Local, OutputLine, TransportErrorKind};
use tokio_util::sync::CancellationToken;

use crate::support::sshd::{Folder, Sshd};

const SHELLS: [&str; 3] = ["/bin/dash", "/bin/bash", "/bin/busybox"];

/// A connection to a shell, and what keeps it alive.
struct Ward {
    name: String,
    connection: Arc<dyn Connection>,
    _keep: (Option<Sshd>, Folder),
}

impl Ward {
    async fn run(&self, scripts: Vec<Script>) -> Vec<matron::shell::Reply> {
        self.connection
            .run(&Identity::Login, Flight { scripts }, &CancellationToken::new())
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    async fn one(&self, script: Script) -> matron::shell::Reply {
        self.run(vec![script]).await.pop().expect("a reply")
    }
}

fn busybox(path: &str) -> String {
    // Debian has it here or there.
    if Path::new(path).exists() { path.to_owned() } else { path.replace("/bin", "/usr/bin") }
}

async fn wards() -> Vec<Ward> {
    let mut wards = Vec::new();
    for shell in SHELLS {
        let program = busybox(shell);
        let sshd = Sshd::start(&program);
        let connection = sshd.fleet().connection(&sshd.address()).await.expect("connects");
        wards.push(Ward {
            name: format!("ssh {shell}"),
            connection,
            _keep: (Some(sshd), Folder::new()),
        });
        let folder = Folder::new();
        fs::create_dir(folder.join("bin")).expect("bin");
        std::os::unix::fs::symlink(&program, folder.join("bin/sh")).expect("sh");
        let wrapper = folder.join("shell");
        let text =
            format!("#!/bin/sh\nPATH={}/bin:$PATH exec sh \"$@\"\n", folder.path().display());
        fs::write(&wrapper, text).expect("wrapper");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("mode");
        wards.push(Ward {
            name: format!("local {shell}"),
            connection: Arc::new(Local::with_shell(
                "localhost".into(),
                Duration::from_secs(10),
                wrapper.display().to_string(),
            )),
            _keep: (None, folder),
        });
    }
    wards
}

fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("proc").flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(mark) {
            found.push(line);
        }
    }
    found
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_answers_with_status_streams_and_fields() {
    for ward in wards().await {
        let name = &ward.name;
        let script = Script::new("echo out; printf err >&2; reply a \"$x\"; reply b ''; exit 7")
            .var("x", "it's\nä");
        let reply = ward.one(script).await;
        assert_eq!((reply.status, reply.stdout.as_slice()), (7, b"out\n".as_slice()), "{name}");
        assert_eq!(reply.stderr, b"err", "{name}");
        assert_eq!(reply.field("a").as_deref(), Some("it's\nä"), "{name}");
        assert_eq!(reply.field("b").as_deref(), Some(""), "{name}");
        ward.connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flight_stops_at_the_first_failure_and_the_next_one_is_clean() {
    for ward in wards().await {
        let name = &ward.name;
        let scripts = ["cd /; leak=1; echo a", "echo b; false", "echo c"];
        let replies = ward.run(scripts.map(Script::new).to_vec()).await;
        let said: Vec<_> = replies.iter().map(|r| (r.status, r.stdout_text())).collect();
        assert_eq!(said, [(0, "a".to_owned()), (1, "b".to_owned())], "{name}");
        let reply = ward.one(Script::new("echo \"[$leak] $LC_ALL $(umask) $#\"; cat")).await;
        assert_eq!(reply.stdout_text(), "[] C 0022 0", "{name}");
        let reply = ward.one(Script::new("if then")).await;
        assert_ne!(reply.status, 0, "{name}");
        assert!(!reply.stderr.is_empty(), "{name}");
        ward.connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_and_go_whole() {
    for ward in wards().await {
        let name = &ward.name;
        let reply = ward.one(Script::new(r"printf 'a\000b\n\n\n'; printf '\000' >&2")).await;
        assert_eq!(reply.stdout, b"a\0b\n\n\n", "{name}");
        assert_eq!(reply.stderr, b"\0", "{name}");
        let reply = ward.one(Script::new("head -c 3000000 /dev/zero | tr '\\0' x; echo")).await;
        assert_eq!(reply.stdout.len(), 3_000_001, "{name}");
        // Long scripts come by another way than short ones, and keep their line ends.
        let big = "line ä'\n".repeat(20_000);
        let reply =
            ward.one(Script::new("printf %s \"$x\"; reply n \"${#x}\"").var("x", &big)).await;
        assert_eq!(reply.stdout, big.as_bytes(), "{name}");
        assert_eq!(reply.field("n"), Some(big.len().to_string()), "{name}");
        let reply =
            ward.one(Script::new("printf %s \"$x_b64\" | base64 -d").var("x", b"\0\x01")).await;
        assert_eq!(reply.stdout, b"\0\x01", "{name}");
        ward.connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_past_the_limit_is_refused_with_both_numbers() {
    let local = Local::new("localhost".into(), Duration::from_secs(10));
    let script = Script::new("head -c 68000000 /dev/zero >&2");
    let error = local
        .run(&Identity::Login, Flight { scripts: vec![script] }, &CancellationToken::new())
        .await
        .expect_err("too long");
    // /dev/shm may be smaller than the limit; then the script itself fails.
    assert_eq!(error.kind, TransportErrorKind::Protocol);
    assert!(error.message.contains("68000000") && error.message.contains("67108864"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn script_past_its_deadline_is_killed_with_all_it_started_and_the_shell_lives() {
    for ward in wards().await {
        let name = &ward.name;
        let mark = format!("31{}", &uuid::Uuid::new_v4().as_u128().to_string()[..12]);
        let code =
            "echo before; (sleep $mark &) ; sleep $mark & trap '' INT; sh -c \"sleep $mark; :\"";
        let script = Script::new(code).var("mark", &mark).within(Duration::from_millis(300));
        let pid = ward.one(Script::new("echo $$")).await.stdout_text();
        let replies = ward.run(vec![script, Script::new("echo never")]).await;
        assert_eq!(replies.len(), 1, "{name}");
        assert!(replies[0].timed_out && replies[0].status > 128, "{name}: {replies:?}");
        assert_eq!(replies[0].stdout_text(), "before", "{name}");
        assert_eq!(processes_with(&mark), Vec::<String>::new(), "{name}");
        let again = ward.one(Script::new("echo $$")).await.stdout_text();
        assert_eq!(again, pid, "{name}: the same shell goes on");
        ward.connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daemon_of_an_earlier_script_survives_the_death_of_a_later_one() {
    let local = Local::new("localhost".into(), Duration::from_secs(10));
    let none = CancellationToken::new();
    let mark = format!("32{}", &uuid::Uuid::new_v4().as_u128().to_string()[..12]);
    let flight = |script: Script| Flight { scripts: vec![script] };
    let start = Script::new("nohup sleep $mark >/dev/null 2>&1 & reply pid $!").var("mark", &mark);
    let replies = local.run(&Identity::Login, flight(start), &none).await.expect("starts");
    tokio::time::sleep(Duration::from_millis(30)).await;
    let stuck = Script::new("sleep 60").within(Duration::from_millis(100));
    local.run(&Identity::Login, flight(stuck), &none).await.expect("is killed");
    assert_eq!(processes_with(&mark).len(), 1);
    let pid = replies[0].field("pid").expect("pid");
    let end = Script::new("kill $pid").var("pid", pid);
    local.run(&Identity::Login, flight(end), &none).await.expect("ends");
    local.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_leaves_no_process() {
    for ward in wards().await {
        let name = &ward.name;
        let mark = format!("33{}", &uuid::Uuid::new_v4().as_u128().to_string()[..12]);
        for long in [false, true] {
            let cancel = CancellationToken::new();
            let script = Script::new("sleep $mark | sleep $mark").var("mark", &mark);
            let work = async {
                if long {
                    let sink: matron::transport::LineSink = Arc::new(|_| {});
                    let c = &ward.connection;
                    c.run_long(&Identity::Login, script, sink, &cancel).await.map(|_| ())
                } else {
                    let flight = Flight { scripts: vec![script] };
                    ward.connection.run(&Identity::Login, flight, &cancel).await.map(|_| ())
                }
            };
            let stop = async {
                wait_until("both sleeps run", || processes_with(&mark).len() >= 2).await;
                cancel.cancel();
            };
            let (done, ()) = tokio::join!(work, stop);
            assert_eq!(done.map_err(|e| e.kind), Err(TransportErrorKind::Cancelled), "{name}");
            wait_until(name, || processes_with(&mark).is_empty()).await;
        }
        ward.connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_work_shows_its_lines_as_they_come_and_answers_fields() {
    for ward in wards().await {
        let name = &ward.name;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        let sink: matron::transport::LineSink =
            Arc::new(move |line| seen.lock().expect("lock").push(line));
        let script = Script::new(
            "echo one; echo progress 5 10 >&2; sleep 0.05; echo warn >&2; sleep 0.05; printf two; reply k v; exit 3",
        );
        let none = CancellationToken::new();
        let reply =
            ward.connection.run_long(&Identity::Login, script, sink, &none).await.expect("runs");
        assert_eq!((reply.status, reply.field("k")), (3, Some("v".to_owned())), "{name}");
        assert_eq!(
            (reply.stdout.as_slice(), reply.stderr.as_slice()),
            (b"one\ntwo".as_slice(), b"warn\n".as_slice()),
            "{name}"
        );
        let lines = lines.lock().expect("lock").clone();
        let out = |text: &str| OutputLine::Out(text.to_owned());
        assert!(lines.contains(&OutputLine::Progress(5, 10)), "{name}: {lines:?}");
        assert!(lines.contains(&OutputLine::Err("warn".to_owned())), "{name}: {lines:?}");
        let place = |line| lines.iter().position(|one| *one == line).unwrap_or(usize::MAX);
        assert!(place(out("one")) < place(out("two")), "{name}: {lines:?}");
        ward.connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_is_shown_while_the_script_still_runs() {
    let local = Local::new("localhost".into(), Duration::from_secs(10));
    let cancel = CancellationToken::new();
    let seen = cancel.clone();
    // The first line ends the script: without it the test would run into its deadline.
    let sink: matron::transport::LineSink = Arc::new(move |_| seen.cancel());
    let script = Script::new("echo here; sleep 60").within(Duration::from_secs(5));
    let done = local.run_long(&Identity::Login, script, sink, &cancel).await;
    assert_eq!(done.map_err(|error| error.kind), Err(TransportErrorKind::Cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn fed_bytes_arrive_whole_and_a_script_may_stop_reading_early() {
    for ward in wards().await {
        let name = &ward.name;
        let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
        let sink: matron::transport::LineSink = Arc::new(|_| {});
        let none = CancellationToken::new();
        let input = Box::new(std::io::Cursor::new(bytes.clone()));
        let script = Script::new("cksum");
        let reply = ward
            .connection
            .feed(&Identity::Login, script, input, Arc::clone(&sink), &none)
            .await
            .expect("feeds");
        let local = std::process::Command::new("sh")
            .args(["-c", "head -c 0 /dev/null; cksum"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                use std::io::Write as _;
                child.stdin.take().expect("stdin").write_all(&bytes)?;
                child.wait_with_output()
            })
            .expect("cksum runs");
        assert_eq!(reply.stdout, local.stdout, "{name}");
        let input = Box::new(tokio::io::repeat(7));
        let script = Script::new("head -c 10 >/dev/null; exit 4");
        let reply = ward
            .connection
            .feed(&Identity::Login, script, input, sink, &none)
            .await
            .expect("feeds");
        assert_eq!(reply.status, 4, "{name}");
        ward.connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_leaves_no_folder_behind() {
    let local = Local::new("localhost".into(), Duration::from_secs(10));
    let flight = Flight { scripts: vec![Script::new("reply folder \"$_md\"")] };
    let none = CancellationToken::new();
    let replies = local.run(&Identity::Login, flight, &none).await.expect("runs");
    let folder = replies[0].field("folder").expect("folder");
    assert!(Path::new(&folder).is_dir());
    local.close().await;
    assert!(!Path::new(&folder).exists(), "{folder}");
}
