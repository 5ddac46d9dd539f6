//! Practice hosts as matron meets them.

use super::Test;

pub const TESTS: &[Test] = &[];
