//! The far shell: how it is started, fed and understood.
//!
//! Lives here: the sh programs that run on the host (`front.sh` is what both have in common, `loop.sh` runs flights one
//! after the other, `solo.sh` runs one long script, `reap.sh` ends what a flight left running) and our side of the talk.
//! Does not: which shell is used when (`shells.rs`), or how bytes travel (`pipe.rs`).
//!
//! The form. We send a first line that reads the program up to an end mark, then requests: `flight ID COUNT`, and for each
//! script `lines N` and N lines, or `bytes N` and N bytes. It answers `NONCE start PID` once, then for each script
//! `NONCE ID INDEX STATUS`, three streams (`LENGTH` and as many bytes) for stdout, stderr and fields, and `.`.
//! `read` of a POSIX shell takes one byte at a time and so never reads ahead; `dd` with `fullblock` does not either. A
//! short script comes by `read`, because starting `dd` costs more than that.
//!
//! What a script says goes to files in a folder of mode 0700, so that a process it leaves behind can hold them open without
//! holding us. Short text is read back by the shell itself, checked against the file offset in `/proc`; all else by `wc`
//! and `head`. A fork and exec costs more than everything else in a round trip.

mod answer;

use std::fmt::Write as _;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::answer::{Ending, Malformed, OUTPUT_LIMIT, find};
use super::elevate::{Elevation, Refusal, asks_password, elevation, refusal};
use super::pipe::{End, Event, Input, Pipe};
use super::{
    BecomeMethod, Flight, Identity, LineSink, OutputLine, TransportError, TransportErrorKind,
};
use crate::names::HostName;
use crate::shell::{PRELUDE, Reply, Script};

const FRONT: &str = include_str!("front.sh");
const LOOP: &str = include_str!("loop.sh");
const SOLO: &str = include_str!("solo.sh");
const REAP: &str = include_str!("reap.sh");

/// Scripts up to this many bytes are sent as lines; a longer one costs less by `dd`.
const LINES_UP_TO: usize = 3000;

/// How much of stderr is kept to explain an end.
const LAST_WORDS: usize = 4096;

/// How much of stderr is kept while a shell starts: a long script may already have begun to talk.
const NOISE_KEPT: usize = 1024 * 1024;

/// How long stderr may lag behind the end of a long script, when the channel does not close.
const STRAGGLERS: Duration = Duration::from_millis(50);

/// What the far shell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs flights.
    Loop,
    /// Runs one script; its stdin is empty.
    Solo,
    /// Runs one script; its stdin is ours.
    SoloFed,
}

/// Returns the script that ends everything which the current script of far shell `front` has started.
pub(super) fn reaper(front: u32) -> Script {
    Script::new(REAP).var("front", front.to_string()).within(Duration::from_secs(10))
}

/// One far shell.
#[derive(Debug)]
pub(super) struct FarShell {
    host: HostName,
    pipe: Pipe,
    nonce: String,
    identity: Identity,
    elevation: Elevation,
    pid: Option<u32>,
    out: Vec<u8>,
    errors: Vec<u8>,
    last_id: u64,
    ending: Option<Ending>,
    errors_begun: bool,
}

impl FarShell {
    /// Draws a new nonce and returns it with the command line that starts a shell as `identity`.
    pub(super) fn prepare(identity: &Identity) -> (String, Elevation) {
        let nonce = format!("m{:032x}", rand::random::<u128>());
        let elevation = elevation(identity, &nonce);
        (nonce, elevation)
    }

    /// Takes over a pipe in which the command of [`FarShell::prepare`] runs; answers a password prompt; sends the program.
    /// Does not wait for the shell to be there unless a password may be asked for.
    pub(super) async fn open(
        host: HostName,
        pipe: Pipe,
        (nonce, elevation): (String, Elevation),
        identity: &Identity,
        role: Role,
        within: Duration,
    ) -> Result<Self, TransportError> {
        let mut shell = Self {
            host,
            pipe,
            nonce,
            identity: identity.clone(),
            elevation,
            pid: None,
            out: Vec::new(),
            errors: Vec::new(),
            last_id: 0,
            ending: None,
            errors_begun: false,
        };
        if shell.elevation.waits {
            let deadline = Instant::now() + within;
            match tokio::time::timeout_at(deadline, shell.give_password()).await {
                Ok(done) => done?,
                Err(_) => return Err(shell.silent(within)),
            }
        }
        shell.pipe.send(program(&shell.nonce, role)).await;
        Ok(shell)
    }

