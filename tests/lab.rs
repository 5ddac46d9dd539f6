//! The lab lane: makes a practice ward with matron itself, runs its tests on real hosts, engines and servers, and takes
//! the ward away. Part of `cargo test`; alone: `cargo test --test lab`. `MATRON_LAB_KEEP=1` leaves the ward up.
//! `cargo pg-matrix` is the same door with `--matrix`: all majors instead of the lane's tests.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a lane without a harness is its own door, says itself what it does, and waits for real hosts"
)]

#[path = "lab/adopt.rs"]
mod adopt;
#[path = "lab/cascade.rs"]
mod cascade;
#[path = "lab/cluster.rs"]
mod cluster;
#[path = "lab/guard.rs"]
mod guard;
#[path = "lab/hosts.rs"]
mod hosts;
#[path = "lab/life.rs"]
mod life;
#[path = "lab/lock.rs"]
mod lock;
#[path = "lab/matrix.rs"]
mod matrix;
#[path = "lab/passwords.rs"]
mod passwords;
#[path = "lab/plan.rs"]
mod plan;
#[path = "lab/rejoin.rs"]
mod rejoin;
#[path = "lab/status.rs"]
mod status;
#[path = "lab/ward.rs"]
mod ward;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// Majors of the lane, the first the ward's default; `cargo pg-matrix` runs all there are.
const MAJORS: &[u8] = &[17, 11, 15, 18];

/// A test: its name and what it does with the ward.
type Test = (&'static str, fn(&ward::Ward) -> Result<(), String>);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == "--matrix") {
        return matrix::run(&words[at + 1..]);
    }
    let mut arguments = Arguments::from_args();
    // The tests share hosts: one at a time.
    arguments.test_threads = Some(1);
    let tests: Vec<Test> = [
        hosts::TESTS,
        cluster::TESTS,
        lock::TESTS,
        adopt::TESTS,
        guard::TESTS,
        rejoin::TESTS,
        cascade::TESTS,
        passwords::TESTS,
        plan::TESTS,
        status::TESTS,
    ]
    .concat();
    let wanted =
        |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let needed = !arguments.list && tests.iter().any(|(name, _)| wanted(name));
    let size = ward::Size { majors: MAJORS.to_vec(), hosts: 4 };
    let ward = if needed { Some(ward::Ward::up("lab", size)) } else { None };
    let ward: &'static _ = Box::leak(Box::new(ward));
    let trials = tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || match ward {
                Some(Ok(ward)) => test(ward).map_err(Failed::from),
                Some(Err(why)) => Err(Failed::from(format!("the ward could not be made: {why}"))),
                None => Err(Failed::from("the ward was not made")),
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(Ok(ward)) = ward
        && std::env::var_os("MATRON_LAB_KEEP").is_none()
    {
        ward.down();
    }
    conclusion.exit_code()
}
