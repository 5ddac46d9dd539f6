//! Facts of the system: distribution, user, time, managers, security.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json, json};

use super::raw::Raw;
use super::subset::{Subset, Wanted};

type Facts = Map<String, Json>;

/// Makes the facts of one family.
type Make = fn(&Raw, &mut Facts);

fn put(facts: &mut Facts, name: &str, value: impl Into<Json>) {
    facts.insert(name.to_owned(), value.into());
}

/// Makes the facts of all families here that are wanted.
pub(super) fn facts(raw: &Raw, wanted: &Wanted, facts: &mut Facts) {
    let families: [(Subset, Make); 18] = [
        (Subset::Distribution, distribution),
        (Subset::Platform, platform),
        (Subset::User, user),
        (Subset::Env, environment),
        (Subset::DateTime, date_time),
        (Subset::Dns, dns),
        (Subset::Cmdline, command_line),
        (Subset::Lsb, lsb),
        (Subset::PkgMgr, package_manager),
        (Subset::ServiceMgr, service_manager),
        (Subset::Python, python),
        (Subset::Selinux, selinux),
        (Subset::Apparmor, apparmor),
        (Subset::Fips, fips),
        (Subset::Caps, capabilities),
        (Subset::SshKeys, ssh_keys),
        (Subset::Loadavg, load),
        (Subset::Chroot, chroot),
    ];
    for (family, make) in families {
        if wanted.has(family) {
            make(raw, facts);
        }
    }
}

/// Returns a value of `/etc/os-release`, quotes taken off.
fn release<'a>(raw: &'a Raw, key: &str) -> Option<&'a str> {
    raw.lines("/etc/os-release").iter().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix('=')?.trim();
        Some(value.trim_matches(['"', '\'']))
    })
}

