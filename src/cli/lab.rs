//! `matron lab`: a practice ward on this machine, made by matron's own `playbooks/lab.yml`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};

use super::asker;
use super::demo;
use super::failure::Failure;
use super::files::bundled;
use super::flags::{HostFlags, Output, RunFlags};
use super::world::RunRequest;

/// Debian packages the ward needs.
const PACKAGES: &[&str] =
    &["docker.io", "iptables", "iproute2", "mmdebstrap", "openssh-client", "ca-certificates"];

/// Make a practice ward on this machine
#[derive(Debug, Args)]
pub(super) struct LabArgs {
    #[command(subcommand)]
    verb: LabVerb,
    /// Where the ward's key, images and disks live
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/matron-lab", global = true)]
    folder: PathBuf,
    /// Folder that holds the ward's inventory; inventories/WARD when it is not given
    #[arg(long, value_name = "FOLDER", global = true)]
    inventory: Option<PathBuf>,
    /// Name of the ward: several may stand side by side on one machine
    #[arg(long, value_name = "NAME", default_value = "lab", value_parser = ward_name, global = true)]
    ward: String,
}

/// Names end up in those of containers and networks.
fn ward_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.is_empty() && text.len() <= 20 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a ward's name is 1 to 20 small letters and digits".to_owned())
    }
}

#[derive(Debug, Subcommand)]
enum LabVerb {
    /// Make it, or bring it up to date
    Up(UpArgs),
    /// Take it away; images stay for the next one
    Down {
        /// Take the images and their parts away as well
        #[arg(long)]
        images: bool,
        #[command(flatten)]
        run: RunFlags,
    },
    /// Show its hosts
    Status,
    /// Log in to a host, or run a command there
    Ssh {
        /// h1, h2 ...
        host: String,
        /// Command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Take a host's power: its network goes silent, then every process ends
    Kill {
        /// h1, h2 ...
        host: String,
    },
    /// Make a host hang: it takes connections and never answers
    Pause {
        /// h1, h2 ...
        host: String,
    },
    /// Pull a host's network cable
    Cut {
        /// h1, h2 ...
        host: String,
    },
    /// Undo kill, pause and cut
    Heal {
        /// h1, h2 ...
        host: String,
    },
    /// Run the main job end to end: set up a pair, lose the primary's host, fail over, rejoin
    Demo(demo::DemoArgs),
}

/// Flags of `up`, shared by the demo.
#[derive(Clone, Debug, Args)]
pub(super) struct UpArgs {
    /// How many hosts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=200))]
    pub(super) hosts: u8,
    /// How many of them are nodes of the database cluster
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(super) databases: u8,
    /// PostgreSQL majors to have images of, 10 to 18; the first is the one the inventory uses
    #[arg(long, value_name = "MAJOR", value_delimiter = ',', default_value = "17")]
    pub(super) pg: Vec<u8>,
    /// Install packages and start an engine without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) run: RunFlags,
}

/// Whether installing and starting things is asked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// `--yes`.
    Given,
    /// Said and asked.
    Ask,
    /// Said, then done: the demo is one command with nothing else to type.
    Announce,
}

/// The ward's places on this machine.
#[derive(Clone, Debug)]
pub(super) struct Ward {
    name: String,
    pub(super) folder: PathBuf,
    pub(super) inventory: PathBuf,
}

impl Ward {
    /// Returns the inventory file.
    pub(super) fn inventory_file(&self) -> PathBuf {
        self.inventory.join("hosts.yml")
    }

    /// Returns a host's container.
    pub(super) fn container(&self, host: &str) -> String {
        format!("matron-{}-{host}", self.name)
    }

    /// Returns the name of its network.
    fn network(&self) -> String {
        format!("matron-{}", self.name)
    }

    /// Returns the first three numbers of its addresses: the same for the same name, so that a second ward finds room beside.
    fn subnet(&self) -> String {
        let sum = self.name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
        let third = if self.name == "lab" { 0 } else { 1 + sum % 254 };
        format!("10.79.{third}")
    }
}

pub(super) async fn run(args: LabArgs) -> Result<u8, Failure> {
    let inventory = args.inventory.unwrap_or_else(|| Path::new("inventories").join(&args.ward));
    let ward = Ward { inventory: absolute(&inventory)?, name: args.ward, folder: args.folder };
    match args.verb {
        LabVerb::Up(up_args) => {
            let consent = if up_args.yes { Consent::Given } else { Consent::Ask };
            up(&ward, &up_args, consent).await
        }
        LabVerb::Down { images, run } => down(&ward, images, run).await,
        LabVerb::Status => ward.status(),
        LabVerb::Ssh { host, command } => ssh(&ward, &host, &command),
        LabVerb::Kill { host } => ward.kill(&host).map(|()| 0),
        LabVerb::Pause { host } => docker(&["pause", &ward.container(&host)]).map(|_| 0),
        LabVerb::Cut { host } => ward.cut(&host).map(|()| 0),
        LabVerb::Heal { host } => ward.heal(&host).map(|()| 0),
        LabVerb::Demo(demo_args) => Box::pin(demo::run(&ward, demo_args)).await,
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::general(format!("cannot tell where {} is: {error}", path.display()))
    })
}

