//! Facts of the network: interfaces, addresses, default routes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value as Json, json};

use super::raw::Raw;

type Facts = Map<String, Json>;

fn put(facts: &mut Facts, name: &str, value: impl Into<Json>) {
    facts.insert(name.to_owned(), value.into());
}

/// An IPv4 address of an interface.
#[derive(Clone, Debug)]
struct Address {
    device: String,
    label: String,
    ip: Ipv4Addr,
    prefix: u32,
    broadcast: String,
}

impl Address {
    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32_u32.saturating_sub(self.prefix)).unwrap_or(0)
    }

    fn facts(&self) -> Json {
        json!({
            "address": self.ip.to_string(),
            "broadcast": self.broadcast,
            "netmask": Ipv4Addr::from(self.mask()).to_string(),
            "network": Ipv4Addr::from(u32::from(self.ip) & self.mask()).to_string(),
            "prefix": self.prefix.to_string(),
        })
    }
}

/// Makes the network family.
pub(super) fn facts(raw: &Raw, facts: &mut Facts) {
    let four = addresses(raw);
    let six = addresses_6(raw);
    let names = devices(raw);
    for name in &names {
        let key: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        put(facts, &key, interface(raw, name, &four, &six));
    }
    put(facts, "interfaces", names);
    let outside = four.iter().filter(|address| !address.ip.is_loopback());
    let outside: Vec<String> = outside.map(|address| address.ip.to_string()).collect();
    put(facts, "all_ipv4_addresses", outside);
    let outside = six.iter().filter(|(_, address, _)| !address.is_loopback());
    let outside: Vec<String> = outside.map(|(_, address, _)| address.to_string()).collect();
    put(facts, "all_ipv6_addresses", outside);
    put(facts, "default_ipv4", default_4(raw, &four));
    put(facts, "default_ipv6", default_6(raw, &six));
}

fn devices(raw: &Raw) -> Vec<String> {
    let found = raw.under("/sys/class/net/").filter_map(|(rest, _)| rest.strip_suffix("/mtu"));
    found.map(str::to_owned).collect()
}

fn about<'a>(raw: &'a Raw, device: &str, what: &str) -> Option<&'a str> {
    raw.line(&format!("/sys/class/net/{device}/{what}"))
}

/// Interface type by ARPHRD number (`linux/if_arp.h`).
fn kind(raw: &Raw, device: &str) -> &'static str {
    let bridge = format!("/sys/class/net/{device}/bridge");
    if raw.field("bridges").split_whitespace().any(|path| path == bridge) {
        return "bridge";
    }
    match about(raw, device, "type") {
        Some("1") => "ether",
        Some("32") => "infiniband",
        Some("512") => "ppp",
        Some("772") => "loopback",
        Some("65534") => "tunnel",
        Some(_) | None => "unknown",
    }
}

fn interface(raw: &Raw, name: &str, four: &[Address], six: &[(String, Ipv6Addr, Json)]) -> Json {
    let flags = about(raw, name, "flags").and_then(|text| text.strip_prefix("0x"));
    let flags = flags.and_then(|text| u32::from_str_radix(text, 16).ok()).unwrap_or(0);
    let mut found = Facts::new();
    put(&mut found, "device", name);
    // IFF_UP, IFF_PROMISC (`linux/if.h`).
    put(&mut found, "active", flags & 0x1 != 0);
    put(&mut found, "promisc", flags & 0x100 != 0);
    put(&mut found, "type", kind(raw, name));
    if let Some(mtu) = about(raw, name, "mtu").and_then(|text| text.parse::<u64>().ok()) {
        put(&mut found, "mtu", mtu);
    }
    if let Some(speed) = about(raw, name, "speed").and_then(|text| text.parse::<i64>().ok()) {
        put(&mut found, "speed", speed);
    }
    if let Some(address) = about(raw, name, "address").filter(|text| *text != "00:00:00:00:00:00") {
        put(&mut found, "macaddress", address);
    }
    let mut own = four.iter().filter(|address| address.device == name);
    if let Some(first) = own.next() {
        put(&mut found, "ipv4", first.facts());
    }
    let others: Vec<Json> = own.map(Address::facts).collect();
    if !others.is_empty() {
        put(&mut found, "ipv4_secondaries", others);
    }
    let own = six.iter().filter(|(device, _, _)| device == name);
    let own: Vec<Json> = own.map(|(_, _, facts)| facts.clone()).collect();
    if !own.is_empty() {
        put(&mut found, "ipv6", own);
    }
    Json::Object(found)
}

