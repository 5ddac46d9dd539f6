//! `matron runs`: lists and verifies the records of past runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::world::default_state_dir;
use crate::record;

/// List and verify the records of past runs
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Where they are kept
    #[arg(long, value_name = "FOLDER", env = "MATRON_STATE_DIR", global = true)]
    state_dir: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<RunsVerb>,
}

#[derive(Debug, Subcommand)]
enum RunsVerb {
    /// List runs, newest last
    List,
    /// Check the hash chain of a run, or of all
    Verify {
        /// Run id
        id: Option<String>,
    },
}

pub(super) fn run(args: RunsArgs) -> Result<u8, Failure> {
    let state = default_state_dir(args.state_dir.as_deref());
    match args.verb.unwrap_or(RunsVerb::List) {
        RunsVerb::List => {
            for run in record::list(&state)? {
                let exit = run.exit.map_or_else(|| "-".to_owned(), |exit| exit.to_string());
                super::say(&format!("{}  exit {exit:>2}  {}", run.id, run.command));
            }
            Ok(0)
        }
        RunsVerb::Verify { id } => {
            let runs = record::list(&state)?;
            let chosen: Vec<_> =
                runs.into_iter().filter(|run| id.as_ref().is_none_or(|id| *id == run.id)).collect();
            if let (Some(id), true) = (&id, chosen.is_empty()) {
                return Err(Failure::general(format!("no run '{id}' in {}", state.display())));
            }
            let mut broken = 0;
            for run in chosen {
                match record::verify(&run.folder) {
                    Ok(events) => super::say(&format!("{}  whole, {events} events", run.id)),
                    Err(error) => {
                        broken += 1;
                        super::say(&format!(
                            "{}  BROKEN: {}",
                            run.id,
                            super::failure::with_causes(&error)
                        ));
                    }
                }
            }
            Ok(u8::from(broken > 0))
        }
    }
}
