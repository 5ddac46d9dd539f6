//! One host's walk through a play: blocks, rescue, always, handlers. Knows no host but its own and does nothing itself:
//! it says what comes next, and is told how that ended.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::engine::compile::{BlockPlan, Order, Part, TaskPlan};
use crate::names::HostName;

/// What a host does next.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    /// The task.
    pub(crate) plan: Arc<TaskPlan>,
    /// Its place; for a handler, behind the flush it runs in.
    pub(crate) order: Order,
}

/// How a host stands in a play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It goes on.
    Running,
    /// It has done all, or was ended by `meta`.
    Ended,
    /// It failed and was not rescued.
    Failed,
    /// It could not be reached.
    Unreachable,
}

/// What a failure led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fall {
    /// A `rescue` takes it.
    Rescued,
    /// The host has failed (after what `always` has to do).
    Failed,
}

/// The walk of one host.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The host.
    pub(crate) host: HostName,
    frames: Vec<Frame>,
    standing: Standing,
    roles_done: HashSet<String>,
    notified: BTreeSet<usize>,
    failing: bool,
}

#[derive(Debug)]
enum Frame {
    Block { plan: Arc<BlockPlan>, stage: Stage, at: usize, trouble: bool },
    Handlers { order: Order, next: usize },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Main,
    Rescue,
    Always,
}

impl Walk {
    /// Starts at the beginning of a play.
    pub(crate) fn new(host: HostName, root: Arc<BlockPlan>) -> Self {
        Self {
            host,
            frames: vec![Frame::block(root)],
            standing: Standing::Running,
            roles_done: HashSet::new(),
            notified: BTreeSet::new(),
            failing: false,
        }
    }

