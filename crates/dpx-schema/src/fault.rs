//! Injected faults: what a crate needs to break its own code in one way on purpose, so that each privacy test can be shown to fail
//! on one.
//!
//! A crate lists its faults in a module `fault` by [`faults!`](crate::faults); [`fault!`](crate::fault) asks for one where the code is
//! to be broken. A fault is chosen for the current thread alone.

/// Whether the code is to be broken in this way: a fault of the `crate::fault` of whoever asks, and the constant `false` outside
/// tests of that crate.
#[doc(hidden)]
#[macro_export]
#[expect(
    clippy::crate_in_macro_def,
    reason = "the faults are those of the crate that asks"
)]
macro_rules! fault {
    ($fault:ident) => {{
        #[cfg(test)]
        let broken = crate::fault::is(crate::fault::Fault::$fault);
        #[cfg(not(test))]
        let broken = false;
        broken
    }};
}

/// Declares `enum Fault`, the list of all of them, and the functions that choose one and ask for it.
#[doc(hidden)]
#[macro_export]
macro_rules! faults {
    ($(#[$of_all:meta])* $visible:vis enum Fault { $($(#[$meta:meta])* $name:ident,)* }) => {
        $(#[$of_all])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visible enum Fault {
            $($(#[$meta])* $name,)*
        }

        impl Fault {
            /// Every fault: each has a row in the crate's table.
            $visible const ALL: &[Self] = &[$(Self::$name,)*];
        }

        thread_local! {
            static ACTIVE: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
        }

        /// Whether this fault is chosen on the current thread.
        $visible fn is(fault: Fault) -> bool {
            ACTIVE.get() == Some(fault)
        }

        /// Runs `test` with the code broken in one way.
        $visible fn with<R>(fault: Fault, test: impl FnOnce() -> R) -> R {
            struct Reset;
            impl Drop for Reset {
                fn drop(&mut self) {
                    ACTIVE.set(None);
                }
            }
            ACTIVE.set(Some(fault));
            let _reset = Reset;
            test()
        }
    };
}