/// Makes the ward; asks before it installs anything.
pub(super) async fn up(ward: &Ward, args: &UpArgs, consent: Consent) -> Result<u8, Failure> {
    if let Some(wrong) = args.pg.iter().find(|major| !(10..=18).contains(*major)) {
        return Err(Failure::usage(format!(
            "--pg {wrong}: images can be built of PostgreSQL 10 to 18"
        )));
    }
    let mut packages: Vec<&str> = PACKAGES.to_vec();
    if args.pg.iter().any(|major| matches!(major, 10 | 11 | 12 | 14 | 16)) && !has("python3") {
        packages.push("python3");
    }
    if args.pg.iter().any(|major| matches!(major, 11 | 14 | 16)) && !python_has_pip() {
        packages.push("python3-pip");
    }
    if args.pg.iter().any(|major| matches!(major, 10 | 12)) && !has("npm") {
        packages.push("npm");
    }
    announce(ward, &packages, consent).await?;
    let request = RunRequest {
        hosts: HostFlags { inventory: vec!["localhost,".to_owned()], limit: None },
        run: args.run.clone(),
        own_vars: vec![
            ("lab_folder".into(), ward.folder.to_string_lossy().into()),
            ("lab_inventory".into(), ward.inventory.to_string_lossy().into()),
            ("lab_ward".into(), ward.network().into()),
            ("lab_network".into(), ward.subnet().into()),
            ("lab_databases".into(), args.databases.min(args.hosts).into()),
            ("lab_hosts".into(), args.hosts.into()),
            ("lab_majors".into(), args.pg.clone().into()),
            ("lab_packages".into(), packages.into()),
        ],
        ..RunRequest::default()
    };
    let code = run_bundled(request, "lab").await?;
    if code == 0 && args.run.output == Output::Text {
        super::talk(&format!(
            "The ward is ready: {} hosts, inventory {}.\nTry: matron pg setup -i {}",
            args.hosts,
            ward.inventory_file().display(),
            ward.inventory_file().display()
        ));
    }
    Ok(code)
}

/// Says what will be installed and started, and asks, when something will.
async fn announce(ward: &Ward, packages: &[&str], consent: Consent) -> Result<(), Failure> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !installed(name)).collect();
    let engine = docker(&["info"]).is_ok();
    if missing.is_empty() && engine {
        return Ok(());
    }
    super::talk("To make a practice ward, matron will on this machine:");
    if !missing.is_empty() {
        super::talk(&format!("  - install by apt: {}", missing.join(" ")));
    }
    if !engine {
        super::talk("  - start a Docker engine (`matron lab down` ends it)");
    }
    super::talk(&format!(
        "  - build images matron-lab/*, run containers {}, keep their disks in {}",
        ward.container("*"),
        ward.folder.display()
    ));
    let no = || Failure::new(super::failure::Kind::Cancelled, "nothing was done");
    match consent {
        Consent::Given => Ok(()),
        Consent::Ask if asker::confirm("Go on? [y/N] ")? => Ok(()),
        Consent::Ask => Err(no()),
        Consent::Announce => {
            if std::io::stdin().is_terminal() {
                super::talk("Starting in 5 seconds; Ctrl-C stops it.");
                tokio::select! {
                    () = tokio::time::sleep(std::time::Duration::from_secs(5)) => {}
                    _ = tokio::signal::ctrl_c() => return Err(no()),
                }
            }
            Ok(())
        }
    }
}

fn installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Abbrev}", package])
        .stderr(Stdio::null())
        .output();
    status.is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"ii"))
}

fn has(program: &str) -> bool {
    super::world::env("PATH")
        .is_some_and(|path| path.split(':').any(|folder| Path::new(folder).join(program).is_file()))
}

