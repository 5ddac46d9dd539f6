//! Clusters on practice hosts.

use super::Test;

pub const TESTS: &[Test] = &[];
