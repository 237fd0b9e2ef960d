//! Figures of conversations: turns and their lengths, who speaks when, whether the roles are told apart, likeness turn by turn.

use super::compute::{Embedder, centred, compared};
use super::read::LabelledTexts;
use super::scores::Compared;
use crate::metric::Embeddings;
use crate::metric::choose::choose;
use crate::metric::distribution::{Lengths, lengths};
use crate::metric::mauve::{MauveOptions, mauve};
use crate::metric::similarity::set_similarity;
use crate::metric::words::words;
use dpx_nn::model::bag_of_words::{BagOfWords, BagOfWordsOptions};
use dpx_schema::StageError;
use dpx_schema::conversation::{Conversation, Role, Turn};
use dpx_schema::params::ScoreParams;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How like real conversations synthetic ones are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationScores {
    /// The number of turns of a conversation.
    pub turns: Lengths,
    /// The number of words of a turn.
    pub turn_words: Lengths,
    /// Who speaks when.
    pub order: Compared<Order>,
    /// Share of the turns of `user` and `assistant` that a classifier of real turns takes for the other's, each role weighing the
    /// same; one half where roles cannot be told apart. The ceiling is that of held-out real turns.
    pub role_confusion: Option<Compared<f64>>,
    /// MAUVE of single turns, each embedded by itself.
    pub turn_mauve: Option<Compared<f64>>,
    /// Similarity of turns, from synthetic to real ones.
    pub turn_similarity: Option<Compared<f64>>,
}

/// Who speaks when, as shares of conversations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// `system`, or without it `user`, begins.
    pub begins_with_user: f64,
    /// Nobody speaks twice in a row.
    pub alternates: f64,
    /// `assistant` speaks last.
    pub ends_with_assistant: f64,
    /// One side alone speaks.
    pub one_sided: f64,
}

/// The conversations of a set of texts; what is none is left out.
fn parsed(set: &LabelledTexts) -> Vec<Conversation> {
    let texts = set.texts.iter();
    texts
        .filter_map(|text| Conversation::parse(text).ok())
        .collect()
}

/// Compares the conversations of synthetic, held-out and training texts.
pub(super) fn compute(
    [synthetic, held_out, training]: [&LabelledTexts; 3],
    params: &ScoreParams,
    seed: u64,
    embedder: Option<&dyn Embedder>,
) -> Result<ConversationScores, StageError> {
    let sets = [parsed(synthetic), parsed(held_out), parsed(training)];
    let of_turns = |set: &[Conversation]| -> Vec<u64> {
        set.iter().map(|found| found.turns.len() as u64).collect()
    };
    let most = params.max_texts as usize;
    let turns = [0, 1, 2].map(|side| some_turns(&sets[side], most, seed));
    let word_counts = |set: &[Conversation]| -> Vec<u64> {
        set.iter()
            .flat_map(|found| &found.turns)
            .map(|turn| words(&turn.content).len() as u64)
            .collect()
    };
    let mut scores = ConversationScores {
        turns: lengths(&of_turns(&sets[0]), &of_turns(&sets[1])),
        turn_words: lengths(&word_counts(&sets[0]), &word_counts(&sets[1])),
        order: Compared {
            synthetic: order(&sets[0]),
            ceiling: Some(order(&sets[2])),
        },
        role_confusion: role_confusion(&turns),
        turn_mauve: None,
        turn_similarity: None,
    };
    if let Some(embedder) = embedder {
        likeness(&mut scores, &turns, params, seed, embedder)?;
    }
    Ok(scores)
}

/// At most so many turns of a set, by a keyed hash.
fn some_turns(set: &[Conversation], most: usize, seed: u64) -> Vec<Turn> {
    let turns: Vec<&Turn> = set.iter().flat_map(|found| &found.turns).collect();
    let chosen = choose(turns.len(), most, seed, "turns");
    chosen.into_iter().map(|at| turns[at].clone()).collect()
}

fn order(set: &[Conversation]) -> Order {
    let share = |holds: &dyn Fn(&[Turn]) -> bool| {
        let count = set.iter().filter(|found| holds(&found.turns)).count();
        count as f64 / set.len().max(1) as f64
    };
    let first = |turns: &[Turn]| {
        let mut roles = turns.iter().map(|turn| turn.role);
        roles.find(|role| *role != Role::System)
    };
    let speaks = |turns: &[Turn], role| turns.iter().any(|turn| turn.role == role);
    Order {
        begins_with_user: share(&|turns| first(turns) == Some(Role::User)),
        alternates: share(&|turns| {
            let sides = turns.iter().map(|turn| turn.role);
            let sides: Vec<Role> = sides.filter(|role| *role != Role::System).collect();
            sides.windows(2).all(|pair| pair[0] != pair[1])
        }),
        ends_with_assistant: share(&|turns| {
            turns
                .last()
                .is_some_and(|turn| turn.role == Role::Assistant)
        }),
        one_sided: share(&|turns| !(speaks(turns, Role::User) && speaks(turns, Role::Assistant))),
    }
}

