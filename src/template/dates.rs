//! Dates and times: `now()`, `strftime`, `to_datetime`.

use std::fmt;
use std::sync::Arc;

use jiff::civil::DateTime;
use minijinja::value::{Kwargs, Object, ObjectRepr, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::filters::failed;
use super::library::Shelf;
use super::lookups::root;

/// A date and time as Python's `datetime`.
#[derive(Debug, Clone, Copy)]
struct Date {
    at: DateTime,
    /// Seconds east of UTC, when known.
    offset: Option<i32>,
}

/// The time between two dates, as Python's `timedelta`.
#[derive(Debug, Clone, Copy)]
struct Span {
    nanoseconds: i128,
}

/// Adds filters and functions.
pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("strftime", strftime);
    shelf.filter("to_datetime", to_datetime);
    shelf.filter("__sub", subtract);
    shelf.function("now", now);
}

/// Tells whether a value is a date.
pub(super) fn is_date(value: &Value) -> bool {
    value.downcast_object_ref::<Date>().is_some()
}

/// Returns a value that is neither number, list nor mapping as JSON text: dates in ISO form.
pub(super) fn json(value: &Value) -> String {
    value
        .downcast_object_ref::<Date>()
        .map_or_else(|| value.to_string(), |date| date.at.to_string())
}

fn of_epoch(seconds: i64, nanoseconds: u32, offset: i32) -> Result<DateTime, Error> {
    let wrong = |_| Error::new(ErrorKind::InvalidOperation, "the time is out of range");
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or_default();
    let at = jiff::Timestamp::new(seconds, nanoseconds).map_err(wrong)?;
    Ok(jiff::tz::Offset::from_seconds(offset).map_err(wrong)?.to_datetime(at))
}

fn formatted(date: Date, format: &str) -> Result<String, Error> {
    let wrong = |error: jiff::Error| {
        Error::new(ErrorKind::InvalidOperation, format!("cannot format the date: {error}"))
    };
    let Some(offset) = date.offset else {
        // Python prints nothing for zones of dates without one.
        let format = format.replace("%z", "").replace("%Z", "");
        if !format.contains("%s") {
            return jiff::fmt::strtime::format(&format, date.at).map_err(wrong);
        }
        return formatted(Date { offset: Some(0), ..date }, &format);
    };
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(offset).map_err(wrong)?);
    let zoned = date.at.to_zoned(zone).map_err(wrong)?;
    jiff::fmt::strtime::format(format, &zoned).map_err(wrong)
}

fn now(state: &mut State<'_, '_>, kwargs: Kwargs) -> Result<Value, Error> {
    let utc = kwargs.get::<Option<bool>>("utc")?.unwrap_or(false);
    let format = kwargs.get::<Option<&str>>("fmt")?;
    kwargs.assert_all_used()?;
    let (seconds, nanoseconds, offset) = root(state)?.templar.outside().now();
    let offset = if utc { 0 } else { offset };
    let date = Date { at: of_epoch(seconds, nanoseconds, offset)?, offset: Some(offset) };
    match format.filter(|format| !format.is_empty()) {
        Some(format) => formatted(date, format).map(Value::from),
        None => Ok(Value::from_object(date)),
    }
}

fn strftime(
    state: &mut State<'_, '_>,
    format: &str,
    second: Option<&Value>,
    utc: Option<bool>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let second = second
        .cloned()
        .or(kwargs.get::<Option<Value>>("second")?)
        .filter(|second| !second.is_none());
    let utc = utc.or(kwargs.get("utc")?).unwrap_or(false);
    let (mut seconds, mut nanoseconds, offset) = root(state)?.templar.outside().now();
    if let Some(second) = second {
        let number = super::library::as_text(&second)?
            .parse::<f64>()
            .map_err(|_| failed("strftime", "Invalid value for epoch value"))?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the epoch in seconds fits for any date there is"
        )]
        {
            seconds = number.floor() as i64;
        }
        nanoseconds = 0;
    }
    let offset = if utc { 0 } else { offset };
    let at = of_epoch(seconds, nanoseconds, offset)?;
    formatted(Date { at, offset: Some(offset) }, format)
}

