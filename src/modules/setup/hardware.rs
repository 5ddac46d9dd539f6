//! Facts of processors, memory, mounts, firmware, and what kind of machine this is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::raw::Raw;

type Facts = Map<String, Json>;

fn put(facts: &mut Facts, name: &str, value: impl Into<Json>) {
    facts.insert(name.to_owned(), value.into());
}

/// Makes the hardware family.
pub(super) fn facts(raw: &Raw, facts: &mut Facts) {
    processors(raw, facts);
    memory(raw, facts);
    firmware(raw, facts);
    mounts(raw, facts);
    let uptime = raw.line("/proc/uptime").and_then(|line| line.split(['.', ' ']).next());
    if let Some(seconds) = uptime.and_then(|text| text.parse::<u64>().ok()) {
        put(facts, "uptime_seconds", seconds);
    }
}

fn processors(raw: &Raw, facts: &mut Facts) {
    let mut list: Vec<Json> = Vec::new();
    let mut threads: u64 = 0;
    let mut sockets: BTreeMap<String, u64> = BTreeMap::new();
    let mut cores_listed: BTreeSet<(String, String)> = BTreeSet::new();
    let mut socket = String::new();
    let mut siblings: Option<u64> = None;
    for line in raw.field("cpus").lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "processor" => {
                threads = threads.saturating_add(1);
                list.push(Json::from(value));
            }
            "vendor_id" | "model name" | "Processor" | "cpu" => list.push(Json::from(value)),
            "physical id" => {
                value.clone_into(&mut socket);
                sockets.entry(socket.clone()).or_insert(0);
            }
            "core id" => {
                cores_listed.insert((socket.clone(), value.to_owned()));
            }
            "cpu cores" => {
                sockets.insert(socket.clone(), value.parse().unwrap_or(1));
            }
            "siblings" => siblings = value.parse().ok(),
            _ => {}
        }
    }
    let count = u64::try_from(sockets.len()).unwrap_or(0);
    // Machines that do not tell of sockets (ARM, many guests) have one core a processor.
    let (count, cores) = match sockets.values().next() {
        Some(cores) => (count, (*cores).max(1)),
        None => (threads.max(1), 1),
    };
    let per_core = match siblings {
        Some(siblings) if count > 0 && !sockets.is_empty() => (siblings / cores).max(1),
        Some(_) | None => 1,
    };
    put(facts, "processor", list);
    put(facts, "processor_count", count);
    put(facts, "processor_cores", cores);
    put(facts, "processor_threads_per_core", per_core);
    put(facts, "processor_vcpus", count.saturating_mul(cores).saturating_mul(per_core));
    let allowed = raw.entry("/proc/self/status", "Cpus_allowed_list").map_or(threads, count_list);
    put(facts, "processor_nproc", allowed);
    let flags = raw.field("flags").split_once(':').map_or("", |(_, flags)| flags);
    put(facts, "flags", flags.split_whitespace().collect::<Vec<_>>());
}

/// Counts `0-3,8`.
fn count_list(text: &str) -> u64 {
    let one = |part: &str| -> Option<u64> {
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
                to.checked_sub(from)?.checked_add(1)
            }
            None => part.trim().parse::<u64>().ok().map(|_| 1),
        }
    };
    text.split(',').filter_map(one).fold(0, u64::saturating_add)
}

fn memory(raw: &Raw, facts: &mut Facts) {
    let mb = |key: &str| -> i64 {
        let text = raw.entry("/proc/meminfo", key).unwrap_or_default();
        let kb = text.split_whitespace().next().and_then(|n| n.parse::<i64>().ok());
        kb.unwrap_or(0) / 1024
    };
    let (total, free) = (mb("MemTotal"), mb("MemFree"));
    let (swap, swap_free) = (mb("SwapTotal"), mb("SwapFree"));
    let idle = free + mb("Cached") + mb("Buffers");
    put(facts, "memtotal_mb", total);
    put(facts, "memfree_mb", free);
    put(facts, "swaptotal_mb", swap);
    put(facts, "swapfree_mb", swap_free);
    let about = json!({
        "real": {"total": total, "free": free, "used": total - free},
        "nocache": {"free": idle, "used": total - idle},
        "swap": {
            "total": swap, "free": swap_free, "used": swap - swap_free, "cached": mb("SwapCached")
        },
    });
    put(facts, "memory_mb", about);
}

