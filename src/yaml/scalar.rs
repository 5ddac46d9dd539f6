//! The YAML 1.1 reading of plain scalars, by the patterns PyYAML uses (they are narrower than the YAML 1.1 pages).
//!
//! So `y` and `1e3` are strings, `0644` is 420, `1:30` is 90. Dates stay strings: nothing here computes with them.

use super::ScalarValue;

/// Reads the text of a plain (unquoted) scalar.
///
/// An integer that does not fit 64 bits is left a string: its digits are kept rather than rounded.
pub fn scalar_from_text(text: &str) -> ScalarValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => ScalarValue::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            ScalarValue::Bool(true)
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            ScalarValue::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => ScalarValue::Float(f64::NAN),
        _ => number(text).unwrap_or(ScalarValue::Str),
    }
}

/// Reads `text` as an integer by the YAML 1.1 forms, as `!!int` does.
pub(crate) fn int_from_text(text: &str) -> Option<i64> {
    match number(text)? {
        ScalarValue::Int(value) => Some(value),
        ScalarValue::Null | ScalarValue::Bool(_) | ScalarValue::Float(_) | ScalarValue::Str => None,
    }
}

/// Reads `text` as a float, integers included, as `!!float` does.
pub(crate) fn float_from_text(text: &str) -> Option<f64> {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    match number(text) {
        Some(ScalarValue::Float(value)) => Some(value),
        Some(ScalarValue::Int(_)) | None => text.replace('_', "").parse().ok(),
        Some(ScalarValue::Null | ScalarValue::Bool(_) | ScalarValue::Str) => None,
    }
}

fn number(text: &str) -> Option<ScalarValue> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    let (negative, body) = match first {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return Some(ScalarValue::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    let signed = first == b'-' || first == b'+';
    if let Some(value) = integer(body) {
        let value = if negative { value.checked_neg()? } else { value };
        return i64::try_from(value).ok().map(ScalarValue::Int);
    }
    let value = float(body, signed)?;
    Some(ScalarValue::Float(if negative { -value } else { value }))
}

/// The digits of an integer without its sign; wide, so that the smallest 64-bit number is in reach.
fn integer(body: &str) -> Option<i128> {
    let based = |digits: &str, radix: u32| {
        if digits.is_empty() || !digits.chars().all(|c| c == '_' || c.is_digit(radix)) {
            return None;
        }
        i128::from_str_radix(&digits.replace('_', ""), radix).ok()
    };
    if body == "0" {
        return Some(0);
    }
    if let Some(digits) = body.strip_prefix("0b") {
        return based(digits, 2);
    }
    if let Some(digits) = body.strip_prefix("0x") {
        return based(digits, 16);
    }
    if let Some(digits) = body.strip_prefix('0') {
        if !digits.is_empty() && digits.chars().all(|c| c == '_') {
            return Some(0);
        }
        return based(digits, 8);
    }
    if body.contains(':') {
        return sexagesimal(body);
    }
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    based(body, 10)
}

/// `190:20:30`: base 60, most significant first.
fn sexagesimal(body: &str) -> Option<i128> {
    let mut parts = body.split(':');
    let head = parts.next()?;
    if !head.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if !head.chars().all(|c| c == '_' || c.is_ascii_digit()) {
        return None;
    }
    let mut value: i128 = head.replace('_', "").parse().ok()?;
    for part in parts {
        value = value.checked_mul(60)?.checked_add(sixtieth(part)?)?;
    }
    Some(value)
}

/// `[0-5]?[0-9]`
fn sixtieth(part: &str) -> Option<i128> {
    let digits = part.bytes().all(|b| b.is_ascii_digit());
    let fits = match part.len() {
        1 => true,
        2 => part.as_bytes()[0] < b'6',
        _ => false,
    };
    if digits && fits { part.parse().ok() } else { None }
}

fn float(body: &str, signed: bool) -> Option<f64> {
    let (whole, rest) = body.split_once('.')?;
    let digits = |text: &str| text.chars().all(|c| c == '_' || c.is_ascii_digit());
    if whole.contains(':') {
        if !digits(rest) {
            return None;
        }
        let whole = sexagesimal(whole)?;
        let fraction: f64 = format!("0.{}", rest.replace('_', "")).parse().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "a float is what was written")]
        return Some(whole as f64 + fraction);
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let leading = if whole.is_empty() { fraction } else { whole };
    // `.5` has no signed form in PyYAML, and an exponent must carry a sign.
    if !leading.starts_with(|c: char| c.is_ascii_digit()) || (whole.is_empty() && signed) {
        return None;
    }
    let exponent = match exponent {
        None => String::new(),
        Some(exponent) => {
            let power = exponent.strip_prefix(['+', '-'])?;
            if power.is_empty() || !power.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            format!("e{exponent}")
        }
    };
    let fraction = fraction.replace('_', "");
    let whole = whole.replace('_', "");
    format!("0{whole}.{fraction}0{exponent}").parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_scalars_read_as_pyyaml_6_reads_them() {
        use ScalarValue::{Bool, Float, Int, Null, Str};
        let cases = [
            ("-.5", Str),
            ("+.5", Str),
            (".5", Float(0.5)),
            ("1e3", Str),
            ("1.e+3", Float(1000.0)),
            ("1.0e+3", Float(1000.0)),
            ("1.5e3", Str),
            ("0o14", Str),
            ("08", Str),
            ("0_", Int(0)),
            ("1:30", Int(90)),
            ("01:30", Str),
            ("1:30.5", Float(90.5)),
            ("-1:30", Int(-90)),
            ("y", Str),
            ("n", Str),
            ("oN", Str),
            ("On", Bool(true)),
            ("OFF", Bool(false)),
            ("1_000", Int(1000)),
            ("0b11", Int(3)),
            ("0x_1", Int(1)),
            ("-0x1F", Int(-31)),
            ("0644", Int(420)),
            ("+0644", Int(420)),
            (".", Str),
            ("._", Str),
            (".5_", Float(0.5)),
            ("+.inf", Float(f64::INFINITY)),
            ("-.INF", Float(f64::NEG_INFINITY)),
            ("2001-01-01", Str),
            ("~", Null),
            ("nULL", Str),
            ("", Null),
            ("1__", Int(1)),
            ("0b_", Str),
            ("+", Str),
            ("-", Str),
            ("0.", Float(0.0)),
            ("1.20", Float(1.2)),
            ("1:60", Str),
            ("1:5", Int(65)),
            ("190:20:30", Int(685_230)),
            ("-0", Int(0)),
            ("00", Int(0)),
            ("0x", Str),
            ("_1", Str),
            ("1_.5", Float(1.5)),
            ("-9223372036854775808", Int(i64::MIN)),
            ("123456789012345678901234567890", Str),
        ];
        for (text, value) in cases {
            assert_eq!(scalar_from_text(text), value, "{text}");
        }
        assert!(matches!(scalar_from_text(".NaN"), Float(f) if f.is_nan()));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[-+0-9a-fox_:.eE]{0,12}|.{0,8}") {
            scalar_from_text(&text);
            float_from_text(&text);
            int_from_text(&text);
        }
    }
}
