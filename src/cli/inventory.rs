//! `matron inventory`: shows hosts, groups and variables, as `ansible-inventory` does.

use clap::Args;

use super::failure::Failure;
use super::flags::{HostFlags, RunFlags};
use super::keyring::VaultFlags;
use super::world::RunRequest;
use crate::names::HostName;

/// Show the inventory
#[derive(Debug, Args)]
pub(super) struct InventoryArgs {
    /// Print everything as JSON
    #[arg(long, conflicts_with_all = ["graph", "host"])]
    list: bool,
    /// With --list or --host: write YAML instead of JSON
    #[arg(long, short = 'y', conflicts_with = "graph")]
    yaml: bool,
    /// Print the tree of groups
    #[arg(long)]
    graph: bool,
    /// Print one host's variables as JSON
    #[arg(long, value_name = "HOST", conflicts_with = "graph")]
    host: Option<String>,
    /// Pattern of hosts to name, one a line [default: all]
    pattern: Option<String>,
    #[command(flatten)]
    hosts: HostFlags,
    #[command(flatten)]
    vault: VaultFlags,
}

pub(super) fn run(args: InventoryArgs) -> Result<u8, Failure> {
    let run = RunFlags { vault: args.vault, ..RunFlags::default() };
    let request = RunRequest { hosts: args.hosts, run, ..RunRequest::default() };
    let mut ready = request.prepare()?;
    let files = ready.world.files.clone();
    let folder = ready.world.person.folder.clone();
    let loaded = ready.inventory.load_group_vars(&folder, files.as_ref(), &ready.world.sources);
    if let Err(found) = loaded {
        return Err(ready.refusal(&found));
    }
    let inventory = &ready.inventory;
    if args.list {
        super::say(&written(&inventory.to_list_json(Some(&folder)), args.yaml)?);
    } else if let Some(host) = args.host {
        let names: Vec<&str> = inventory.hosts().map(HostName::as_str).collect();
        if !names.contains(&host.as_str()) {
            let message = format!("you must pass a single valid host to --host: no host '{host}'");
            let failure = Failure::general(message);
            return Err(match crate::names::nearest(&host, names) {
                Some(near) => failure.hint(format!("did you mean '{near}'?")),
                None => failure,
            });
        }
        super::say(&written(
            &inventory.host_json(&HostName::new(&host), Some(&folder)),
            args.yaml,
        )?);
    } else if args.graph {
        let root = args.pattern.as_deref().unwrap_or("all");
        let graph = inventory.graph(root, false).ok_or_else(|| {
            Failure::general(format!("pattern must be valid group name: no group '{root}'"))
        })?;
        super::say(graph.trim_end());
    } else {
        let pattern = args.pattern.as_deref().unwrap_or("all");
        let matching = |pattern: &str| {
            let hosts = inventory.matching(pattern, files.as_ref());
            hosts.map_err(|error| Failure::general(error.to_string()))
        };
        let limited = ready.world.options.limit.as_deref().map(matching).transpose()?;
        for host in matching(pattern)? {
            if limited.as_ref().is_none_or(|limited| limited.contains(&host)) {
                super::say(host.as_str());
            }
        }
    }
    Ok(0)
}

/// Writes data in the form asked for.
fn written(value: &serde_json::Value, yaml: bool) -> Result<String, Failure> {
    if !yaml {
        return Ok(pretty(value));
    }
    let text = serde_yaml::to_string(value).map_err(|error| {
        Failure::general(format!("cannot write the inventory as YAML: {error}"))
    })?;
    Ok(text.trim_end().to_owned())
}

/// Writes JSON over lines, indented by four as ansible-inventory does.
fn pretty(value: &serde_json::Value) -> String {
    use serde::Serialize as _;
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, format);
    match value.serialize(&mut writer) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => value.to_string(),
    }
}
