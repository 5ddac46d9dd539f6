//! The door: argv, environment, terminal, exit codes, words for people.
//!
//! Lives here: one file a verb, the flags they share (`flags.rs`), what the engine is given of this machine (`world.rs`,
//! `files.rs`, `outside.rs`, `asker.rs`), and `failure.rs`, which maps every error to its words and exit code. Only this
//! room reads the environment, the clock and the terminal.

mod asker;
mod config;
mod demo;
mod doc;
mod exec;
mod failure;
mod files;
mod flags;
mod inventory;
mod keyring;
mod lab;
mod outside;
mod pg;
mod play;
mod runs;
mod vault;
mod world;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use failure::Failure;

/// Provision and operate PostgreSQL pairs for hospital image archives over SSH; run Ansible playbooks on hosts that have only sshd and sh
#[derive(Debug, Parser)]
#[command(name = "matron", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 all well · 1 error · 2 a host failed · 4 a host was unreachable, or the project has errors · 5 flags do not go together · 99 interrupted"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run playbooks
    Play(play::PlayArgs),
    /// Run one module on hosts
    Exec(exec::ExecArgs),
    /// Show the inventory
    Inventory(inventory::InventoryArgs),
    /// Operate PostgreSQL clusters: status, setup, failover, rejoin
    Pg(pg::PgArgs),
    /// Show the settings that count, and where each came from
    Config(config::ConfigArgs),
    /// Seal and open files and values with Ansible Vault
    Vault(vault::VaultArgs),
    /// Make a practice ward on this machine
    Lab(lab::LabArgs),
    /// Show the pages of modules, or export the bundled playbooks
    Doc(doc::DocArgs),
    /// List and verify the records of past runs
    Runs(runs::RunsArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Nothing can be said about a stream that is gone.
            let _gone = error.print();
            return ExitCode::from(code);
        }
    };
    start_logging();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::general(format!("cannot start the runtime: {error}")).report();
        }
    };
    let done = runtime.block_on(run(cli.verb));
    // A thread that waits for the terminal would hold the process; everything that matters has been awaited.
    runtime.shutdown_background();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(),
    }
}

async fn run(verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Play(args) => play::run(args).await,
        Verb::Exec(args) => exec::run(args).await,
        Verb::Inventory(args) => inventory::run(args),
        Verb::Pg(args) => pg::run(args).await,
        Verb::Config(args) => config::run(args),
        Verb::Vault(args) => vault::run(args),
        Verb::Lab(args) => Box::pin(lab::run(args)).await,
        Verb::Doc(args) => doc::run(args),
        Verb::Runs(args) => runs::run(args),
        Verb::Completions { shell } => {
            let mut command = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "matron", &mut script);
            say(String::from_utf8_lossy(&script).trim_end());
            Ok(0)
        }
    }
}

/// Sends matron's own trace to stderr when `MATRON_LOG` asks for it (`MATRON_LOG=matron=debug`).
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MATRON_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error,russh=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Writes a line for people to stderr.
fn talk(text: &str) {
    use std::io::Write as _;
    // Nothing can be said about a stream that is gone.
    let _gone = writeln!(std::io::stderr(), "{text}");
}

/// Writes a line of data to stdout.
fn say(text: &str) {
    use std::io::Write as _;
    // A reader that went away (`| head`) is no error of ours.
    let _gone = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
