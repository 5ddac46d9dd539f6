//! Filters for numbers and chance.

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, State, Value};

use super::super::library::{Shelf, as_text};
use super::super::lookups::root;
use super::super::twister::Twister;
use super::super::values::{defined, type_name};
use super::{failed, items};

pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("log", |value: &Value, base: Option<&Value>| -> Result<f64, Error> {
        let value = number(value, "log")?;
        if value <= 0.0 {
            return Err(failed("log", "math domain error"));
        }
        let base = base.map(|base| number(base, "log")).transpose()?;
        Ok(match base {
            Some(10.0) => value.log10(),
            Some(2.0) => value.log2(),
            Some(base) => value.ln() / base.ln(),
            None => value.ln(),
        })
    });
    shelf.filter("pow", |value: &Value, power: &Value| -> Result<f64, Error> {
        Ok(number(value, "pow")?.powf(number(power, "pow")?))
    });
    shelf.filter("root", |value: &Value, base: Option<&Value>| -> Result<f64, Error> {
        let value = number(value, "root")?;
        let base = base.map(|base| number(base, "root")).transpose()?.unwrap_or(2.0);
        Ok(if base == 2.0 {
            value.sqrt()
        } else if base == 3.0 {
            value.cbrt()
        } else {
            value.powf(1.0 / base)
        })
    });
    shelf.filter("int", int);
    shelf.filter(
        "float",
        |value: &Value, other: Option<f64>, kwargs: Kwargs| -> Result<f64, Error> {
            let other = other.or(kwargs.get("default")?).unwrap_or(0.0);
            Ok(match defined(value)?.kind() {
                ValueKind::Number => f64::try_from(value.clone())?,
                ValueKind::Bool => f64::from(u8::from(value.is_true())),
                _ => value.as_str().and_then(|text| text.trim().parse().ok()).unwrap_or(other),
            })
        },
    );
    shelf.filter("human_readable", human_readable);
    shelf.filter("human_to_bytes", human_to_bytes);
    shelf.filter("random", random);
    shelf.filter("shuffle", shuffle);
}

fn number(value: &Value, filter: &str) -> Result<f64, Error> {
    let kind = defined(value)?.kind();
    if kind == ValueKind::Number {
        return f64::try_from(value.clone());
    }
    Err(failed(filter, format_args!("must be real number, not {}", type_name(value))))
}

fn int(
    value: &Value,
    other: Option<&Value>,
    base: Option<u32>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let other = other
        .cloned()
        .or(kwargs.get::<Option<Value>>("default")?)
        .unwrap_or_else(|| Value::from(0));
    let base = base.or(kwargs.get("base")?).unwrap_or(10);
    let whole = |number: f64| -> Option<Value> {
        #[expect(clippy::cast_possible_truncation, reason = "larger numbers saturate")]
        number.is_finite().then(|| Value::from(number.trunc() as i128))
    };
    Ok(match defined(value)?.kind() {
        ValueKind::Number if value.is_integer() => value.clone(),
        ValueKind::Number => whole(f64::try_from(value.clone())?).unwrap_or(other),
        ValueKind::Bool => Value::from(u8::from(value.is_true())),
        ValueKind::String => {
            let text =
                value.as_str().unwrap_or_default().trim().replace('_', "").to_ascii_lowercase();
            let prefix = match base {
                16 => "0x",
                8 => "0o",
                2 => "0b",
                _ => "",
            };
            let (sign, digits) =
                text.strip_prefix('-').map_or((1, text.as_str()), |digits| (-1, digits));
            let digits = digits.strip_prefix(prefix).unwrap_or(digits);
            let read =
                (2..=36).contains(&base).then(|| i128::from_str_radix(digits, base).ok()).flatten();
            let float = || whole(text.parse().ok()?);
            read.map(|number| Value::from(sign * number)).or_else(float).unwrap_or(other)
        }
        _ => other,
    })
}

/// Letters of units with their sizes, largest first.
const UNITS: [(&str, f64); 9] = [
    ("Y", 1_208_925_819_614_629_174_706_176.0),
    ("Z", 1_180_591_620_717_411_303_424.0),
    ("E", 1_152_921_504_606_846_976.0),
    ("P", 1_125_899_906_842_624.0),
    ("T", 1_099_511_627_776.0),
    ("G", 1_073_741_824.0),
    ("M", 1_048_576.0),
    ("K", 1_024.0),
    ("B", 1.0),
];

fn human_readable(
    value: &Value,
    bits: Option<bool>,
    unit: Option<&str>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let bits = bits.or(kwargs.get("isbits")?).unwrap_or(false);
    let unit = unit.or(kwargs.get("unit")?).map(str::to_uppercase);
    let size: f64 = as_text(value)?.parse().map_err(|_| {
        failed("human_readable", "human_readable() can't interpret the value as a number")
    })?;
    let fits = |(letter, limit): &&(&str, f64)| match &unit {
        Some(unit) => unit == letter,
        None => size >= *limit,
    };
    let (letter, limit) = UNITS.iter().find(fits).copied().unwrap_or(("B", 1.0));
    let suffix = match (letter, bits) {
        ("B", true) => "bits".to_owned(),
        ("B", false) => "Bytes".to_owned(),
        (letter, true) => format!("{letter}b"),
        (letter, false) => format!("{letter}B"),
    };
    Ok(format!("{:.2} {suffix}", size / limit))
}