fn addresses(raw: &Raw) -> Vec<Address> {
    let told: Vec<Address> = raw.field("addresses").lines().filter_map(address).collect();
    if told.is_empty() { from_trie(raw) } else { told }
}

/// Reads a line of `ip -o -4 addr`: `2: eth0    inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0\ ...`.
fn address(line: &str) -> Option<Address> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |word: &str| {
        words.iter().position(|known| *known == word).and_then(|at| words.get(at + 1)).copied()
    };
    let device = words.get(1)?.trim_end_matches(':').split('@').next()?.to_owned();
    let given = after("inet")?;
    let (address, prefix) = given.split_once('/').unwrap_or((given, "32"));
    let broadcast = after("brd").unwrap_or_default().to_owned();
    let scope = words.iter().position(|word| *word == "scope");
    let label = scope.and_then(|at| {
        let rest = words.get(at + 2..)?;
        rest.iter().map(|word| word.trim_end_matches('\\')).find(|word| word.starts_with(&device))
    });
    Some(Address {
        label: label.unwrap_or(&device).to_owned(),
        device,
        ip: address.parse().ok()?,
        prefix: prefix.parse().ok()?,
        broadcast,
    })
}

/// Without `ip`: the kernel's routing trie lists local addresses, and its routes say which device a network is on.
fn from_trie(raw: &Raw) -> Vec<Address> {
    let mut found: BTreeSet<Ipv4Addr> = BTreeSet::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in raw.field("trie").lines() {
        let line = line.trim();
        if let Some(leaf) = line.strip_prefix("|-- ") {
            last = leaf.parse().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = last
        {
            found.insert(address);
        }
    }
    let routes = routes(raw);
    let place = |address: Ipv4Addr| {
        if address.is_loopback() {
            return ("lo".to_owned(), 8);
        }
        let on = |route: &&Route| route.mask != 0 && u32::from(address) & route.mask == route.to;
        let best = routes.iter().filter(on).max_by_key(|route| route.mask.count_ones());
        best.map_or_else(
            || ("unknown".to_owned(), 32),
            |route| (route.device.clone(), route.mask.count_ones()),
        )
    };
    let make = |address: Ipv4Addr| {
        let (device, prefix) = place(address);
        let label = device.clone();
        let mut made = Address { device, label, ip: address, prefix, broadcast: String::new() };
        if !address.is_loopback() && prefix < 31 {
            made.broadcast = Ipv4Addr::from(u32::from(address) | !made.mask()).to_string();
        }
        made
    };
    found.into_iter().map(make).collect()
}

#[derive(Debug)]
struct Route {
    device: String,
    to: u32,
    gateway: u32,
    mask: u32,
    metric: u32,
    up: bool,
}

/// Reads `/proc/net/route`, whose addresses are hexadecimal words in the host's byte order (little-endian here).
fn routes(raw: &Raw) -> Vec<Route> {
    let word = |text: &str| u32::from_str_radix(text, 16).map(u32::swap_bytes).ok();
    let route = |line: &String| {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [device, to, gateway, flags, _, _, metric, mask, ..] = parts[..] else { return None };
        Some(Route {
            device: device.to_owned(),
            to: word(to)?,
            gateway: word(gateway)?,
            mask: word(mask)?,
            metric: metric.parse().ok()?,
            up: u32::from_str_radix(flags, 16).ok()? & 1 != 0,
        })
    };
    raw.lines("/proc/net/route").iter().skip(1).filter_map(route).collect()
}

fn default_4(raw: &Raw, four: &[Address]) -> Json {
    let routes = routes(raw);
    let best = routes.iter().filter(|route| route.up && route.to == 0 && route.mask == 0);
    let Some(route) = best.min_by_key(|route| route.metric) else { return json!({}) };
    let gateway = Ipv4Addr::from(route.gateway);
    let own = || four.iter().filter(|address| address.device == route.device);
    let near = |address: &&Address| {
        u32::from(address.ip) & address.mask() == route.gateway & address.mask()
    };
    let Some(address) = own().find(near).or_else(|| own().next()) else { return json!({}) };
    let mut found = Facts::new();
    put(&mut found, "gateway", gateway.to_string());
    put(&mut found, "interface", route.device.as_str());
    put(&mut found, "alias", address.label.as_str());
    if let Json::Object(rest) = address.facts() {
        found.extend(rest);
    }
    link(raw, &route.device, &mut found);
    Json::Object(found)
}

fn link(raw: &Raw, device: &str, found: &mut Facts) {
    if let Some(mtu) = about(raw, device, "mtu").and_then(|text| text.parse::<u64>().ok()) {
        put(found, "mtu", mtu);
    }
    put(found, "macaddress", about(raw, device, "address").unwrap_or_default());
    put(found, "type", kind(raw, device));
}

fn hex_6(text: &str) -> Option<Ipv6Addr> {
    (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from))?
}

