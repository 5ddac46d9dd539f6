//! `pg_require`: refuses by name what is missing for a database host, before anything runs, and gathers the rest with defaults.

use std::net::IpAddr;

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use crate::modules::action::Finished;
use crate::modules::pg_node::slot_name;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
    to_json,
};
use crate::outcome::{Effect, Outcome};
use crate::postgres::copy::Rate;
use crate::postgres::synchronous::Mode;

/// See the file's head.
pub(super) struct PgRequire;

static DOC: Doc = Doc {
    name: "pg_require",
    summary: "Checks the variables of a PostgreSQL cluster and gathers them, with defaults, in the fact `pg`.",
    description: "Runs on the controller. It refuses a missing or impossible variable by name before any host is touched. \
Variables: `pg_cluster`, `pg_image`, `postgres_db`, `postgres_user`, `postgres_password` (required); `pg_data_root` (/srv/matron/CLUSTER), \
`pg_container` (CLUSTER-db), `pg_port` (5432), `pg_address` (ansible_host, else the host's name), `pg_prefer`, `pg_pgdata` (the image's), \
`pg_replication_user` (replicator), `pg_replication_password` (generated), `pg_synchronous` (off), `pg_settings` (none), `pg_shm_size` (256m), \
`pg_stop_timeout` (600), `pg_wal_keep_mb` (1024), `pg_slot_wal_limit_mb` (16384), `pg_clone_rate` (none), `pg_initdb_args` (none), \
`pg_aside_budget_mb` (none), `pg_guard_asks` (all), `pg_promotable` (true), \
`pg_upstream` (the node a standby follows: the primary), `pg_clone_from` (primary, standby or a node to copy from: the node it shall follow), \
`pg_clone_verify` (true), `pg_tablespaces` (mapping: path in the container, folder on the host), `pg_wal_dir` (folder on the host for the WAL; with the data), \
`matron_accept` (none).",
    args: &[ArgDoc {
        default: "database",
        ..arg("what", ArgKind::Choice(&["database", "archive"]), "The kind of host.")
    }],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[(
        "ansible_facts.pg",
        "Everything the pg_* modules need to know about this host and its cluster.",
    )],
    examples: "- name: Required variables are there\n  pg_require:\n",
};

impl Module for PgRequire {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let what = args.choice("what", &["database", "archive"], "database")?;
        match gather(cx, what == "archive") {
            Ok(pg) => {
                let mut variables = Map::new();
                variables.insert("pg".to_owned(), Json::Object(pg));
                let effect = Effect::SetFact { variables, cacheable: false };
                Ok(Finished::boxed(Outcome::ok().with_effect(effect)))
            }
            Err(text) => Ok(Finished::boxed(Outcome::failed(text))),
        }
    }
}

/// What is needed, with words on what it is for.
const REQUIRED: &[(&str, &str)] = &[
    ("pg_cluster", "the name of the cluster this host belongs to"),
    ("pg_image", "the image of the database, with its tag"),
    ("postgres_db", "the archive's database (POSTGRES_DB)"),
    ("postgres_user", "its owner and superuser (POSTGRES_USER)"),
    (
        "postgres_password",
        "that user's password (POSTGRES_PASSWORD); keep it out of files that many read",
    ),
];

struct Variables<'a, 'b> {
    cx: &'a TaskContext<'b>,
}