fn human_to_bytes(
    value: &Value,
    default: Option<&str>,
    bits: Option<bool>,
    kwargs: Kwargs,
) -> Result<i64, Error> {
    let text = as_text(value)?;
    let default = default.or(kwargs.get("default_unit")?);
    let bits = bits.or(kwargs.get("isbits")?).unwrap_or(false);
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let wrong = |what: &str| {
        failed("human_to_bytes", format_args!("human_to_bytes() can't interpret the value: {what}"))
    };
    let number: f64 = text[..end].parse().map_err(|_| wrong("it does not start with a number"))?;
    let unit = text[end..].trim();
    let unit = if unit.is_empty() { default.unwrap_or("B") } else { unit };
    let letter = unit.get(..1).unwrap_or_default().to_uppercase();
    let (_, limit) = UNITS
        .iter()
        .find(|(known, _)| *known == letter)
        .ok_or_else(|| wrong("the unit must start with one of Y, Z, E, P, T, G, M, K, B"))?;
    let rest = unit.get(1..).unwrap_or_default();
    let right = if bits {
        ["", "b", "bit", "bits", "its", "it"]
    } else {
        ["", "B", "byte", "bytes", "ytes", "yte"]
    };
    if !right
        .iter()
        .any(|right| rest == *right || (right.len() > 1 && rest.eq_ignore_ascii_case(right)))
    {
        return Err(wrong(if bits { "the unit must end in b" } else { "the unit must end in B" }));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "sizes beyond i64 saturate, which is still nonsense for a disk"
    )]
    Ok((number * limit).round() as i64)
}

/// Chance: Python's own generator when there is a seed (so `random(seed=inventory_hostname)` gives what Ansible gave),
/// else the system's.
enum Chance<'s, 't, 'e> {
    Seeded(Box<Twister>),
    System(&'s State<'t, 'e>),
}

impl<'s, 't, 'e> Chance<'s, 't, 'e> {
    fn new(state: &'s State<'t, 'e>, seed: Option<Value>) -> Result<Self, Error> {
        Ok(match seed {
            None => Self::System(state),
            Some(seed) => Self::Seeded(Box::new(match seed.as_i64() {
                Some(number) if seed.is_integer() => Twister::of_number(number.unsigned_abs()),
                _ => Twister::of_text(&as_text(&seed)?),
            })),
        })
    }

    /// Returns a number below `limit`, which is not 0.
    fn below(&mut self, limit: u64) -> Result<u64, Error> {
        match self {
            Self::Seeded(twister) => Ok(twister.below(limit)),
            Self::System(state) => {
                let mut bytes = [0; 16];
                root(state)?.templar.outside().random(&mut bytes);
                #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a u64")]
                Ok((u128::from_le_bytes(bytes) % u128::from(limit)) as u64)
            }
        }
    }
}

fn random(
    state: &mut State<'_, '_>,
    value: &Value,
    rest: &[Value],
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let (start, step, seed): (Option<i64>, Option<i64>, Option<Value>) = from_args(rest)?;
    let start = start.or(kwargs.get("start")?);
    let step = step.or(kwargs.get("step")?);
    let seed = seed.or(kwargs.get::<Option<Value>>("seed")?);
    kwargs.assert_all_used()?;
    let mut chance = Chance::new(state, seed)?;
    if let Some(end) = defined(value)?.as_i64().filter(|_| value.kind() == ValueKind::Number) {
        let (start, step) = (start.unwrap_or(0), step.unwrap_or(1));
        let span = end.checked_sub(start).filter(|span| *span > 0 && step > 0);
        let steps = span.and_then(|span| u64::try_from((span + step - 1) / step).ok());
        let Some(steps) = steps else {
            return Err(failed("random", "empty range for randrange()"));
        };
        let chosen = i64::try_from(chance.below(steps)?).unwrap_or_default();
        return Ok(Value::from(start + step * chosen));
    }
    if start.is_some() || step.is_some() {
        return Err(failed("random", "start and step can only be used with integer values"));
    }
    let list = items(value)?;
    if list.is_empty() {
        return Err(failed("random", "Cannot choose from an empty sequence"));
    }
    let at = chance.below(list.len() as u64)?;
    Ok(list.get(usize::try_from(at).unwrap_or(0)).cloned().unwrap_or_default())
}

fn shuffle(
    state: &mut State<'_, '_>,
    value: &Value,
    seed: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let seed = seed.or(kwargs.get::<Option<Value>>("seed")?);
    let mut list = items(value)?;
    let mut chance = Chance::new(state, seed)?;
    for at in (1..list.len()).rev() {
        let other = chance.below(at as u64 + 1)?;
        list.swap(at, usize::try_from(other).unwrap_or(at));
    }
    Ok(Value::from(list))
}
