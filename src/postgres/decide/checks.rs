//! What was checked: name, value, limit and verdict, kept for people whatever came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Consent, Plan, Refusal};

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// It is as it should be.
    Passed,
    /// It is not, and that was accepted by name.
    Accepted,
    /// It is not.
    Refused,
    /// Worth knowing; it stops nothing.
    Noted,
}

impl CheckVerdict {
    /// Returns the word people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Noted => "noted",
        }
    }
}

/// One check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// On which node; nothing when it is about the cluster.
    pub node: Option<String>,
    /// What was found.
    pub value: String,
    /// What is allowed.
    pub limit: String,
    /// What came of it.
    pub verdict: CheckVerdict,
}

impl Check {
    /// Makes the check that a refusal tells of.
    pub(super) fn of(refusal: &Refusal, verdict: CheckVerdict) -> Self {
        Self {
            name: refusal.check.clone(),
            node: None,
            value: refusal.value.clone(),
            limit: refusal.limit.clone(),
            verdict,
        }
    }
}

/// One line: verdict, node, name, value and limit.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} ", self.verdict.word())?;
        if let Some(node) = &self.node {
            write!(f, "{node}: ")?;
        }
        write!(f, "{}: {}", self.name, self.value)?;
        if self.limit.is_empty() { Ok(()) } else { write!(f, " (limit: {})", self.limit) }
    }
}

/// Checks being made: every one is evaluated and kept, and the first that refuses decides.
#[derive(Debug)]
pub(super) struct Checklist<'a> {
    consent: Consent<'a>,
    checks: Vec<Check>,
    accepted: Vec<String>,
    refusal: Option<Box<Refusal>>,
}

impl<'a> Checklist<'a> {
    pub(super) const fn new(consent: Consent<'a>) -> Self {
        Self { consent, checks: Vec::new(), accepted: Vec::new(), refusal: None }
    }

    fn add(&mut self, node: Option<&str>, verdict: CheckVerdict, refusal: &Refusal) {
        let node = node.map(str::to_owned);
        self.checks.push(Check { node, ..Check::of(refusal, verdict) });
    }

    /// Keeps a check that holds.
    pub(super) fn passed(
        &mut self,
        node: Option<&str>,
        name: &str,
        value: impl Into<String>,
        limit: &str,
    ) {
        let refusal = Refusal::new(name, value, limit, "");
        self.add(node, CheckVerdict::Passed, &refusal);
    }

    /// Keeps what is worth knowing.
    pub(super) fn noted(
        &mut self,
        node: Option<&str>,
        name: &str,
        value: impl Into<String>,
        limit: &str,
    ) {
        let refusal = Refusal::new(name, value, limit, "");
        self.add(node, CheckVerdict::Noted, &refusal);
    }

    /// Keeps a check that does not hold, accepted when its word was given.
    pub(super) fn failed(&mut self, node: Option<&str>, refusal: Box<Refusal>) {
        let accepted =
            refusal.accept.as_ref().filter(|word| self.consent.words.contains(word)).cloned();
        if let Some(word) = accepted {
            self.add(node, CheckVerdict::Accepted, &refusal);
            if !self.accepted.contains(&word) {
                self.accepted.push(word);
            }
            return;
        }
        self.add(node, CheckVerdict::Refused, &refusal);
        self.refusal.get_or_insert(refusal);
    }

    /// Keeps a check that holds or refuses.
    pub(super) fn check(&mut self, node: Option<&str>, holds: bool, refusal: Box<Refusal>) {
        if holds {
            self.add(node, CheckVerdict::Passed, &refusal);
        } else {
            self.failed(node, refusal);
        }
    }

    /// Adds the checks to a plan, or returns the first refusal with all of them.
    pub(super) fn close(self, plan: &mut Plan) -> Result<(), Box<Refusal>> {
        plan.checks.extend(self.checks);
        for word in self.accepted {
            if !plan.accepted.contains(&word) {
                plan.accepted.push(word);
            }
        }
        match self.refusal {
            None => Ok(()),
            Some(mut refusal) => {
                refusal.checks.clone_from(&plan.checks);
                Err(refusal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Box<Refusal> {
        Refusal::new("replay", "paused", "running", "Resume it.").unless_accepted("replay-paused")
    }

    #[test]
    fn every_check_is_kept_when_one_refuses() {
        let mut list = Checklist::new(Consent { words: &[] });
        list.passed(Some("db2"), "role", "standby", "standby");
        list.failed(Some("db2"), refusal());
        list.noted(None, "clock", "1 s", "5 s");
        let mut plan = Plan::new(None);
        let refused = list.close(&mut plan).expect_err("refused");
        let lines: Vec<_> = refused.checks.iter().map(Check::to_string).collect();
        assert_eq!(
            lines,
            [
                "passed   db2: role: standby (limit: standby)",
                "refused  db2: replay: paused (limit: running)",
                "noted    clock: 1 s (limit: 5 s)",
            ]
        );
        assert_eq!(refused.accept.as_deref(), Some("replay-paused"));
    }

    #[test]
    fn accepted_check_refuses_nothing_and_is_told() {
        let words = ["replay-paused".to_owned()];
        let mut list = Checklist::new(Consent { words: &words });
        list.check(Some("db2"), false, refusal());
        let mut plan = Plan::new(None);
        list.close(&mut plan).expect("accepted");
        assert_eq!(plan.accepted, words);
        assert_eq!(plan.checks[0].verdict, CheckVerdict::Accepted);
    }
}