/// os-release `ID`, Ansible's name of the distribution, and its family.
const DISTRIBUTIONS: &[(&str, &str, &str)] = &[
    ("debian", "Debian", "Debian"),
    ("ubuntu", "Ubuntu", "Debian"),
    ("linuxmint", "Linux Mint", "Debian"),
    ("raspbian", "Debian", "Debian"),
    ("devuan", "Devuan", "Debian"),
    ("kali", "Kali", "Debian"),
    ("pop", "Pop!_OS", "Debian"),
    ("alpine", "Alpine", "Alpine"),
    ("rhel", "RedHat", "RedHat"),
    ("centos", "CentOS", "RedHat"),
    ("rocky", "Rocky", "RedHat"),
    ("almalinux", "AlmaLinux", "RedHat"),
    ("fedora", "Fedora", "RedHat"),
    ("ol", "OracleLinux", "RedHat"),
    ("amzn", "Amazon", "RedHat"),
    ("sles", "SLES", "Suse"),
    ("opensuse-leap", "openSUSE Leap", "Suse"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed", "Suse"),
    ("arch", "Archlinux", "Archlinux"),
    ("manjaro", "Manjaro", "Archlinux"),
    ("gentoo", "Gentoo", "Gentoo"),
];

fn family(raw: &Raw) -> (String, String) {
    let id = release(raw, "ID").unwrap_or_default();
    if let Some((_, name, family)) = DISTRIBUTIONS.iter().find(|(known, _, _)| *known == id) {
        return ((*name).to_owned(), (*family).to_owned());
    }
    let name = release(raw, "NAME").unwrap_or("Linux").to_owned();
    // A derivative says whom it is like.
    let like = release(raw, "ID_LIKE").unwrap_or_default();
    let like = like.split_whitespace().find_map(|word| {
        DISTRIBUTIONS.iter().find(|(known, _, _)| *known == word).map(|(_, _, family)| *family)
    });
    let family = like.map_or_else(|| name.clone(), str::to_owned);
    (name, family)
}

fn distribution(raw: &Raw, facts: &mut Facts) {
    let (name, family) = family(raw);
    let listed = release(raw, "VERSION_ID").unwrap_or("NA");
    // Point releases stand in files of their own.
    let number = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
    let version = match name.as_str() {
        "Debian" => raw.line("/etc/debian_version").filter(number).unwrap_or(listed),
        "Alpine" => raw.line("/etc/alpine-release").unwrap_or(listed),
        "CentOS" | "OracleLinux" => raw
            .line("/etc/redhat-release")
            .and_then(|line| line.split_whitespace().find(number))
            .unwrap_or(listed),
        _ => listed,
    };
    let mut parts = version.split('.');
    let major = parts.next().unwrap_or(version);
    let codename = release(raw, "VERSION_CODENAME").map(str::to_owned).or_else(|| {
        let words = release(raw, "VERSION")?;
        let (_, inside) = words.split_once('(')?;
        Some(inside.trim_end_matches(')').to_owned())
    });
    let path = match family.as_str() {
        "RedHat" => "/etc/redhat-release",
        "Alpine" => "/etc/alpine-release",
        _ => "/etc/os-release",
    };
    put(facts, "distribution", name.as_str());
    put(facts, "distribution_version", version);
    put(facts, "distribution_major_version", major);
    if let Some(minor) = parts.next() {
        put(facts, "distribution_minor_version", minor);
    }
    let codename = codename.filter(|name| !name.is_empty());
    put(facts, "distribution_release", codename.unwrap_or_else(|| "NA".to_owned()));
    put(facts, "distribution_file_path", path);
    put(facts, "distribution_file_variety", family.as_str());
    put(facts, "distribution_file_parsed", true);
    put(facts, "os_family", family);
}

fn platform(raw: &Raw, facts: &mut Facts) {
    let node = raw.line("/proc/sys/kernel/hostname").unwrap_or("localhost");
    let full = full_name(raw, node);
    let machine = raw.field("machine");
    let architecture = match machine {
        "i486" | "i586" | "i686" | "i86pc" => "i386",
        other => other,
    };
    let wide = ["64", "s390x", "alpha"].iter().any(|part| machine.contains(part));
    put(facts, "system", raw.line("/proc/sys/kernel/ostype").unwrap_or("Linux"));
    put(facts, "kernel", raw.line("/proc/sys/kernel/osrelease").unwrap_or_default());
    put(facts, "kernel_version", raw.line("/proc/sys/kernel/version").unwrap_or_default());
    put(facts, "machine", machine);
    put(facts, "architecture", architecture);
    put(facts, "userspace_bits", if wide { "64" } else { "32" });
    put(facts, "userspace_architecture", architecture);
    put(facts, "machine_id", raw.line("/etc/machine-id").unwrap_or_default());
    put(facts, "nodename", node);
    put(facts, "hostname", node.split('.').next().unwrap_or(node));
    put(facts, "domain", full.split_once('.').map_or("", |(_, domain)| domain));
    put(facts, "fqdn", full);
}

/// Returns the host's full name: what `/etc/hosts` calls it first, else what the resolver said.
fn full_name(raw: &Raw, node: &str) -> String {
    let words = |line: &str| -> Vec<String> {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    let known = raw.lines("/etc/hosts").iter().map(|line| words(line));
    let mut named = known.filter(|names| names.iter().any(|name| name == node)).peekable();
    let first = named.peek().and_then(|names| names.first().cloned());
    let dotted = named.flatten().find(|name| name.contains('.'));
    let asked = Some(raw.field("fqdn").trim().to_owned()).filter(|name| !name.is_empty());
    dotted.or(asked).or(first).unwrap_or_else(|| node.to_owned())
}

fn user(raw: &Raw, facts: &mut Facts) {
    let ids = |key: &str| -> Vec<i64> {
        let line = raw.entry("/proc/self/status", key).unwrap_or_default();
        line.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    let (users, groups) = (ids("Uid"), ids("Gid"));
    let at = |list: &[i64], index: usize| list.get(index).copied().map_or(Json::Null, Json::from);
    put(facts, "real_user_id", at(&users, 0));
    put(facts, "effective_user_id", at(&users, 1));
    put(facts, "real_group_id", at(&groups, 0));
    put(facts, "effective_group_id", at(&groups, 1));
    let entry: Vec<&str> =
        raw.field("passwd").lines().next().unwrap_or_default().split(':').collect();
    let [name, _, uid, gid, gecos, home, shell] = entry[..] else { return };
    put(facts, "user_id", name);
    put(facts, "user_uid", uid.parse::<i64>().map_or(Json::Null, Json::from));
    put(facts, "user_gid", gid.parse::<i64>().map_or(Json::Null, Json::from));
    put(facts, "user_gecos", gecos);
    put(facts, "user_dir", home);
    put(facts, "user_shell", shell);
}

fn environment(raw: &Raw, facts: &mut Facts) {
    let pairs = raw.field("environment").split('\u{1e}').filter_map(|entry| entry.split_once('='));
    let all: Facts = pairs.map(|(name, value)| (name.to_owned(), Json::from(value))).collect();
    put(facts, "env", all);
}

fn date_time(raw: &Raw, facts: &mut Facts) {
    let parts: Vec<&str> = raw.field("date").split_whitespace().collect();
    let [year, month, day, hour, minute, second, epoch, nanos, offset, zone, weekday, week] =
        parts[..]
    else {
        return;
    };
    // busybox has no %N and prints the letter.
    let nanos: i32 = nanos.parse().unwrap_or(0);
    let stamp = epoch.parse().ok().and_then(|epoch| Timestamp::new(epoch, nanos).ok());
    let utc = stamp.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    let micros = nanos / 1000;
    let names = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let name = weekday.parse::<usize>().ok().and_then(|day| names.get(day)).copied();
    let date = json!({
        "date": format!("{year}-{month}-{day}"),
        "day": day,
        "epoch": epoch,
        "epoch_int": epoch,
        "hour": hour,
        "iso8601": utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "iso8601_basic": format!("{year}{month}{day}T{hour}{minute}{second}{micros:06}"),
        "iso8601_basic_short": format!("{year}{month}{day}T{hour}{minute}{second}"),
        "iso8601_micro": format!("{}.{micros:06}Z", utc.strftime("%Y-%m-%dT%H:%M:%S")),
        "minute": minute,
        "month": month,
        "second": second,
        "time": format!("{hour}:{minute}:{second}"),
        "tz": zone,
        "tz_dst": zone,
        "tz_offset": offset,
        "weekday": name.unwrap_or_default(),
        "weekday_number": weekday,
        "weeknumber": week,
        "year": year,
    });
    put(facts, "date_time", date);
}

fn dns(raw: &Raw, facts: &mut Facts) {
    let mut found = Facts::new();
    for line in raw.lines("/etc/resolv.conf") {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        let rest = |words: std::str::SplitWhitespace<'_>| words.map(Json::from).collect::<Vec<_>>();
        match words.next() {
            Some("nameserver") => {
                let list = found.entry("nameservers").or_insert_with(|| json!([]));
                if let (Some(list), Some(server)) = (list.as_array_mut(), words.next()) {
                    list.push(Json::from(server));
                }
            }
            Some("domain") => put(&mut found, "domain", words.next().unwrap_or_default()),
            Some("search") => put(&mut found, "search", rest(words)),
            Some("sortlist") => put(&mut found, "sortlist", rest(words)),
            Some("options") => {
                let options = words.map(|word| match word.split_once(':') {
                    Some((name, value)) => (name.to_owned(), Json::from(value)),
                    None => (word.to_owned(), Json::Bool(true)),
                });
                put(&mut found, "options", options.collect::<Facts>());
            }
            Some(_) | None => {}
        }
    }
    put(facts, "dns", found);
}

fn command_line(raw: &Raw, facts: &mut Facts) {
    let mut last = Facts::new();
    let mut every = Facts::new();
    for word in raw.line("/proc/cmdline").unwrap_or_default().split_whitespace() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Json::from(value.trim_matches('"'))),
            None => (word, Json::Bool(true)),
        };
        let together = match every.get(name).cloned() {
            Some(Json::Array(mut several)) => {
                several.push(value.clone());
                Json::Array(several)
            }
            Some(one) if one != Json::Bool(true) => json!([one, value]),
            Some(_) | None => value.clone(),
        };
        put(&mut every, name, together);
        put(&mut last, name, value);
    }
    put(facts, "cmdline", last);
    put(facts, "proc_cmdline", every);
}

