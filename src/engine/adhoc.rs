//! One module on a pattern of hosts, as a playbook of one task.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::engine::{World, catalog};
use crate::playbook::{Loader, NoEarlyVars, Playbook};
use crate::source::{Diagnostic, Diagnostics, MemoryFiles};

/// Where the made-up playbook stands.
const PLACE: &str = "<exec>/task.yml";

/// Makes the playbook of `matron exec`. `args` is free-form text, `NAME=VALUE` pairs, or a JSON mapping.
pub fn ad_hoc(
    world: &World,
    pattern: &str,
    module: &str,
    args: &str,
) -> Result<Playbook, Diagnostics> {
    let short = module.rsplit('.').next().unwrap_or(module);
    if !catalog().is_module(short) {
        let near = crate::names::nearest(short, catalog().names());
        return Err(Diagnostic::error(format!("there is no module '{module}'"))
            .maybe_hint(near.map(|near| format!("did you mean '{near}'?")))
            .into());
    }
    let arguments = match serde_json::from_str::<serde_json::Value>(args) {
        Ok(mapping @ serde_json::Value::Object(_)) => mapping,
        Ok(_) | Err(_) if args.trim().is_empty() => serde_json::Value::Null,
        Ok(_) | Err(_) => json!(args),
    };
    // JSON is YAML: the loader reads it as it reads any playbook.
    let text = json!([{
        "name": "Ad-hoc",
        "hosts": pattern,
        "gather_facts": false,
        "tasks": [{ short: arguments }],
    }]);
    let files = MemoryFiles::of(&[(PLACE, &text.to_string())]);
    let loader = Loader::new(world.sources.clone(), Arc::new(files), catalog(), Vec::new());
    let (mut playbook, _) = loader.playbook(Path::new(PLACE), &NoEarlyVars)?;
    // Files of the task are looked for where the person stands.
    for play in &mut playbook.plays {
        play.playbook_dir.clone_from(&world.person.folder);
    }
    Ok(playbook)
}
