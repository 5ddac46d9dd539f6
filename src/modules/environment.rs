//! The task's `environment:` as assignments a script evaluates before anything else.

use crate::modules::{ArgError, TaskContext};
use crate::shell::{Script, quote};

/// Returns `export NAME='value'` lines. A name that a shell cannot hold is refused.
pub(super) fn exports(cx: &TaskContext<'_>) -> Result<String, ArgError> {
    let mut lines = String::new();
    for (name, value) in cx.environment {
        let mut letters = name.bytes();
        let first = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !first || !letters.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(ArgError::new(format!("environment name '{name}' cannot be exported"))
                .hint("use letters, digits and underscores"));
        }
        lines.push_str("export ");
        lines.push_str(name);
        lines.push('=');
        lines.push_str(&quote(value));
        lines.push('\n');
    }
    Ok(lines)
}

/// Gives a script the exports; its code starts with [`super::host_paths::HOST_PATHS`] or evaluates `$environment`.
pub(super) fn with(script: Script, exports: &str) -> Script {
    script.var("environment", exports)
}
