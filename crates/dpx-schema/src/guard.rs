//! One guard around code that panics on damaged files: a panic becomes nothing, and its message, which may hold content,
//! is not printed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// The result, or none where it panicked. The function must leave nothing half done that is used afterwards.
pub fn guard<T>(run: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(before);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::guard;

    #[test]
    fn a_panic_becomes_nothing() {
        assert_eq!(guard(|| 3), Some(3));
        let none: [u8; 0] = [];
        assert_eq!(guard(|| none[none.len()]), None);
        assert_eq!(guard(|| guard(|| panic!("inner")).is_none()), Some(true));
    }
}