/// Kinds of chassis by number (DMTF DSP0134, System Enclosure or Chassis Types).
const CHASSIS: &[&str] = &[
    "Unknown",
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
];

fn dmi<'a>(raw: &'a Raw, name: &str) -> Option<&'a str> {
    raw.line(&format!("/sys/class/dmi/id/{name}"))
}

fn firmware(raw: &Raw, facts: &mut Facts) {
    let names = [
        ("bios_date", "bios_date"),
        ("bios_vendor", "bios_vendor"),
        ("bios_version", "bios_version"),
        ("board_asset_tag", "board_asset_tag"),
        ("board_name", "board_name"),
        ("board_serial", "board_serial"),
        ("board_vendor", "board_vendor"),
        ("board_version", "board_version"),
        ("chassis_asset_tag", "chassis_asset_tag"),
        ("chassis_serial", "chassis_serial"),
        ("chassis_vendor", "chassis_vendor"),
        ("chassis_version", "chassis_version"),
        ("product_name", "product_name"),
        ("product_serial", "product_serial"),
        ("product_uuid", "product_uuid"),
        ("product_version", "product_version"),
        ("system_vendor", "sys_vendor"),
    ];
    for (fact, file) in names {
        put(facts, fact, dmi(raw, file).unwrap_or("NA"));
    }
    let kind = dmi(raw, "chassis_type").and_then(|number| number.parse::<usize>().ok());
    let kind = kind.map_or("NA", |kind| CHASSIS.get(kind).copied().unwrap_or("Unknown"));
    put(facts, "form_factor", kind);
}

fn mounts(raw: &Raw, facts: &mut Facts) {
    let sizes: BTreeMap<&str, [u64; 5]> = raw.field("sizes").lines().filter_map(size).collect();
    let ids: BTreeMap<&str, &str> = raw.field("uuids").lines().filter_map(uuid).collect();
    let mut list = Vec::new();
    for line in raw.field("mounts").lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let [device, folder, kind, options, dump, pass] = parts[..] else { continue };
        let folder = plain(folder);
        let name = device.rsplit('/').next().unwrap_or(device);
        let mut mount = Facts::new();
        put(&mut mount, "mount", folder.as_str());
        put(&mut mount, "device", plain(device));
        put(&mut mount, "fstype", kind);
        put(&mut mount, "options", options);
        put(&mut mount, "dump", dump.parse::<u64>().unwrap_or(0));
        put(&mut mount, "passno", pass.parse::<u64>().unwrap_or(0));
        put(&mut mount, "uuid", ids.get(name).copied().unwrap_or("N/A"));
        if let Some([block, total, available, inodes, inodes_free]) = sizes.get(folder.as_str()) {
            put(&mut mount, "block_size", *block);
            put(&mut mount, "block_total", *total);
            put(&mut mount, "block_available", *available);
            put(&mut mount, "block_used", total.saturating_sub(*available));
            put(&mut mount, "size_total", total.saturating_mul(*block));
            put(&mut mount, "size_available", available.saturating_mul(*block));
            put(&mut mount, "inode_total", *inodes);
            put(&mut mount, "inode_available", *inodes_free);
            put(&mut mount, "inode_used", inodes.saturating_sub(*inodes_free));
        }
        list.push(Json::Object(mount));
    }
    put(facts, "mounts", list);
}

/// Reads a line of `stat -f -c '%S %b %a %c %d %n'`.
fn size(line: &str) -> Option<(&str, [u64; 5])> {
    let mut parts = line.splitn(6, ' ');
    let mut numbers = [0; 5];
    for number in &mut numbers {
        *number = parts.next()?.parse().ok()?;
    }
    Some((parts.next()?, numbers))
}