fn to_datetime(text: &str, format: Option<&str>, kwargs: Kwargs) -> Result<Value, Error> {
    let format = format.or(kwargs.get("format")?).unwrap_or("%Y-%m-%d %H:%M:%S");
    // Python's %f takes one to six digits with the dot outside of it; jiff has %f for digits too.
    let read = jiff::fmt::strtime::parse(format, text).map_err(|_| {
        failed("to_datetime", format_args!("time data does not match format '{format}'"))
    })?;
    let offset = read.offset().map(jiff::tz::Offset::seconds);
    let at =
        read.to_datetime().or_else(|_| read.to_date().map(|date| date.at(0, 0, 0, 0))).map_err(
            |_| failed("to_datetime", format_args!("format '{format}' does not give a date")),
        )?;
    Ok(Value::from_object(Date { at, offset }))
}

/// `-` between dates; numbers as ever.
fn subtract(a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (a.downcast_object_ref::<Date>(), b.downcast_object_ref::<Date>()) {
        return Ok(Value::from_object(Span { nanoseconds: nanoseconds(*a) - nanoseconds(*b) }));
    }
    let wrong = || {
        let (a, b) = (super::values::type_name(a), super::values::type_name(b));
        Error::new(
            ErrorKind::InvalidOperation,
            format!("unsupported operand type(s) for -: '{a}' and '{b}'"),
        )
    };
    super::values::defined(a)?;
    super::values::defined(b)?;
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64())
        && let Some(rest) = a.checked_sub(b)
    {
        return Ok(Value::from(rest));
    }
    let (a, b) = (
        f64::try_from(a.clone()).map_err(|_| wrong())?,
        f64::try_from(b.clone()).map_err(|_| wrong())?,
    );
    Ok(Value::from(a - b))
}

fn nanoseconds(date: Date) -> i128 {
    let since = date.at.duration_since(DateTime::default()).as_nanos();
    since - i128::from(date.offset.unwrap_or(0)) * 1_000_000_000
}

impl Object for Date {
    fn custom_cmp(
        self: &Arc<Self>,
        other: &minijinja::value::DynObject,
    ) -> Option<std::cmp::Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(nanoseconds(**self).cmp(&nanoseconds(*other)))
    }

    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "year" => self.at.year().into(),
            "month" => self.at.month().into(),
            "day" => self.at.day().into(),
            "hour" => self.at.hour().into(),
            "minute" => self.at.minute().into(),
            "second" => self.at.second().into(),
            "microsecond" => (self.at.subsec_nanosecond() / 1_000).into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        Ok(match method {
            "strftime" => {
                let (format,): (&str,) = from_args(args)?;
                formatted(**self, format)?.into()
            }
            "isoformat" => self.at.to_string().into(),
            "date" => self.at.date().to_string().into(),
            "time" => self.at.time().to_string().into(),
            "weekday" => self.at.weekday().to_monday_zero_offset().into(),
            "isoweekday" => self.at.weekday().to_monday_one_offset().into(),
            "timestamp" => {
                let epoch = Date { at: of_epoch(0, 0, 0)?, offset: Some(0) };
                Span { nanoseconds: nanoseconds(**self) - nanoseconds(epoch) }.seconds().into()
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at.date(), self.at.time())
    }
}

impl Span {
    #[expect(clippy::cast_precision_loss, reason = "Python's total_seconds is a float too")]
    fn seconds(self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }

    fn days(self) -> i64 {
        i64::try_from(self.nanoseconds.div_euclid(86_400_000_000_000)).unwrap_or(i64::MAX)
    }
}

impl Object for Span {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let rest = self.nanoseconds.rem_euclid(86_400_000_000_000);
        Some(match key.as_str()? {
            "days" => self.days().into(),
            "seconds" => i64::try_from(rest / 1_000_000_000).ok()?.into(),
            "microseconds" => i64::try_from(rest % 1_000_000_000 / 1_000).ok()?.into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        _args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "total_seconds" => Ok(self.seconds().into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.nanoseconds.rem_euclid(86_400_000_000_000) / 1_000_000_000;
        let days = self.days();
        if days != 0 {
            write!(f, "{days} day{}, ", if days.abs() == 1 { "" } else { "s" })?;
        }
        write!(f, "{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
    }
}
