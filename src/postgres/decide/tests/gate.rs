//! The gate: what may be copied under which image and C library.

use super::view::{image, on, p, s};
use super::*;
use crate::postgres::observation::Image;

/// Three images: of the second one the content differs, of the third one the C library too.
fn grounds() -> (Image, Image, Image) {
    (image("aa", &[], "glibc 2.41"), image("bb", &[], "glibc 2.41"), image("cc", &[], "glibc 2.31"))
}

const COPIED: &str = "db1 keep, db2 clone(db1), db2 follow(db1)";
const OTHER_IMAGE: &str = "NO image of db2: pacs:17 (bb) ~db2-other-image";

#[test]
fn copy_under_another_image_or_c_library_is_refused_unless_accepted() {
    let (one, other, old) = grounds();
    let empty = || Some(bare(Role::Empty));
    let half = || Some(bare(Role::HalfCloned));
    let from_one = |node, image| [on(p(), &one), on(node, image)];
    hold(
        &Goal::SetUp,
        vec![
            case("the same image", from_one(empty(), &one), &[], COPIED),
            case("another image", from_one(empty(), &other), &[], OTHER_IMAGE),
            case("accepted", from_one(empty(), &other), &["db2-other-image"], COPIED),
            case(
                "another node's word",
                from_one(empty(), &other),
                &["db3-other-image"],
                OTHER_IMAGE,
            ),
            case(
                "the image alone is accepted, the C library is not",
                from_one(empty(), &old),
                &["db2-other-image"],
                "NO C library of db2: glibc 2.31 ~db2-other-glibc",
            ),
            case(
                "both accepted",
                from_one(empty(), &old),
                &["db2-other-image", "db2-other-glibc"],
                COPIED,
            ),
            case("a copy begun anew", from_one(half(), &other), &[], OTHER_IMAGE),
            case("nothing known of the source", [p(), on(empty(), &other)], &[], COPIED),
            case(
                "a new cluster of two images",
                [on(empty(), &one), on(empty(), &other)],
                &[],
                OTHER_IMAGE,
            ),
            case(
                "a running standby is not copied",
                from_one(s(), &other),
                &[],
                "db1 keep, db2 follow(db1)",
            ),
        ],
    );
}

#[test]
fn rejoin_passes_the_same_gate() {
    let (one, other, _) = grounds();
    let empty = || Some(bare(Role::Empty));
    hold(
        &Goal::Rejoin { node: None, by: By::Auto },
        vec![
            case(
                "the same image",
                [on(p(), &one), on(empty(), &one)],
                &[],
                "db2 clone(db1), db2 follow(db1)",
            ),
            case("another image", [on(p(), &one), on(empty(), &other)], &[], OTHER_IMAGE),
            case(
                "one that follows without a copy",
                [on(p(), &one), on(Some(orphan("db1", 1, 9)), &other)],
                &[],
                "db2 follow(db1)",
            ),
        ],
    );
}

#[test]
fn gate_shows_every_difference_and_what_to_do() {
    let (one, _, old) = grounds();
    let nodes = view([on(p(), &one), on(Some(bare(Role::Empty)), &old)]);
    let refusal = decide(&nodes, &Goal::SetUp, &[]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "refused: image of db2: found pacs:17 (cc); allowed is pacs:17 (aa), as db1 runs. Give both the same image: the same tag, \
         loaded from the same place. For an update in order, the standby first, accept it. To go on all the same: -e \
         matron_accept=db2-other-image"
    );
    let lines: Vec<String> = refusal.checks.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "refused  image of db2: pacs:17 (cc) (limit: pacs:17 (aa), as db1 runs)",
            "refused  C library of db2: glibc 2.31 (limit: glibc 2.41, as db1 has)",
        ]
    );
}
