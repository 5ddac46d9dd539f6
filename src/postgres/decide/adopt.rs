//! Adopting: a pair that was built by hand is taken over in place; what will change is told before anything does.

use super::checks::Checklist;
use super::{Act, Change, Consent, Decision, Plan, Refusal, Step, setup};
use crate::postgres::handbuilt::HandBuilt;
use crate::postgres::observation::Role;
use crate::postgres::view::{Node, View};

/// What was found on each node that answered.
pub type Found = Vec<(String, HandBuilt)>;

pub(super) fn decide(view: &View, found: &Found, consent: Consent<'_>) -> Decision {
    let mut list = Checklist::new(consent);
    let mut any = false;
    for (node, hand) in found {
        any |= !hand.container.is_empty();
        if hand.is_foreign() {
            check_node(&mut list, node, hand);
        }
    }
    if any {
        let names: Vec<&str> = found
            .iter()
            .map(|(_, hand)| hand.container.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        list.passed(None, "containers of the cluster", names.join(", "), "one a node");
    } else {
        list.failed(
            None,
            Refusal::new(
                "containers to take over",
                "none on any host",
                "one a node",
                "Name them in the inventory with pg_adopt_container, or make a new cluster: matron pg setup.",
            ),
        );
    }
    let mut plan = match setup::decide(view, consent) {
        Ok(plan) => plan,
        Err(mut refusal) => {
            // What this room checked is worth knowing as well.
            let mut own = Plan::new(None);
            if let Err(first) = list.close(&mut own) {
                let mut first = first;
                first.checks.extend(refusal.checks);
                return Err(first);
            }
            own.checks.append(&mut refusal.checks);
            refusal.checks = own.checks;
            return Err(refusal);
        }
    };
    list.close(&mut plan)?;
    let foreign = |node: &str| {
        found.iter().find(|(name, hand)| name == node && hand.is_foreign()).map(|(_, hand)| hand)
    };
    let primary = plan.primary.clone().unwrap_or_default();
    // Standbys first: when one of them does not come back, the primary has not been touched yet.
    let mut order: Vec<&str> = view.nodes.iter().map(|node| node.name.as_str()).collect();
    order.sort_by_key(|name| *name == primary);
    let mut steps = Vec::new();
    for name in order {
        let own = plan.steps.iter().filter(|step| step.node == name).cloned();
        if let Some(hand) = foreign(name) {
            steps.push(Step { node: name.to_owned(), act: Act::Adopt, about: None });
            plan.changes.extend(changes(name, hand, name == primary));
        }
        steps.extend(own);
    }
    plan.steps = steps;
    if plan.changes.is_empty() {
        plan.fact("every node is matron's already: there is nothing to take over");
    } else {
        let runs = view.node(&primary).and_then(Node::role) == Some(Role::Primary);
        if foreign(&primary).is_some() && runs {
            plan.fact(format!(
                "writes stop once, while the container of {primary} is made anew: as long as an orderly stop and a start of it take, \
                 commonly 2 to 10 s after a checkpoint"
            ));
        }
        plan.fact("no data is copied, moved or deleted");
    }
    Ok(plan)
}

fn check_node(list: &mut Checklist<'_>, node: &str, hand: &HandBuilt) {
    let wanted = &hand.wanted;
    let at = Some(node);
    let inventory = |name: &str, value: &str| {
        format!("Set {name}: {value} for {node} in the inventory and run this again.")
    };
    let same = |name: &str, variable: &str, found: &str, expected: &str| {
        Refusal::new(
            name,
            found,
            &format!("{expected}, as the inventory says"),
            &inventory(variable, found),
        )
    };
    let mount = match (hand.mount_type.as_str(), hand.source.is_empty()) {
        ("bind", false) => format!("folder {} of the host", hand.source),
        (_, false) => format!("Docker volume {}", hand.source),
        (_, true) => "the container itself".to_owned(),
    };
    list.check(
        at,
        hand.mount_type == "bind",
        Refusal::new(
            "where the data lies",
            mount,
            "a folder of the host, mounted into the container",
            "docker volume prune removes a volume that no container names. Stop the container in order, move the data to a folder \
             of its own, start the container with that folder mounted, and run this again.",
        ),
    );
    let port = hand.port.map_or_else(|| "none".to_owned(), |port| port.to_string());
    list.check(
        at,
        hand.port == Some(wanted.port),
        same("published port", "pg_port", &port, &wanted.port.to_string()),
    );
    list.check(
        at,
        hand.superuser == wanted.superuser,
        same("superuser", "postgres_user", &hand.superuser, &wanted.superuser),
    );
    list.check(
        at,
        hand.database == wanted.database,
        same("database", "postgres_db", &hand.database, &wanted.database),
    );
    list.check(
        at,
        hand.volume_folder().is_some(),
        same("PGDATA in the container", "pg_pgdata", &hand.pgdata, &wanted.pgdata),
    );
    list.check(
        at,
        hand.image_id == wanted.image_id,
        Refusal::new(
            "image",
            format!("{} ({})", hand.image, short(&hand.image_id)),
            &format!("{} ({}), as the inventory says", wanted.image, short(&wanted.image_id)),
            "Set pg_image to the image that the container was made of; another one may sort text in another order, which breaks indexes.",
        )
        .unless_accepted(format!("{node}-other-image")),
    );
    for argument in lost_arguments(hand) {
        list.failed(
            at,
            Refusal::new(
                "arguments of the server",
                argument.clone(),
                "none that the inventory does not know",
                "Put the setting into pg_settings in the inventory; the new container is started without arguments.",
            )
            .unless_accepted(format!("{node}-arguments-dropped")),
        );
    }
    if let Some(slots) = hand.slots_allowed {
        list.check(
            at,
            slots > 0,
            Refusal::new(
                "max_replication_slots",
                slots.to_string(),
                "at least 1",
                "Set max_replication_slots = 10 in postgresql.conf, restart the server at a quiet time, and run this again.",
            ),
        );
    }
    if let Some(senders) = hand.senders_allowed.filter(|senders| *senders > 10) {
        // A standby with fewer than its primary does not start.
        list.check(
            at,
            wanted.settings.iter().any(|name| name == "max_wal_senders"),
            Refusal::new(
                "max_wal_senders",
                senders.to_string(),
                "10, or what pg_settings says",
                &format!(
                    "Put max_wal_senders: {senders} into pg_settings in the inventory and run this again."
                ),
            ),
        );
    }
    if hand.password_matches == Some(false) {
        list.noted(
            at,
            &format!("password of {}", hand.superuser),
            "not the inventory's postgres_password",
            "it stays as it is; matron pg password sets it",
        );
    }
    if !hand.linked.is_empty() {
        list.noted(
            at,
            "containers that reach it by link or network name",
            hand.linked.join(", "),
            "they must be pointed at the published port of the host",
        );
    }
}

/// Returns the arguments that the inventory's settings do not stand for.
fn lost_arguments(hand: &HandBuilt) -> Vec<String> {
    let mut words = hand.arguments.iter();
    let mut lost = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next().cloned().unwrap_or_default(),
            Some(rest) => rest.to_owned(),
            None if word == "postgres" => continue,
            None => {
                lost.push(word.clone());
                continue;
            }
        };
        let name = setting.split('=').next().unwrap_or_default().replace('-', "_");
        if !hand.wanted.settings.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            lost.push(setting);
        }
    }
    lost
}

fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

/// Everything that will be another way afterwards.
fn changes(node: &str, hand: &HandBuilt, primary: bool) -> Vec<Change> {
    let mut all = Vec::new();
    let mut add = |what: String, restart: bool| {
        all.push(Change { node: node.to_owned(), what, restart });
    };
    let wanted = &hand.wanted;
    if hand.container != wanted.container {
        add(format!("container {} is renamed {}", hand.container, wanted.container), false);
    }
    if hand.restart_policy != "no" && !hand.restart_policy.is_empty() {
        add(
            format!(
                "restart policy {} becomes no: the guard starts the database at boot",
                hand.restart_policy
            ),
            false,
        );
    }
    if hand.image_id != wanted.image_id {
        add(format!("image {} becomes {}", hand.image, wanted.image), true);
    }
    if hand.password_in_environment {
        add("POSTGRES_PASSWORD leaves the container's environment".to_owned(), true);
    }
    for line in &hand.open_lines {
        add(format!("pg_hba.conf loses or narrows the line: {line}"), false);
    }
    add("pg_hba.conf lets the cluster's nodes replicate, by password".to_owned(), false);
    if primary {
        add(format!("role {} gets a new password", wanted.replication_user), false);
        add("each standby gets a replication slot".to_owned(), false);
    }
    for file in &hand.password_files {
        add(format!("the replication password leaves {file}"), true);
    }
    if !hand.trigger_file.is_empty() {
        add(format!("trigger file {} promotes it no more", hand.trigger_file), true);
    }
    for SettingLine { text, restart } in hand.settings.iter().map(setting_line) {
        add(text, restart);
    }
    let how = if primary { "after its standbys stream again" } else { "before the primary" };
    add(format!("the container is made anew on the same data, {how}"), true);
    add("marker, guard and secrets are put on the host".to_owned(), false);
    all
}

struct SettingLine {
    text: String,
    restart: bool,
}

fn setting_line(change: &crate::postgres::handbuilt::SettingChange) -> SettingLine {
    let text = format!("{} = {} becomes {}", change.name, change.now, change.wanted);
    SettingLine { text, restart: change.restart }
}
