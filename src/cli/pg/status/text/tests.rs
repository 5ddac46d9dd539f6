use super::*;
use crate::cli::pg::status::tests::{healthy, lost, pair};

fn plain(width: Option<usize>) -> Page {
    Page { width, brief: false, colour: false }
}

#[test]
fn table_shows_every_node_on_a_line_of_its_own() {
    assert_eq!(
        page(&healthy(), plain(None)).lines().collect::<Vec<_>>(),
        [
            "st_mary: healthy - h1 takes writes, its standby streams",
            "  commits wait for no standby: a failover now would lose nothing, one later what is committed until then; a lost standby stops writes: no",
            "",
            "  NODE  ROLE     TL  WAL        BEHIND   OLD    FROM  SYNC   VERSION  IMAGE         FREE     GUARD",
            "  h1    primary  1   0/5000148  -        -      -     -      17.11    d76afc82378e  41.0 GB  active",
            "  h2    standby  1   0/5000148  0 bytes  0.0 s  h1    async  17.11    d76afc82378e  41.0 GB  active",
        ]
    );
}

#[test]
fn narrow_terminal_gets_fewer_columns_and_whole_words() {
    let text = page(&lost(), plain(Some(80)));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "st_mary: degraded - h1 takes writes; h2 not seen: connect to host 10.0.0.2 port",
            "   22: Connection timed out",
            "  commits wait for no standby: no standby streams: a failover now may lose",
            "     everything since one last did; a lost standby stops writes: no",
            "",
            "  NODE  ROLE     TL  WAL        BEHIND  OLD  FROM  SYNC  VERSION  FREE",
            "  h1    primary  1   0/5000148  -       -    -     -     17.11    41.0 GB",
            "  h2    unknown  -   -          -       -    -     -     -        -",
            "",
            "  !  h2 not seen: connect to host 10.0.0.2 port 22: Connection timed out",
        ]
    );
}

#[test]
fn brief_form_has_one_line_a_cluster() {
    let text = page(&pair(), Page { brief: true, ..plain(None) });
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "CLUSTER        STATE     PRIMARY  STANDBYS  BEHIND   REASON",
            "st_mary        healthy   h1       1/1       0 bytes  h1 takes writes, its standby streams",
            "city-hospital  degraded  h1       0/1       -        h1 takes writes; h2 not seen: connect to host 10.0.0.2 port 22: Connection timed out",
        ]
    );
}

#[test]
fn colour_adds_nothing_to_the_words() {
    let text = page(&lost(), Page { colour: true, ..plain(None) });
    assert!(text.contains("\u{1b}[33mdegraded\u{1b}[0m"), "{text}");
    assert_eq!(text.replace("\u{1b}[33m", "").replace("\u{1b}[0m", ""), page(&lost(), plain(None)));
}