    async fn give_password(&mut self) -> Result<(), TransportError> {
        let Identity::Become(by) = self.identity.clone() else { return Ok(()) };
        let mut asked = 0;
        loop {
            match self.pipe.inbox.next().await {
                Event::Out(bytes) => self.out.extend(bytes),
                Event::Err(bytes) => self.errors.extend(bytes),
                Event::End(end) => return Err(self.refused(&end, asked)),
            }
            if find(&self.out, self.elevation.hello.as_bytes()).is_some() {
                return Ok(());
            }
            // su without a terminal may write its prompt to either.
            let mut said = String::from_utf8_lossy(&self.errors).into_owned();
            if by.method == BecomeMethod::Su && !asks_password(&by, &said, "") {
                said = String::from_utf8_lossy(&self.out).into_owned();
            }
            if asks_password(&by, &said, &self.elevation.prompt) {
                asked += 1;
                let Some(password) = by.password.as_ref().filter(|_| asked == 1) else {
                    return Err(self.refused(&End::Status(1), asked));
                };
                self.errors.clear();
                self.pipe.send(format!("{}\n", password.0.reveal()).into_bytes()).await;
            }
        }
    }

    /// Tells whether the shell is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.pipe.inbox.has_ended()
    }

    /// Returns the far process id, once the shell has said it.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Ends the shell politely: it removes its folder.
    pub(super) async fn end(self) {
        self.pipe.send_eof().await;
        let gone = async { while !matches!(self.pipe.inbox.next().await, Event::End(_)) {} };
        drop(tokio::time::timeout(Duration::from_millis(500), gone).await);
    }

    /// Waits for the start marker. Cancel safe.
    pub(super) async fn started(&mut self, within: Duration) -> Result<(), TransportError> {
        let deadline = Instant::now() + within;
        while self.pid.is_none() {
            match answer::start(&self.out, &self.nonce) {
                Ok(Some((pid, used))) => {
                    self.out.drain(..used);
                    self.pid = Some(pid);
                }
                Ok(None) => match tokio::time::timeout_at(deadline, self.pipe.inbox.next()).await {
                    Ok(event) => self.take(event, true)?,
                    Err(_) => return Err(self.silent(within)),
                },
                Err(error) => return Err(self.malformed(error)),
            }
        }
        Ok(())
    }

    /// Sends a flight; [`FarShell::reply`] then gives its answers in order.
    pub(super) async fn send_flight(&mut self, flight: &Flight) -> Result<u64, TransportError> {
        self.last_id += 1;
        let mut request =
            format!("flight {} {}\n", self.last_id, flight.scripts.len()).into_bytes();
        for script in &flight.scripts {
            self.frame(script, &mut request)?;
        }
        self.pipe.send(request).await;
        Ok(self.last_id)
    }

    /// Sends the script of a solo shell.
    pub(super) async fn send_solo(&mut self, script: &Script) -> Result<(), TransportError> {
        let mut request = Vec::new();
        self.frame(script, &mut request)?;
        self.pipe.send(request).await;
        Ok(())
    }

    /// Returns the way to the script's stdin.
    pub(super) fn input(&self) -> mpsc::Sender<Input> {
        self.pipe.input()
    }

    /// Waits for the answer to one script of a flight. Cancel safe: nothing is taken from the bytes before all are there.
    pub(super) async fn reply(&mut self, id: u64, index: usize) -> Result<Reply, TransportError> {
        loop {
            match answer::answer(&self.out, &self.nonce, id, index) {
                Ok(Some((reply, used))) => {
                    self.out.drain(..used);
                    return Ok(reply);
                }
                Ok(None) => {
                    let event = self.pipe.inbox.next().await;
                    self.take(event, false)?;
                }
                Err(error) => return Err(self.malformed(error)),
            }
        }
    }

    /// Waits for more of a long script and hands its lines on; the reply once it has ended. Cancel safe.
    pub(super) async fn follow(
        &mut self,
        live: &mut Live,
    ) -> Result<Option<Reply>, TransportError> {
        self.begin_errors(live);
        if let Some(ending) = &self.ending {
            // stderr is another stream: what is still on its way comes before the end of the channel.
            if let Ok(Event::Err(bytes)) =
                tokio::time::timeout(STRAGGLERS, self.pipe.inbox.next()).await
            {
                self.errors_of_script(bytes, live);
                return Ok(None);
            }
            let mut reply = live.finish();
            reply.status = ending.status;
            reply.fields = ending.fields.clone();
            return Ok(Some(reply));
        }
        // Its first words may have come together with the start marker: nothing more may come for long.
        if self.hand_on(live)? {
            return Ok(None);
        }
        match self.pipe.inbox.next().await {
            Event::Out(bytes) => {
                self.out.extend(bytes);
                self.hand_on(live)?;
            }
            Event::Err(bytes) => self.errors_of_script(bytes, live),
            event @ Event::End(_) => self.take(event, false)?,
        }
        if live.stdout.len() > OUTPUT_LIMIT || live.stderr.len() > OUTPUT_LIMIT {
            let length = live.stdout.len().max(live.stderr.len()) as u64;
            return Err(self.malformed(Malformed::TooLong { stream: "output", length }));
        }
        Ok(None)
    }

    /// Hands on what of stdout is the script's own, and tells whether there was anything.
    fn hand_on(&mut self, live: &mut Live) -> Result<bool, TransportError> {
        let (own, ending) = match answer::ending(&self.out, &self.nonce) {
            Ok(found) => found,
            Err(error) => return Err(self.malformed(error)),
        };
        let own = own.min(self.out.len());
        live.out(&self.out[..own]);
        self.out.drain(..own);
        self.ending = ending;
        Ok(own > 0 || self.ending.is_some())
    }

    /// Hands on what of stderr came after the far shell said on it that the script begins; before is noise.
    fn begin_errors(&mut self, live: &mut Live) {
        if self.errors_begun {
            return;
        }
        let marker = format!("{} begin\n", self.nonce);
        if let Some(at) = find(&self.errors, marker.as_bytes()) {
            self.errors_begun = true;
            let own = self.errors.split_off(at);
            live.err(own.get(marker.len()..).unwrap_or_default());
        }
    }

    fn errors_of_script(&mut self, bytes: Vec<u8>, live: &mut Live) {
        if self.errors_begun {
            live.err(&bytes);
        } else {
            self.errors.extend(bytes);
            self.begin_errors(live);
        }
    }

    fn take(&mut self, event: Event, starting: bool) -> Result<(), TransportError> {
        match event {
            Event::Out(bytes) => self.out.extend(bytes),
            Event::Err(bytes) => {
                self.errors.extend(bytes);
                let kept = if starting { NOISE_KEPT } else { LAST_WORDS };
                let over = self.errors.len().saturating_sub(kept);
                self.errors.drain(..over);
            }
            Event::End(end) if starting => return Err(self.refused(&end, 0)),
            Event::End(end) => return Err(self.lost(&end)),
        }
        Ok(())
    }

    fn frame(&self, script: &Script, request: &mut Vec<u8>) -> Result<(), TransportError> {
        let text = script.render();
        if text.contains(&0) {
            return Err(self.error(
                TransportErrorKind::Protocol,
                "the script holds a NUL byte, which no shell can take".to_owned(),
            ));
        }
        if text.len() <= LINES_UP_TO {
            let lines = text.split(|byte| *byte == b'\n').skip(1).count();
            request.extend(format!("lines {lines}\n").into_bytes());
            request.extend(text);
        } else {
            // The mark keeps the shell from cutting line ends off, and proves that all has come.
            request.extend(format!("bytes {}\n", text.len() + 1).into_bytes());
            request.extend(text);
            request.push(b'x');
        }
        Ok(())
    }

    fn error(&self, kind: TransportErrorKind, message: String) -> TransportError {
        TransportError { host: self.host.clone(), kind, message, hint: None }
    }

    fn last_words(&self) -> String {
        let from = self.errors.len().saturating_sub(LAST_WORDS);
        let said = String::from_utf8_lossy(self.errors.get(from..).unwrap_or_default());
        let said = said.trim();
        if said.is_empty() { String::new() } else { format!("; it last said: {said}") }
    }

    fn lost(&self, end: &End) -> TransportError {
        let why = match end {
            End::Status(status) => format!("the shell on the host ended with status {status}"),
            End::Lost(why) => why.clone(),
        };
        let mut error = self.error(
            TransportErrorKind::Lost,
            format!(
                "the connection to {} was lost while a script ran ({why}){}",
                self.host,
                self.last_words()
            ),
        );
        error.hint = Some("whether that script finished is not known; run again".to_owned());
        error
    }

    fn silent(&self, within: Duration) -> TransportError {
        let seen = if self.out.is_empty() { &self.errors } else { &self.out };
        self.error(
            match self.identity {
                Identity::Login => TransportErrorKind::Protocol,
                Identity::Become(_) => TransportErrorKind::Become,
            },
            format!(
                "no shell answered on {} within {} s{}",
                self.host,
                within.as_secs(),
                shown(seen).map(|text| format!("; it said: {text}")).unwrap_or_default()
            ),
        )
    }

    /// The shell ended before it began.
    fn refused(&self, end: &End, asked: u32) -> TransportError {
        if let (Identity::Login, _) | (_, End::Lost(_)) = (&self.identity, end) {
            let mut error = self.lost(end);
            if let End::Status(status) = end {
                error.kind = TransportErrorKind::Protocol;
                error.hint = None;
                let said = if self.out.is_empty() { &self.errors } else { &self.out };
                error.message = format!(
                    "no shell could be started on {}: it ended with status {status}{}",
                    self.host,
                    shown(said).map(|text| format!(" and said: {text}")).unwrap_or_default()
                );
            }
            return error;
        }
        let Identity::Become(by) = &self.identity else { return self.lost(end) };
        let said = format!(
            "{}\n{}",
            String::from_utf8_lossy(&self.out),
            String::from_utf8_lossy(&self.errors)
        );
        let method = match by.method {
            BecomeMethod::Sudo => "sudo",
            BecomeMethod::Su => "su",
        };
        let (message, hint) = match refusal(by, asked, &said) {
            Refusal::PasswordMissing => (
                format!("Missing {method} password"),
                Some("give it with -K (--ask-become-pass) or ansible_become_password".to_owned()),
            ),
            Refusal::PasswordWrong => (
                format!("Incorrect {method} password"),
                Some("it is the login user's own for sudo, the other user's for su: give it with -K or ansible_become_password".to_owned()),
            ),
            Refusal::Other(words) => {
                (format!("cannot become {} on {}: {words}", by.user, self.host), None)
            }
        };
        TransportError { host: self.host.clone(), kind: TransportErrorKind::Become, message, hint }
    }

    fn malformed(&self, error: Malformed) -> TransportError {
        match error {
            Malformed::Form(bytes) => self.error(
                TransportErrorKind::Protocol,
                format!(
                    "the shell on {} did not answer in the agreed form, but with: {}{}",
                    self.host,
                    shown(&bytes).unwrap_or_default(),
                    self.last_words()
                ),
            ),
            Malformed::TooLong { stream, length } => {
                let mut error = self.error(
                    TransportErrorKind::Protocol,
                    format!(
                        "{stream} of a script on {} is {length} bytes long, the limit is {OUTPUT_LIMIT}",
                        self.host
                    ),
                );
                error.hint = Some("send the output into a file on the host".to_owned());
                error
            }
        }
    }
}

