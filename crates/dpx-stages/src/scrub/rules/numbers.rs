//! Groups of digits that stand side by side: amounts, series, and parts of longer chains, none of which is a phone number.

/// Between the groups of an amount, or of a phone number.
const GAPS: [char; 2] = [' ', '\u{A0}'];

/// Most between the numbers of a series, such as those of rooms and pages.
const STEP: u32 = 100;

/// The digits that end at a place, and where they begin.
fn group_before(text: &str, end: usize) -> Option<(usize, &str)> {
    let digits = text[..end].trim_end_matches(char::is_numeric).len();
    (digits < end).then(|| (digits, &text[digits..end]))
}

/// The group before a place and a gap, where it begins too.
fn group_left(text: &str, start: usize) -> Option<(usize, &str)> {
    let end = text[..start].strip_suffix(GAPS)?.len();
    group_before(text, end)
}

/// The group behind a place and a gap, and where it ends.
fn group_right(text: &str, end: usize) -> Option<(usize, &str)> {
    let rest = text[end..].strip_prefix(GAPS)?;
    let digits = rest.len() - rest.trim_start_matches(char::is_numeric).len();
    let begins = text.len() - rest.len();
    (digits > 0).then(|| (begins + digits, &rest[..digits]))
}

fn count(group: &str) -> usize {
    group.chars().count()
}

/// Whether a piece begins in the middle of a chain of digit groups, as the last three of `100 200 300 4000` do. What a rule has
/// found before it is no part of the chain.
pub(super) fn is_tail(
    text: &str,
    start: usize,
    end: usize,
    is_found: impl Fn(usize) -> bool,
) -> bool {
    let found = &text[start..end];
    if !found.starts_with(char::is_numeric) || found.starts_with("00") {
        return false;
    }
    let gap = found.chars().find(|letter| !letter.is_numeric());
    let alike = gap.is_some_and(|gap| GAPS.contains(&gap));
    let left = group_left(text, start);
    alike && left.is_some_and(|(at, group)| count(group) <= 3 && !is_found(at))
}

/// Whether a piece is, or is a part of, an amount in groups of three: `5 000 000 000`.
pub(super) fn is_amount(text: &str, start: usize, end: usize) -> bool {
    let found = &text[start..end];
    if found.contains(|letter: char| !letter.is_numeric() && !GAPS.contains(&letter)) {
        return false;
    }
    let mut groups: Vec<&str> = found.split(GAPS).collect();
    let (mut from, mut to) = (start, end);
    while let Some((at, group)) = group_left(text, from) {
        groups.insert(0, group);
        from = at;
    }
    while let Some((at, group)) = group_right(text, to) {
        groups.push(group);
        to = at;
    }
    let Some((first, rest)) = groups.split_first() else {
        return false;
    };
    let signed = text[..from].ends_with(['+', '(', '/']);
    !signed
        && (1..=3).contains(&count(first))
        && first.chars().next().and_then(|digit| digit.to_digit(10)) != Some(0)
        && rest.len() >= 2
        && rest.iter().all(|group| count(group) == 3)
}

/// Whether groups with hyphens between them are numbers in a row: `101-102-103`.
pub(super) fn is_series(found: &str) -> bool {
    let numbers: Option<Vec<u32>> = found.split('-').map(|group| group.parse().ok()).collect();
    let Some(numbers) = numbers else {
        return false;
    };
    let steps = numbers.windows(2).map(|pair| pair[1].checked_sub(pair[0]));
    let mut steps = steps.peekable();
    let first = steps.peek().copied().flatten();
    first.is_some_and(|step| (1..=STEP).contains(&step)) && steps.all(|step| step == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_groups() {
        let whole = |text: &str| is_amount(text, 0, text.len());
        assert!(whole("5 000 000") && whole("612\u{A0}345\u{A0}678"));
        assert!(!whole("5 000") && !whole("020 123 456") && !whole("212 555 0147"));
        let text = "5 000 000 000 Kc";
        assert!(is_amount(text, 2, 13));
        let chain = "100 200 300 4000";
        assert!(is_tail(chain, 4, 16, |_| false));
        assert!(!is_tail(chain, 4, 16, |at| at == 0), "that was found");
        assert!(!is_tail("5 212-555-0147", 2, 14, |_| false), "another gap");
        assert!(!is_tail("2024 138 1234 5678", 5, 18, |_| false), "a year");
        assert!(is_series("101-102-103") && is_series("100-200-300"));
        assert!(!is_series("123-456-789") && !is_series("103-102-101"));
    }
}
