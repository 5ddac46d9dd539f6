//! A schedule: what happens to a cluster, in order. Made from a seed or read from a file; its text replays it exactly.
//!
//! Hosts are named by the part they play when the schedule starts: `P` is the primary, `A` and `B` are its standbys.

use std::fmt;
use std::str::FromStr;

/// A host, by its part at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    P,
    A,
    B,
}

/// Something that happens to hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The power goes: silence, then nothing.
    Kill(Part),
    /// The host hangs.
    Pause(Part),
    /// The cable is pulled.
    Cut(Part),
    /// Cut off from the other nodes and from matron, while its clients still reach it.
    Isolate(Part),
    /// Two hosts do not hear each other.
    Between(Part, Part),
    /// An orderly reboot.
    Reboot(Part),
    /// `kill -9` of the Docker engine.
    Engine(Part),
    /// `kill -9` of the database's container.
    Server(Part),
    /// Everything done to a host is undone; a killed host boots.
    Heal(Part),
    /// The same for all.
    HealAll,
}

/// What interrupts a run of matron.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Twist {
    /// `kill -9` of matron.
    KillMatron,
    /// Ctrl-C.
    CtrlC,
    /// Something happens to a host meanwhile.
    Fault(Fault),
}

/// A verb of `matron pg` that acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Setup,
    Failover,
    Rejoin,
    Switchover,
}

/// One line of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Milliseconds in which only the clients do something.
    Wait(u64),
    Do(Fault),
    /// matron runs; the twist comes when this many tasks have started.
    Run(Verb, Option<(Twist, u32)>),
    /// matron runs and has to end well.
    RunWell(Verb),
}

/// What a cluster goes through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    pub name: String,
    pub nodes: u8,
    /// From empty hosts instead of a cluster in order.
    pub empty: bool,
    pub steps: Vec<Step>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P => "P",
            Self::A => "A",
            Self::B => "B",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(host) => write!(f, "kill {host}"),
            Self::Pause(host) => write!(f, "pause {host}"),
            Self::Cut(host) => write!(f, "cut {host}"),
            Self::Isolate(host) => write!(f, "isolate {host}"),
            Self::Between(one, other) => write!(f, "cut {one} {other}"),
            Self::Reboot(host) => write!(f, "reboot {host}"),
            Self::Engine(host) => write!(f, "engine {host}"),
            Self::Server(host) => write!(f, "server {host}"),
            Self::Heal(host) => write!(f, "heal {host}"),
            Self::HealAll => f.write_str("heal all"),
        }
    }
}

impl fmt::Display for Twist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillMatron => f.write_str("kill"),
            Self::CtrlC => f.write_str("ctrl-c"),
            Self::Fault(fault) => write!(f, "{fault}"),
        }
    }
}

impl Verb {
    /// Returns the word after `matron pg`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Failover => "failover",
            Self::Rejoin => "rejoin",
            Self::Switchover => "switchover",
        }
    }
}

