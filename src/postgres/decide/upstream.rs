//! Who follows whom once a plan is done, and where copies come from.
//!
//! A node follows what `pg_upstream` names while that can be followed, and the primary otherwise. A plan's steps are there
//! before: a node that the plan makes a standby can be followed, one that it fences cannot.

use super::{Act, Plan, Refusal};
use crate::postgres::observation::Role;
use crate::postgres::view::{CloneFrom, Node, View};

/// Writes for every node but the primary which one it shall follow, into the plan and into its steps.
pub(super) fn assign(view: &View, plan: &mut Plan) {
    let Some(primary) = plan.primary.clone() else { return };
    plan.upstreams.clear();
    for node in view.nodes.iter().filter(|node| node.name != primary) {
        let upstream = wanted(view, plan, node, &primary).unwrap_or(primary.as_str());
        plan.upstreams.insert(node.name.clone(), upstream.to_owned());
    }
    let upstreams = &plan.upstreams;
    for step in plan.steps.iter_mut().filter(|step| step.act == Act::Follow) {
        if let Some(upstream) = upstreams.get(&step.node) {
            step.about = Some(upstream.clone());
        }
    }
}

/// Returns the upstream that a node wants, when it can have it.
fn wanted<'a>(view: &'a View, plan: &Plan, node: &'a Node, primary: &str) -> Option<&'a str> {
    let chosen = |node: &'a Node| {
        let upstream = view.node(node.wanted_upstream.as_deref()?)?;
        let there = upstream.name == primary || can_be_followed(view, plan, upstream, node);
        there.then_some(upstream)
    };
    let first = chosen(node)?;
    let mut way = vec![node.name.as_str()];
    let mut at = first;
    while at.name != primary {
        if way.contains(&at.name.as_str()) {
            return None;
        }
        way.push(&at.name);
        let Some(next) = chosen(at) else { break };
        at = next;
    }
    Some(&first.name)
}

/// Tells whether a node is, or will be, a standby that passes WAL on to `follower`.
fn can_be_followed(view: &View, plan: &Plan, node: &Node, follower: &Node) -> bool {
    let acts = |act: &Act| plan.acts_on(&node.name).any(|own| own == act);
    if acts(&Act::Follow) {
        return true;
    }
    if acts(&Act::Fence) || acts(&Act::MoveAside) {
        return false;
    }
    match node.seen() {
        Some(seen) => seen.role == Role::Standby && seen.upstream.is_streaming(),
        // Not seen from here, and it sends WAL all the same.
        None => view.streams_from(follower).is_some_and(|upstream| upstream.name == node.name),
    }
}

/// Writes for every node that is copied where from, and refuses a source that cannot be one.
pub(super) fn choose_sources(view: &View, plan: &mut Plan) -> Result<(), Box<Refusal>> {
    let Some(primary) = plan.primary.clone() else { return Ok(()) };
    let copied: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.act == Act::Clone)
        .map(|step| step.node.clone())
        .collect();
    for name in copied {
        let source = source(view, plan, &name, &primary)?.to_owned();
        let steps = plan.steps.iter_mut();
        for step in steps.filter(|step| step.act == Act::Clone && step.node == name) {
            step.about = Some(source.clone());
        }
        plan.sources.insert(name, source);
    }
    Ok(())
}

/// Tells whether a node streams now, and stays as it is.
fn streams(view: &View, plan: &Plan, node: &Node) -> bool {
    let gone = |act: &Act| matches!(act, Act::Clone | Act::Fence | Act::MoveAside | Act::Promote);
    view.streams_from(node).is_some() && !plan.acts_on(&node.name).any(gone)
}

fn source<'a>(
    view: &'a View,
    plan: &'a Plan,
    name: &str,
    primary: &'a str,
) -> Result<&'a str, Box<Refusal>> {
    let upstream = plan.upstreams.get(name).and_then(|upstream| view.node(upstream));
    let upstream = upstream.filter(|node| streams(view, plan, node)).map(|node| node.name.as_str());
    let refuse = |value: String, limit: &str| {
        Err(Refusal::new(
            &format!("source of the copy for {name}"),
            value,
            limit,
            "Copy from the primary (--from primary), or see with matron pg status why that one does not stream.",
        ))
    };
    match view.node(name).and_then(|node| node.clone_from.as_ref()) {
        None => Ok(upstream.unwrap_or(primary)),
        Some(CloneFrom::Primary) => Ok(primary),
        Some(CloneFrom::Standby) => {
            let mut others = view.nodes.iter().filter(|node| streams(view, plan, node));
            match upstream.or_else(|| others.next().map(|node| node.name.as_str())) {
                Some(standby) => Ok(standby),
                None => refuse("a standby, and none streams".to_owned(), "a standby that streams"),
            }
        }
        // `--from HOST` is given for the whole run; the host itself has no use for it.
        Some(CloneFrom::Node(wanted)) if wanted == name => Ok(upstream.unwrap_or(primary)),
        Some(CloneFrom::Node(wanted)) => match view.node(wanted) {
            Some(node) if node.name == primary || streams(view, plan, node) => Ok(&node.name),
            Some(_) => refuse(
                format!("{wanted}, which is not the primary and does not stream"),
                "the primary, or a standby that streams",
            ),
            None => refuse(
                format!("{wanted}, which is no node of {}", view.cluster),
                "a node of this cluster",
            ),
        },
    }
}