/// Returns bytes as text for a message, unprintable ones escaped.
fn shown(bytes: &[u8]) -> Option<String> {
    let text: String = bytes
        .trim_ascii_end()
        .iter()
        .take(200)
        .map(|b| std::ascii::escape_default(*b).to_string())
        .collect();
    (!text.is_empty()).then(|| format!("\"{text}\""))
}

/// Returns the first line and the program behind it.
fn program(nonce: &str, role: Role) -> Vec<u8> {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "_mn={nonce} _mx={OUTPUT_LIMIT} _mstdin={}; _me=$(printf '\\nx'); _me=${{_me%x}}; _mt=; \
         while IFS= read -r _ml || exit 125; [ \"$_ml\" != \"$_mn end\" ]; do _mt=\"$_mt$_ml$_me\"; done; eval \"$_mt\"",
        if role == Role::SoloFed { "1" } else { "" },
    );
    text.push_str(PRELUDE);
    text.push_str(FRONT);
    text.push_str(match role {
        Role::Loop => LOOP,
        Role::Solo | Role::SoloFed => SOLO,
    });
    let _ = writeln!(text, "{nonce} end");
    text.into_bytes()
}

/// Cuts live output into lines.
pub(super) struct Live {
    sink: LineSink,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    out_from: usize,
    err_part: Vec<u8>,
}

