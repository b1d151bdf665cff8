//! Dates, times of day with a date, and UUIDs, made of the plain forms that `recognise` knows.
//!
//! Owns: those objects. Does not own: other forms, offsets from UTC, decimals: Pydantic makes these.
//! Rule: what is made equals what Pydantic makes, to the class of `tzinfo` and to `UUID.is_safe`, which are taken from a
//! sample that it made.

use super::recognise::Kind;
use crate::interp::{new_instance, Held, Slot};
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyString, PyType, PyTzInfo};

/// What is needed to make them.
#[derive(Debug)]
pub(super) struct Moments {
    utc: Held<PyTzInfo>,
    uuid: Held<PyType>,
    uuid_int: Slot,
    uuid_is_safe: Slot,
    is_safe: Held<PyAny>,
}

impl Moments {
    /// `None` where Pydantic's samples are not as expected.
    pub fn of(py: Python<'_>) -> PyResult<Option<Moments>> {
        let validator = py.import("pydantic_core")?.getattr("SchemaValidator")?;
        let sample = |kind: &str, text: &str| {
            let schema = pyo3::types::PyDict::new(py);
            schema.set_item("type", kind)?;
            validator.call1((schema,))?.call_method1("validate_python", (text,))
        };
        let instant = sample("datetime", "2024-02-29T12:34:56Z")?;
        let uuid = sample("uuid", "12345678-1234-1234-1234-1234567890ab")?;
        let class = py.import("uuid")?.getattr("UUID")?.cast_into::<PyType>()?;
        let slots = (Slot::find(&class, "int")?, Slot::find(&class, "is_safe")?);
        let (true, (Some(uuid_int), Some(uuid_is_safe))) = (uuid.get_type().is(&class), slots) else {
            return Ok(None);
        };
        Ok(Some(Moments {
            utc: Held::new(instant.getattr("tzinfo")?.cast_into::<PyTzInfo>()?.unbind()),
            uuid: Held::new(class.unbind()),
            uuid_int,
            uuid_is_safe,
            is_safe: Held::new(uuid.getattr("is_safe")?.unbind()),
        }))
    }

    /// The object of a recognised text; `None` if it is one for Pydantic.
    pub fn make<'py>(&self, kind: Kind, text: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = text.py();
        let text = text.to_str()?.as_bytes();
        Ok(match kind {
            Kind::Date => match date(text) {
                Some((year, month, day)) => Some(PyDate::new(py, year, month, day)?.into_any()),
                None => None,
            },
            Kind::DateTime => self.instant(py, text)?,
            Kind::Uuid => match uuid_number(text) {
                Some(number) => {
                    let uuid = new_instance(self.uuid.bind(py))?;
                    self.uuid_int.set(&uuid, number.into_pyobject(py)?.as_any())?;
                    self.uuid_is_safe.set(&uuid, self.is_safe.bind(py))?;
                    Some(uuid)
                }
                None => None,
            },
            Kind::Time | Kind::Decimal => None,
        })
    }

    fn instant<'py>(&self, py: Python<'py>, text: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (local, zone) = match text {
            [local @ .., b'Z'] => (local, Some(self.utc.bind(py))),
            local => (local, None),
        };
        let parts = local.split_at_checked(10).and_then(|(day, rest)| Some((date(day)?, time(rest)?)));
        let Some(((year, month, day), (hour, minute, second, micros))) = parts else { return Ok(None) };
        let made = PyDateTime::new(py, year, month, day, hour, minute, second, micros, zone)?;
        Ok(Some(made.into_any()))
    }
}

/// `2024-02-29`
fn date(text: &[u8]) -> Option<(i32, u8, u8)> {
    let [y1, y2, y3, y4, _, m1, m2, _, d1, d2] = text else { return None };
    let year = i32::from(two(*y1, *y2)?) * 100 + i32::from(two(*y3, *y4)?);
    Some((year, two(*m1, *m2)?, two(*d1, *d2)?))
}

/// `T12:34:56`, with up to six decimals; `None` where an offset follows.
fn time(text: &[u8]) -> Option<(u8, u8, u8, u32)> {
    let [_, h1, h2, _, m1, m2, _, s1, s2, rest @ ..] = text else { return None };
    let micros = match rest {
        [] => 0,
        [b'.', decimals @ ..] if (1..=6).contains(&decimals.len()) => {
            let digits = decimals.iter().chain(std::iter::repeat(&b'0')).take(6);
            digits.copied().try_fold(0, |number, digit| Some(number * 10 + digit_of(digit)?))?
        }
        _ => return None,
    };
    Some((two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?, micros))
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    Some((digit_of(tens)? * 10 + digit_of(ones)?) as u8)
}

fn digit_of(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(10)
}

fn uuid_number(text: &[u8]) -> Option<u128> {
    let digits = text.iter().filter(|&&byte| byte != b'-');
    digits
        .copied()
        .try_fold(0, |number, digit| Some(number << 4 | u128::from(char::from(digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read() {
        assert_eq!(date(b"2024-02-29"), Some((2024, 2, 29)));
        assert_eq!(time(b"T12:34:56"), Some((12, 34, 56, 0)));
        assert_eq!(time(b"T12:34:56.5"), Some((12, 34, 56, 500_000)));
        assert_eq!(time(b"T12:34:56.123456"), Some((12, 34, 56, 123_456)));
        assert_eq!(time(b"T12:34:56+02:00"), None);
        assert_eq!(time(b"T12:34:56.5+02:00"), None);
        assert_eq!(uuid_number(b"00000000-0000-0000-0000-0000000000fF"), Some(255));
    }
}
