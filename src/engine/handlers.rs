//! Which handlers a notification means.

use std::sync::Arc;

use crate::engine::compile::TaskPlan;
use crate::engine::scene::Scene;
use crate::engine::view::{View, shown};
use crate::names::HostName;
use crate::template::has_template;
use crate::yaml::Node;

/// Returns the places of the handlers a notification means: one by name, and all that listen.
///
/// A handler of the play shadows those of roles, a role used later those of one used before; of two with one name in the
/// same list the first counts.
pub(crate) fn meant(
    scene: &Scene,
    host: &HostName,
    handlers: &[Arc<TaskPlan>],
    notification: &str,
) -> Vec<usize> {
    let named: Vec<usize> = (0..handlers.len())
        .filter(|at| {
            handlers.get(*at).is_some_and(|plan| is_named(scene, host, plan, notification))
        })
        .collect();
    let role_of = |at: &usize| handlers.get(*at).and_then(|plan| plan.lineage.role.as_ref());
    let by_name = named
        .iter()
        .find(|at| role_of(at).is_none())
        .or_else(|| {
            let last = named.last().and_then(role_of).map(Arc::as_ptr);
            named.iter().find(|at| role_of(at).map(Arc::as_ptr) == last)
        })
        .copied();
    let mut meant: Vec<usize> = by_name.into_iter().collect();
    for (at, plan) in handlers.iter().enumerate() {
        let listens =
            plan.task.listen.iter().any(|topic| text(scene, host, plan, topic) == notification);
        if listens && !meant.contains(&at) {
            meant.push(at);
        }
    }
    meant
}

fn is_named(scene: &Scene, host: &HostName, plan: &TaskPlan, notification: &str) -> bool {
    let Some(node) = &plan.task.name else { return false };
    let name = text(scene, host, plan, node);
    if name == notification {
        return true;
    }
    plan.lineage.role.as_ref().is_some_and(|role| {
        notification.strip_prefix(role.name.as_str()).and_then(|rest| rest.strip_prefix(" : "))
            == Some(name.as_str())
    })
}

fn text(scene: &Scene, host: &HostName, plan: &TaskPlan, node: &Node) -> String {
    let raw = node.raw().unwrap_or_default();
    if !has_template(raw) {
        return raw.to_owned();
    }
    let view = View::new(&scene.run, scene.layers(host, Some(plan)), Arc::from([]));
    view.resolve(node).map_or_else(|_| raw.to_owned(), |value| shown(&value))
}
