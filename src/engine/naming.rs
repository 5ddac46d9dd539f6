//! What a task is called when it is shown.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::engine::compile::{TaskKind, TaskPlan};
use crate::engine::scene::Scene;
use crate::engine::view::{View, shown};
use crate::names::HostName;
use crate::template::has_template;

/// Returns a task's name as it is shown: role, name or module, templates rendered.
pub(crate) fn task_name(scene: &Scene, host: &HostName, plan: &TaskPlan) -> String {
    let raw = plan.task.name.as_ref().and_then(|node| node.raw()).unwrap_or_default();
    let name = if raw.is_empty() {
        match plan.kind {
            TaskKind::IncludeRole => {
                let role = plan
                    .task
                    .action
                    .named
                    .iter()
                    .find(|argument| matches!(argument.name.as_str(), "name" | "role"));
                let role = role.and_then(|argument| argument.value.raw()).unwrap_or_default();
                format!("{} : {role}", plan.task.action.written)
            }
            TaskKind::Module
            | TaskKind::GatherFacts
            | TaskKind::IncludeTasks
            | TaskKind::IncludeVars
            | TaskKind::Meta => plan.task.action.written.clone(),
        }
    } else {
        rendered(scene, host, plan, raw)
    };
    match &plan.lineage.role {
        Some(role) if !plan.implicit => format!("{} : {name}", role.name),
        Some(_) | None => name,
    }
}

/// Renders a name; a template that fails is named in its place, as Ansible does.
fn rendered(scene: &Scene, host: &HostName, plan: &TaskPlan, raw: &str) -> String {
    if !has_template(raw) {
        return raw.to_owned();
    }
    let view = View::new(&scene.run, scene.layers(host, Some(plan)), Arc::from([]));
    let templar = &scene.run.templar;
    if let Ok(value) = templar.text(raw, None, &view.scope) {
        return shown(&value);
    }
    let mut out = String::new();
    let mut rest = raw;
    let mut errors = 0;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((expression, tail)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        match templar.expression(expression.trim(), None, &view.scope) {
            Ok(value) => out.push_str(&shown(&value)),
            Err(error) => {
                errors += 1;
                let _ = write!(out, "<< error {errors} - {} >>", error.message);
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}