/// Reads a line of `ls -l /dev/disk/by-uuid`: device name and UUID.
fn uuid(line: &str) -> Option<(&str, &str)> {
    let (before, target) = line.split_once(" -> ")?;
    Some((target.rsplit('/').next()?, before.rsplit(' ').next()?))
}

/// Takes the octal escapes out of a name in `/proc/mounts` (proc(5)).
fn plain(name: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(name.to_owned(), |name, (code, text)| name.replace(code, text))
}

/// Makes the virtualization family.
pub(super) fn virtualization(raw: &Raw, facts: &mut Facts) {
    let mut guest: Vec<&str> = Vec::new();
    let mut host: Vec<&str> = Vec::new();
    if let Some(kind) = container(raw) {
        guest.extend([kind, "container"]);
    }
    let machine = machine(raw);
    guest.extend(machine);
    // A machine that can host others has the device even when it is a guest itself.
    if raw.has("/dev/kvm") || raw.has("/sys/module/kvm") {
        host.push("kvm");
    }
    let (kind, role) = match (guest.first(), host.first()) {
        (Some(kind), _) => (*kind, "guest"),
        (None, Some(kind)) => (*kind, "host"),
        (None, None) => ("NA", "NA"),
    };
    put(facts, "virtualization_type", kind);
    put(facts, "virtualization_role", role);
    put(facts, "virtualization_tech_guest", guest);
    put(facts, "virtualization_tech_host", host);
}

fn container(raw: &Raw) -> Option<&'static str> {
    let groups = raw.lines("/proc/1/cgroup");
    let grouped = |word: &str| groups.iter().any(|line| line.contains(word));
    if raw.has("/.dockerenv") || grouped("/docker/") || grouped("/docker-") {
        return Some("docker");
    }
    if raw.has("/run/.containerenv") || grouped("/libpod-") {
        return Some("podman");
    }
    match raw.line("/run/systemd/container") {
        Some("docker") => Some("docker"),
        Some("podman") => Some("podman"),
        Some("systemd-nspawn") => Some("systemd-nspawn"),
        Some("lxc" | "lxc-libvirt") => Some("lxc"),
        Some(_) => Some("container"),
        None if grouped("/lxc/") || grouped("/lxc.payload") => Some("lxc"),
        None => None,
    }
}

fn machine(raw: &Raw) -> Option<&'static str> {
    if raw.line("/sys/hypervisor/type") == Some("xen") {
        return Some("xen");
    }
    let product = dmi(raw, "product_name").unwrap_or_default();
    let vendor = dmi(raw, "sys_vendor").unwrap_or_default();
    let bios = dmi(raw, "bios_vendor").unwrap_or_default();
    match (product, vendor) {
        ("KVM" | "KVM Server" | "Bochs" | "AHV", _) => return Some("kvm"),
        ("RHEV Hypervisor", _) => return Some("RHEV"),
        ("VirtualBox", _) => return Some("virtualbox"),
        ("VMware Virtual Platform" | "VMware7,1" | "VMware20,1", _) => return Some("VMware"),
        ("OpenStack Compute" | "OpenStack Nova", _) => return Some("openstack"),
        ("Virtual Machine", "Microsoft Corporation") => return Some("VirtualPC"),
        (
            _,
            "QEMU" | "oVirt" | "Amazon EC2" | "DigitalOcean" | "Google" | "Scaleway" | "Nutanix"
            | "Hetzner",
        ) => {
            return Some("kvm");
        }
        (_, "Parallels Software International Inc.") => return Some("parallels"),
        (_, "VMware, Inc.") => return Some("VMware"),
        _ => {}
    }
    if product.contains("HVM domU") || bios == "Xen" {
        return Some("xen");
    }
    let cpus = raw.field("cpus");
    if cpus.contains("QEMU Virtual CPU") || cpus.contains("Common KVM processor") {
        return Some("kvm");
    }
    None
}
