//! The gate: a node that runs another image, or another C library, than the one it copies or takes over from.
//!
//! Text is sorted by the C library. Indexes that one sorted are wrong under another, silently: a study is there and is not
//! found. So a copy, a rejoin and a switchover stop here unless the difference is accepted by name.

use super::{Act, Check, CheckVerdict, Consent, Plan, Refusal};
use crate::postgres::finding::Ground;
use crate::postgres::view::{Node, View};

/// One comparison of two nodes: its name, what both have, and the refusal where they differ.
#[derive(Debug)]
pub(super) struct Compared {
    /// What was compared.
    pub(super) name: String,
    /// What the node has.
    pub(super) value: String,
    /// What it should have.
    pub(super) limit: String,
    /// Why that is not good, with the word that overrules it.
    pub(super) refusal: Option<Box<Refusal>>,
}

/// Compares what `node` runs on, or will when it is made anew, with what `source` runs on. What is not known of either is left out.
pub(super) fn compare(node: (&str, &Ground), source: (&str, &Ground)) -> Vec<Compared> {
    let ((node, own), (source, other)) = (node, source);
    let mut out = Vec::new();
    if !own.image.id.is_empty() && !other.image.id.is_empty() {
        let (name, value) = (format!("image of {node}"), own.shown());
        let limit = format!("{}, as {source} runs", other.shown());
        let refusal = own.differs_in_image(other).then(|| {
            Refusal::new(
                &name,
                value.clone(),
                &limit,
                "Give both the same image: the same tag, loaded from the same place. For an update in order, the standby first, accept it.",
            )
            .unless_accepted(format!("{node}-other-image"))
        });
        out.push(Compared { name, value, limit, refusal });
    }
    if let (Some(libc), Some(wanted)) = (&own.image.libc, &other.image.libc) {
        let name = format!("C library of {node}");
        let limit = format!("{wanted}, as {source} has");
        let refusal = (libc != wanted).then(|| {
            Refusal::new(
                &name,
                libc.clone(),
                &limit,
                "Indexes on text made under one are wrong under the other, and nothing says so. Use an image with the same one; or accept it, and REINDEX every database before it is used.",
            )
            .unless_accepted(format!("{node}-other-glibc"))
        });
        out.push(Compared { name, value: libc.clone(), limit, refusal });
    }
    out
}

/// Compares the nodes that a plan copies or rewinds with the one whose data they get; refuses what was not accepted.
pub(super) fn check(
    view: &View,
    source: &Node,
    plan: &mut Plan,
    consent: Consent<'_>,
) -> Result<(), Box<Refusal>> {
    let Some(seen) = source.seen() else { return Ok(()) };
    let truth = Ground::of(seen);
    let mut refused = None;
    for node in &view.nodes {
        let name = node.name.as_str();
        let copied = plan.acts_on(name).any(|act| matches!(act, Act::Clone | Act::Rewind));
        let Some(seen) = node.seen().filter(|_| copied) else { continue };
        let own = Ground::wanted(seen);
        for compared in compare((name, &own), (&source.name, &truth)) {
            let Some(refusal) = compared.refusal else {
                plan.checks.push(Check {
                    name: compared.name,
                    node: None,
                    value: compared.value,
                    limit: compared.limit,
                    verdict: CheckVerdict::Passed,
                });
                continue;
            };
            // All of them are shown; the first decides.
            if let Err(refusal) = consent.or(refusal, plan) {
                plan.checks.push(Check::of(&refusal, CheckVerdict::Refused));
                refused.get_or_insert(refusal);
            }
        }
    }
    match refused {
        Some(mut refusal) => {
            refusal.checks.clone_from(&plan.checks);
            Err(refusal)
        }
        None => Ok(()),
    }
}