fn python_has_pip() -> bool {
    let probe = Command::new("python3")
        .args(["-m", "pip", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    probe.is_ok_and(|status| status.success())
}

/// Takes the ward away.
pub(super) async fn down(ward: &Ward, images: bool, run: RunFlags) -> Result<u8, Failure> {
    let request = RunRequest {
        hosts: HostFlags { inventory: vec!["localhost,".to_owned()], limit: None },
        run,
        own_vars: vec![
            ("lab_folder".into(), ward.folder.to_string_lossy().into()),
            ("lab_ward".into(), ward.network().into()),
            ("lab_images_too".into(), images.into()),
        ],
        ..RunRequest::default()
    };
    run_bundled(request, "lab-down").await
}

/// Runs a bundled playbook.
pub(super) async fn run_bundled(request: RunRequest, name: &str) -> Result<u8, Failure> {
    let mut ready = request.prepare()?;
    let playbooks = ready.load(&[bundled(name)])?;
    // A whole run on the heap: it would make every future around it large.
    Box::pin(ready.run(playbooks)).await
}

/// Runs docker and returns its stdout.
pub(super) fn docker(args: &[&str]) -> Result<String, Failure> {
    let output =
        Command::new("docker").args(args).stdin(Stdio::null()).output().map_err(|error| {
            Failure::general(format!("cannot run docker: {error}"))
                .hint("matron lab up installs it")
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let talk = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::general(format!("docker {}: {talk}", args.join(" "))))
}

impl Ward {
    /// Returns the address a host has (or had, when its cable is pulled), from the container's own command.
    pub(super) fn address(&self, host: &str) -> Result<String, Failure> {
        let form = format!(
            "{{{{ with index .NetworkSettings.Networks \"{}\" }}}}{{{{ with .IPAMConfig }}}}{{{{ .IPv4Address }}}}{{{{ end }}}}{{{{ end }}}}|{{{{ index .Config.Labels \"lab.address\" }}}}",
            self.network()
        );
        let text = docker(&["inspect", "--format", &form, &self.container(host)])?;
        let (live, label) = text.split_once('|').unwrap_or((&text, ""));
        let found = if live.is_empty() { label } else { live };
        if found.is_empty() || found == "<no value>" {
            return Err(Failure::general(format!("host {host} of the ward has no address"))
                .hint("make the ward anew: matron lab down, matron lab up"));
        }
        Ok(found.to_owned())
    }

    fn state(&self, host: &str) -> Result<String, Failure> {
        docker(&["inspect", "--format", "{{ .State.Status }}", &self.container(host)])
    }

    fn is_connected(&self, host: &str) -> Result<bool, Failure> {
        let form = "{{ range $name, $net := .NetworkSettings.Networks }}{{ $name }} {{ end }}";
        let names = docker(&["inspect", "--format", form, &self.container(host)])?;
        Ok(names.split_whitespace().any(|name| name == self.network()))
    }

    /// Takes a host's power, as TCP sees it: silence first, then the end.
    pub(super) fn kill(&self, host: &str) -> Result<(), Failure> {
        self.cut(host)?;
        if self.state(host)? != "exited" {
            docker(&["kill", &self.container(host)])?;
        }
        Ok(())
    }

    fn cut(&self, host: &str) -> Result<(), Failure> {
        if self.is_connected(host)? {
            docker(&["network", "disconnect", "--force", &self.network(), &self.container(host)])?;
        }
        Ok(())
    }

    /// Undoes what was done to a host.
    pub(super) fn heal(&self, host: &str) -> Result<(), Failure> {
        let container = self.container(host);
        match self.state(host)?.as_str() {
            "paused" => {
                docker(&["unpause", &container])?;
            }
            "running" => {}
            _ => {
                // Connected before it starts, so that it boots with its network as a real host does.
                if !self.is_connected(host)? {
                    docker(&[
                        "network",
                        "connect",
                        "--ip",
                        &self.address(host)?,
                        &self.network(),
                        &container,
                    ])?;
                }
                docker(&["start", &container])?;
            }
        }
        if !self.is_connected(host)? {
            docker(&[
                "network",
                "connect",
                "--ip",
                &self.address(host)?,
                &self.network(),
                &container,
            ])?;
        }
        Ok(())
    }

    fn status(&self) -> Result<u8, Failure> {
        let form = "{{ .Names }}\t{{ .Status }}";
        let list = docker(&[
            "ps",
            "-a",
            "--filter",
            &format!("name=^/{}[0-9]", self.container("h")),
            "--format",
            form,
        ])?;
        if list.is_empty() {
            super::say("There is no practice ward. Make one: matron lab up");
            return Ok(0);
        }
        let mut rows: Vec<(String, String)> = list
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, status)| {
                (name.trim_start_matches(&self.container("")).to_owned(), status.to_owned())
            })
            .collect();
        rows.sort_by_key(|(name, _)| (name.len(), name.clone()));
        for (host, status) in rows {
            let cable = if self.is_connected(&host)? { "" } else { ", cable pulled" };
            let databases = self.databases(&host, &status);
            super::say(&format!(
                "{host:<5} {:<14} {status}{cable}{databases}",
                self.address(&host)?
            ));
        }
        super::say(&format!("inventory: {}", self.inventory_file().display()));
        Ok(0)
    }

    fn databases(&self, host: &str, status: &str) -> String {
        if !status.starts_with("Up") || status.contains("Paused") {
            return String::new();
        }
        let form = "{{ .Names }} ({{ .Image }}) {{ .Status }}";
        match docker(&["exec", &self.container(host), "docker", "ps", "-a", "--format", form]) {
            Ok(list) if !list.is_empty() => {
                format!("; {}", list.lines().collect::<Vec<_>>().join("; "))
            }
            Ok(_) | Err(_) => String::new(),
        }
    }
}

fn ssh(ward: &Ward, host: &str, command: &[String]) -> Result<u8, Failure> {
    let known = ward.inventory.join("known_hosts");
    let status = Command::new("ssh")
        .arg("-i")
        .arg(ward.folder.join("id"))
        .args(["-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o"])
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg(format!("deploy@{}", ward.address(host)?))
        .args(command)
        .status()
        .map_err(|error| Failure::general(format!("cannot run ssh: {error}")))?;
    Ok(u8::try_from(status.code().unwrap_or(255)).unwrap_or(255))
}
