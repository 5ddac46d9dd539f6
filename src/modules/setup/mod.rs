//! `setup`: gathers facts of a host.
//!
//! Lives here: the module, and one file a family of facts: `raw.rs` (what the script brought), `subset.rs` (which facts
//! are wanted), `platform.rs`, `hardware.rs`, `network.rs`, `local.rs`. The script (`gather.sh`) only reads; all meaning
//! is made here, so that it can be tested with what real machines answered.

mod hardware;
mod local;
mod network;
mod platform;
mod raw;
mod subset;

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use self::raw::Raw;
use self::subset::{Subset, Wanted};
use crate::modules::action::OneTrip;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Effect, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct Setup;

/// `gather_facts`: the same under the name that plays use.
pub(super) struct GatherFacts;

const ARGS: &[ArgDoc] = &[
    ArgDoc {
        default: "all",
        ..arg(
            "gather_subset",
            ArgKind::List,
            "Which facts: all, min, hardware, network, virtual, or single ones; `!` in front leaves them out.",
        )
    },
    ArgDoc {
        default: "*",
        ..arg(
            "filter",
            ArgKind::List,
            "Returns only facts whose name matches one of these shell patterns.",
        )
    },
    ArgDoc {
        default: "/etc/ansible/facts.d",
        ..arg(
            "fact_path",
            ArgKind::Path,
            "Folder of local facts: `*.fact`, INI, JSON or executable.",
        )
    },
    ArgDoc {
        default: "10",
        ..arg("gather_timeout", ArgKind::Int, "Seconds a host may take; at least 10 are given.")
    },
    arg(
        "parallel",
        ArgKind::Ignored("all facts come in one round trip"),
        "Whether to gather in parallel.",
    ),
];

const DESCRIPTION: &str = "One round trip, no Python: the names and values are Ansible's. A subset that matrons hosts do not have (facter, ohai) is accepted and empty.";

static SETUP: Doc = Doc {
    name: "setup",
    summary: "Gathers facts of the host: its system, hardware, network and local facts.",
    description: DESCRIPTION,
    args: ARGS,
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("ansible_facts", "The facts, each name with `ansible_` before it.")],
    examples: "- setup:\n    gather_subset: [min, network]\n",
};

static GATHER_FACTS: Doc = Doc {
    name: "gather_facts",
    summary: "Gathers facts of the host; what a play does by itself at its start.",
    description: DESCRIPTION,
    args: ARGS,
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("ansible_facts", "The facts, each name with `ansible_` before it.")],
    examples: "- gather_facts:\n",
};

impl Module for Setup {
    fn doc(&self) -> &'static Doc {
        &SETUP
    }

    fn observes(&self, _args: &Args) -> bool {
        true
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        parse(args)
    }
}

impl Module for GatherFacts {
    fn doc(&self) -> &'static Doc {
        &GATHER_FACTS
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        parse(args)
    }
}

fn parse(args: &mut Args) -> Result<Box<dyn Action>, ArgError> {
    let words = args.list("gather_subset")?.unwrap_or_else(|| vec!["all".to_owned()]);
    let wanted = Wanted::of(&words)?;
    let filter = args.list("filter")?.unwrap_or_default();
    let path = args.text("fact_path")?.unwrap_or_else(|| "/etc/ansible/facts.d".to_owned());
    let seconds = args.integer("gather_timeout")?.and_then(|n| u64::try_from(n).ok()).unwrap_or(10);
    let script = Script::new(include_str!("gather.sh"))
        .flag("want_hardware", wanted.has(Subset::Hardware))
        .flag("want_network", wanted.has(Subset::Network))
        .flag("want_local", wanted.has(Subset::Local))
        .var("fact_path", path)
        .within(Duration::from_secs(seconds.max(10).saturating_mul(3)));
    Ok(Box::new(OneTrip::new(Reach::Local, script, move |reply| {
        let facts = facts(&Raw::of(&reply.fields), &wanted);
        let facts = facts.into_iter().filter(|(name, _)| subset::passes(name, &filter)).collect();
        outcome(facts, &words)
    })))
}

/// Makes all facts that are wanted.
fn facts(raw: &Raw, wanted: &Wanted) -> Map<String, Json> {
    let mut facts = Map::new();
    platform::facts(raw, wanted, &mut facts);
    if wanted.has(Subset::Local) {
        facts.insert("local".to_owned(), local::facts(&raw.local));
    }
    if wanted.has(Subset::Hardware) {
        hardware::facts(raw, &mut facts);
    }
    if wanted.has(Subset::Virtual) {
        hardware::virtualization(raw, &mut facts);
    }
    if wanted.has(Subset::Network) {
        network::facts(raw, &mut facts);
    }
    facts
}

fn outcome(facts: Map<String, Json>, subset: &[String]) -> Outcome {
    let mut shown = Map::new();
    for (name, value) in &facts {
        shown.insert(format!("ansible_{name}"), value.clone());
    }
    shown.insert("gather_subset".to_owned(), json!(subset));
    shown.insert("module_setup".to_owned(), Json::Bool(true));
    let mut known = facts;
    known.insert("gather_subset".to_owned(), json!(subset));
    known.insert("module_setup".to_owned(), Json::Bool(true));
    Outcome::ok().with("ansible_facts", Json::Object(shown)).with_effect(Effect::Facts(known))
}

#[cfg(test)]
mod tests;
