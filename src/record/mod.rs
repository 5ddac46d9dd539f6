//! The run record: every event of a run, kept as hash-chained JSON lines under the state directory.
