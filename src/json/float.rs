//! Floats as Python prints them.
//!
//! Owns: the layout of the digits. Does not own: finding them (the `zmij` crate: the shortest that read back the same).
//! Rule: the text is that of `float.__repr__`: an exponent below -4 and from 16 on, always a point or an exponent.
//! Spec: `PyOS_double_to_string` with format `r` in CPython's `Python/pystrtod.c`.

/// Appends a finite float.
///
/// # Panics
/// In debug builds, if the float is not finite.
pub fn push_float(out: &mut Vec<u8>, value: f64) {
    debug_assert!(value.is_finite());
    let mut buffer = zmij::Buffer::new();
    let Shortest { is_negative, digits, digit_count, point } = Shortest::of(buffer.format_finite(value));
    let digits = &digits[..digit_count];
    let count = digit_count as i32;
    if is_negative {
        out.push(b'-');
    }
    if !(-3..=16).contains(&point) {
        push_with_point(out, digits, 1, digit_count > 1);
        let exponent = point - 1;
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        let exponent = exponent.unsigned_abs();
        if exponent < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
        out.extend_from_slice(digits);
    } else if count <= point {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', (point - count) as usize));
        out.extend_from_slice(b".0");
    } else {
        push_with_point(out, digits, point as usize, true);
    }
}

fn push_with_point(out: &mut Vec<u8>, digits: &[u8], at: usize, is_pointed: bool) {
    out.extend_from_slice(&digits[..at]);
    if is_pointed {
        out.push(b'.');
        out.extend_from_slice(&digits[at..]);
    }
}

/// The significant digits, and where the point stands: the value is `0.DIGITS` times ten to the `point`.
struct Shortest {
    is_negative: bool,
    digits: [u8; MAX_DIGITS],
    digit_count: usize,
    point: i32,
}

/// Significant digits that tell any two doubles apart.
const MAX_DIGITS: usize = 17;

impl Shortest {
    /// Reads the digits back from any decimal text of a float, whatever its layout.
    fn of(text: &str) -> Shortest {
        let mut shortest = Shortest {
            is_negative: text.starts_with('-'),
            digits: [b'0'; MAX_DIGITS],
            digit_count: 0,
            point: 0,
        };
        let (mantissa, exponent) = match text.split_once('e') {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
            None => (text, 0),
        };
        let mut is_after_point = false;
        // Zeros are held back until a digit follows, so that trailing ones are dropped.
        let mut held_zeros = 0;
        for byte in mantissa.bytes() {
            match byte {
                b'.' => is_after_point = true,
                b'0' if shortest.digit_count == 0 => shortest.point -= i32::from(is_after_point),
                b'0'..=b'9' => {
                    shortest.point += i32::from(!is_after_point);
                    if byte == b'0' {
                        held_zeros += 1;
                        continue;
                    }
                    shortest.digit_count += held_zeros;
                    held_zeros = 0;
                    shortest.digits[shortest.digit_count] = byte;
                    shortest.digit_count += 1;
                }
                _ => {}
            }
        }
        if shortest.digit_count == 0 {
            return Shortest { digit_count: 1, point: 1, ..shortest };
        }
        shortest.point += exponent;
        shortest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_that_of_python() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (105.0, "105.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000123, "0.000123"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1234567890123456.7, "1234567890123456.8"),
            (9999999999999998.0, "9999999999999998.0"),
            (1.2345e22, "1.2345e+22"),
            (1e100, "1e+100"),
            (1.5e-300, "1.5e-300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ] {
            let mut out = Vec::new();
            push_float(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn text_reads_back_as_the_same_float() {
        let mut bits = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let mut out = Vec::new();
                push_float(&mut out, value);
                let text = String::from_utf8(out).expect("ASCII");
                assert_eq!(text.parse::<f64>().expect("a float").to_bits(), value.to_bits(), "{text}");
            }
        }
    }
}