fn lsb(raw: &Raw, facts: &mut Facts) {
    let mut found = Facts::new();
    let line = |key: &str| {
        raw.lines("/etc/lsb-release").iter().find_map(|line| {
            Some(line.strip_prefix(key)?.strip_prefix('=')?.trim_matches('"').to_owned())
        })
    };
    let from_release = raw.has("/usr/bin/lsb_release");
    let value =
        |key: &str, other: Option<String>| line(key).or_else(|| other.filter(|_| from_release));
    let (name, _) = family(raw);
    let number = value("DISTRIB_RELEASE", release(raw, "VERSION_ID").map(str::to_owned));
    let wanted = [
        (
            "codename",
            value("DISTRIB_CODENAME", release(raw, "VERSION_CODENAME").map(str::to_owned)),
        ),
        (
            "description",
            value("DISTRIB_DESCRIPTION", release(raw, "PRETTY_NAME").map(str::to_owned)),
        ),
        ("id", value("DISTRIB_ID", Some(name))),
        ("major_release", number.as_deref().map(|n| n.split('.').next().unwrap_or(n).to_owned())),
        ("release", number.clone()),
    ];
    for (key, value) in wanted {
        if let Some(value) = value {
            put(&mut found, key, value);
        }
    }
    put(facts, "lsb", found);
}

