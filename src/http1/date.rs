//! The `Date` field value (IMF-fixdate), from a Unix time passed in. Spec: RFC 9110 section 5.6.7.

/// 29 bytes such as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

impl HttpDate {
    /// Renders a Unix time in seconds, up to the year 9999.
    pub fn from_unix(seconds: u64) -> Self {
        const DAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let days = seconds / 86_400;
        let rest = seconds % 86_400;
        let (year, month, day) = civil(days);
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        let weekday = (days % 7) as usize * 3;
        text[..3].copy_from_slice(&DAYS[weekday..weekday + 3]);
        two_digits(&mut text[5..7], day);
        let name = (month - 1) as usize * 3;
        text[8..11].copy_from_slice(&MONTHS[name..name + 3]);
        two_digits(&mut text[12..14], year / 100);
        two_digits(&mut text[14..16], year % 100);
        two_digits(&mut text[17..19], rest / 3600);
        two_digits(&mut text[20..22], rest / 60 % 60);
        two_digits(&mut text[23..25], rest % 60);
        HttpDate(text)
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}

fn two_digits(slot: &mut [u8], value: u64) {
    slot[0] = b'0' + (value / 10 % 10) as u8;
    slot[1] = b'0' + (value % 10) as u8;
}

/// Days since 1970-01-01 to year, month, day. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::HttpDate;

    #[test]
    fn date_is_imf_fixdate_for_known_times() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(HttpDate::from_unix(seconds).as_bytes(), text.as_bytes(), "{seconds}");
        }
    }
}
