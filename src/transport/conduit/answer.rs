//! The form of what the far shell says: pure readers over bytes.

use crate::shell::{Fields, Reply};

/// The most bytes one stream of one script may have. Beyond it, output belongs in a file.
pub(super) const OUTPUT_LIMIT: usize = 64 * 1024 * 1024;

/// Bytes of noise (banners, chatty start-up files) accepted before the start marker.
const NOISE_LIMIT: usize = 256 * 1024;

/// Why bytes are not an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not in the agreed form; the first bytes that are wrong.
    Form(Vec<u8>),
    /// A stream is longer than [`OUTPUT_LIMIT`]; the answer itself is whole: stream name, its length, bytes used.
    TooLong { stream: &'static str, length: u64 },
}

impl Malformed {
    fn at(bytes: &[u8]) -> Self {
        Self::Form(bytes.iter().take(200).copied().collect())
    }
}

/// Reads `NONCE start PID` out of the bytes so far, skipping noise before it. Returns the process id of the far shell
/// and how many bytes were used; `None` when more is needed.
pub(super) fn start(bytes: &[u8], nonce: &str) -> Result<Option<(u32, usize)>, Malformed> {
    let marker = format!("{nonce} start ");
    let Some(at) = find(bytes, marker.as_bytes()) else {
        return if bytes.len() > NOISE_LIMIT { Err(Malformed::at(bytes)) } else { Ok(None) };
    };
    let rest = bytes.get(at + marker.len()..).unwrap_or_default();
    let Some((line, used)) = line(rest) else { return Ok(None) };
    let pid = number(line).ok_or_else(|| Malformed::at(line))?;
    let pid = u32::try_from(pid).map_err(|_| Malformed::at(line))?;
    Ok(Some((pid, at + marker.len() + used)))
}

/// Reads one whole answer: `NONCE ID INDEX STATUS`, then three streams, then `.`. Returns the reply and how many bytes
/// were used; `None` when more is needed.
pub(super) fn answer(
    bytes: &[u8],
    nonce: &str,
    id: u64,
    index: usize,
) -> Result<Option<(Reply, usize)>, Malformed> {
    let expected = format!("{nonce} {id} {index} ");
    let Some((head, mut at)) = line(bytes) else {
        let known = bytes.len().min(expected.len());
        return if bytes.get(..known) == expected.as_bytes().get(..known) && bytes.len() < 200 {
            Ok(None)
        } else {
            Err(Malformed::at(bytes))
        };
    };
    let status = head
        .strip_prefix(expected.as_bytes())
        .and_then(number)
        .and_then(|status| i32::try_from(status).ok())
        .ok_or_else(|| Malformed::at(bytes))?;
    let mut too_long = None;
    let mut streams: [&[u8]; 3] = [&[]; 3];
    for (stream, name) in streams.iter_mut().zip(["stdout", "stderr", "the reply"]) {
        match block(bytes.get(at..).unwrap_or_default())? {
            None => return Ok(None),
            Some(Block::Held { length, used }) => {
                too_long = Some(Malformed::TooLong { stream: name, length });
                at += used;
            }
            Some(Block::Whole { content, used }) => {
                *stream = content;
                at += used;
            }
        }
    }
    match bytes.get(at..at + 2) {
        None => return Ok(None),
        Some(b".\n") => at += 2,
        Some(_) => return Err(Malformed::at(bytes.get(at..).unwrap_or_default())),
    }
    if let Some(error) = too_long {
        return Err(error);
    }
    let [stdout, stderr, fields] = streams;
    let fields = Fields::parse(fields).map_err(|_| Malformed::at(fields))?;
    let reply = Reply {
        status,
        stdout: stdout.to_vec(),
        stderr: stderr.to_vec(),
        fields,
        ..Reply::default()
    };
    Ok(Some((reply, at)))
}

/// What stands at the end of a long script's stdout.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Exit status.
    pub(super) status: i32,
    /// The fields.
    pub(super) fields: Fields,
}

