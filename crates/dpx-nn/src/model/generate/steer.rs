//! Making words likelier or rarer while a text is written, whatever their number of tokens.

use std::collections::HashMap;

/// Changes to the logits that multiply the odds of whole words.
///
/// Words are the paths of a tree of tokens. The change of a token that begins words is the logarithm of the mean factor of
/// these words, weighed by how often each is written; that of every further token corrects it for the words that are left,
/// so that along a word the changes add up to the word's own.
#[derive(Debug, Clone, Default)]
pub struct Steering {
    /// Tokens that begin words, ascending: token, change, place of the node.
    beginnings: Vec<Branch>,
    nodes: Vec<Vec<Branch>>,
}

#[derive(Debug, Clone, Copy)]
struct Branch {
    token: u32,
    change: f32,
    node: usize,
}

/// A word to be made likelier or rarer.
#[derive(Debug, Clone)]
pub struct SteeredWord<'a> {
    /// Its tokens, at least one, the first of which begins a word.
    pub tokens: &'a [u32],
    /// How often it is written, on any scale; above 0.
    pub weight: f64,
    /// Logarithm of the factor of its odds.
    pub change: f64,
}

/// A node while the tree is built.
#[derive(Default)]
struct Growing {
    children: Vec<(u32, usize)>,
    /// Sum of the weights, and of the weights times the factors, of the words at and below the node.
    weight: f64,
    weighted: f64,
    /// The same of the words that end here.
    own: Option<(f64, f64)>,
}

impl Growing {
    fn mean_change(&self) -> f64 {
        (self.weighted / self.weight).ln()
    }
}

impl Steering {
    /// From words; equal ones are taken together.
    pub fn new<'a>(words: impl IntoIterator<Item = SteeredWord<'a>>) -> Self {
        let mut tree = vec![Growing::default()];
        // Thousands of tokens begin words: they are not searched one by one.
        let mut places: HashMap<(usize, u32), usize> = HashMap::new();
        for word in words {
            let (weight, weighted) = (word.weight, word.weight * word.change.exp());
            let mut at = 0;
            for &token in word.tokens {
                at = *places.entry((at, token)).or_insert_with(|| {
                    let child = tree.len();
                    tree[at].children.push((token, child));
                    tree.push(Growing::default());
                    child
                });
                tree[at].weight += weight;
                tree[at].weighted += weighted;
            }
            let own = tree[at].own.get_or_insert((0.0, 0.0));
            own.0 += weight;
            own.1 += weighted;
        }
        let branches = |node: &Growing, before: f64| {
            let mut branches: Vec<Branch> = node
                .children
                .iter()
                .map(|&(token, child)| Branch {
                    token,
                    change: (tree[child].mean_change() - before) as f32,
                    node: child,
                })
                .collect();
            branches.sort_unstable_by_key(|branch| branch.token);
            branches
        };
        let nodes = tree.iter().enumerate().map(|(at, node)| {
            // Where a word may end, whatever follows it stays as it is and going on is what changes.
            let before = match node.own {
                _ if at == 0 => 0.0,
                Some((weight, weighted)) => (weighted / weight).ln(),
                None => node.mean_change(),
            };
            branches(node, before)
        });
        let mut nodes: Vec<Vec<Branch>> = nodes.collect();
        Self {
            beginnings: std::mem::take(&mut nodes[0]),
            nodes,
        }
    }

    /// Changes the logits of the next token after a place in the tree.
    pub fn apply(&self, at: Option<usize>, logits: &mut [f32]) {
        let further = at.map_or(&[][..], |at| &self.nodes[at]);
        for branch in self.beginnings.iter().chain(further) {
            if let Some(logit) = logits.get_mut(branch.token as usize) {
                *logit += branch.change;
            }
        }
    }

    /// The place in the tree after another token: further in the word that `at` is in, or at the beginning of one; none: in no word.
    pub fn after(&self, at: Option<usize>, token: u32) -> Option<usize> {
        let find = |branches: &[Branch]| {
            let found = branches.binary_search_by_key(&token, |branch| branch.token);
            found.ok().map(|found| branches[found].node)
        };
        at.and_then(|at| find(&self.nodes[at]))
            .or_else(|| find(&self.beginnings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(tokens: &[u32], weight: f64, change: f64) -> SteeredWord<'_> {
        SteeredWord {
            tokens,
            weight,
            change,
        }
    }

    /// The change of each token of a word.
    fn along(steering: &Steering, tokens: &[u32]) -> Vec<f64> {
        let mut at = None;
        let mut changes = Vec::new();
        for &token in tokens {
            let mut logits = [0.0; 10];
            steering.apply(at, &mut logits);
            changes.push(f64::from(logits[token as usize]));
            at = steering.after(at, token);
        }
        changes
    }

    #[test]
    fn changes_add_up_to_the_words_own() {
        let steering = Steering::new([word(&[4, 5], 2.0, 1.5), word(&[4, 6], 1.0, 0.0)]);
        let mean = ((2.0 * 1.5_f64.exp() + 1.0) / 3.0).ln();
        for (tokens, change) in [([4, 5], 1.5), ([4, 6], 0.0)] {
            let found = along(&steering, &tokens);
            assert!((found[0] - mean).abs() < 1e-6, "{found:?}");
            assert!((found[0] + found[1] - change).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn where_a_word_may_end_going_on_is_changed_relative_to_it() {
        let steering = Steering::new([word(&[1], 3.0, 0.5), word(&[1, 2], 1.0, -1.0)]);
        let found = along(&steering, &[1, 2]);
        assert!((found[1] - (-1.0 - 0.5)).abs() < 1e-6, "{found:?}");
        // A new word may begin anywhere; a token that belongs to no word changes nothing and ends the word.
        assert_eq!(along(&steering, &[1, 1])[0], along(&steering, &[1, 1])[1]);
        assert_eq!(along(&steering, &[1, 9, 2])[1..], [0.0, 0.0]);
    }
}