fn package_manager(raw: &Raw, facts: &mut Facts) {
    let (_, family) = family(raw);
    let tools = [
        ("/usr/bin/apt-get", "apt"),
        ("/usr/bin/dnf5", "dnf5"),
        ("/usr/bin/dnf", "dnf"),
        ("/usr/bin/dnf-3", "dnf"),
        ("/usr/bin/yum", "yum"),
        ("/usr/bin/zypper", "zypper"),
        ("/sbin/apk", "apk"),
        ("/usr/sbin/apk", "apk"),
        ("/usr/bin/apk", "apk"),
        ("/usr/bin/pacman", "pacman"),
        ("/usr/bin/emerge", "portage"),
        ("/usr/bin/opkg", "opkg"),
        ("/bin/opkg", "opkg"),
    ];
    // Some hosts have a foreign manager installed beside their own.
    let own = match family.as_str() {
        "Debian" => &["apt"][..],
        "RedHat" => &["dnf5", "dnf", "yum"],
        "Suse" => &["zypper"],
        "Alpine" => &["apk"],
        "Archlinux" => &["pacman"],
        _ => &[],
    };
    let present = || tools.iter().filter(|(path, _)| raw.has(path)).map(|(_, name)| *name);
    let found = present().find(|name| own.contains(name)).or_else(|| present().next());
    put(facts, "pkg_mgr", found.unwrap_or("unknown"));
}

fn service_manager(raw: &Raw, facts: &mut Facts) {
    let first = raw.line("/proc/1/comm").unwrap_or_default();
    let found = match first {
        "procd" => "openwrt_init",
        "runit-init" => "runit",
        "svscan" => "svc",
        "openrc-init" => "openrc",
        // A shell or a plain init tells nothing: look at what is installed.
        name if name.is_empty() || name == "init" || name.ends_with("sh") => {
            let openrc = ["/sbin/openrc", "/usr/sbin/openrc", "/sbin/openrc-run"];
            if raw.has("/run/systemd/system") || raw.has("/dev/.run/systemd") {
                "systemd"
            } else if openrc.iter().any(|path| raw.has(path)) {
                "openrc"
            } else if raw.has("/sbin/upstart-udev-bridge") {
                "upstart"
            } else if raw.has("/etc/init.d") {
                "sysvinit"
            } else {
                "service"
            }
        }
        name => name,
    };
    put(facts, "service_mgr", found);
}

