//! The containers of a host as `docker inspect` tells them, and the choice of the one that is the node's.

use serde_json::Value as Json;

use crate::postgres::handbuilt::{HandBuilt, Wanted};

/// One container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    hand: HandBuilt,
    /// It carries what a PostgreSQL image sets.
    database: bool,
    /// Names it reaches others by, as `--link` keeps them.
    links: Vec<String>,
    networks: Vec<String>,
}

impl Seen {
    /// Reads what `find.sh` says of a container.
    pub(super) fn read(text: &str, environment: &str) -> Option<Self> {
        let told: Json = serde_json::from_str(text).ok()?;
        let word = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        let variable = |name: &str| {
            environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        let list = |value: &Json| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let pgdata = variable("PGDATA").unwrap_or_default().trim_end_matches('/').to_owned();
        let ports = told["ports"]["5432/tcp"].as_array();
        let port =
            ports.into_iter().flatten().find_map(|one| one["HostPort"].as_str()?.parse().ok());
        let superuser = variable("POSTGRES_USER").unwrap_or("postgres").to_owned();
        let mut hand = HandBuilt {
            container: word("name").trim_start_matches('/').to_owned(),
            managed: told["labels"]["org.matron.digest"].is_string(),
            state: word("state"),
            image: word("image"),
            image_id: word("image_id"),
            restart_policy: word("policy"),
            port,
            pgdata: pgdata.clone(),
            database: variable("POSTGRES_DB").unwrap_or(&superuser).to_owned(),
            superuser,
            password_in_environment: variable("POSTGRES_PASSWORD").is_some(),
            arguments: list(&told["arguments"]),
            ..HandBuilt::default()
        };
        // The mount nearest to the data is the one it lies in.
        let mounts = told["mounts"].as_array().into_iter().flatten();
        let holding = mounts.filter_map(|mount| {
            let destination = mount["Destination"].as_str()?.trim_end_matches('/');
            let below = pgdata.strip_prefix(destination)?;
            (below.is_empty() || below.starts_with('/')).then_some((destination, below, mount))
        });
        if let Some((destination, below, mount)) = holding.max_by_key(|(path, ..)| path.len()) {
            let source = mount["Source"].as_str().unwrap_or_default();
            source.trim_end_matches('/').clone_into(&mut hand.source);
            mount["Type"].as_str().unwrap_or_default().clone_into(&mut hand.mount_type);
            destination.clone_into(&mut hand.destination);
            hand.data = format!("{}{below}", hand.source);
        }
        let networks =
            told["networks"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
        let own = |name: &String| !["bridge", "host", "none"].contains(&name.as_str());
        Some(Self {
            database: !pgdata.is_empty(),
            links: list(&told["links"]),
            networks: networks.filter(own).collect(),
            hand,
        })
    }
}

/// Chooses the container that is this host's node: by name, by matron's name, by port.
///
/// `None` when there is none; an error names those among which nobody could choose.
pub(super) fn choose(
    seen: &[Seen],
    named: Option<&str>,
    wanted: &Wanted,
) -> Result<Option<HandBuilt>, String> {
    let by_name = |name: &str| seen.iter().find(|one| one.hand.container == name);
    let found = if let Some(one) = by_name(&wanted.container) {
        Some(one)
    } else if let Some(one) = by_name(&format!("{}.matron-old", wanted.container)) {
        Some(one)
    } else if let Some(name) = named {
        Some(by_name(name).ok_or_else(|| {
            let there: Vec<_> = seen.iter().map(|one| one.hand.container.as_str()).collect();
            format!(
                "refused: container to take over: found no {name} (there are: {}); allowed is one that is there. Set pg_adopt_container.",
                if there.is_empty() { "none".to_owned() } else { there.join(", ") }
            )
        })?)
    } else {
        only(seen, wanted)?
    };
    Ok(found.map(|one| {
        let mut hand = one.hand.clone();
        hand.linked = linked(seen, one);
        hand
    }))
}

fn only<'a>(seen: &'a [Seen], wanted: &Wanted) -> Result<Option<&'a Seen>, String> {
    let databases: Vec<&Seen> = seen.iter().filter(|one| one.database).collect();
    let published: Vec<&Seen> =
        databases.iter().copied().filter(|one| one.hand.port == Some(wanted.port)).collect();
    let candidates = if published.is_empty() { databases } else { published };
    match candidates.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        many => {
            let names: Vec<_> = many.iter().map(|one| one.hand.container.as_str()).collect();
            Err(format!(
                "refused: container to take over: found {}; allowed is one. Set pg_adopt_container for this host in the inventory.",
                names.join(" and ")
            ))
        }
    }
}

/// Returns the containers that reach this one by a name of Docker's.
fn linked(seen: &[Seen], node: &Seen) -> Vec<String> {
    let target = format!("/{}:", node.hand.container);
    let near = |one: &&Seen| {
        one.hand.container != node.hand.container
            && (one.links.iter().any(|link| link.starts_with(&target))
                || one.networks.iter().any(|name| node.networks.contains(name)))
    };
    seen.iter().filter(near).map(|one| one.hand.container.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, port: &str) -> Seen {
        let text = format!(
            r#"{{"name":"/{name}","state":"running","image":"dcm4che/postgres-dcm4chee:17.4-34","image_id":"sha256:1","policy":"unless-stopped",
            "ports":{{"5432/tcp":[{{"HostIp":"","HostPort":"{port}"}}]}},"mounts":[{{"Type":"bind","Source":"/var/local/mypacs/{name}",
            "Destination":"/var/lib/postgresql/data"}}],"arguments":["postgres"],"labels":null,"links":null,"networks":{{"bridge":{{}}}}}}"#
        );
        let environment = "PGDATA=/var/lib/postgresql/data\nPOSTGRES_USER=pacs\nPOSTGRES_DB=pacsdb\nPOSTGRES_PASSWORD=\n";
        Seen::read(&text, environment).expect("read")
    }

    fn wanted() -> Wanted {
        Wanted { container: "ward-db".to_owned(), port: 6432, ..Wanted::default() }
    }

    #[test]
    fn container_of_the_readme_is_understood() {
        let hand = seen("db1", "5432").hand;
        assert_eq!(hand.data, "/var/local/mypacs/db1");
        assert_eq!((hand.port, hand.mount_type.as_str()), (Some(5432), "bind"));
        assert!(hand.password_in_environment && hand.is_foreign());
    }

    #[test]
    fn node_is_the_container_with_the_port_and_not_any_database() {
        let all = [seen("keycloak-db", "5432"), seen("db2", "6432")];
        let chosen = choose(&all, None, &wanted()).expect("one").expect("found");
        assert_eq!(chosen.container, "db2");
        let error = choose(&[seen("a", "1"), seen("b", "2")], None, &wanted()).expect_err("two");
        assert!(error.contains("found a and b"), "{error}");
        assert_eq!(choose(&[], None, &wanted()), Ok(None));
    }

    #[test]
    fn container_that_was_set_aside_by_an_interrupted_run_is_found_again() {
        let all = [seen("db1", "6432"), seen("ward-db.matron-old", "6432")];
        let chosen = choose(&all, Some("db1"), &wanted()).expect("one").expect("found");
        assert_eq!(chosen.container, "ward-db.matron-old");
    }

    #[test]
    fn archive_that_is_linked_is_named() {
        let mut archive = seen("arc", "8080");
        archive.database = false;
        archive.links = vec!["/db2:/arc/db".to_owned()];
        let chosen = choose(&[seen("db2", "6432"), archive], None, &wanted()).expect("one");
        assert_eq!(chosen.expect("found").linked, ["arc"]);
    }
}
