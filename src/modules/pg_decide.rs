//! `pg_decide`: from what was observed and a goal to steps, or a refusal that names the fact.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::modules::action::Finished;
use crate::modules::pg_node::{Settings, major_arg, nodes_arg, slot_name};
use crate::modules::pg_observe::from_registered;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
    to_json,
};
use crate::outcome::Outcome;
use crate::postgres::copy::{Rate, estimate};
use crate::postgres::decide::{
    Act, By, Check, FailoverStage, Found, Goal, Loss, Plan, Refusal, SwitchoverLimits, decide,
};
use crate::postgres::lsn::bytes_for_people;
use crate::postgres::observation::Role;
use crate::postgres::status::ClusterStatus;
use crate::postgres::synchronous::{Mode, PossibleLoss};
use crate::postgres::view::{Answer, CloneFrom, Node, View};

/// See the file's head.
pub(super) struct PgDecide;

const GOALS: &[&str] = &["set_up", "failover", "rejoin", "start", "adopt", "switchover", "status"];

const WAYS: &[&str] = &["auto", "rewind", "clone"];

static DOC: Doc = Doc {
    name: "pg_decide",
    summary: "Decides from what `pg_observe` saw of all nodes what has to be done for a goal, or refuses and says why.",
    description: "Runs on the controller. It reads what every host of the cluster registered as `pg_node`; a host that could not be asked is \
unknown, which is not the same as down. A refusal names the check, what was found, what would be allowed and what to do; some can be overruled, \
each by its own word in `accept`.",
    args: &[
        ArgDoc { required: true, ..arg("goal", ArgKind::Choice(GOALS), "What is wanted.") },
        arg("accept", ArgKind::List, "Facts that are accepted by name (`matron_accept`)."),
        arg(
            "node",
            ArgKind::Str,
            "The standby to promote, or the node to rejoin or to start. Left out: decided here.",
        ),
        ArgDoc {
            default: "auto",
            ..arg(
                "by",
                ArgKind::Choice(WAYS),
                "How a node that went its own way is rejoined: rewound where that can work and copied otherwise, or as told.",
            )
        },
        arg(
            "observations",
            ArgKind::Dict,
            "What was observed, by host. Left out: `pg_node` of each host of the cluster.",
        ),
        arg(
            "stage",
            ArgKind::Choice(STAGES),
            "With `failover`: `first` before anything was done; `last`, which refuses what was not settled; `after_cut` when a command switched the old primary's host off.",
        ),
        ArgDoc {
            default: "false",
            ..arg("can_cut", ArgKind::Bool, "With stage `first`: such a command is there.")
        },
        ArgDoc {
            default: "16",
            ..arg(
                "max_lag_mb",
                ArgKind::Int,
                "With `switchover`: how far behind the standby may be.",
            )
        },
        ArgDoc {
            default: "30",
            ..arg(
                "budget",
                ArgKind::Int,
                "With `switchover`: seconds until the proof has to be there.",
            )
        },
        nodes_arg(),
        major_arg(),
        arg("cluster", ArgKind::Str, "The cluster's name. Left out: what `pg_require` found."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[
        ("primary", "The primary when the plan is done."),
        ("old_primary", "The primary before, when it is another."),
        ("acts", "By node: the acts to do there, in order."),
        ("steps", "All steps in order: node, act, about."),
        ("standbys", "All nodes but the primary."),
        ("followers", "The nodes that shall follow the primary itself, not another standby."),
        (
            "upstreams",
            "By node, for all but the primary: name, address and port of the node it shall follow.",
        ),
        (
            "sources",
            "By node, for those that are copied: name, address and port of the node it is copied from.",
        ),
        (
            "slots_by_node",
            "By node: the slots it must have, one for each node that shall follow it.",
        ),
        ("slots_kept", "Slots that stay wherever they are: of nodes that were not seen."),
        ("loss", "What may be lost, in words."),
        (
            "pending",
            "With stage `first`: what has to be settled before the last decision: cut, silence.",
        ),
        ("old_address", "Name, address and port of the primary before."),
        ("timeline", "The timeline of the node that becomes the primary, before that."),
        ("unseen", "Nodes that could not be asked."),
        (
            "synchronous_names",
            "The value of synchronous_standby_names that does what `pg_synchronous` says.",
        ),
        ("report", "The cluster in lines for people: verdict, nodes, findings."),
        ("verdict", "The state of the cluster as it was seen."),
        ("reason", "The fact that the verdict rests on."),
        (
            "protection",
            "What synchronous replication means now: what a failover may lose, and whether a lost standby stops writes.",
        ),
        ("status", "For goal status: the cluster as `matron pg status --output json` shows it."),
        (
            "forks",
            "By node that went its own way: timeline, lsn, and the stretches of WAL that only it has.",
        ),
        ("facts", "What the decision rests on."),
        ("accepted", "What was accepted by name and mattered."),
        (
            "handover",
            "With `switchover`: `from` and `to`, and `proof`, the end of the old primary's log when it has stopped already.",
        ),
        ("checks", "What was checked: name, node, value, limit, verdict. A refusal has them too."),
        ("check_lines", "The checks as lines for people."),
        (
            "changes",
            "What will be another way, and whether that takes a restart, in lines for people.",
        ),
    ],
    examples: "- name: Decide\n  pg_decide:\n    goal: failover\n    accept: \"{{ matron_accept | default([]) }}\"\n  register: pg_plan\n",
};

impl Module for PgDecide {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let accept = args.list("accept")?.unwrap_or_default();
        let node = args.text("node")?.filter(|node| !node.is_empty());
        let by = match args.choice("by", WAYS, "auto")? {
            "rewind" => By::Rewind,
            "clone" => By::Clone,
            _ => By::Auto,
        };
        let goal = match args.choice("goal", GOALS, "status")? {
            "set_up" => Goal::SetUp,
            "failover" => Goal::Failover { candidate: node, stage: stage(args)? },
            "rejoin" => Goal::Rejoin { node, by },
            "start" => Goal::Start { node },
            "adopt" => Goal::Adopt { found: found(args, cx)? },
            "switchover" => Goal::Switchover { candidate: node, limits: limits(args)? },
            _ => Goal::Status,
        };
        let view = view(args, cx)?;
        Ok(Finished::boxed(match decide(&view, &goal, &accept) {
            Ok(plan) => {
                let settings = Settings::new(args, cx)?;
                let mut outcome =
                    told(&view, &plan).with("copies", copies(&view, &plan, &settings));
                if goal == Goal::Status {
                    let status = serde_json::to_value(ClusterStatus::of(&view));
                    outcome = outcome.with("status", status.unwrap_or_default());
                }
                match (settings.dialect(), &outcome.data["followers"]) {
                    (Ok(dialect), Json::Array(names)) => {
                        let names: Vec<String> =
                            names.iter().filter_map(Json::as_str).map(str::to_owned).collect();
                        match dialect.synchronous_names(view.synchronous, &names) {
                            Ok(value) => outcome.with("synchronous_names", value),
                            Err(_) if goal == Goal::Status => outcome,
                            Err(error) => Outcome::failed(error.to_string()),
                        }
                    }
                    _ => outcome,
                }
            }
            Err(refusal) => with_checks(Outcome::failed(refusal.to_string()), &refusal.checks)
                .with("refusal", without_checks(&refusal)),
        }))
    }
}

const STAGES: &[&str] = &["first", "last", "after_cut"];

fn stage(args: &Args) -> Result<FailoverStage, ArgError> {
    Ok(match args.choice("stage", STAGES, "last")? {
        "first" => FailoverStage::First { can_cut: args.boolean("can_cut", false)? },
        "after_cut" => FailoverStage::LastAfterCut,
        _ => FailoverStage::Last,
    })
}

fn limits(args: &Args) -> Result<SwitchoverLimits, ArgError> {
    let mut limits = SwitchoverLimits::default();
    if let Some(megabytes) = args.integer("max_lag_mb")? {
        limits.lag = megabytes.unsigned_abs().saturating_mul(1 << 20);
    }
    if let Some(budget) = args.integer("budget")? {
        limits.budget = budget.unsigned_abs();
    }
    Ok(limits)
}

fn view(args: &Args, cx: &TaskContext<'_>) -> Result<View, ArgError> {
    let settings = Settings::new(args, cx)?;
    let cluster = settings.text("cluster")?;
    let given = args.json("observations")?;
    let nodes = settings.json("nodes")?.unwrap_or_default();
    let nodes = nodes.as_array().into_iter().flatten().map(|node| {
        let name = node["name"].as_str().unwrap_or_default().to_owned();
        let registered = match &given {
            Some(all) => all[&name].clone(),
            None => registered(cx, &name),
        };
        let answer = match from_registered(&registered) {
            Ok(seen) => Answer::Seen(Box::new(seen)),
            Err(why) => Answer::Unknown { why },
        };
        Node {
            name,
            address: node["address"].as_str().unwrap_or_default().to_owned(),
            port: node["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(5432),
            preferred: node["preferred"].as_bool().unwrap_or_default(),
            wanted_upstream: node["upstream"].as_str().map(str::to_owned),
            clone_from: node["clone_from"].as_str().map(CloneFrom::parse),
            promotable: node["promotable"].as_bool().unwrap_or(true),
            answer,
        }
    });
    let synchronous = settings.maybe("synchronous_mode").and_then(|word| Mode::parse(&word));
    Ok(View { cluster, nodes: nodes.collect(), synchronous: synchronous.unwrap_or_default() })
}

/// Returns what `pg_adopt` found on each host of the cluster that answered.
fn found(args: &Args, cx: &TaskContext<'_>) -> Result<Found, ArgError> {
    let nodes = Settings::new(args, cx)?.json("nodes")?.unwrap_or_default();
    let names = nodes.as_array().into_iter().flatten().filter_map(|node| node["name"].as_str());
    let of = |name: &str| {
        let text = format!("hostvars[{}].pg_found | default(none)", Json::from(name));
        let value = to_json(&cx.vars.expression(&text, None).ok()?).ok()?;
        serde_json::from_value(value["found"].clone()).ok()
    };
    Ok(names.filter_map(|name| Some((name.to_owned(), of(name)?))).collect())
}

/// Returns what a host registered: what was seen of it, or why nothing was.
pub(super) fn registered(cx: &TaskContext<'_>, host: &str) -> Json {
    let of = |name: &str| {
        let text = format!("hostvars[{}].{name} | default(none)", Json::from(host));
        let value = cx.vars.expression(&text, None).ok();
        value.and_then(|value| to_json(&value).ok()).unwrap_or_default()
    };
    let mut seen = of("pg_node");
    if seen.get("role").is_some() {
        if let (Some(map), Some(read)) = (seen.as_object_mut(), of("pg_lost").get("unreceived")) {
            map.insert("unreceived".to_owned(), read.clone());
        }
        return seen;
    }
    // The look was skipped because the task before it failed there, which knows why.
    let asked = of("pg_asked");
    let failed = ["failed", "unreachable"].iter().any(|key| asked[*key] == Json::Bool(true));
    if failed { asked } else { seen }
}

/// Returns a line for each copy: what, from where, and how long it may take.
fn copies(view: &View, plan: &Plan, settings: &Settings<'_, '_>) -> Map<String, Json> {
    let rate = settings.maybe("clone_rate").and_then(|rate| Rate::parse(&rate).ok());
    let sizes = view.nodes.iter().filter_map(|node| node.seen()?.size);
    let size = sizes.max();
    let line = |(node, source): (&String, &String)| {
        (node.clone(), json!(format!("copy {source} to {node}: {}", estimate(size, rate))))
    };
    plan.sources.iter().map(line).collect()
}

fn told(view: &View, plan: &Plan) -> Outcome {
    let mut acts = Map::new();
    for node in &view.nodes {
        let list: Vec<Json> =
            plan.acts_on(&node.name).filter_map(|act| serde_json::to_value(act).ok()).collect();
        acts.insert(node.name.clone(), Json::Array(list));
    }
    let standbys: Vec<&str> = view
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .filter(|name| plan.primary.as_deref() != Some(*name))
        .collect();
    let followers_of = |upstream: &str| {
        let names = plan.upstreams.iter().filter(move |(_, followed)| *followed == upstream);
        names.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let slots = |names: &[&str]| names.iter().map(|name| slot_name(name)).collect::<Vec<_>>();
    let slots_by_node: Map<String, Json> = view
        .nodes
        .iter()
        .map(|node| (node.name.clone(), json!(slots(&followers_of(&node.name)))))
        .collect();
    let followers = plan.primary.as_deref().map(followers_of).unwrap_or_default();
    let unseen: Vec<&str> = view.unknown().map(|(node, _)| node.name.as_str()).collect();
    let paid: Vec<&str> = plan
        .steps
        .iter()
        .filter(|step| step.act == Act::PayDebt)
        .filter_map(|step| step.about.as_deref())
        .collect();
    let address = |name: Option<&str>| {
        let node = name.and_then(|name| view.node(name));
        node.map_or(
            Json::Null,
            |node| json!({"name": node.name, "address": node.address, "port": node.port}),
        )
    };
    let addresses = |names: &BTreeMap<String, String>| {
        let each = names.iter().map(|(node, other)| (node.clone(), address(Some(other))));
        each.collect::<Map<String, Json>>()
    };
    let loss = match &plan.loss {
        Loss::None => "nothing".to_owned(),
        Loss::AtLeast { bytes } => format!("at least {} of WAL", bytes_for_people(*bytes)),
        Loss::Counted { bytes, commits, seconds } => {
            format!(
                "{commits} commits made within {seconds} s, {} of WAL",
                bytes_for_people(*bytes)
            )
        }
        Loss::Unknown => {
            "what was committed and not received; how much cannot be known from here".to_owned()
        }
    };
    let protection = view.protection();
    let mut facts = plan.facts.clone();
    if protection.loss != PossibleLoss::Unknown && !plan.steps.is_empty() {
        facts.push(format!("as it is now, {}", protection.sentence()));
    }
    let size =
        plan.primary.as_deref().and_then(|name| view.node(name)).and_then(|node| node.seen()?.size);
    with_checks(Outcome::ok(), &plan.checks)
        .with("cluster", view.cluster.clone())
        .with("primary", plan.primary.clone())
        .with("upstream", address(plan.primary.as_deref()))
        .with("old_primary", plan.old_primary.clone())
        .with("acts", acts)
        .with("steps", serde_json::to_value(&plan.steps).unwrap_or_default())
        .with("standbys", json!(standbys))
        .with("followers", json!(followers))
        .with("upstreams", addresses(&plan.upstreams))
        .with("sources", addresses(&plan.sources))
        .with("slots_by_node", slots_by_node)
        .with("slots_kept", json!(slots(&unseen)))
        .with("paid", json!(paid))
        .with("loss", loss)
        .with("handover", handover(plan))
        .with("unseen", json!(unseen))
        .with("pending", serde_json::to_value(&plan.pending).unwrap_or_default())
        .with("old_address", address(plan.old_primary.as_deref()))
        .with(
            "timeline",
            plan.primary
                .as_deref()
                .and_then(|name| view.node(name)?.seen()?.timeline)
                .map(|timeline| timeline.0),
        )
        .with("report", json!(report(view)))
        .with("size", json!(size))
        .with("verdict", view.verdict().word())
        .with("forks", serde_json::to_value(&plan.forks).unwrap_or_default())
        .with("reason", view.reason())
        .with("protection", protection.sentence())
        .with("facts", json!(facts))
        .with("accepted", json!(plan.accepted))
        .with("changes", json!(plan.changes.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

/// Returns between whom the primary's part changes hands, or is taken back.
fn handover(plan: &Plan) -> Json {
    let between = plan.steps.iter().find_map(|step| match step.act {
        Act::TakeOver => Some((step.about.as_ref()?, &step.node)),
        Act::TakeBack => Some((&step.node, step.about.as_ref()?)),
        _ => None,
    });
    let ended = || {
        plan.steps.iter().find(|step| step.act == Act::EndHandover)?;
        Some((plan.old_primary.as_ref()?, plan.primary.as_ref()?))
    };
    match between.or_else(ended) {
        Some((from, to)) => {
            json!({"from": from, "to": to, "proof": plan.proof.map(|proof| proof.to_string())})
        }
        None => Json::Null,
    }
}

/// Returns a refusal as data; its checks are told beside it.
fn without_checks(refusal: &Refusal) -> Json {
    let bare = Refusal { checks: Vec::new(), ..refusal.clone() };
    serde_json::to_value(&bare).unwrap_or_default()
}

fn with_checks(outcome: Outcome, checks: &[Check]) -> Outcome {
    let lines: Vec<String> = checks.iter().map(Check::to_string).collect();
    outcome
        .with("checks", serde_json::to_value(checks).unwrap_or_default())
        .with("check_lines", json!(lines))
}

/// Returns the cluster in lines: verdict, a line a node, a line a finding.
fn report(view: &View) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", view.cluster, view.verdict().word())];
    for node in &view.nodes {
        let place = format!("{} ({}:{})", node.name, node.address, node.port);
        let Some(seen) = node.seen() else {
            lines.push(format!("{place}: unknown"));
            continue;
        };
        let mut line = format!("{place}: {}", seen.role.word());
        if let Some(timeline) = seen.timeline {
            let _ = write!(line, ", timeline {timeline}");
        }
        if let Some(lsn) = seen.lsn {
            let _ = write!(line, ", WAL {lsn}");
        }
        match seen.role {
            Role::Primary => {
                for follower in &seen.followers {
                    let (name, state) = (&follower.name, &follower.state);
                    let _ = write!(line, ", {name} {state} {}", follower.sync_state);
                }
            }
            Role::Standby if seen.upstream.is_streaming() => {
                let host = seen.upstream.host.as_deref().unwrap_or("its primary");
                let _ = write!(line, ", streaming from {host}");
                if let Some(lag) = view.lag(seen) {
                    let _ = write!(line, ", {} behind", bytes_for_people(lag));
                }
            }
            Role::Standby
            | Role::Starting
            | Role::Stopped
            | Role::HalfCloned
            | Role::Empty
            | Role::Foreign => {}
        }
        if let Some(fenced) = &seen.fenced {
            let _ = write!(line, ", fenced ({fenced})");
        }
        lines.push(line);
    }
    let findings = view.findings();
    lines.extend(findings.iter().map(|(node, finding)| format!("! {node} {finding}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::{Fake, finish};
    use crate::outcome::Status;
    use minijinja::Value;

    fn fake() -> Fake {
        let nodes = json!([
            {"name": "db1", "address": "10.0.0.1", "port": 5432, "slot": "matron_db1", "preferred": false},
            {"name": "db2", "address": "10.0.0.2", "port": 5432, "slot": "matron_db2", "preferred": false},
        ]);
        Fake::default().variable(
            "pg",
            serde_json::from_value::<Value>(json!({"cluster": "ward", "nodes": nodes})).unwrap(),
        )
    }

    fn asked(goal: &str, observations: Json) -> Outcome {
        let mut args = Args::of([
            ("goal", Value::from(goal)),
            ("observations", serde_json::from_value::<Value>(observations).unwrap()),
        ]);
        finish(&PgDecide, &mut args, &fake()).expect("parses")
    }

    #[test]
    fn acts_are_told_by_node() {
        let outcome = asked("set_up", json!({"db1": {"role": "empty"}, "db2": {"role": "empty"}}));
        assert_eq!(outcome.data["acts"], json!({"db1": ["create"], "db2": ["clone", "follow"]}));
        assert_eq!(
            outcome.data["upstream"],
            json!({"name": "db1", "address": "10.0.0.1", "port": 5432})
        );
        assert_eq!(outcome.data["slots_by_node"], json!({"db1": ["matron_db2"], "db2": []}));
    }

    #[test]
    fn cascading_node_is_told_its_upstream_and_the_upstream_its_slot() {
        let nodes = json!([
            {"name": "db1", "address": "10.0.0.1", "port": 5432},
            {"name": "db2", "address": "10.0.0.2", "port": 5432},
            {"name": "db3", "address": "10.0.0.3", "port": 5433, "upstream": "db2"},
        ]);
        let observations =
            json!({"db1": {"role": "empty"}, "db2": {"role": "empty"}, "db3": {"role": "empty"}});
        let mut args = Args::of([
            ("goal", Value::from("set_up")),
            ("nodes", serde_json::from_value::<Value>(nodes).unwrap()),
            ("observations", serde_json::from_value::<Value>(observations).unwrap()),
            ("major", Value::from("17")),
            ("synchronous_mode", Value::from("quorum")),
        ]);
        let outcome = finish(&PgDecide, &mut args, &fake()).expect("parses");
        assert_eq!(
            outcome.data["upstreams"],
            json!({
                "db2": {"name": "db1", "address": "10.0.0.1", "port": 5432},
                "db3": {"name": "db2", "address": "10.0.0.2", "port": 5432},
            })
        );
        assert_eq!(outcome.data["sources"]["db3"]["name"], "db1");
        assert_eq!(
            outcome.data["slots_by_node"],
            json!({"db1": ["matron_db2"], "db2": ["matron_db3"], "db3": []})
        );
        assert_eq!(outcome.data["followers"], json!(["db2"]));
        assert_eq!(outcome.data["synchronous_names"], "ANY 1 (\"db2\")");
    }

    #[test]
    fn host_that_was_not_asked_is_unknown() {
        let outcome = asked("failover", json!({"db2": {"role": "standby"}}));
        assert_eq!(outcome.status, Status::Failed);
        assert_eq!(outcome.data["refusal"]["accept"], "old-primary-unreachable");
        assert_eq!(outcome.data["checks"][0]["verdict"], "refused");
        let line = outcome.data["check_lines"][0].as_str().unwrap_or_default();
        assert!(line.starts_with("refused  old primary: db1"), "{line}");
    }
}