/// Looks for `NONCE end STATUS` in the stdout of a long script. Returns how many bytes before it are surely the
/// script's own, and the ending once it is whole.
pub(super) fn ending(bytes: &[u8], nonce: &str) -> Result<(usize, Option<Ending>), Malformed> {
    let marker = format!("{nonce} end ");
    let Some(at) = find(bytes, marker.as_bytes()) else {
        // A marker may have begun in the last bytes.
        let from = bytes.len().saturating_sub(marker.len());
        let tail = bytes.get(from..).unwrap_or_default();
        let held = (0..tail.len())
            .find(|cut| marker.as_bytes().starts_with(tail.get(*cut..).unwrap_or_default()))
            .map_or(0, |cut| tail.len() - cut);
        return Ok((bytes.len() - held, None));
    };
    let rest = bytes.get(at + marker.len()..).unwrap_or_default();
    let Some((head, used)) = line(rest) else { return Ok((at, None)) };
    let status = number(head)
        .and_then(|status| i32::try_from(status).ok())
        .ok_or_else(|| Malformed::at(head))?;
    let rest = rest.get(used..).unwrap_or_default();
    let fields = match block(rest)? {
        None => return Ok((at, None)),
        Some(Block::Held { length, .. }) => {
            return Err(Malformed::TooLong { stream: "the reply", length });
        }
        Some(Block::Whole { content, used }) => match rest.get(used..used + 2) {
            None => return Ok((at, None)),
            Some(b".\n") => Fields::parse(content).map_err(|_| Malformed::at(content))?,
            Some(_) => return Err(Malformed::at(rest)),
        },
    };
    Ok((at, Some(Ending { status, fields })))
}

enum Block<'a> {
    /// `LENGTH\n` and as many bytes.
    Whole { content: &'a [u8], used: usize },
    /// `-LENGTH\n`: too long to be sent.
    Held { length: u64, used: usize },
}

fn block(bytes: &[u8]) -> Result<Option<Block<'_>>, Malformed> {
    let Some((head, used)) = line(bytes) else {
        return if bytes.len() > 24 { Err(Malformed::at(bytes)) } else { Ok(None) };
    };
    if let Some(held) = head.strip_prefix(b"-") {
        let length = number(held).ok_or_else(|| Malformed::at(bytes))?;
        return Ok(Some(Block::Held { length, used }));
    }
    let length = number(head)
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| *length <= OUTPUT_LIMIT)
        .ok_or_else(|| Malformed::at(bytes))?;
    let end = used + length;
    Ok(bytes.get(used..end).map(|content| Block::Whole { content, used: end }))
}

fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.iter().take(4096).position(|b| *b == b'\n')?;
    Some((bytes.get(..end)?, end + 1))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Finds `needle`; it begins with a byte that is rare in the text, or the text is short.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"abc 7 1 3\n2\nhi0\n4\na 0\n.\n";

    #[test]
    fn every_part_of_an_answer_asks_for_more_and_the_whole_is_read() {
        let bytes = b"abc 7 1 3\n2\nhi0\n5\na 0\n\n.\nnext";
        for end in 0..bytes.len() - 4 {
            assert_eq!(answer(&bytes[..end], "abc", 7, 1), Ok(None), "{end}");
        }
        let (reply, used) = answer(bytes, "abc", 7, 1).expect("form").expect("whole");
        assert_eq!((reply.status, reply.stdout.as_slice(), used), (3, b"hi".as_slice(), 25));
        assert_eq!(reply.fields.text("a"), Some(String::new()));
    }

    #[test]
    fn fields_of_wrong_length_are_malformed() {
        assert!(matches!(answer(ANSWER, "abc", 7, 1), Err(Malformed::Form(_))));
    }

    #[test]
    fn answer_to_another_request_is_malformed() {
        assert!(matches!(answer(b"abc 8 1 3\n", "abc", 7, 1), Err(Malformed::Form(_))));
        assert!(matches!(answer(b"Segfault", "abc", 7, 1), Err(Malformed::Form(_))));
    }

    #[test]
    fn stream_over_the_limit_is_named_with_its_length() {
        let bytes = b"abc 7 1 0\n-99999999\n0\n0\n.\n";
        assert_eq!(
            answer(bytes, "abc", 7, 1).map(|a| a.is_some()),
            Err(Malformed::TooLong { stream: "stdout", length: 99_999_999 })
        );
    }

    #[test]
    fn start_marker_is_found_behind_a_banner() {
        assert_eq!(start(b"Welcome!\n\nabc start 42\nrest", "abc"), Ok(Some((42, 23))));
        assert_eq!(start(b"Welcome!\n", "abc"), Ok(None));
    }

    #[test]
    fn ending_keeps_back_only_what_may_be_its_marker() {
        assert_eq!(ending(b"data\nabc e", "abc"), Ok((5, None)));
        assert_eq!(ending(b"data\nabx", "abc"), Ok((8, None)));
        assert_eq!(ending(b"a whole line\n", "abc"), Ok((13, None)));
        let whole = ending(b"dataabc end 5\n0\n.\n", "abc").expect("form");
        assert_eq!(whole, (4, Some(Ending { status: 5, fields: Fields::default() })));
    }
}
