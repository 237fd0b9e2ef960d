//! What time it is, whatever the machine's clock says, and how long something took.

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::{SignedDuration, Timestamp, Unit};
use std::time::{SystemTime, UNIX_EPOCH};

/// Now. A clock beyond the years that RFC 3339 can write, -9999 to 9999, gives the nearest time that it can: a wrong clock
/// must not end a run.
pub fn now() -> Timestamp {
    of(SystemTime::now())
}

fn of(time: SystemTime) -> Timestamp {
    let nearest = if time < UNIX_EPOCH {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::try_from(time).unwrap_or(nearest)
}

/// Seconds as people read them: `0.4s`, `41s`, `3m 20s`, `1h 5m`.
pub fn duration(seconds: f64) -> String {
    const PRINTER: SpanPrinter = SpanPrinter::new()
        .designator(Designator::Compact)
        .spacing(Spacing::BetweenUnits);
    let seconds = seconds.max(0.0);
    // Tenths, where the printer would say `400ms`; more than 9.94 would show as ten.
    if seconds < 9.95 {
        return format!("{seconds:.1}s");
    }
    let exact = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
    let smallest = if seconds < 3599.5 {
        Unit::Second
    } else {
        Unit::Minute
    };
    PRINTER.duration_to_string(&exact.round(smallest).unwrap_or(exact))
}

/// Nanoseconds since 1970, for names that shall differ; 0 before.
pub(crate) fn nanoseconds() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn durations_read_well() {
        let shown = [
            0.0,
            0.44,
            9.94,
            9.96,
            59.4,
            125.0,
            3599.9,
            12000.0,
            f64::NAN,
        ]
        .map(duration);
        assert_eq!(
            shown,
            [
                "0.0s", "0.4s", "9.9s", "10s", "59s", "2m 5s", "1h", "3h 20m", "0.0s"
            ]
        );
    }

    #[test]
    fn clocks_beyond_the_calendar_give_its_end() {
        let late = UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        assert_eq!(of(late), Timestamp::MAX);
        assert!(
            of(late)
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
                .starts_with("9999-")
        );
        let noon = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(of(noon).as_second(), 1_700_000_000);
    }
}
