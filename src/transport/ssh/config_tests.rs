use std::collections::BTreeMap;
use std::process::Command;

use super::*;

/// A configuration with all that people write, asked about for several hosts.
const CONFIG: &str = r#"
Include more/*.conf
User = early
Host db-? !db-3
  HostName %h.ward.example
  Port 2201
  IdentityFile ~/.ssh/db_%r
  IdentityFile "/keys/with blank"
Host jump
  ProxyJump none
Host *.far far
  ProxyJump ops@jump:2200,gate
  HostKeyAlias far-key
  StrictHostKeyChecking accept-new
Match originalhost m1,m2 user early
  Port 2300
Match host *.ward.example !user early
  Port 1
Match host *.ward.example
  ServerAliveInterval 7
Match user nobody
  Port 9
Match exec "test %n = m1"
  ConnectTimeout 33
Match final
  ServerAliveCountMax 9
Host *
  UserKnownHostsFile /a/known /b/known
  IdentitiesOnly yes
  PreferredAuthentications publickey,password
  CheckHostIP no
Match all
  IdentityFile /last/key
"#;

fn ours(file: &Path, home: &Path, host: &str) -> BTreeMap<&'static str, String> {
    let exec = |command: &str| {
        Command::new("sh").args(["-c", command]).status().is_ok_and(|status| status.success())
    };
    let question = Question { host, local_user: "root", home, exec: &exec };
    let mut options = Options::default();
    apply(&question, Some(file), None, &mut options).expect("configuration");
    let mut found = BTreeMap::new();
    let hostname = options.hostname.as_deref().unwrap_or(host).replace("%h", host);
    found.insert("hostname", hostname);
    found.insert("user", options.user.unwrap_or_else(|| "root".to_owned()));
    found.insert("port", options.port.unwrap_or(22).to_string());
    found.insert("identityfile", options.identity_files.join(" "));
    found.insert("hostkeyalias", options.host_key_alias.unwrap_or_default());
    found.insert("serveraliveinterval", options.alive_interval.unwrap_or(0).to_string());
    found.insert("serveralivecountmax", options.alive_count.unwrap_or(3).to_string());
    found
        .insert("connecttimeout", options.connect_timeout.map_or("none".into(), |s| s.to_string()));
    found.insert("userknownhostsfile", options.user_known_hosts.unwrap_or_default().join(" "));
    let strict = match options.host_keys {
        Some(crate::transport::HostKeys::AcceptNew) => "accept-new",
        Some(crate::transport::HostKeys::Off) => "false",
        Some(crate::transport::HostKeys::Strict) | None => "ask",
    };
    found.insert("stricthostkeychecking", strict.to_owned());
    let proxy = match options.proxy {
        Some(super::super::options::ProxyOption::Jump(jump)) => jump,
        Some(_) | None => String::new(),
    };
    found.insert("proxyjump", proxy);
    found
}

fn theirs(file: &Path, host: &str, keys: &[&'static str]) -> BTreeMap<&'static str, String> {
    let said = Command::new("ssh").arg("-F").arg(file).args(["-G", host]).output().expect("ssh");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let mut found: BTreeMap<&'static str, String> =
        keys.iter().map(|key| (*key, String::new())).collect();
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        if let Some(place) =
            keys.iter().find(|key| **key == name).and_then(|key| found.get_mut(key))
        {
            if !place.is_empty() {
                place.push(' ');
            }
            place.push_str(value);
        }
    }
    found
}

#[test]
fn every_host_gets_what_ssh_would_give_it() {
    let home = std::env::temp_dir().join(format!("matron-config-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(home.join(".ssh/more")).expect("folders");
    let file = home.join(".ssh/config");
    // ssh looks for relative includes in the real home, so here the path is whole.
    let text = CONFIG.replace("more/", &format!("{}/.ssh/more/", home.display()));
    std::fs::write(&file, text).expect("config");
    let included = "Host db-1\n  User included\nHost included\n  HostName 10.9.9.9\n";
    std::fs::write(home.join(".ssh/more/a.conf"), included).expect("included");
    for host in ["db-1", "db-2", "db-3", "jump", "x.far", "far", "m1", "m2", "included", "else"] {
        let ours = ours(&file, &home, host);
        let keys: Vec<&'static str> = ours.keys().copied().collect();
        assert_eq!(ours, theirs(&file, host, &keys), "{host}");
    }
    std::fs::remove_dir_all(&home).expect("clean up");
}

#[test]
fn mistake_names_its_line() {
    let home = std::env::temp_dir().join(format!("matron-config-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&home).expect("folder");
    let file = home.join("config");
    std::fs::write(&file, "Host *\n  Port many\n").expect("config");
    let question = Question { host: "h", local_user: "root", home: &home, exec: &|_| false };
    let error = apply(&question, Some(&file), None, &mut Options::default());
    assert_eq!(error, Err(format!("{}:2: Port cannot be 'many'", file.display())));
    std::fs::remove_dir_all(&home).expect("clean up");
}
