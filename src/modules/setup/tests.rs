use super::*;
use crate::shell::Fields;

/// What `gather.sh` answered on a Debian 12.11 machine under dash; interfaces of containers and host keys cut out, PID 1 named
/// systemd.
const DEBIAN: &[u8] = include_bytes!("debian12.reply");

fn debian() -> Map<String, Json> {
    let fields = Fields::parse(DEBIAN).expect("a reply");
    let wanted = Wanted::of(&["all".to_owned()]).expect("good words");
    facts(&Raw::of(&fields), &wanted)
}

fn pick(names: &[&str]) -> Json {
    let facts = debian();
    names
        .iter()
        .map(|name| ((*name).to_owned(), facts[*name].clone()))
        .collect::<Map<_, _>>()
        .into()
}

// The expected values are those that ansible-core 2.19.14 gave on the same machine.

#[test]
fn distribution_and_managers_are_what_ansible_says() {
    let names = [
        "distribution",
        "distribution_version",
        "distribution_major_version",
        "distribution_minor_version",
        "distribution_release",
        "distribution_file_path",
        "distribution_file_variety",
        "os_family",
        "pkg_mgr",
        "service_mgr",
        "lsb",
        "virtualization_type",
        "virtualization_role",
        "virtualization_tech_guest",
    ];
    let wanted = json!({
        "distribution": "Debian",
        "distribution_version": "12.11",
        "distribution_major_version": "12",
        "distribution_minor_version": "11",
        "distribution_release": "bookworm",
        "distribution_file_path": "/etc/os-release",
        "distribution_file_variety": "Debian",
        "os_family": "Debian",
        "pkg_mgr": "apt",
        "service_mgr": "systemd",
        "lsb": {
            "codename": "bookworm",
            "description": "Debian GNU/Linux 12 (bookworm)",
            "id": "Debian",
            "major_release": "12",
            "release": "12",
        },
        "virtualization_type": "docker",
        "virtualization_role": "guest",
        "virtualization_tech_guest": ["docker", "container"],
    });
    assert_eq!(pick(&names), wanted);
}

#[test]
fn processors_and_memory_are_what_ansible_says() {
    let names = [
        "processor",
        "processor_count",
        "processor_cores",
        "processor_threads_per_core",
        "processor_vcpus",
        "processor_nproc",
        "memtotal_mb",
        "swaptotal_mb",
    ];
    let wanted = json!({
        "processor": ["0", "AuthenticAMD", "AMD EPYC", "1", "AuthenticAMD", "AMD EPYC"],
        "processor_count": 1,
        "processor_cores": 2,
        "processor_threads_per_core": 1,
        "processor_vcpus": 2,
        "processor_nproc": 2,
        "memtotal_mb": 24105,
        "swaptotal_mb": 0,
    });
    assert_eq!(pick(&names), wanted);
}

#[test]
fn addresses_and_default_routes_are_what_ansible_says() {
    let names = ["default_ipv4", "default_ipv6", "eth0", "fqdn", "domain", "hostname", "nodename"];
    let wanted = json!({
        "default_ipv4": {
            "gateway": "192.0.2.1", "interface": "eth0", "alias": "eth0",
            "address": "192.0.2.2", "broadcast": "192.0.2.255", "netmask": "255.255.255.0",
            "network": "192.0.2.0", "prefix": "24", "mtu": 1400,
            "macaddress": "02:fc:00:00:00:01", "type": "ether",
        },
        "default_ipv6": {
            "gateway": "fd00::1", "interface": "eth0", "address": "fd00::2", "prefix": "64",
            "scope": "global", "mtu": 1400, "macaddress": "02:fc:00:00:00:01", "type": "ether",
        },
        "eth0": {
            "device": "eth0", "active": true, "promisc": false, "type": "ether", "mtu": 1400,
            "speed": -1, "macaddress": "02:fc:00:00:00:01",
            "ipv4": {
                "address": "192.0.2.2", "broadcast": "192.0.2.255", "netmask": "255.255.255.0",
                "network": "192.0.2.0", "prefix": "24",
            },
            "ipv6": [
                {"address": "fd00::2", "prefix": "64", "scope": "global"},
                {"address": "fe80::fc:ff:fe00:1", "prefix": "64", "scope": "link"},
            ],
        },
        "fqdn": "vm", "domain": "", "hostname": "vm", "nodename": "vm",
    });
    assert_eq!(pick(&names), wanted);
}

#[test]
fn addresses_are_found_without_the_ip_tool() {
    let trie = "  +-- 10.0.0.0/8 2 0 2\n     |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 10.255.255.255\n        /32 link BROADCAST\n";
    let route = "/proc/net/route:Iface\tDestination\tGateway\tFlags\n/proc/net/route:eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n/proc/net/route:eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n/sys/class/net/eth0/mtu:1500\n";
    let fields = Fields(vec![
        ("files".to_owned(), route.as_bytes().to_vec()),
        ("trie".to_owned(), trie.as_bytes().to_vec()),
    ]);
    let wanted = Wanted::of(&["!all".to_owned(), "!min".to_owned(), "network".to_owned()]);
    let found = facts(&Raw::of(&fields), &wanted.expect("good words"));
    assert_eq!(found["default_ipv4"]["address"], "10.0.0.7");
    assert_eq!(found["default_ipv4"]["netmask"], "255.255.255.0");
}

#[test]
fn facts_go_to_the_host_without_the_prefix_and_to_the_result_with_it() {
    let mut known = Map::new();
    known.insert("os_family".to_owned(), Json::from("Debian"));
    let outcome = outcome(known, &["min".to_owned()]);
    assert_eq!(outcome.data["ansible_facts"]["ansible_os_family"], "Debian");
    assert!(
        matches!(&outcome.effects[..], [Effect::Facts(facts)] if facts["os_family"] == "Debian")
    );
}
