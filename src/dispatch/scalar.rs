//! Strings of paths and queries to scalars, by Pydantic's lax rules.
//!
//! Owns: which spellings are an `int`, a `float`, a `bool`, and the error of those that are not.
//! Rule: the verdicts and the texts are Pydantic's own. Spec: Pydantic conversion table, `str` input.

/// Why a string is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalarFault {
    /// Pydantic's error type.
    pub kind: &'static str,
    /// Pydantic's message.
    pub message: &'static str,
}

const INT_PARSING: ScalarFault = ScalarFault {
    kind: "int_parsing",
    message: "Input should be a valid integer, unable to parse string as an integer",
};
const INT_TOO_LONG: ScalarFault = ScalarFault {
    kind: "int_parsing_size",
    message: "Unable to parse input string as an integer, exceeded maximum size",
};
const FLOAT_PARSING: ScalarFault = ScalarFault {
    kind: "float_parsing",
    message: "Input should be a valid number, unable to parse string as a number",
};
const BOOL_PARSING: ScalarFault = ScalarFault {
    kind: "bool_parsing",
    message: "Input should be a valid boolean, unable to interpret input",
};

/// Digits of an integer accepted, as CPython's and Pydantic's own limit.
const MAX_INT_DIGITS: usize = 4300;

/// An integer, small or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Int {
    /// It fits.
    Small(i64),
    /// Sign and digits, to be read by Python's `int`.
    Big(String),
}

/// Reads an `int`: surrounding white space, a sign, single underscores between digits, a fraction of zeros.
pub fn int_from_str(text: &str) -> Result<Int, ScalarFault> {
    let text = text.trim();
    if text.len() > MAX_INT_DIGITS {
        return Err(INT_TOO_LONG);
    }
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = match digits.split_once('.') {
        // "1.0" is an integer, "1." and "1.5" are not.
        Some((whole, fraction))
            if !whole.is_empty() && !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0') =>
        {
            whole
        }
        Some(_) => return Err(INT_PARSING),
        None => digits,
    };
    let is_sound = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && !digits.starts_with('_')
        && !digits.ends_with('_')
        && !digits.contains("__");
    if !is_sound {
        return Err(INT_PARSING);
    }
    let plain: String = digits.chars().filter(|&character| character != '_').collect();
    let signed = if is_negative { format!("-{plain}") } else { plain };
    Ok(signed.parse().map_or(Int::Big(signed), Int::Small))
}

/// Reads a `float` as Python does, `inf` and `nan` included.
pub fn float_from_str(text: &str) -> Result<f64, ScalarFault> {
    let text = text.trim();
    let is_word = |word: &str| {
        let bare = text.trim_start_matches(['+', '-']);
        text.len() - bare.len() <= 1 && bare.eq_ignore_ascii_case(word)
    };
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    if is_word("nan") {
        return Ok(f64::NAN);
    }
    if is_word("inf") || is_word("infinity") {
        return Ok(sign * f64::INFINITY);
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E' | b'_'))
    {
        return Err(FLOAT_PARSING);
    }
    let is_digit_at = |index: Option<usize>| {
        index.and_then(|index| text.as_bytes().get(index)).is_some_and(u8::is_ascii_digit)
    };
    let underscores = text.match_indices('_').map(|(index, _)| index);
    if underscores.clone().any(|index| !is_digit_at(index.checked_sub(1)) || !is_digit_at(Some(index + 1))) {
        return Err(FLOAT_PARSING);
    }
    text.replace('_', "").parse().map_err(|_| FLOAT_PARSING)
}

/// Reads a `bool`.
pub fn bool_from_str(text: &str) -> Result<bool, ScalarFault> {
    const TRUE: [&str; 6] = ["1", "true", "t", "yes", "y", "on"];
    const FALSE: [&str; 6] = ["0", "false", "f", "no", "n", "off"];
    if TRUE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Ok(true)
    } else if FALSE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Ok(false)
    } else {
        Err(BOOL_PARSING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int_is_read_by_lax_rules() {
        for (text, value) in [("7", 7), (" -7 ", -7), ("+7", 7), ("1_000", 1000), ("7.0", 7), ("007", 7)] {
            assert_eq!(int_from_str(text), Ok(Int::Small(value)), "{text}");
        }
        for text in ["", "x", "7.5", "7.", "_7", "7_", "7__7", "0x7", ".0", "--7", "1e3"] {
            assert_eq!(int_from_str(text), Err(INT_PARSING), "{text}");
        }
        assert_eq!(int_from_str("9223372036854775808"), Ok(Int::Big("9223372036854775808".into())));
        assert_eq!(int_from_str(&"9".repeat(4301)), Err(INT_TOO_LONG));
    }

    #[test]
    fn float_is_read_as_python_reads_it() {
        for (text, value) in
            [("1.5", 1.5), ("-1e3", -1000.0), (" 2 ", 2.0), ("1_0.5", 10.5), (".5", 0.5), ("5.", 5.0)]
        {
            assert_eq!(float_from_str(text), Ok(value), "{text}");
        }
        for text in ["", "x", "1__0", "_1", "1_", "e", "1e", "++1", "infinit"] {
            assert_eq!(float_from_str(text), Err(FLOAT_PARSING), "{text}");
        }
        assert_eq!(float_from_str("-inf"), Ok(f64::NEG_INFINITY));
    }

    #[test]
    fn bool_is_read_in_any_case() {
        assert_eq!(bool_from_str("TRUE"), Ok(true));
        assert_eq!(bool_from_str("off"), Ok(false));
        assert_eq!(bool_from_str("2"), Err(BOOL_PARSING));
    }
}