/// A classifier of the roles of real training turns, on synthetic and held-out ones.
fn role_confusion([synthetic, held_out, training]: &[Vec<Turn>; 3]) -> Option<Compared<f64>> {
    let told = |turns: &[Turn]| -> (Vec<String>, Vec<usize>) {
        turns
            .iter()
            .filter(|turn| turn.role != Role::System)
            .map(|turn| {
                (
                    turn.content.clone(),
                    usize::from(turn.role == Role::Assistant),
                )
            })
            .unzip()
    };
    let (texts, roles) = told(training);
    if roles.iter().all(|role| *role == 0) || roles.iter().all(|role| *role == 1) {
        return None;
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let options = BagOfWordsOptions {
        balanced: true,
        ..BagOfWordsOptions::default()
    };
    let model = BagOfWords::train(&texts, &roles, 2, &options);
    let confusion = |turns: &[Turn]| {
        let (texts, roles) = told(turns);
        let mut wrong = [0.0, 0.0];
        let mut all = [0.0, 0.0];
        for (text, role) in texts.iter().zip(roles) {
            all[role] += 1.0;
            let found = model.probabilities(text);
            wrong[role] += match found[1 - role].total_cmp(&found[role]) {
                Ordering::Greater => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Less => 0.0,
            };
        }
        // Texts of one side alone confuse nobody.
        let both = all.iter().all(|all| *all > 0.0);
        both.then(|| f64::midpoint(wrong[0] / all[0], wrong[1] / all[1]))
    };
    compared(confusion(synthetic), confusion(held_out))
}

fn likeness(
    scores: &mut ConversationScores,
    turns: &[Vec<Turn>; 3],
    params: &ScoreParams,
    seed: u64,
    embedder: &dyn Embedder,
) -> Result<(), StageError> {
    let size = turns.iter().map(Vec::len).min().unwrap_or(0);
    if size == 0 {
        return Ok(());
    }
    let mut sets: Vec<Embeddings> = Vec::new();
    let mut roles: Vec<Vec<usize>> = Vec::new();
    for side in turns {
        // Equal numbers on all sides: MAUVE depends on them.
        let chosen = choose(side.len(), size, seed, "turns embedded");
        let chosen: Vec<&Turn> = chosen.into_iter().map(|at| &side[at]).collect();
        let texts: Vec<String> = chosen.iter().map(|turn| turn.content.clone()).collect();
        sets.push(embedder.embed(&texts)?);
        roles.push(chosen.iter().map(|turn| turn.role as usize).collect());
    }
    if embedder.needs_centring() {
        sets = centred(&sets);
    }
    let similarity = |side: usize| {
        let count = Role::ALL.len();
        set_similarity(&sets[side], &roles[side], &sets[1], &roles[1], count)
            .map(|found| found.forward)
    };
    scores.turn_similarity = compared(similarity(0), similarity(2));
    if params.mauve {
        let options = MauveOptions {
            clusters: params.mauve_clusters as usize,
            ..MauveOptions::default()
        };
        let of = |side: usize| mauve(&sets[side], &sets[1], &options).map(|found| found.mauve);
        scores.turn_mauve = compared(of(0), of(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: Vec<String>) -> LabelledTexts {
        LabelledTexts {
            labels: vec![0; texts.len()],
            texts,
            probabilities: None,
            people: Vec::new(),
        }
    }

    fn real(from: usize) -> LabelledTexts {
        let texts = (from..from + 60).map(|n| {
            format!("User: where is order {n} please\nAssistant: sorry i will look for it {n}")
        });
        set(texts.collect())
    }

    #[test]
    fn swapped_roles_and_broken_order_show() {
        let params: ScoreParams = serde_json::from_str("{}").unwrap();
        let swapped = (0..60).map(|n| {
            format!("Assistant: where is order {n} please\nUser: sorry i will look for it {n}\nUser: bye")
        });
        let (swapped, held_out, training) = (set(swapped.collect()), real(100), real(300));
        let bad = compute([&swapped, &held_out, &training], &params, 1, None).unwrap();
        let good = compute([&training, &held_out, &training], &params, 1, None).unwrap();
        let confusion = bad.role_confusion.unwrap();
        assert!(confusion.synthetic > 0.7, "{confusion:?}");
        assert!(confusion.ceiling.unwrap() < 0.05, "{confusion:?}");
        assert!(good.role_confusion.unwrap().synthetic < 0.05);
        assert_eq!(bad.order.synthetic.alternates, 0.0);
        assert_eq!(bad.order.synthetic.begins_with_user, 0.0);
        assert_eq!(bad.order.ceiling.unwrap().ends_with_assistant, 1.0);
        assert_eq!((bad.turns.synthetic_mean, bad.turns.real_mean), (3.0, 2.0));
        assert!(good.turns.wasserstein == 0.0 && bad.turns.wasserstein == 1.0);
        assert!(bad.turn_mauve.is_none());
    }

    #[test]
    fn one_sided_conversations_have_no_roles_to_tell_apart() {
        let params: ScoreParams = serde_json::from_str("{}").unwrap();
        let one = set((0..20).map(|n| format!("User: only me {n}")).collect());
        let found = compute([&one, &one, &one], &params, 1, None).unwrap();
        assert!(found.role_confusion.is_none());
        assert_eq!(found.order.synthetic.one_sided, 1.0);
    }
}