impl FromStr for Verb {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Setup, Self::Failover, Self::Rejoin, Self::Switchover]
            .into_iter()
            .find(|verb| verb.word() == word)
            .ok_or_else(|| format!("no verb: {word}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(ms) => write!(f, "wait {ms}"),
            Self::Do(fault) => write!(f, "{fault}"),
            Self::Run(verb, None) => write!(f, "run {}", verb.word()),
            Self::Run(verb, Some((twist, at))) => write!(f, "run {}; {twist} at {at}", verb.word()),
            Self::RunWell(verb) => write!(f, "run {}; well", verb.word()),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.name)?;
        writeln!(f, "nodes {}", self.nodes)?;
        writeln!(f, "start {}", if self.empty { "empty" } else { "healthy" })?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

fn part(word: &str) -> Result<Part, String> {
    match word {
        "P" => Ok(Part::P),
        "A" => Ok(Part::A),
        "B" => Ok(Part::B),
        _ => Err(format!("no host: {word}")),
    }
}

fn fault(words: &[&str]) -> Result<Fault, String> {
    Ok(match words {
        ["kill", host] => Fault::Kill(part(host)?),
        ["pause", host] => Fault::Pause(part(host)?),
        ["cut", host] => Fault::Cut(part(host)?),
        ["cut", one, other] => Fault::Between(part(one)?, part(other)?),
        ["isolate", host] => Fault::Isolate(part(host)?),
        ["reboot", host] => Fault::Reboot(part(host)?),
        ["engine", host] => Fault::Engine(part(host)?),
        ["server", host] => Fault::Server(part(host)?),
        ["heal", "all"] => Fault::HealAll,
        ["heal", host] => Fault::Heal(part(host)?),
        _ => return Err(format!("no step: {}", words.join(" "))),
    })
}

fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("no number: {word}"))
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (line, more) = line.split_once(';').unwrap_or((line, ""));
        let words: Vec<&str> = line.split_whitespace().collect();
        let more: Vec<&str> = more.split_whitespace().collect();
        match (words.as_slice(), more.as_slice()) {
            (["wait", ms], []) => Ok(Self::Wait(number(ms)?)),
            (["run", verb], []) => Ok(Self::Run(verb.parse()?, None)),
            (["run", verb], ["well"]) => Ok(Self::RunWell(verb.parse()?)),
            (["run", verb], [twist @ .., "at", at]) => {
                let twist = match twist {
                    ["kill"] => Twist::KillMatron,
                    ["ctrl-c"] => Twist::CtrlC,
                    words => Twist::Fault(fault(words)?),
                };
                Ok(Self::Run(verb.parse()?, Some((twist, number(at)?))))
            }
            (words, []) => Ok(Self::Do(fault(words)?)),
            _ => Err(format!("no step: {line}")),
        }
    }
}

impl Schedule {
    /// Reads a written schedule.
    pub fn read(name: &str, text: &str) -> Result<Self, String> {
        let mut schedule =
            Self { name: name.to_owned(), nodes: 2, empty: false, steps: Vec::new() };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                [] => {}
                ["nodes", nodes] => schedule.nodes = number(nodes)?,
                ["start", "empty"] => schedule.empty = true,
                ["start", "healthy"] => schedule.empty = false,
                _ => schedule.steps.push(line.parse()?),
            }
        }
        if !(2..=3).contains(&schedule.nodes) {
            return Err(format!("{name}: a cluster has 2 or 3 nodes here"));
        }
        Ok(schedule)
    }

    /// Makes the schedule of a seed: always the same one.
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let nodes = if dice.chance(50) { 3 } else { 2 };
        let empty = dice.chance(12);
        let mut steps = Vec::new();
        if empty {
            for _ in 0..=dice.below(2) {
                let twist = dice.twist(nodes, 60);
                steps.push(Step::Run(Verb::Setup, Some(twist)));
                dice.pause_or_heal(&mut steps, nodes);
            }
        } else {
            steps.push(Step::Wait(200 + dice.below(800)));
            for _ in 0..=dice.below(2) {
                dice.scene(&mut steps, nodes);
            }
        }
        Self { name: format!("seed {seed}"), nodes, empty, steps }
    }
}

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Picks by weight.
    fn pick<T: Copy>(&mut self, from: &[(u64, T)]) -> T {
        let mut at = self.below(from.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in from {
            if at < *weight {
                return *what;
            }
            at -= weight;
        }
        from[0].1
    }

    /// The primary suffers more often than the others.
    fn host(&mut self, nodes: u8) -> Part {
        if nodes == 3 {
            self.pick(&[(5, Part::P), (3, Part::A), (2, Part::B)])
        } else {
            self.pick(&[(6, Part::P), (4, Part::A)])
        }
    }

    fn fault(&mut self, nodes: u8) -> Fault {
        let host = self.host(nodes);
        let other = match (host, nodes) {
            (Part::P, 3) => self.pick(&[(1, Part::A), (1, Part::B)]),
            (Part::P, _) => Part::A,
            (Part::A | Part::B, _) => Part::P,
        };
        self.pick(&[
            (5, Fault::Kill(host)),
            (3, Fault::Pause(host)),
            (3, Fault::Cut(host)),
            (4, Fault::Isolate(host)),
            (2, Fault::Between(host, other)),
            (3, Fault::Reboot(host)),
            (2, Fault::Engine(host)),
            (3, Fault::Server(host)),
        ])
    }

    fn twist(&mut self, nodes: u8, tasks: u64) -> (Twist, u32) {
        let twist = match self.below(100) {
            0..45 => Twist::KillMatron,
            45..60 => Twist::CtrlC,
            60..75 => {
                let host = self.host(nodes);
                Twist::Fault(self.pick(&[(1, Fault::HealAll), (1, Fault::Heal(host))]))
            }
            _ => Twist::Fault(self.fault(nodes)),
        };
        (twist, u32::try_from(1 + self.below(tasks)).unwrap_or(1))
    }

    fn pause_or_heal(&mut self, steps: &mut Vec<Step>, nodes: u8) {
        if self.chance(40) {
            let ms = self.below(2500);
            steps.push(Step::Wait(ms));
        }
        if self.chance(45) {
            let host = self.host(nodes);
            let heal = self.pick(&[(2, Fault::HealAll), (1, Fault::Heal(host))]);
            steps.push(Step::Do(heal));
        }
    }

    /// Something breaks, and an operator does something about it.
    fn scene(&mut self, steps: &mut Vec<Step>, nodes: u8) {
        if self.chance(85) {
            let fault = self.fault(nodes);
            steps.push(Step::Do(fault));
        }
        if self.chance(50) {
            let ms = self.below(3000);
            steps.push(Step::Wait(ms));
        }
        let verb = self.pick(&[
            (5, Verb::Failover),
            (3, Verb::Rejoin),
            (2, Verb::Setup),
            (3, Verb::Switchover),
        ]);
        let tasks = match verb {
            Verb::Setup => 70,
            Verb::Failover | Verb::Switchover => 30,
            Verb::Rejoin => 55,
        };
        let twist = self.chance(60).then(|| self.twist(nodes, tasks));
        steps.push(Step::Run(verb, twist));
        if twist.is_some() && self.chance(40) {
            steps.push(Step::Run(verb, None));
        }
        self.pause_or_heal(steps, nodes);
    }
}

