//! Steps behind a value that must let undefined pass, or tell their names.

use super::literal;
use super::reader::Reader;

/// One step behind a value.
pub(super) enum Step {
    Attribute { dot: usize, name: (usize, usize) },
    Index { open: usize, close: usize },
    Slice { open: usize },
    Method { dot: usize, name: (usize, usize), open: usize, empty: bool },
    Call,
    Filter { name: (usize, usize), open: Option<(usize, bool)> },
}

impl Reader<'_> {
    /// Lets undefined pass through the steps before a guard; with a trail, makes all steps tell their names.
    pub(super) fn soften(
        &mut self,
        start: usize,
        name: Option<(usize, usize)>,
        steps: &[Step],
        guarded: usize,
    ) {
        let trail = self.dialect.trail;
        let called = matches!(steps.first(), Some(Step::Call));
        let soft = if trail { steps.len() } else { guarded };
        let soft_needed = steps.iter().take(soft).any(|step| !matches!(step, Step::Call));
        if let Some((from, to)) = name
            && trail
            && !called
        {
            let named =
                format!("({}|__name({}))", &self.source[from..to], literal(&self.source[from..to]));
            self.replace(from, to, named);
        }
        if !soft_needed {
            return;
        }
        // What stands before a filter is one operand already, unless steps that stay (slices, calls) come between.
        for (at, step) in steps.iter().enumerate().take(soft) {
            let filter_before =
                steps.iter().take(at).any(|step| !matches!(step, Step::Call | Step::Slice { .. }));
            match step {
                Step::Attribute { dot, name } => {
                    let word = literal(&self.source[name.0..name.1]);
                    self.replace(*dot, name.1, format!("|__at({word})"));
                }
                Step::Index { open, close } => {
                    self.replace(*open, open + 1, "|__at((");
                    self.replace(*close, close + 1, "))");
                }
                Step::Method { dot, name, open, empty } => {
                    let word = literal(&self.source[name.0..name.1]);
                    let comma = if *empty { "" } else { "," };
                    self.replace(*dot, *open, format!("|__call({word}{comma}"));
                }
                Step::Slice { open } => {
                    if filter_before {
                        self.insert(start, "(");
                        self.insert(*open, ")");
                    }
                }
                Step::Call => {
                    // A call behind a filter cannot be written in minijinja; the source had none either.
                }
                Step::Filter { name, open } => {
                    if trail && at >= guarded {
                        continue;
                    }
                    let word = literal(&self.source[name.0..name.1]);
                    match open {
                        Some((open, empty)) => {
                            let comma = if *empty { "" } else { "," };
                            self.replace(name.0, *open, format!("__opt({word}{comma}"));
                        }
                        None => self.replace(name.0, name.1, format!("__opt({word})")),
                    }
                }
            }
        }
    }
}