fn python(raw: &Raw, facts: &mut Facts) {
    let version = raw.field("python_version").trim().strip_prefix("Python ").unwrap_or_default();
    if version.is_empty() {
        put(facts, "python", Facts::new());
        put(facts, "has_python", false);
        return;
    }
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let (major, minor, micro) = (next(), next(), next());
    let named = json!({
        "major": major, "minor": minor, "micro": micro, "releaselevel": "final", "serial": 0
    });
    let about = json!({
        "executable": raw.field("python"),
        "has_sslcontext": true,
        "type": "cpython",
        "version": named,
        "version_info": [major, minor, micro, "final", 0],
    });
    put(facts, "python", about);
    put(facts, "python_version", version);
    put(facts, "has_python", true);
}

fn selinux(raw: &Raw, facts: &mut Facts) {
    let setting = |key: &str| {
        let lines = raw.lines("/etc/selinux/config").iter();
        lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).next_back()
    };
    let about = match raw.line("/sys/fs/selinux/enforce") {
        None => json!({"status": "disabled"}),
        Some(enforce) => json!({
            "status": "enabled",
            "mode": if enforce == "1" { "enforcing" } else { "permissive" },
            "config_mode": setting("SELINUX").unwrap_or("unknown"),
            "type": setting("SELINUXTYPE").unwrap_or("unknown"),
            "policyvers": raw.line("/sys/fs/selinux/policyvers").and_then(|n| n.parse::<u64>().ok()),
        }),
    };
    put(facts, "selinux", about);
    put(facts, "selinux_python_present", true);
}

fn apparmor(raw: &Raw, facts: &mut Facts) {
    let on = raw.has("/sys/kernel/security/apparmor");
    put(facts, "apparmor", json!({"status": if on { "enabled" } else { "disabled" }}));
}

fn fips(raw: &Raw, facts: &mut Facts) {
    put(facts, "fips", raw.line("/proc/sys/crypto/fips_enabled") == Some("1"));
}

/// Names of Linux capabilities by bit (capabilities(7), `linux/capability.h`).
const CAPABILITIES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

fn capabilities(raw: &Raw, facts: &mut Facts) {
    let mask = |key: &str| {
        let text = raw.entry("/proc/self/status", key)?;
        u64::from_str_radix(text, 16).ok()
    };
    let Some(effective) = mask("CapEff") else {
        put(facts, "system_capabilities", json!([]));
        put(facts, "system_capabilities_enforced", "N/A");
        return;
    };
    let all = CAPABILITIES.iter().enumerate();
    let held =
        all.filter(|(bit, _)| effective >> bit & 1 == 1).map(|(_, name)| format!("cap_{name}"));
    let held: Vec<String> = held.collect();
    let whole = held.len() == CAPABILITIES.len();
    put(facts, "system_capabilities", if whole { Vec::new() } else { held });
    put(facts, "system_capabilities_enforced", if whole { "False" } else { "True" });
}

fn ssh_keys(raw: &Raw, facts: &mut Facts) {
    for (rest, lines) in raw.under("/etc/ssh/ssh_host_") {
        let Some(kind) = rest.strip_suffix("_key.pub") else { continue };
        let mut words = lines.first().map_or("", String::as_str).split_whitespace();
        if let (Some(keytype), Some(key)) = (words.next(), words.next()) {
            put(facts, &format!("ssh_host_key_{kind}_public"), key);
            put(facts, &format!("ssh_host_key_{kind}_public_keytype"), keytype);
        }
    }
}

fn load(raw: &Raw, facts: &mut Facts) {
    let line = raw.line("/proc/loadavg").unwrap_or_default();
    let numbers: Vec<f64> =
        line.split_whitespace().take(3).filter_map(|n| n.parse().ok()).collect();
    if let [one, five, fifteen] = numbers[..] {
        put(facts, "loadavg", json!({"1m": one, "5m": five, "15m": fifteen}));
    }
}

fn chroot(raw: &Raw, facts: &mut Facts) {
    put(facts, "is_chroot", raw.has("chroot"));
}
