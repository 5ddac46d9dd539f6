//! `matron lab demo`: the main job end to end, on real parts, with rows written all the while.

mod writer;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::flags::{HostFlags, Output, RunFlags};
use super::lab::{self, Consent, UpArgs, Ward, run_bundled};
use super::world::{Listener, RunRequest};
use crate::event::{Event, EventSink};
use writer::{Target, Writer};

/// Run the main job end to end
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Take the ward away afterwards
    #[arg(long)]
    down: bool,
    #[command(flatten)]
    up: UpArgs,
}

/// What the demo found; its JSON form is the last line of `--output json`.
#[derive(Debug, Serialize)]
struct Findings {
    steps: Vec<Step>,
    rows_acknowledged: usize,
    rows_found: usize,
    write_gap_ms: u64,
    writable_primaries: usize,
    standby_streaming: bool,
    second_run_changed: u64,
}

#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    seconds: f64,
}

/// Counts changed tasks of a run from its recap.
#[derive(Debug, Default)]
struct ChangedCount(AtomicU64);

impl EventSink for ChangedCount {
    fn take(&self, event: &Event) {
        if let Event::RunEnded { recap, .. } = event {
            let sum = recap.iter().map(|(_, tally)| u64::from(tally.changed)).sum();
            self.0.store(sum, Ordering::Relaxed);
        }
    }
}

struct Demo<'a> {
    ward: &'a Ward,
    run: RunFlags,
    steps: Vec<Step>,
}

pub(super) async fn run(ward: &Ward, args: DemoArgs) -> Result<u8, Failure> {
    let mut demo = Demo { ward, run: args.up.run.clone(), steps: Vec::new() };
    let findings = Box::pin(demo.play(&args.up)).await?;
    if args.up.run.output == Output::Json {
        let line = serde_json::to_string(&findings)
            .map_err(|error| Failure::general(format!("cannot write the findings: {error}")))?;
        show(&findings, super::talk);
        if args.down {
            lab::down(ward, false, args.up.run.clone()).await?;
        }
        super::say(&line);
    } else {
        show(&findings, super::say);
        if args.down {
            lab::down(ward, false, args.up.run.clone()).await?;
        } else {
            super::talk(
                "The ward is still there to look at: matron lab status. Take it away: matron lab down.",
            );
        }
    }
    Ok(u8::from(!findings.is_good()))
}

impl Findings {
    fn is_good(&self) -> bool {
        self.rows_found == self.rows_acknowledged
            && self.rows_acknowledged > 0
            && self.writable_primaries == 1
            && self.standby_streaming
            && self.second_run_changed == 0
    }
}