/// Reads `/proc/net/if_inet6`: address, index, prefix, scope, flags (all hexadecimal) and device.
fn addresses_6(raw: &Raw) -> Vec<(String, Ipv6Addr, Json)> {
    let address = |line: &String| {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [address, _, prefix, scope, _, device] = parts[..] else { return None };
        let address = hex_6(address)?;
        let prefix = u32::from_str_radix(prefix, 16).ok()?;
        let scope = match scope {
            "00" => "global",
            "10" => "host",
            "20" => "link",
            "40" => "site",
            _ => "unknown",
        };
        let facts =
            json!({"address": address.to_string(), "prefix": prefix.to_string(), "scope": scope});
        Some((device.to_owned(), address, facts))
    };
    let mut found: Vec<_> = raw.lines("/proc/net/if_inet6").iter().filter_map(address).collect();
    // The kernel's `ip addr` order: the widest scope first.
    found.sort_by_key(|(_, _, facts)| facts["scope"] != "global");
    found
}

/// Reads the default route of `/proc/net/ipv6_route`.
fn default_6(raw: &Raw, six: &[(String, Ipv6Addr, Json)]) -> Json {
    let route = |line: &String| {
        let parts: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let [to, length, _, _, gateway, metric, _, _, _, device] = &parts[..] else { return None };
        let gateway = hex_6(gateway)?;
        let default = hex_6(to)?.is_unspecified() && length == "00" && !gateway.is_unspecified();
        default
            .then(|| (u32::from_str_radix(metric, 16).unwrap_or(u32::MAX), gateway, device.clone()))
    };
    let routes = raw.lines("/proc/net/ipv6_route").iter().filter_map(route);
    let Some((_, gateway, device)) = routes.min_by_key(|(metric, _, _)| *metric) else {
        return json!({});
    };
    let own = |(on, _, _): &&(String, Ipv6Addr, Json)| *on == device;
    let global = |entry: &&(String, Ipv6Addr, Json)| own(entry) && entry.2["scope"] == "global";
    let Some((_, _, address)) = six.iter().find(global).or_else(|| six.iter().find(own)) else {
        return json!({});
    };
    let mut found = Facts::new();
    put(&mut found, "gateway", gateway.to_string());
    put(&mut found, "interface", device.as_str());
    if let Some(rest) = address.as_object() {
        found.extend(rest.clone());
    }
    link(raw, &device, &mut found);
    Json::Object(found)
}
