use super::*;
use crate::cli::pg::status::tests::{healthy, late, lost, of, pair, stopped, two, unseen, waiting};

fn limits() -> Limits {
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    Limits::parse(&words("64MB,60s"), &words("1GB,600s")).unwrap()
}

#[test]
fn exit_code_follows_the_worst_cluster() {
    for (claim, looked, code, word) in [
        ("healthy", healthy(), 0, "OK"),
        ("a standby lost", lost(), 1, "WARNING"),
        ("a standby late", late(20), 1, "WARNING"),
        ("a standby very late", late(2000), 2, "CRITICAL"),
        ("writes wait", waiting(), 2, "CRITICAL"),
        ("two primaries", two(), 2, "CRITICAL"),
        ("no primary", stopped(), 2, "CRITICAL"),
        ("primary not seen", unseen(), 3, "UNKNOWN"),
        ("nothing found", of([]), 3, "UNKNOWN"),
        ("one of two is not well", pair(), 1, "WARNING"),
    ] {
        let (got, line) = super::line(&looked, &limits());
        assert_eq!(got, code, "{claim}: {line}");
        assert!(line.starts_with(&format!("MATRON {word} - ")), "{claim}: {line}");
        assert_eq!(line.matches('|').count(), usize::from(!looked.clusters.is_empty()), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}

#[test]
fn line_has_the_reason_and_performance_data() {
    let (_, line) = super::line(&healthy(), &limits());
    assert_eq!(
        line,
        "MATRON OK - st_mary healthy: h1 takes writes, its standby streams | 'st_mary.nodes'=2 'st_mary.streaming'=1 \
         'st_mary.h2.lag'=0B;67108864;1073741824;0 'st_mary.h2.age'=0.000s;60;600;0"
    );
}

#[test]
fn host_that_failed_is_never_fine() {
    let mut looked = healthy();
    looked.errors.push("h9: a | in its message".to_owned());
    let (code, line) = super::line(&looked, &limits());
    assert_eq!(code, 3);
    assert!(line.contains("h9: a / in its message"), "{line}");
}