impl Variables<'_, '_> {
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        let value = self
            .cx
            .vars
            .variable(name)
            .map_err(|error| format!("variable {name} of {}: {error}", self.cx.host))?;
        Ok(value
            .filter(|value| !value.is_none() && !value.is_undefined())
            .map(|value| plain(&value)))
    }

    fn text_or(&self, name: &str, default: impl Into<String>) -> Result<String, String> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()).unwrap_or_else(|| default.into()))
    }

    fn number(
        &self,
        name: &str,
        default: u64,
        limit: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, String> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        text.trim().parse().ok().filter(|number| limit.contains(number)).ok_or_else(|| {
            self.wrong(
                name,
                &text,
                &format!("a whole number from {} to {}", limit.start(), limit.end()),
            )
        })
    }

    fn wrong(&self, name: &str, value: &str, limit: &str) -> String {
        format!("variable {name} of {} is '{value}'; it must be {limit}.", self.cx.host)
    }

    fn of_other(&self, host: &str, name: &str) -> Option<String> {
        let quoted = Json::from(host).to_string();
        let text = format!("hostvars[{quoted}].{name} | default('')");
        let value = self.cx.vars.expression(&text, None).ok()?;
        Some(plain(&value)).filter(|text| !text.is_empty())
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn gather(cx: &TaskContext<'_>, archive: bool) -> Result<Map<String, Json>, String> {
    let variables = Variables { cx };
    check_required(&variables, archive)?;
    let need = |name: &str| Ok::<_, String>(variables.text(name)?.unwrap_or_default());
    let cluster = need("pg_cluster")?;
    check_name(&variables, "pg_cluster", &cluster)?;
    let root = variables.text_or("pg_data_root", format!("/srv/matron/{cluster}"))?;
    let root = root.trim_end_matches('/').to_owned();
    if !root.starts_with('/')
        || root.contains(['\n', ','])
        || root.split('/').any(|part| part == "..")
    {
        return Err(variables.wrong("pg_data_root", &root, "an absolute path of its own"));
    }
    let container = variables.text_or("pg_container", format!("{cluster}-db"))?;
    check_name(&variables, "pg_container", &container)?;
    let port = variables.number("pg_port", 5432, 1..=65535)?;
    let nodes = nodes(&variables, &cluster)?;
    let synchronous = variables.text_or("pg_synchronous", "off")?;
    let Some(synchronous) = Mode::parse(&synchronous) else {
        return Err(variables.wrong("pg_synchronous", &synchronous, "off, on or quorum"));
    };
    let prefer = variables.text_or("pg_prefer", "")?;
    if !["", "primary", "standby"].contains(&prefer.as_str()) {
        return Err(variables.wrong("pg_prefer", &prefer, "primary or standby"));
    }
    let settings = match cx.vars.variable("pg_settings") {
        Ok(Some(value)) if !value.is_none() => to_json(&value).unwrap_or(Json::Null),
        Ok(_) => json!({}),
        Err(error) => {
            return Err(format!("variable pg_settings of {}: {error}", cx.host));
        }
    };
    if !settings.is_object() {
        return Err(variables.wrong("pg_settings", &settings.to_string(), "a mapping of settings"));
    }
    let clone_rate = variables.text_or("pg_clone_rate", "")?;
    if !clone_rate.is_empty() && Rate::parse(&clone_rate).is_err() {
        let limit = "a whole number with k or M behind it, from 32k to 1024M a second";
        return Err(variables.wrong("pg_clone_rate", &clone_rate, limit));
    }
    let places = places(&variables, &root)?;
    let wal_path = if places.iter().any(|place| place["path"] == WAL_PATH) { WAL_PATH } else { "" };
    let pg = json!({
        "cluster": cluster,
        "node": cx.host,
        "image": variables.text_or("pg_image", "")?,
        "container": container,
        "root": root,
        "secrets": format!("{root}/secrets"),
        "etc": format!("/etc/matron/pg/{cluster}"),
        "pgdata_wanted": variables.text_or("pg_pgdata", "")?,
        "address": own_address(&variables, cx.host)?,
        "port": port,
        "slot": slot_name(cx.host),
        "nodes": nodes,
        "database": variables.text_or("postgres_db", "")?,
        "superuser": variables.text_or("postgres_user", "")?,
        "replication_user": variables.text_or("pg_replication_user", "replicator")?,
        "synchronous": synchronous != Mode::Off,
        "synchronous_mode": synchronous.word(),
        "settings": settings,
        "shm_size": variables.text_or("pg_shm_size", "256m")?,
        "stop_timeout": variables.number("pg_stop_timeout", 600, 1..=86_400)?,
        "wal_keep_mb": variables.number("pg_wal_keep_mb", 1024, 16..=1_000_000)?,
        "slot_wal_limit_mb": variables.number("pg_slot_wal_limit_mb", 16_384, 16..=10_000_000)?,
        "aside_budget_mb": match variables.text("pg_aside_budget_mb")?.unwrap_or_default().as_str() {
            "" => Json::from(""),
            _ => variables.number("pg_aside_budget_mb", 0, 0..=1_000_000_000)?.into(),
        },
        "clone_rate": clone_rate,
        "clone_verify": variables.text_or("pg_clone_verify", "true")?,
        "places": places,
        "wal_path": wal_path,
        "initdb_args": variables.text_or("pg_initdb_args", "")?,
        "guard_asks": guard_asks(&variables)?,
    });
    match pg {
        Json::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

/// Returns how many peers have to answer before the guard starts a node that was the primary.
fn guard_asks(variables: &Variables<'_, '_>) -> Result<String, String> {
    let asks = variables.text_or("pg_guard_asks", "all")?;
    if ["all", "majority"].contains(&asks.as_str()) {
        return Ok(asks);
    }
    Err(variables.wrong("pg_guard_asks", &asks, "all or majority"))
}

/// Where a WAL directory of its own is mounted in the container.
const WAL_PATH: &str = "/wal";

/// Returns what lies outside the data folder: path in the container, folder on the host.
fn places(variables: &Variables<'_, '_>, root: &str) -> Result<Vec<Json>, String> {
    // A blank or a comma would end a word of docker's.
    let good = |path: &str| {
        path.len() > 1
            && path.starts_with('/')
            && !path.contains(|c: char| c == ',' || c.is_whitespace())
            && path.split('/').all(|part| part != "..")
    };
    let limit = "an absolute path of its own, without blanks and commas";
    let mut places: Vec<(String, String)> = Vec::new();
    let tablespaces = match variables.cx.vars.variable("pg_tablespaces") {
        Ok(Some(value)) if !value.is_none() => to_json(&value).unwrap_or(Json::Null),
        Ok(_) => json!({}),
        Err(error) => {
            return Err(format!("variable pg_tablespaces of {}: {error}", variables.cx.host));
        }
    };
    let Json::Object(tablespaces) = tablespaces else {
        let limit = "a mapping: path in the container, folder on the host (empty: below the cluster's own folder)";
        return Err(variables.wrong("pg_tablespaces", &tablespaces.to_string(), limit));
    };
    for (path, folder) in &tablespaces {
        let path = path.trim_end_matches('/');
        let folder = folder.as_str().unwrap_or_default().trim_end_matches('/');
        let folder = if folder.is_empty() {
            format!("{root}/tablespaces/{}", path.trim_start_matches('/').replace('/', "-"))
        } else {
            folder.to_owned()
        };
        places.push((path.to_owned(), folder));
    }
    let wal = variables.text_or("pg_wal_dir", "")?;
    if !wal.is_empty() {
        places.push((WAL_PATH.to_owned(), wal.trim_end_matches('/').to_owned()));
    }
    for (at, (path, folder)) in places.iter().enumerate() {
        let name = if path == WAL_PATH { "pg_wal_dir" } else { "pg_tablespaces" };
        for text in [path, folder] {
            if !good(text) {
                return Err(variables.wrong(name, text, limit));
            }
        }
        let twice = places.iter().take(at).any(|(other, at)| other == path || at == folder);
        if twice || folder == root || *folder == format!("{root}/data") {
            return Err(variables.wrong(name, &format!("{path}: {folder}"), "a place of its own"));
        }
    }
    let place = |(path, folder): (String, String)| json!({"path": path, "folder": folder});
    Ok(places.into_iter().map(place).collect())
}

fn check_required(variables: &Variables<'_, '_>, archive: bool) -> Result<(), String> {
    let needed = if archive { &REQUIRED[..1] } else { REQUIRED };
    let mut missing = Vec::new();
    for (name, meaning) in needed {
        if variables.text(name)?.is_none_or(|text| text.trim().is_empty()) {
            missing.push(format!("{name} ({meaning})"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} lacks: {}. Set {} in the inventory, in group_vars or with -e; nothing was changed anywhere.",
        variables.cx.host,
        missing.join(", "),
        if missing.len() == 1 { "it" } else { "them" },
    ))
}

fn check_name(variables: &Variables<'_, '_>, name: &str, value: &str) -> Result<(), String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let good = value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.chars().all(letter);
    if good {
        return Ok(());
    }
    Err(variables.wrong(
        name,
        value,
        "letters, digits, '_', '.' and '-', beginning with a letter or digit",
    ))
}

fn own_address(variables: &Variables<'_, '_>, host: &str) -> Result<String, String> {
    match variables.text("pg_address")? {
        Some(address) if !address.is_empty() => Ok(address),
        _ => variables.text_or("ansible_host", host),
    }
}

/// Returns the nodes of the cluster: hosts of group `databases` with the same `pg_cluster`.
fn nodes(variables: &Variables<'_, '_>, cluster: &str) -> Result<Vec<Json>, String> {
    let hosts = variables.cx.vars.expression("groups['databases']", None).map_err(|_| {
        "the inventory has no group 'databases': put the database hosts into it".to_owned()
    })?;
    let hosts = hosts.try_iter().map(|hosts| hosts.map(|host| plain(&host)).collect::<Vec<_>>());
    let mut nodes: Vec<Json> = Vec::new();
    let mut taken: Vec<(String, String)> = Vec::new();
    for host in hosts.unwrap_or_default() {
        if variables.of_other(&host, "pg_cluster").as_deref() != Some(cluster) {
            continue;
        }
        let address = variables
            .of_other(&host, "pg_address")
            .or_else(|| variables.of_other(&host, "ansible_host"))
            .unwrap_or_else(|| host.clone());
        let port = variables.of_other(&host, "pg_port").unwrap_or_else(|| "5432".to_owned());
        if let Some((_, other)) =
            taken.iter().find(|(known, _)| *known == format!("{address} {port}"))
        {
            return Err(format!(
                "{host} and {other} have the same address {address}:{port}: set pg_address or pg_port."
            ));
        }
        let loopback =
            address == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if loopback && variables.cx.host != host {
            return Err(format!(
                "{host} has the address {address}, which only itself can reach: set pg_address to one its peers can reach."
            ));
        }
        taken.push((format!("{address} {port}"), host.clone()));
        let preferred = variables.of_other(&host, "pg_prefer").as_deref() == Some("primary");
        let promotable = variables.of_other(&host, "pg_promotable");
        let promotable = !matches!(promotable.as_deref(), Some("no" | "false" | "False" | "off"));
        nodes.push(json!({
            "name": host,
            "address": address,
            "port": port.parse::<u16>().unwrap_or(5432),
            "slot": slot_name(&host),
            "preferred": preferred,
            "promotable": promotable,
            "upstream": variables.of_other(&host, "pg_upstream"),
            "clone_from": variables.of_other(&host, "pg_clone_from"),
        }));
    }
    if nodes.is_empty() {
        return Err(format!(
            "no host of group 'databases' has pg_cluster: {cluster}. Set it for the hosts of that cluster."
        ));
    }
    check_upstreams(variables, &nodes, cluster)?;
    Ok(nodes)
}

/// Refuses a `pg_upstream` or `pg_clone_from` that cannot be meant.
fn check_upstreams(
    variables: &Variables<'_, '_>,
    nodes: &[Json],
    cluster: &str,
) -> Result<(), String> {
    let names: Vec<&str> = nodes.iter().filter_map(|node| node["name"].as_str()).collect();
    let known = |name: &str| nodes.iter().find(|node| node["name"] == name);
    let refuse = |variable: &str, host: &str, value: &str, why: String| {
        Err(format!(
            "variable {variable} of {host} is '{value}', {why}. It may be {}.",
            names.iter().copied().filter(|name| *name != host).collect::<Vec<_>>().join(", ")
        ))
    };
    for node in nodes {
        let host = node["name"].as_str().unwrap_or_default();
        for (variable, key) in [("pg_upstream", "upstream"), ("pg_clone_from", "clone_from")] {
            let Some(value) = node[key].as_str() else { continue };
            if key == "clone_from" && ["primary", "standby"].contains(&value) {
                continue;
            }
            if value == host {
                // With `--from HOST` that host itself has the variable too, and copies nothing.
                if key == "clone_from" {
                    continue;
                }
                return refuse(variable, host, value, "which is the node itself".to_owned());
            }
            if known(value).is_none() {
                let why = match variables.of_other(value, "pg_cluster") {
                    Some(other) => {
                        format!("a host of cluster {other}, and {host} belongs to {cluster}")
                    }
                    None => format!("which is no database host of cluster {cluster}"),
                };
                return refuse(variable, host, value, why);
            }
        }
        let mut way = vec![host];
        let mut at = node;
        while let Some(next) = at["upstream"].as_str() {
            if way.contains(&next) {
                way.push(next);
                return Err(format!(
                    "variables pg_upstream make a ring: {}. One of these nodes has to follow the primary: take its pg_upstream away.",
                    way.join(" follows ")
                ));
            }
            way.push(next);
            match known(next) {
                Some(node) => at = node,
                None => break,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::{Fake, finish};
    use crate::outcome::Status;

    fn told(fake: &Fake) -> Outcome {
        finish(&PgRequire, &mut Args::default(), fake).expect("parses")
    }

    fn pair() -> Fake {
        let host = |address: &str| {
            Value::from_pairs([
                ("pg_cluster", Value::from("ward")),
                ("ansible_host", Value::from(address)),
            ])
        };
        Fake::default()
            .variable("groups", Value::from_pairs([("databases", Value::from(vec!["db1", "db2"]))]))
            .variable(
                "hostvars",
                Value::from_pairs([("db1", host("10.0.0.1")), ("db2", host("10.0.0.2"))]),
            )
            .variable("pg_cluster", "ward")
            .variable("pg_image", "dcm4che/postgres-dcm4chee:17.4-34")
            .variable("postgres_db", "pacsdb")
            .variable("postgres_user", "pacs")
            .variable("ansible_host", "10.0.0.1")
    }

    #[test]
    fn missing_password_is_refused_by_name() {
        let outcome = told(&pair());
        assert_eq!(outcome.status, Status::Failed);
        assert_eq!(
            outcome.message(),
            Some(
                "db1 lacks: postgres_password (that user's password (POSTGRES_PASSWORD); keep it out of files that many read). Set it in the inventory, in group_vars or with -e; nothing was changed anywhere."
            )
        );
    }

    #[test]
    fn nodes_of_the_cluster_are_found_with_address_and_slot() {
        let outcome = told(&pair().variable("postgres_password", "hunter22"));
        let Some(Effect::SetFact { variables, .. }) = outcome.effects.first() else {
            panic!("no fact: {outcome:?}")
        };
        let pg = &variables["pg"];
        assert_eq!(
            pg["nodes"][1],
            json!({"name": "db2", "address": "10.0.0.2", "port": 5432, "slot": "matron_db2", "preferred": false, "promotable": true, "upstream": null, "clone_from": null})
        );
        assert_eq!(
            (&pg["container"], &pg["root"]),
            (&json!("ward-db"), &json!("/srv/matron/ward"))
        );
        assert!(
            !Json::Object(variables.clone()).to_string().contains("hunter22"),
            "the password is no fact"
        );
    }

    /// A cluster of three with these variables of its nodes, and a host of another cluster.
    fn three(variable: &str, values: [&str; 3]) -> Fake {
        let host = |at: usize, cluster: &str, value: &str| {
            Value::from_pairs([
                ("pg_cluster", Value::from(cluster)),
                ("ansible_host", Value::from(format!("10.0.0.{at}"))),
                (variable, Value::from(value)),
            ])
        };
        let names = vec!["db1", "db2", "db3", "far"];
        let hosts = Value::from_pairs([
            ("db1", host(1, "ward", values[0])),
            ("db2", host(2, "ward", values[1])),
            ("db3", host(3, "ward", values[2])),
            ("far", host(4, "elsewhere", "")),
        ]);
        pair()
            .variable("groups", Value::from_pairs([("databases", Value::from(names))]))
            .variable("hostvars", hosts)
            .variable("postgres_password", "hunter22")
    }

    #[test]
    fn upstream_that_cannot_be_meant_is_refused_with_what_may_be() {
        for (values, text) in [
            (
                ["", "", "db4"],
                "variable pg_upstream of db3 is 'db4', which is no database host of cluster ward. It may be db1, db2.",
            ),
            (
                ["", "", "far"],
                "variable pg_upstream of db3 is 'far', a host of cluster elsewhere, and db3 belongs to ward. It may be db1, db2.",
            ),
            (
                ["", "db2", ""],
                "variable pg_upstream of db2 is 'db2', which is the node itself. It may be db1, db3.",
            ),
            (
                ["db3", "db1", "db2"],
                "variables pg_upstream make a ring: db1 follows db3 follows db2 follows db1. One of these nodes has to follow the primary: take its pg_upstream away.",
            ),
        ] {
            assert_eq!(told(&three("pg_upstream", values)).message(), Some(text));
        }
        let outcome = told(&three("pg_upstream", ["", "", "db2"]));
        let Some(Effect::SetFact { variables, .. }) = outcome.effects.first() else {
            panic!("no fact: {outcome:?}")
        };
        assert_eq!(variables["pg"]["nodes"][2]["upstream"], "db2");
    }

    #[test]
    fn source_of_a_copy_is_a_kind_or_a_node() {
        for (value, good) in [("primary", true), ("standby", true), ("db2", true), ("db9", false)] {
            let outcome = told(&three("pg_clone_from", [value, value, value]));
            assert_eq!(outcome.status == Status::Ok, good, "{value}: {outcome:?}");
        }
    }

    #[test]
    fn tablespaces_and_wal_have_places_outside_the_data_folder() {
        let spaces =
            Value::from_pairs([("/tablespaces/fast", "/ssd/fast/"), ("/tablespaces/old", "")]);
        let fake =
            pair().variable("postgres_password", "hunter22").variable("pg_tablespaces", spaces);
        let outcome = told(&fake.variable("pg_wal_dir", "/nvme/wal"));
        let Some(Effect::SetFact { variables, .. }) = outcome.effects.first() else {
            panic!("no fact: {outcome:?}")
        };
        assert_eq!(
            variables["pg"]["places"],
            json!([
                {"path": "/tablespaces/fast", "folder": "/ssd/fast"},
                {"path": "/tablespaces/old", "folder": "/srv/matron/ward/tablespaces/tablespaces-old"},
                {"path": "/wal", "folder": "/nvme/wal"},
            ])
        );
    }

    #[test]
    fn impossible_values_are_refused_with_what_is_possible() {
        for (name, value, limit) in [
            ("pg_port", "0", "a whole number from 1 to 65535"),
            ("pg_data_root", "srv", "an absolute path of its own"),
            (
                "pg_clone_rate",
                "10G",
                "a whole number with k or M behind it, from 32k to 1024M a second",
            ),
            ("pg_wal_dir", "/a b", "an absolute path of its own, without blanks and commas"),
            ("pg_synchronous", "maybe", "off, on or quorum"),
            (
                "pg_container",
                "-x",
                "letters, digits, '_', '.' and '-', beginning with a letter or digit",
            ),
        ] {
            let outcome =
                told(&pair().variable("postgres_password", "hunter22").variable(name, value));
            let text = format!("variable {name} of db1 is '{value}'; it must be {limit}.");
            assert_eq!(outcome.message(), Some(text.as_str()));
        }
    }
}
