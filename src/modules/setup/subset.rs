//! Which facts are wanted: `gather_subset` and `filter`.

use std::collections::BTreeSet;

use crate::modules::ArgError;

/// A family of facts that is gathered or left out as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Subset {
    Apparmor,
    Caps,
    Chroot,
    Cmdline,
    DateTime,
    Distribution,
    Dns,
    Env,
    Fips,
    Hardware,
    Loadavg,
    Local,
    Lsb,
    Network,
    PkgMgr,
    Platform,
    Python,
    Selinux,
    ServiceMgr,
    SshKeys,
    User,
    Virtual,
}

use Subset as S;

/// Every family, and whether it belongs to `min`.
const FAMILIES: &[(Subset, bool)] = &[
    (S::Apparmor, true),
    (S::Caps, true),
    (S::Chroot, false),
    (S::Cmdline, true),
    (S::DateTime, true),
    (S::Distribution, true),
    (S::Dns, true),
    (S::Env, true),
    (S::Fips, true),
    (S::Hardware, false),
    (S::Loadavg, false),
    (S::Local, true),
    (S::Lsb, true),
    (S::Network, false),
    (S::PkgMgr, true),
    (S::Platform, true),
    (S::Python, true),
    (S::Selinux, true),
    (S::ServiceMgr, true),
    (S::SshKeys, true),
    (S::User, true),
    (S::Virtual, false),
];

/// The words `gather_subset` takes for one family; `None` stands for families that are accepted and empty here.
const WORDS: &[(&str, Option<Subset>)] = &[
    ("all_ipv4_addresses", Some(S::Network)),
    ("all_ipv6_addresses", Some(S::Network)),
    ("apparmor", Some(S::Apparmor)),
    ("architecture", Some(S::Platform)),
    ("caps", Some(S::Caps)),
    ("chroot", Some(S::Chroot)),
    ("cmdline", Some(S::Cmdline)),
    ("date_time", Some(S::DateTime)),
    ("default_ipv4", Some(S::Network)),
    ("default_ipv6", Some(S::Network)),
    ("devices", Some(S::Hardware)),
    ("distribution", Some(S::Distribution)),
    ("distribution_major_version", Some(S::Distribution)),
    ("distribution_release", Some(S::Distribution)),
    ("distribution_version", Some(S::Distribution)),
    ("dns", Some(S::Dns)),
    ("effective_group_ids", Some(S::User)),
    ("effective_user_id", Some(S::User)),
    ("env", Some(S::Env)),
    ("facter", None),
    ("fibre_channel_wwn", None),
    ("fips", Some(S::Fips)),
    ("hardware", Some(S::Hardware)),
    ("interfaces", Some(S::Network)),
    ("is_chroot", Some(S::Chroot)),
    ("iscsi", None),
    ("kernel", Some(S::Platform)),
    ("kernel_version", Some(S::Platform)),
    ("loadavg", Some(S::Loadavg)),
    ("local", Some(S::Local)),
    ("lsb", Some(S::Lsb)),
    ("machine", Some(S::Platform)),
    ("machine_id", Some(S::Platform)),
    ("mounts", Some(S::Hardware)),
    ("network", Some(S::Network)),
    ("nvme", None),
    ("ohai", None),
    ("os_family", Some(S::Distribution)),
    ("pkg_mgr", Some(S::PkgMgr)),
    ("platform", Some(S::Platform)),
    ("processor", Some(S::Hardware)),
    ("processor_cores", Some(S::Hardware)),
    ("processor_count", Some(S::Hardware)),
    ("python", Some(S::Python)),
    ("python_version", Some(S::Python)),
    ("real_user_id", Some(S::User)),
    ("selinux", Some(S::Selinux)),
    ("service_mgr", Some(S::ServiceMgr)),
    ("ssh_host_key_dsa_public", Some(S::SshKeys)),
    ("ssh_host_key_ecdsa_public", Some(S::SshKeys)),
    ("ssh_host_key_ed25519_public", Some(S::SshKeys)),
    ("ssh_host_key_rsa_public", Some(S::SshKeys)),
    ("ssh_host_pub_keys", Some(S::SshKeys)),
    ("ssh_pub_keys", Some(S::SshKeys)),
    ("system", Some(S::Platform)),
    ("system_capabilities", Some(S::Caps)),
    ("system_capabilities_enforced", Some(S::Caps)),
    ("systemd", None),
    ("user", Some(S::User)),
    ("user_dir", Some(S::User)),
    ("user_gecos", Some(S::User)),
    ("user_gid", Some(S::User)),
    ("user_id", Some(S::User)),
    ("user_shell", Some(S::User)),
    ("user_uid", Some(S::User)),
    ("virtual", Some(S::Virtual)),
    ("virtualization_role", Some(S::Virtual)),
    ("virtualization_tech_guest", Some(S::Virtual)),
    ("virtualization_tech_host", Some(S::Virtual)),
    ("virtualization_type", Some(S::Virtual)),
];

