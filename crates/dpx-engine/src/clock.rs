//! What time it is, whatever the machine's clock says.

use jiff::Timestamp;
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