impl Demo<'_> {
    async fn play(&mut self, up: &UpArgs) -> Result<Findings, Failure> {
        let consent = if up.yes { Consent::Given } else { Consent::Announce };
        self.step(
            "practice ward",
            zero(Box::pin(lab::up(self.ward, up, consent)), "making the ward"),
        )
        .await?;
        let (first, second) = (self.ward.address("h1")?, self.ward.address("h2")?);
        self.forget_databases()?;
        let site = self.bundled("site", Vec::new(), None);
        self.step("site.yml: primary and standby", zero(site, "site.yml")).await?;
        let changed = Arc::new(ChangedCount::default());
        let again = self.bundled("site", Vec::new(), Some(changed.clone()));
        self.step("site.yml again", zero(again, "the second site.yml")).await?;

        let target = Target::of_ward(&[&first, &second]);
        let writer = Writer::start(target.clone()).await?;
        writer.wait_for_rows(50, Duration::from_secs(30)).await?;
        self.step("power of h1 lost", async { self.ward.kill("h1") }).await?;
        let killed = Instant::now();
        let accept =
            vec![("matron_accept".to_owned(), serde_json::json!(["old-primary-unreachable"]))];
        let failover = self.bundled("failover", accept, None);
        self.step("failover to h2", zero(failover, "failover.yml")).await?;
        self.step("first write on h2", writer.wait_after(killed, Duration::from_secs(60))).await?;
        self.step("power of h1 back", async { self.ward.heal("h1") }).await?;
        let guard = guard_watch(self.ward, &target, Duration::from_secs(90));
        let writable_primaries = self.step("guard keeps h1 down", guard).await?;
        let rejoin = self.bundled("rejoin", Vec::new(), None);
        self.step("rejoin of h1", zero(rejoin, "rejoin.yml")).await?;
        let streaming = target.wait_streaming(Duration::from_secs(30));
        let standby_streaming = self.step("h1 streams from h2", streaming).await?;
        let ledger = writer.stop().await;
        let rows_found = target.count_found(&ledger).await?;
        Ok(Findings {
            steps: std::mem::take(&mut self.steps),
            rows_acknowledged: ledger.acknowledged.len(),
            rows_found,
            write_gap_ms: ledger.longest_gap_ms(),
            writable_primaries,
            standby_streaming,
            second_run_changed: changed.0.load(Ordering::Relaxed),
        })
    }

    /// Runs a piece of work, says so and keeps its time.
    async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        super::talk(&format!("\n== {name}"));
        let start = Instant::now();
        let done = work.await?;
        self.steps.push(Step { name, seconds: start.elapsed().as_secs_f64() });
        Ok(done)
    }

    /// Makes the ward's hosts empty of databases: a demo starts from nothing, also the second time.
    fn forget_databases(&self) -> Result<(), Failure> {
        for host in ["h1", "h2"] {
            let container = self.ward.container(host);
            let code = "for c in $(docker ps -aq); do docker rm -fv $c; done; rm -rf /srv/* /etc/matron /var/lib/matron";
            lab::docker(&["exec", &container, "sh", "-c", code])?;
        }
        Ok(())
    }

    fn bundled(
        &self,
        name: &'static str,
        own_vars: Vec<(String, serde_json::Value)>,
        listener: Option<Arc<ChangedCount>>,
    ) -> impl Future<Output = Result<u8, Failure>> + 'static {
        let request = RunRequest {
            hosts: HostFlags {
                inventory: vec![self.ward.inventory_file().to_string_lossy().into_owned()],
                limit: Some("h1,h2".to_owned()),
            },
            run: self.run.clone(),
            own_vars,
            listeners: listener.into_iter().map(|sink| Listener(sink)).collect(),
            ..RunRequest::default()
        };
        Box::pin(run_bundled(request, name))
    }
}

/// Makes an exit code other than 0 a failure.
async fn zero(work: impl Future<Output = Result<u8, Failure>>, what: &str) -> Result<(), Failure> {
    match work.await? {
        0 => Ok(()),
        code => Err(Failure::general(format!("{what} ended with exit code {code}; see above"))),
    }
}

/// Waits until the returned host answers again and its guard has had its say, then counts nodes that take writes.
async fn guard_watch(ward: &Ward, target: &Target, within: Duration) -> Result<usize, Failure> {
    let end = Instant::now() + within;
    // Until its start is over the guard may not have had its say.
    let settled = "case $(systemctl is-system-running) in running | degraded) ;; *) exit 1 ;; esac";
    loop {
        // The rejoin comes by SSH: what counts is that sshd answers from outside, too.
        let settled = lab::docker(&["exec", &ward.container("h1"), "sh", "-c", settled]).is_ok();
        if settled && answers(&ward.address("h1")?).await {
            break;
        }
        if Instant::now() > end {
            return Err(Failure::general("host h1 did not finish its start within 90 s"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The guard decided during the start; a database that came up in spite of it would answer by now.
    target.writable_primaries().await
}

/// Tells whether sshd sends its banner.
async fn answers(address: &str) -> bool {
    use tokio::io::AsyncReadExt as _;
    let banner = async {
        let mut stream = tokio::net::TcpStream::connect((address, 22)).await?;
        let mut start = [0; 4];
        stream.read_exact(&mut start).await.map(|_| start)
    };
    let within = tokio::time::timeout(Duration::from_secs(2), banner).await;
    matches!(within, Ok(Ok(start)) if start == *b"SSH-")
}

fn show(findings: &Findings, print: fn(&str)) {
    print("");
    print(&format!("{:<36} {:>9}", "step", "seconds"));
    for step in &findings.steps {
        print(&format!("{:<36} {:>9.1}", step.name, step.seconds));
    }
    print("");
    print(&format!("{:<36} {:>9}", "rows acknowledged", findings.rows_acknowledged));
    print(&format!("{:<36} {:>9}", "rows found after the failover", findings.rows_found));
    print(&format!("{:<36} {:>9}", "longest write gap (ms)", findings.write_gap_ms));
    print(&format!(
        "{:<36} {:>9}",
        "writable primaries after the return", findings.writable_primaries
    ));
    print(&format!("{:<36} {:>9}", "standby streams", findings.standby_streaming));
    print(&format!("{:<36} {:>9}", "changed in the second site.yml", findings.second_run_changed));
}