impl Live {
    /// Starts with nothing.
    pub(super) fn new(sink: LineSink) -> Self {
        Self { sink, stdout: Vec::new(), stderr: Vec::new(), out_from: 0, err_part: Vec::new() }
    }

    fn out(&mut self, bytes: &[u8]) {
        self.stdout.extend_from_slice(bytes);
        while let Some(length) = self
            .stdout
            .get(self.out_from..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line = self.stdout.get(self.out_from..self.out_from + length).unwrap_or_default();
            (self.sink)(OutputLine::Out(text_of(line)));
            self.out_from += length + 1;
        }
    }

    /// Progress lines go to the sink only: they are not what the script had to say.
    fn err(&mut self, bytes: &[u8]) {
        self.err_part.extend_from_slice(bytes);
        // A bar drawn with carriage returns is one line a drawing.
        while let Some(end) = self.err_part.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let line: Vec<u8> = self.err_part.drain(..=end).collect();
            self.err_line(&line);
        }
    }

    fn err_line(&mut self, line: &[u8]) {
        let text = text_of(line);
        if let Some(progress) = progress(&text) {
            (self.sink)(progress);
        } else {
            self.stderr.extend_from_slice(line);
            (self.sink)(OutputLine::Err(text));
        }
    }

    fn finish(&mut self) -> Reply {
        let rest = self.stdout.get(self.out_from..).unwrap_or_default();
        if !rest.is_empty() {
            (self.sink)(OutputLine::Out(text_of(rest)));
        }
        let rest = std::mem::take(&mut self.err_part);
        if !rest.is_empty() {
            self.err_line(&rest);
        }
        Reply {
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
            ..Reply::default()
        }
    }
}

fn text_of(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned()
}

/// Reads `progress DONE TOTAL`.
fn progress(line: &str) -> Option<OutputLine> {
    let (done, total) = line.strip_prefix("progress ")?.split_once(' ')?;
    Some(OutputLine::Progress(done.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn words_that_come_with_the_start_marker_are_handed_on_at_once() {
        let (pipe, ends) = Pipe::new();
        let prepared = FarShell::prepare(&Identity::Login);
        let nonce = prepared.0.clone();
        let host = HostName::new("db1");
        let within = Duration::from_secs(60);
        let mut shell =
            FarShell::open(host, pipe, prepared, &Identity::Login, Role::SoloFed, within)
                .await
                .unwrap();
        let said = format!("\n{nonce} start 7\nlocked\n");
        ends.inbox.push(Event::Out(said.into_bytes()));
        shell.started(within).await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = heard.clone();
        let mut live = Live::new(Arc::new(move |line| sink.lock().unwrap().push(line)));
        let followed = tokio::time::timeout(within, shell.follow(&mut live)).await;
        assert!(matches!(followed, Ok(Ok(None))), "{followed:?}");
        assert_eq!(*heard.lock().unwrap(), [OutputLine::Out("locked".to_owned())]);
    }
}
