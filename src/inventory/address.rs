//! Host names as sources write them: ranges (`web[01:03]`) and ports (`h:2222`, `[::1]:22`).

/// How many hosts one range may make.
pub(super) const MAX_RANGE: usize = 100_000;

/// Takes a port off a host name: `h:22`, `web[1:3]:22`, `[::1]:22`; an address with colons of its own is left whole.
pub(super) fn split_port(text: &str) -> (&str, Option<u16>) {
    let Some((name, port)) = text.rsplit_once(':') else { return (text, None) };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let Some(port) = digits.then(|| port.parse().ok()).flatten() else { return (text, None) };
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && inner.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return (inner, Some(port));
    }
    if is_host_like(name) { (name, Some(port)) } else { (text, None) }
}

/// Tells whether a text is letters, digits, dots, dashes and ranges: what may stand before a port.
fn is_host_like(name: &str) -> bool {
    let mut inside = false;
    for c in name.chars() {
        match c {
            '[' if !inside => inside = true,
            ']' if inside => inside = false,
            ':' if inside => {}
            c if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') => {}
            _ => return false,
        }
    }
    !inside && !name.is_empty()
}

/// Tells whether a whole text is one address, so that its colons do not part patterns.
pub(super) fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok() || split_port(text).1.is_some()
}

/// Returns the names a text with ranges stands for, in order; without a range, the text itself.
pub(super) fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = text;
    while let Some((head, range, tail)) = first_range(rest) {
        let parts = range_parts(range)?;
        if names.len().saturating_mul(parts.len()) > MAX_RANGE {
            return Err(format!("host range stands for more than {MAX_RANGE} hosts"));
        }
        names = names
            .iter()
            .flat_map(|name| parts.iter().map(move |part| format!("{name}{head}{part}")))
            .collect();
        rest = tail;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

fn first_range(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find('[')?;
    let close = open + text.get(open..)?.find(']')?;
    Some((text.get(..open)?, text.get(open + 1..close)?, text.get(close + 1..)?))
}

fn range_parts(range: &str) -> Result<Vec<String>, String> {
    let bounds: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match bounds.as_slice() {
        [begin, end] => (*begin, *end, "1"),
        [begin, end, step] => (*begin, *end, *step),
        _ => return Err("host range must be begin:end or begin:end:step".to_owned()),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err("host range must specify end value".to_owned());
    }
    let step = match step.parse::<usize>() {
        Ok(step) if step > 0 => step,
        Ok(_) | Err(_) => {
            return Err(format!("host range step must be a number above 0, not '{step}'"));
        }
    };
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err("host range must have begin <= end".to_owned());
        }
        return Ok(letters()
            .skip(first)
            .take(last - first + 1)
            .step_by(step)
            .map(String::from)
            .collect());
    }
    let padded = begin.len() > 1 && begin.starts_with('0');
    if padded && begin.len() != end.len() {
        return Err("host range must specify equal-length begin and end formats".to_owned());
    }
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| format!("host range bound '{text}' is not a number or letter"))
    };
    let (first, last) = (number(begin)?, number(end)?);
    let count = last.checked_sub(first).map_or(0, |gap| gap / step as u64 + 1);
    if count > MAX_RANGE as u64 {
        return Err(format!("host range stands for more than {MAX_RANGE} hosts"));
    }
    let width = if padded { begin.len() } else { 0 };
    Ok((0..count).map(|n| format!("{:0width$}", first + n * step as u64)).collect())
}

fn letters() -> impl Iterator<Item = char> {
    ('a'..='z').chain('A'..='Z')
}

fn letter(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return None };
    letters().position(|known| known == c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_expand_as_ansible_expands_them() {
        let said = |text: &str| expand(text).map_or_else(|e| e, |names| names.join(" "));
        let cases = [
            ("web[01:03].ex.com", "web01.ex.com web02.ex.com web03.ex.com"),
            ("[a:c]-node", "a-node b-node c-node"),
            ("db[1:9:4]", "db1 db5 db9"),
            ("v[0:10:5]", "v0 v5 v10"),
            ("w[08:11]", "w08 w09 w10 w11"),
            ("w[001:003]x", "w001x w002x w003x"),
            ("w[1:2][a:b]", "w1a w1b w2a w2b"),
            ("w[:3]", "w0 w1 w2 w3"),
            ("w[y:B]", "wy wz wA wB"),
            ("w[3:1]", ""),
            ("plain", "plain"),
            ("w[1:]", "host range must specify end value"),
            ("w[1-3]", "host range must be begin:end or begin:end:step"),
            ("w[01:3]", "host range must specify equal-length begin and end formats"),
            ("w[1:9999999999]", "host range stands for more than 100000 hosts"),
            ("w[1:999][1:999]", "host range stands for more than 100000 hosts"),
        ];
        for (text, names) in cases {
            assert_eq!(said(text), names, "{text}");
        }
    }

    #[test]
    fn only_a_number_after_one_colon_is_a_port() {
        assert_eq!(split_port("1.2.3.4:2200"), ("1.2.3.4", Some(2200)));
        assert_eq!(split_port("[::1]:2201"), ("::1", Some(2201)));
        assert_eq!(split_port("web[01:03].ex.com:2222"), ("web[01:03].ex.com", Some(2222)));
        for whole in ["h:abc", "fe80::1", "user@h", "user@h:22", "web[1:3]", "h:99999"] {
            assert_eq!(split_port(whole), (whole, None));
        }
    }
}
