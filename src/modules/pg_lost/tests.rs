//! What `read.awk` prints, and what is made of it. The lines of `pg_waldump` are real: fixtures of 11.13 and 17.11.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

const WAL_17: &str = include_str!("fixtures/17.txt");

/// Runs `read.awk` under each awk that is here.
fn read(dump: &str) -> Vec<String> {
    let mut out = Vec::new();
    for words in [&["mawk"][..], &["busybox", "awk"], &["awk"]] {
        let child = Command::new(words[0])
            .args(&words[1..])
            .arg(include_str!("read.awk"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else { continue };
        let mut stdin = child.stdin.take().unwrap();
        let text = dump.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        out.push(lines.join("\n"));
    }
    assert!(!out.is_empty(), "there is no awk here");
    out
}

#[test]
fn rows_of_committed_transactions_are_counted_by_file() {
    for listing in read(WAL_17) {
        for line in [
            "rel\t1663/16384/16386\t32\t5\t1\t0",
            "rel\t1663/16384/16393\t50\t0\t0\t0",
            "rel\t1663/16384/16400\t1\t0\t0\t1",
            "sum\t4\t1\t2\t0",
            "tx\t748\t0/0304BF88\t2\t2026-11-23 01:13:29.346894 UTC",
        ] {
            assert!(listing.lines().any(|have| have == line), "{line} is not in:\n{listing}");
        }
    }
}

#[test]
fn every_form_of_a_multi_insert_is_counted() {
    let dump = "\
rmgr: Heap2       len (rec/tot):     70/ 14346, tx:        750, lsn: 0/01000000, prev 0/00FFFF00, desc: MULTI_INSERT+INIT ntuples: 6, flags: 0x03, blkref #0: rel 1663/16384/20000 blk 12 FPW
rmgr: Heap2       len (rec/tot):     70/ 14346, tx:        750, lsn: 0/01000100, prev 0/01000000, desc: MULTI_INSERT 3 tuples flags 0x02, blkref #0: rel 1663/16384/20000 blk 12
rmgr: Heap2       len (rec/tot):     70/ 14346, tx:        750, lsn: 0/01000200, prev 0/01000100, desc: MULTI_INSERT+INIT 4 tuples, blkref #0: rel 1663/16384/20000 blk 13
rmgr: Transaction len (rec/tot):     34/    34, tx:          0, lsn: 0/01000300, prev 0/01000200, desc: COMMIT_PREPARED 750: 2026-11-23 01:13:29.304835 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:        751, lsn: 0/01000400, prev 0/01000300, desc: INSERT off 1, blkref #0: rel 1663/16384/20000 blk 0
";
    for listing in read(dump) {
        assert!(listing.contains("rel\t1663/16384/20000\t13\t0\t0\t0"), "{listing}");
        assert!(listing.contains("sum\t1\t0\t0\t1"), "{listing}");
    }
}

#[test]
fn listing_that_ends_before_the_checkpoint_says_so() {
    let text = "stretch\t1\t0/3000000\tpg_waldump: error: could not find file\nrange\t0/3000000\t0/3000100\t4\nsum\t1\t0\t0\t0\n";
    let whole = Listing::read(text, Some(Lsn(0x300_0100)));
    assert_eq!((whole.why, whole.incomplete), (None, None));
    let cut = Listing::read(text, Some(Lsn(0x500_0000)));
    assert_eq!(
        cut.incomplete.as_deref(),
        Some(
            "it was read to 0/3000100, and goes on to 0/5000000 at least: pg_waldump: error: could not find file"
        )
    );
}

#[test]
fn nothing_read_of_wal_that_is_there_is_unreadable_and_never_empty() {
    let text = "stretch\t1\t0/3000000\tpg_waldump: error: could not find a valid record after 0/3000000\nrange\t\t\t0\nsum\t0\t0\t0\t0\n";
    let broken = Listing::read(text, Some(Lsn(0x300_0100))).told();
    assert_eq!(broken["readable"], false);
    assert!(broken["why"].as_str().unwrap().contains("could not find a valid record"), "{broken}");
    let nothing = Listing::read(text, Some(Lsn(0x2FF_0000))).told();
    assert_eq!((&nothing["readable"], &nothing["transactions"]), (&json!(true), &json!(0)));
    let no_program = Listing::read("unreadable\tthe image has no pg_waldump\n", None).told();
    assert_eq!(no_program["why"], "the image has no pg_waldump");
    assert_eq!(Listing::read("", None).told()["readable"], false);
}

#[test]
fn stretches_become_lines_and_nonsense_is_refused() {
    let given = json!([{"timeline": 1, "from": "0/50", "to": "0/70"}, {"timeline": 2, "from": "0/70", "to": null}]);
    assert_eq!(stretches(&given).unwrap(), "1 0/50 0/70\n2 0/70\n");
    assert!(stretches(&json!([{"timeline": 1, "from": "; reboot"}])).is_err());
    assert!(stretches(&json!([{"from": "0/50"}])).is_err());
}
