//! Diagnostics drawn as rustc does: file, line, column, the line itself, a caret, hints.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::{Diagnostic, Diagnostics, FileId, Label, Severity, Sources};

/// Draws one diagnostic; several places in one file share a snippet.
pub fn draw(diagnostic: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut by_file: Vec<(FileId, Vec<(usize, &Label)>)> = Vec::new();
    for (at, label) in diagnostic.labels.iter().enumerate() {
        match by_file.iter_mut().find(|(file, _)| *file == label.span.file) {
            Some((_, labels)) => labels.push((at, label)),
            None => by_file.push((label.span.file, vec![(at, label)])),
        }
    }
    let files: Vec<_> = by_file
        .iter()
        .filter_map(|(file, labels)| sources.get(*file).map(|source| (source, labels)))
        .collect();
    if files.is_empty() {
        // Without a snippet a frame for the hints would hang in the air.
        let title = Group::with_title(level.primary_title(&*diagnostic.message));
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = renderer.render(&[title]);
        for hint in &diagnostic.hints {
            text.push_str("\n  help: ");
            text.push_str(hint);
        }
        return text;
    }
    let mut first = Group::with_title(level.primary_title(&*diagnostic.message));
    for (source, labels) in &files {
        let text: &str = &source.text;
        let mut snippet =
            Snippet::source(text).path(source.path.to_string_lossy().into_owned()).fold(true);
        for (at, label) in *labels {
            let kind = if *at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let span = char_span(text, label.span.start as usize, label.span.end as usize);
            let annotation = kind.span(span);
            snippet = snippet.annotation(if label.text.is_empty() {
                annotation
            } else {
                annotation.label(label.text.clone())
            });
        }
        first = first.element(snippet);
    }
    for hint in &diagnostic.hints {
        first = first.element(Level::HELP.message(&**hint));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[first])
}

/// Draws all diagnostics with an empty line between.
pub fn draw_all(diagnostics: &Diagnostics, sources: &Sources, colour: bool) -> String {
    let drawn: Vec<String> = diagnostics.0.iter().map(|one| draw(one, sources, colour)).collect();
    drawn.join("\n\n")
}

/// Keeps a span inside the text, on character borders, and on its first line (a caret under a whole block says nothing).
fn char_span(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(start);
    let mut end = floor(end).max(start);
    if let Some(line_end) = text[start..end].find('\n') {
        end = start + line_end;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    #[test]
    fn drawing_names_file_line_and_column_and_puts_a_caret() {
        let sources = Sources::default();
        let file = sources.add("site.yml", "- hosts: all\n  taks: []\n");
        let diagnostic = Diagnostic::error("'taks' is not a valid attribute for a Play")
            .at(Span::new(file, 15, 19), "")
            .hint("did you mean 'tasks'?");
        let text = draw(&diagnostic, &sources, false);
        assert_eq!(
            text,
            "error: 'taks' is not a valid attribute for a Play\n --> site.yml:2:3\n  |\n2 |   taks: []\n  \
             |   ^^^^\n  |\n  = help: did you mean 'tasks'?"
        );
    }

    #[test]
    fn a_span_past_the_end_is_drawn_at_the_end() {
        let sources = Sources::default();
        let file = sources.add("a.yml", "x");
        let diagnostic = Diagnostic::error("unclosed quote").at(Span::new(file, 40, 44), "");
        assert!(draw(&diagnostic, &sources, false).contains("a.yml:1:2"));
    }
}
