//! Layers of modules within a crate, from top to bottom: a module uses only modules of layers below its own.
//!
//! Modules of one layer are equals, which do not know each other. Several names in one string are a knot: modules that use one
//! another, and are one to the others. A knot says what is so; undoing one is progress, a larger one is not.

/// The modules of a crate.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a>(pub &'a [&'a [&'a str]]);

impl<'a> Layers<'a> {
    /// Every module that is listed.
    pub fn modules(self) -> impl Iterator<Item = &'a str> {
        let knots = self.0.iter().copied().flatten();
        knots.flat_map(|knot| knot.split(' '))
    }

    /// The layer of a module, counted from the top, and its knot within that.
    fn place(self, module: &str) -> Option<(usize, usize)> {
        self.0.iter().enumerate().find_map(|(layer, knots)| {
            let is_in = |knot: &&str| knot.split(' ').any(|name| name == module);
            Some((layer, knots.iter().position(is_in)?))
        })
    }

    /// Whether a module may use another. What is not listed is no module of the crate, and anybody may use it.
    pub fn allow(self, user: &str, used: &str) -> bool {
        match (self.place(user), self.place(used)) {
            (Some(user), Some(used)) => used.0 > user.0 || used == user,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_or_in_the_same_knot_may_be_used() {
        let layers = Layers(&[&["page", "export"], &["study table"], &["metric"]]);
        for (user, used, allowed) in [
            ("page", "metric", true),
            ("page", "table", true),
            ("study", "table", true),
            ("table", "study", true),
            ("study", "study", true),
            ("page", "export", false),
            ("study", "page", false),
            ("metric", "table", false),
            ("metric", "serde", true),
        ] {
            assert_eq!(layers.allow(user, used), allowed, "{user} {used}");
        }
        let all: Vec<&str> = layers.modules().collect();
        assert_eq!(all, ["page", "export", "study", "table", "metric"]);
    }
}