/// Returns the schedules that interrupt a verb after its first, second ... task; the caller ends it when a run is over sooner.
pub fn sweep(verb: Verb, nodes: u8, twist: Twist, at: u32) -> Schedule {
    let before: &[Step] = match verb {
        Verb::Setup | Verb::Switchover => &[],
        Verb::Failover => &[Step::Do(Fault::Kill(Part::P))],
        Verb::Rejoin => &[
            Step::Do(Fault::Kill(Part::P)),
            Step::Run(Verb::Failover, None),
            Step::Do(Fault::Heal(Part::P)),
            Step::Wait(3000),
        ],
    };
    let mut steps = before.to_vec();
    steps.extend([Step::Run(verb, Some((twist, at))), Step::RunWell(verb)]);
    let name = format!("sweep of {}: {twist} at {at}", verb.word());
    Schedule { name, nodes, empty: verb == Verb::Setup, steps }
}

/// What the pure part promises; run as tests of their own.
pub const CLAIMS: &[super::Claim] = &[
    ("schedule::text_replays_every_schedule", text_replays),
    ("schedule::a_seed_is_always_the_same_schedule", seeds_are_stable),
];

fn text_replays() -> Result<(), String> {
    for seed in 0..500 {
        let made = Schedule::of_seed(seed);
        let read = Schedule::read(&made.name, &made.to_string())?;
        if made != read {
            return Err(format!("{made}\nis read as\n{read}"));
        }
    }
    Ok(())
}

fn seeds_are_stable() -> Result<(), String> {
    let (one, again) = (Schedule::of_seed(7), Schedule::of_seed(7));
    let other = Schedule::of_seed(8);
    if one == again && one.steps != other.steps { Ok(()) } else { Err(format!("{one}\n{again}")) }
}
