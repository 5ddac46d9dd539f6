//! A text cut at its delimiters.

use super::super::tokens::{Token, split};
use super::Dialect;

/// A run of text, an expression or a statement.
pub(super) enum Piece {
    Text { text: String },
    Expression { start: usize, end: usize, tokens: Vec<Token> },
    Statement { tokens: Vec<Token> },
}

/// Tells whether every expression has content and an end; the engine says best what is wrong with the others.
pub(super) fn joinable(pieces: &[Piece], source: &str) -> bool {
    pieces.iter().all(|piece| match piece {
        Piece::Expression { tokens, end, .. } => !tokens.is_empty() && *end < source.len(),
        Piece::Text { .. } | Piece::Statement { .. } => true,
    })
}

/// Cuts a text into pieces; comments are dropped, `-` beside delimiters trims the text there.
pub(super) fn pieces(source: &str, dialect: &Dialect) -> Vec<Piece> {
    let [block, variable, comment] = &dialect.delimiters;
    let starts = [&block.0, &variable.0, &comment.0];
    let mut out: Vec<Piece> = Vec::new();
    let mut at = 0;
    let mut trim = false;
    let text = |out: &mut Vec<Piece>, piece: &str, trim: bool, trim_end: bool| {
        let piece = if trim { piece.trim_start() } else { piece };
        let piece = if trim_end { piece.trim_end() } else { piece };
        if let Some(Piece::Text { text }) = out.last_mut() {
            text.push_str(piece);
        } else if !piece.is_empty() {
            out.push(Piece::Text { text: piece.to_owned() });
        }
    };
    while at < source.len() {
        let rest = &source[at..];
        let next = starts
            .iter()
            .enumerate()
            .filter_map(|(which, start)| rest.find(start.as_str()).map(|found| (found, which)))
            // At the same place the longer start wins, as in Jinja2.
            .min_by_key(|(found, which)| (*found, usize::MAX - starts[*which].len()));
        let Some((found, which)) = next else {
            text(&mut out, rest, trim, false);
            break;
        };
        let open = at + found;
        let inside = open + starts[which].len();
        let dash = source[inside..].starts_with('-');
        let from = inside + usize::from(dash || source[inside..].starts_with('+'));
        text(&mut out, &source[at..open], trim, dash);
        if which == 2 {
            let close = source[from..].find(&comment.1).map_or(source.len(), |found| from + found);
            trim = source[from..close].ends_with('-');
            at = (close + comment.1.len()).min(source.len());
            continue;
        }
        let end = if which == 0 { &block.1 } else { &variable.1 };
        let (tokens, close, after) = split(source, from, Some(end));
        trim = source[close..].starts_with('-');
        at = after;
        if which == 1 {
            out.push(Piece::Expression { start: from, end: close, tokens });
            continue;
        }
        let raw = tokens.first().is_some_and(|token| &source[token.start..token.end] == "raw");
        out.push(Piece::Statement { tokens });
        if raw {
            // Nothing in a raw block is ours.
            at = source[at..]
                .match_indices(block.0.as_str())
                .map(|(found, _)| at + found)
                .find(|found| {
                    source[found + block.0.len()..]
                        .trim_start_matches(['-', '+'])
                        .trim_start()
                        .starts_with("endraw")
                })
                .unwrap_or(source.len());
        }
    }
    out
}