/// The families to gather.
#[derive(Clone, Debug)]
pub(super) struct Wanted(BTreeSet<Subset>);

impl Wanted {
    /// Reads `gather_subset`. A family named outright is gathered even when `!all` stands beside it; `min` is gathered
    /// unless `!min` is said; only exclusions mean "all but these".
    pub(super) fn of(words: &[String]) -> Result<Self, ArgError> {
        let minimal = || FAMILIES.iter().filter(|(_, min)| *min).map(|(family, _)| *family);
        let all = || FAMILIES.iter().map(|(family, _)| *family);
        let mut named = BTreeSet::new();
        let mut left_out = BTreeSet::new();
        let mut without_min = false;
        for word in words {
            let word = word.trim();
            let (negated, plain) = match word.strip_prefix('!') {
                Some(plain) => (true, plain),
                None => (false, word),
            };
            let families: BTreeSet<Subset> = match plain {
                "all" => all().collect(),
                "min" => minimal().collect(),
                other => one_family(other)?.into_iter().collect(),
            };
            if negated {
                without_min |= plain == "min";
                left_out.extend(families);
            } else {
                named.extend(families);
            }
        }
        let mut wanted: BTreeSet<Subset> = if named.is_empty() {
            all().filter(|family| !left_out.contains(family)).collect()
        } else {
            let everything = words.iter().any(|word| word == "all");
            named.into_iter().filter(|family| !(everything && left_out.contains(family))).collect()
        };
        if !without_min {
            wanted.extend(minimal());
        }
        Ok(Self(wanted))
    }

    /// Tells whether a family is wanted.
    pub(super) fn has(&self, family: Subset) -> bool {
        self.0.contains(&family)
    }
}

fn one_family(word: &str) -> Result<Option<Subset>, ArgError> {
    let found = WORDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, family)| *family).ok_or_else(|| {
        let mut names: Vec<&str> = WORDS.iter().map(|(known, _)| *known).collect();
        names.extend(["all", "min"]);
        names.sort_unstable();
        let error = ArgError::new(format!(
            "Bad subset '{word}' given to Ansible. gather_subset options allowed: {}",
            names.join(", ")
        ));
        match crate::names::nearest(word, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error,
        }
    })
}

/// Tells whether a fact passes the filter, by its name with or without `ansible_`.
pub(super) fn passes(name: &str, filter: &[String]) -> bool {
    let full = format!("ansible_{name}");
    let matches = |pattern: &String| {
        let (pattern, name, full) = (pattern.as_bytes(), name.as_bytes(), full.as_bytes());
        glob(pattern, full) || glob(pattern, name)
    };
    filter.is_empty() || filter.iter().any(matches)
}

/// Matches `*`, `?` and `[abc]` / `[!a-z]` as Python's fnmatch does.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        Some((b'?', rest)) => text.split_first().is_some_and(|(_, text)| glob(rest, text)),
        Some((b'[', rest)) if rest.contains(&b']') => {
            let end = rest.iter().position(|b| *b == b']').unwrap_or(0);
            let (set, after) = (&rest[..end], &rest[end + 1..]);
            let (negated, set) = match set.split_first() {
                Some((b'!', set)) => (true, set),
                Some(_) | None => (false, set),
            };
            let Some((byte, text)) = text.split_first() else { return false };
            in_set(set, *byte) != negated && glob(after, text)
        }
        Some((byte, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == byte && glob(rest, text))
        }
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    match set {
        [from, b'-', to, rest @ ..] => (*from..=*to).contains(&byte) || in_set(rest, byte),
        [one, rest @ ..] => *one == byte || in_set(rest, byte),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &[&str]) -> Wanted {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Wanted::of(&words).expect("good words")
    }

    #[test]
    fn not_all_leaves_the_minimum() {
        let wanted = wanted(&["!all"]);
        assert!(wanted.has(S::Distribution) && !wanted.has(S::Hardware) && !wanted.has(S::Network));
    }

    #[test]
    fn named_family_comes_alone_when_the_minimum_is_refused() {
        let wanted = wanted(&["!all", "!min", "network"]);
        assert_eq!(wanted.0, BTreeSet::from([S::Network]));
    }

    #[test]
    fn exclusion_alone_means_all_but_that() {
        let wanted = wanted(&["!hardware"]);
        assert!(wanted.has(S::Network) && !wanted.has(S::Hardware));
    }

    #[test]
    fn misspelt_subset_is_refused_with_the_near_word() {
        let error = Wanted::of(&["networ".to_owned()]).expect_err("not a subset");
        assert_eq!(error.hint.as_deref(), Some("did you mean 'network'?"));
    }

    #[test]
    fn filter_matches_with_and_without_the_prefix() {
        assert!(passes("memtotal_mb", &["*_mb".to_owned()]));
        assert!(passes("eth0", &["ansible_eth[0-2]".to_owned()]));
        assert!(!passes("eth3", &["ansible_eth[0-2]".to_owned()]));
    }
}
