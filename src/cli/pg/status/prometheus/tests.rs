use super::*;
use crate::cli::pg::status::tests::{healthy, lost};

/// Reads a page as a scraper does: every sample below a HELP and a TYPE of its own name, no series twice.
fn samples(page: &str) -> Vec<(String, f64)> {
    let mut open = String::new();
    let mut out: Vec<(String, f64)> = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            open = rest.split(' ').next().unwrap().to_owned();
            assert!(open.starts_with("matron_pg_"), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest, format!("{open} gauge"));
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(series.split('{').next(), Some(open.as_str()), "{line}");
            assert!(!out.iter().any(|(known, _)| known == series), "twice: {series}");
            out.push((series.to_owned(), value.parse().unwrap()));
        }
    }
    out
}

#[test]
fn page_is_in_the_text_format_and_says_what_counts() {
    let samples = samples(&page(&healthy(), 1_795_384_800));
    let value = |series: &str| samples.iter().find(|(known, _)| known == series).map(|at| at.1);
    for (series, want) in [
        (r#"matron_pg_cluster_healthy{cluster="st_mary"}"#, Some(1.0)),
        (r#"matron_pg_cluster_verdict{cluster="st_mary",verdict="two_primaries"}"#, Some(0.0)),
        (r#"matron_pg_node_role{cluster="st_mary",node="h2",role="standby"}"#, Some(1.0)),
        (r#"matron_pg_node_lag_bytes{cluster="st_mary",node="h2"}"#, Some(0.0)),
        (r#"matron_pg_node_streaming{cluster="st_mary",node="h1"}"#, None),
        (r#"matron_pg_slot_kept_bytes{cluster="st_mary",node="h1",slot="matron_h2"}"#, Some(0.0)),
        ("matron_pg_status_timestamp_seconds", Some(1_795_384_800.0)),
    ] {
        assert_eq!(value(series), want, "{series}");
    }
}

#[test]
fn node_that_was_not_seen_is_said_to_be_so() {
    let page = page(&lost(), 0);
    assert!(page.contains("matron_pg_node_seen{cluster=\"st_mary\",node=\"h2\"} 0\n"), "{page}");
    assert!(page.contains("role=\"unknown\"} 1\n"), "{page}");
}

#[test]
fn labels_are_escaped() {
    assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
}

#[test]
fn textfile_is_replaced_as_a_whole_and_leaves_nothing_beside_it() {
    let folder = std::env::temp_dir().join(format!("matron-textfile-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("matron.prom");
    write(&path, "one\n").unwrap();
    write(&path, "two\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::remove_dir_all(&folder).unwrap();
}
