//! Every mistake and every refusal: one clear message that says where, and the right exit code, from the real program.

mod hosts;
mod interrupt;
mod project;
mod ways;
