//! The `Date` field value (IMF-fixdate, RFC 9110 section 5.6.7), from a Unix time passed in.

/// 29 bytes such as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

const DAYS: &[u8; 21] = b"SunMonTueWedThuFriSat";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// The last second that four digits of year can say: 31 Dec 9999 23:59:59.
const LAST_SECOND: u64 = 253_402_300_799;

impl HttpDate {
    /// Renders a Unix time in seconds. Times after the year 9999 are rendered as its last second.
    pub fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.min(LAST_SECOND);
        let (days, in_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        // 1 January 1970 was a Thursday.
        text[..3].copy_from_slice(name(DAYS, (days + 4) % 7));
        two_digits(&mut text, 5, day);
        text[8..11].copy_from_slice(name(MONTHS, month));
        two_digits(&mut text, 12, year / 100);
        two_digits(&mut text, 14, year % 100);
        two_digits(&mut text, 17, in_day / 3600);
        two_digits(&mut text, 20, in_day / 60 % 60);
        two_digits(&mut text, 23, in_day % 60);
        HttpDate(text)
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}

/// Year, month from 0, day from 1, of a day counted from 1 January 1970.
///
/// Counts in eras of 400 years that begin on 1 March, so that the leap day is the last of its year
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    (year_of_era + era * 400 + u64::from(month < 2), month, day)
}

fn name(names: &'static [u8], index: u64) -> &'static [u8] {
    let start = index as usize * 3;
    &names[start..start + 3]
}

fn two_digits(text: &mut [u8; 29], at: usize, value: u64) {
    text[at] = b'0' + (value / 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}