    /// Returns how the host stands.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Tells whether the host has failed and only does what `always` asks.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing || self.standing == Standing::Failed
    }

    /// Returns what comes next without doing it; `None` when the host is through.
    pub(crate) fn peek(&mut self, handlers: &[Arc<TaskPlan>]) -> Option<Next> {
        loop {
            if self.standing != Standing::Running {
                return None;
            }
            match self.frames.last_mut() {
                None => {
                    self.standing = if self.failing { Standing::Failed } else { Standing::Ended };
                    return None;
                }
                Some(Frame::Handlers { order, next }) => {
                    let from = *next;
                    let Some(at) = self.notified.range(from..).next().copied() else {
                        self.frames.pop();
                        continue;
                    };
                    let Some(plan) = handlers.get(at) else {
                        self.notified.remove(&at);
                        continue;
                    };
                    let mut order = order.clone();
                    order.push(u32::try_from(at).unwrap_or(u32::MAX));
                    return Some(Next { plan: plan.clone(), order });
                }
                Some(Frame::Block { plan, stage, at, trouble }) => {
                    let list = stage.list(plan);
                    let Some(part) = list.get(*at).cloned() else {
                        match (*stage, *trouble) {
                            (Stage::Main | Stage::Rescue, _) => {
                                *stage = Stage::Always;
                                *at = 0;
                            }
                            (Stage::Always, false) => {
                                self.frames.pop();
                            }
                            (Stage::Always, true) => {
                                self.frames.pop();
                                self.fall();
                            }
                        }
                        continue;
                    };
                    match part {
                        Part::Task(plan) => {
                            let order = plan.order.clone();
                            return Some(Next { plan, order });
                        }
                        Part::Block(inner) => {
                            *at += 1;
                            let done = inner.role.as_ref().is_some_and(|role| {
                                !role.allow_duplicates && self.roles_done.contains(&role.key)
                            });
                            if !done {
                                self.frames.push(Frame::block(inner));
                            }
                        }
                        Part::RoleEnd(role) => {
                            *at += 1;
                            self.roles_done.insert(role.key.clone());
                        }
                    }
                }
            }
        }
    }

    /// Passes over what [`Walk::peek`] showed; it is being done.
    pub(crate) fn step(&mut self) {
        match self.frames.last_mut() {
            Some(Frame::Block { at, .. }) => *at += 1,
            Some(Frame::Handlers { next, .. }) => {
                if let Some(at) = self.notified.range(*next..).next().copied() {
                    self.notified.remove(&at);
                    *next = at + 1;
                }
            }
            None => {}
        }
    }

    /// Enters an included file or role.
    pub(crate) fn enter(&mut self, block: Arc<BlockPlan>) {
        self.frames.push(Frame::block(block));
    }

    /// Notes that a handler is to run at the next flush.
    pub(crate) fn notify(&mut self, handler: usize) {
        self.notified.insert(handler);
    }

    /// Starts to run the handlers notified so far; one notified behind the point reached waits for the next flush.
    pub(crate) fn flush(&mut self, order: Order) {
        if !self.notified.is_empty() {
            self.frames.push(Frame::Handlers { order, next: 0 });
        }
    }

    /// Tells whether a failure now would be taken by a `rescue`.
    pub(crate) fn would_rescue(&self) -> bool {
        self.frames.iter().any(|frame| match frame {
            Frame::Block { plan, stage, .. } => *stage == Stage::Main && !plan.rescue.is_empty(),
            Frame::Handlers { .. } => false,
        })
    }

    /// Tells whether the host is in a `rescue` or `always` already.
    pub(crate) fn is_recovering(&self) -> bool {
        self.frames.iter().any(|frame| match frame {
            Frame::Block { stage, .. } => *stage != Stage::Main,
            Frame::Handlers { .. } => false,
        })
    }

    /// The task under way failed.
    pub(crate) fn fail(&mut self) -> Fall {
        let fall = if self.would_rescue() { Fall::Rescued } else { Fall::Failed };
        if fall == Fall::Failed {
            self.failing = true;
        }
        self.fall();
        fall
    }

    /// Unwinds to the nearest `rescue` or `always`.
    fn fall(&mut self) {
        while let Some(frame) = self.frames.last_mut() {
            if let Frame::Block { plan, stage, at, trouble } = frame {
                if *stage == Stage::Main && !plan.rescue.is_empty() {
                    *stage = Stage::Rescue;
                    *at = 0;
                    return;
                }
                if *stage != Stage::Always && !plan.always.is_empty() {
                    *stage = Stage::Always;
                    *at = 0;
                    *trouble = true;
                    return;
                }
            }
            self.frames.pop();
        }
        self.standing = Standing::Failed;
    }

    /// The host cannot be reached: nothing more happens to it.
    pub(crate) fn lose(&mut self) {
        self.frames.clear();
        self.standing = Standing::Unreachable;
    }

    /// `meta: end_host`, `end_play`, `end_batch`.
    pub(crate) fn end(&mut self) {
        self.frames.clear();
        self.standing = if self.failing { Standing::Failed } else { Standing::Ended };
    }

    /// Stops a host because others failed (`any_errors_fatal`): it goes on only where a rescue or always waits.
    pub(crate) fn break_off(&mut self) {
        self.fail();
    }

    /// `meta: clear_host_errors`.
    pub(crate) fn forgive(&mut self) {
        self.failing = false;
        if matches!(self.standing, Standing::Failed | Standing::Unreachable) {
            self.standing = Standing::Ended;
        }
    }

    /// `meta: end_role`: leaves the innermost role.
    pub(crate) fn end_role(&mut self) {
        while let Some(frame) = self.frames.pop() {
            if let Frame::Block { plan, .. } = frame
                && let Some(role) = &plan.role
            {
                self.roles_done.insert(role.key.clone());
                return;
            }
        }
    }
}

impl Frame {
    fn block(plan: Arc<BlockPlan>) -> Self {
        Self::Block { plan, stage: Stage::Main, at: 0, trouble: false }
    }
}

impl Stage {
    fn list(self, plan: &BlockPlan) -> &[Part] {
        match self {
            Self::Main => &plan.main,
            Self::Rescue => &plan.rescue,
            Self::Always => &plan.always,
        }
    }
}
