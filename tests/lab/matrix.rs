//! The matrix: every step of a pair's life on every major there are images of. `cargo pg-matrix [--majors 10,11] [--steps setup,again]`.
//!
//! It goes on after a failure: the next step begins with a pair made anew.

use std::process::ExitCode;
use std::time::Instant;

use super::adopt;
use super::life::{self, STEPS, Step};
use super::rejoin;
use super::ward::{Size, Ward};

/// Majors there are images of.
const MAJORS: std::ops::RangeInclusive<u8> = 10..=18;

/// Whether a major is taken through a step.
type Applies = fn(u8) -> bool;

/// Steps that only some majors are taken through, after the others.
const MORE: &[(Step, Applies)] = &[
    // By rewind where the image has the program, and copied with the reason said where it has not.
    (("diverged", rejoin::by_itself), |_| true),
    (("copy as told", rejoin::as_told), |major| ![10, 12].contains(&major)),
    (("adopt", adopt::taken_over), |major| major == 11),
];

/// Returns all steps, and whether a major is taken through each.
fn all() -> Vec<(Step, Applies)> {
    let always: Applies = |_| true;
    STEPS.iter().map(|step| (*step, always)).chain(MORE.iter().copied()).collect()
}

/// What became of a step.
enum Cell {
    Passed(f64),
    Failed(f64),
    /// It was not asked for, or is not for this major.
    Left,
}

/// What was asked for.
struct Wanted {
    majors: Vec<u8>,
    steps: Vec<String>,
}

impl Wanted {
    fn of(words: &[String]) -> Result<Self, String> {
        let mut wanted = Self { majors: MAJORS.collect(), steps: names() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (flag, inline) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || {
                let given = inline.clone().or_else(|| words.next().cloned());
                given.ok_or_else(|| format!("{flag} needs a value"))
            };
            match flag {
                "--majors" => wanted.majors = majors(&value()?)?,
                "--steps" => wanted.steps = steps(&value()?)?,
                _ => {
                    return Err(format!(
                        "'{word}' is not known here: --majors 10,11 and --steps setup,again are"
                    ));
                }
            }
        }
        Ok(wanted)
    }
}

fn majors(list: &str) -> Result<Vec<u8>, String> {
    let one = |word: &str| {
        let major = word.trim().parse().ok().filter(|major| MAJORS.contains(major));
        major.ok_or_else(|| format!("--majors {word}: there are images of 10 to 18"))
    };
    list.split(',').map(one).collect()
}

fn names() -> Vec<String> {
    all().iter().map(|((name, _), _)| (*name).to_owned()).collect()
}

fn steps(list: &str) -> Result<Vec<String>, String> {
    let one = |word: &str| {
        let found = names().into_iter().find(|name| name == word.trim());
        found.ok_or_else(|| format!("--steps {word}: the steps are {}", names().join(", ")))
    };
    list.split(',').map(one).collect()
}

/// Runs the matrix and prints its table, the count last.
pub fn run(words: &[String]) -> ExitCode {
    let wanted = match Wanted::of(words) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(5);
        }
    };
    let size = Size { majors: wanted.majors.clone(), hosts: 2 };
    let ward = match Ward::up("matrix", size) {
        Ok(ward) => ward,
        Err(why) => {
            eprintln!("error: the ward could not be made: {why}");
            return ExitCode::FAILURE;
        }
    };
    let rows: Vec<(u8, Vec<Cell>)> =
        wanted.majors.iter().map(|major| (*major, column(&ward, *major, &wanted.steps))).collect();
    if std::env::var_os("MATRON_LAB_KEEP").is_none() {
        ward.down();
    }
    show(&rows);
    let count =
        |of: fn(&Cell) -> bool| rows.iter().flat_map(|(_, row)| row).filter(|c| of(c)).count();
    let failed = count(|cell| matches!(cell, Cell::Failed(_)));
    println!("{} passed, {failed} failed", count(|cell| matches!(cell, Cell::Passed(_))));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes one major through the steps.
fn column(ward: &Ward, major: u8, wanted: &[String]) -> Vec<Cell> {
    let mut in_order = false;
    let mut cells = Vec::new();
    for (at, ((name, step), applies)) in all().into_iter().enumerate() {
        if !wanted.iter().any(|want| want == name) || !applies(major) {
            cells.push(Cell::Left);
            continue;
        }
        eprintln!("== PostgreSQL {major}: {name}");
        let start = Instant::now();
        // The first step makes the pair itself; the others find one in order, or have it made.
        let ready = if at == 0 || in_order { Ok(()) } else { life::healthy(ward, major) };
        let done = ready.and_then(|()| step(ward, major));
        let seconds = start.elapsed().as_secs_f64();
        in_order = done.is_ok();
        cells.push(match done {
            Ok(()) => Cell::Passed(seconds),
            Err(why) => {
                eprintln!("FAILED after {seconds:.1} s: PostgreSQL {major}: {name}: {why}");
                Cell::Failed(seconds)
            }
        });
    }
    cells
}

fn show(rows: &[(u8, Vec<Cell>)]) {
    print!("\n{:<6}", "major");
    for name in names() {
        print!(" {name:>14}");
    }
    println!();
    for (major, cells) in rows {
        print!("{major:<6}");
        for cell in cells {
            let text = match cell {
                Cell::Passed(seconds) => format!("{seconds:.1} ok"),
                Cell::Failed(seconds) => format!("{seconds:.1} FAILED"),
                Cell::Left => "-".to_owned(),
            };
            print!(" {text:>14}");
        }
        println!();
    }
}
