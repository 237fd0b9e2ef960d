//! A teacher's choice among the generator's texts. It sees the texts and the released teacher alone: post-processing, free.

use super::voted::Draw;
use super::write::Text;
use crate::teacher::{Teacher, argmax};
use dpx_schema::params::{ChoiceOrder, SampleParams, TeacherPolicy};
use dpx_schema::{Kind, PrivacyRecord, StageContext, StageError};
use serde_json::Value;

/// Largest epsilon at which `auto` trusts the teacher's label more than the agreement of both.
const LARGEST_EPSILON_TO_RELABEL: f64 = 8.0;

#[derive(Debug)]
pub(super) struct TeacherFilter {
    teacher: Teacher,
    /// The teacher's class of each label.
    classes: Vec<usize>,
    /// What is done: `relabel`, `soft` or `agree`, or `none` for a teacher that learnt nothing.
    pub(super) policy: TeacherPolicy,
    /// The certified epsilon that the teacher states: that of the whole row where its budget is divided.
    pub(super) epsilon: f64,
    order: ChoiceOrder,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// What is kept, by label; with soft labels in the order of writing.
    pub(super) texts: Vec<Text>,
    /// Texts of each label asked of the generator by the label that the teacher gives them.
    pub(super) confusion: Vec<Vec<u64>>,
    /// Texts dropped because the two disagreed.
    pub(super) disagreed: u64,
    /// Texts dropped because their label, or with soft labels the whole, had enough, or because others were drawn by votes.
    pub(super) surplus: u64,
    /// How votes drew, where there are any.
    pub(super) votes: Option<Value>,
}

impl TeacherFilter {
    /// The teacher among the needs, if there is one and it is asked.
    pub(super) fn load(
        context: &StageContext<'_>,
        params: &SampleParams,
        labels: &[String],
    ) -> Result<Option<Self>, StageError> {
        let input = match params.teacher {
            TeacherPolicy::None => return Ok(None),
            TeacherPolicy::Auto => match context.input_of(Kind::Teacher) {
                Some((_, input)) => input,
                None => return Ok(None),
            },
            TeacherPolicy::Relabel | TeacherPolicy::Soft | TeacherPolicy::Agree => {
                context.require(Kind::Teacher)?
            }
        };
        let epsilon = asked_epsilon(&PrivacyRecord::load(&input.path)?);
        let teacher = Teacher::load(&input.path, context.device)?;
        let classes = teacher.classes_of(labels)?;
        Ok(Some(Self {
            teacher,
            classes,
            policy: applied(
                params.teacher,
                epsilon,
                context.input_of(Kind::Select).is_some(),
            ),
            epsilon,
            order: params.order,
        }))
    }

    /// Whether it has a say: a teacher that learnt nothing has none.
    pub(super) fn chooses(&self) -> bool {
        self.policy != TeacherPolicy::None
    }

    /// Relabels or filters, then keeps at most as many of each label as were asked for; with soft labels as many in all,
    /// for a text then belongs to no label alone. Where there are votes, they say which of them are kept.
    ///
    /// # Errors
    /// When the teacher cannot read a text.
    pub(super) fn choose(
        &self,
        written: Vec<Text>,
        asked: &[u64],
        draw: Option<&Draw>,
    ) -> Result<Choice, StageError> {
        let labels = asked.len();
        let contents: Vec<String> = written.iter().map(|text| text.content.clone()).collect();
        let probabilities = self.teacher.probabilities(&contents)?;
        let mut choice = Choice {
            texts: Vec::new(),
            confusion: vec![vec![0; labels]; labels],
            disagreed: 0,
            surplus: 0,
            votes: None,
        };
        let soft = self.policy == TeacherPolicy::Soft;
        let limits = if soft {
            vec![asked.iter().sum()]
        } else {
            asked.to_vec()
        };
        let mut candidates: Vec<Vec<(f64, usize, Text)>> = vec![Vec::new(); limits.len()];
        for (mut text, row) in written.into_iter().zip(probabilities) {
            let row: Vec<f64> = self.classes.iter().map(|&class| row[class]).collect();
            let (given, taught) = (text.label, argmax(&row));
            choice.confusion[given][taught] += 1;
            if self.policy == TeacherPolicy::Agree && given != taught {
                choice.disagreed += 1;
                continue;
            }
            text.label = taught;
            let sureness = row[taught];
            let group = if soft {
                text.probabilities = Some(row);
                0
            } else {
                taught
            };
            candidates[group].push((sureness, given, text));
        }
        if let Some(draw) = draw {
            let texts = candidates.into_iter().flatten().map(|(.., text)| text);
            let drawn = draw.draw(texts.collect(), asked);
            choice.texts = drawn.texts;
            choice.surplus = drawn.left;
            choice.votes = Some(drawn.told);
            return Ok(choice);
        }
        for (mut texts, limit) in candidates.into_iter().zip(limits) {
            // By number first: else a label's texts would come from the generator's first labels alone.
            texts.sort_by_key(|(_, given, text)| (text.number, *given));
            if self.order == ChoiceOrder::Likeliest {
                texts.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
            }
            choice.surplus += (texts.len() as u64).saturating_sub(limit);
            let kept = texts.into_iter().take(limit as usize);
            choice.texts.extend(kept.map(|(_, _, text)| text));
        }
        Ok(choice)
    }
}

/// What `auto` means at an epsilon, and beside votes; a teacher that learnt nothing has no say, whatever was asked.
fn applied(policy: TeacherPolicy, epsilon: f64, voted: bool) -> TeacherPolicy {
    match policy {
        _ if epsilon == 0.0 => TeacherPolicy::None,
        TeacherPolicy::Auto if voted => TeacherPolicy::Agree,
        TeacherPolicy::Auto if epsilon <= LARGEST_EPSILON_TO_RELABEL => TeacherPolicy::Relabel,
        TeacherPolicy::Auto => TeacherPolicy::Agree,
        other => other,
    }
}

/// The epsilon that the teacher was asked to meet: infinity where it has no guarantee, 0 where it learnt nothing. It decides
/// how far the teacher is trusted; no claim reads it.
fn asked_epsilon(record: &PrivacyRecord) -> f64 {
    match record {
        PrivacyRecord::Public { .. } | PrivacyRecord::Untouched(_) => 0.0,
        PrivacyRecord::NotPrivate => f64::INFINITY,
        PrivacyRecord::Private(run) => run.target_epsilon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_sgd::softmax::SoftmaxRegression;

    /// Knows three words: `glad` speaks for joy, `afraid` for fear, `very` for nothing; beside it the others weigh less.
    fn filter(policy: TeacherPolicy, order: ChoiceOrder) -> TeacherFilter {
        let counts = ["glad", "afraid", "very"].map(|word| (word.to_owned(), 1));
        // Rows: the words, then the intercept; columns: fear, joy.
        let weights = vec![0.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let model = SoftmaxRegression {
            weights,
            classes: 2,
        };
        let labels = vec!["fear".to_owned(), "joy".to_owned()];
        let teacher = Teacher::linear(labels, &counts, 0.0, model);
        let classes = teacher
            .classes_of(&["joy".to_owned(), "fear".to_owned()])
            .unwrap();
        TeacherFilter {
            teacher,
            classes,
            policy,
            epsilon: 3.0,
            order,
        }
    }

    fn text(label: usize, number: u64, content: &str) -> Text {
        Text {
            label,
            number,
            content: content.to_owned(),
            length: None,
            probabilities: None,
        }
    }

    /// Labels: 0 joy, 1 fear.
    fn written() -> Vec<Text> {
        vec![
            text(0, 0, "very glad"),
            text(0, 1, "afraid"),
            text(0, 2, "glad"),
            text(1, 0, "so glad"),
            text(1, 1, "very afraid"),
        ]
    }

    fn kept(choice: &Choice) -> Vec<(usize, &str)> {
        choice
            .texts
            .iter()
            .map(|text| (text.label, text.content.as_str()))
            .collect()
    }

    #[test]
    fn relabelling_keeps_every_text_up_to_the_count_in_the_order_of_writing() {
        let filter = filter(TeacherPolicy::Relabel, ChoiceOrder::FirstCome);
        let choice = filter.choose(written(), &[2, 5], None).unwrap();
        let expected = [
            (0, "very glad"),
            (0, "so glad"),
            (1, "afraid"),
            (1, "very afraid"),
        ];
        assert_eq!(kept(&choice), expected);
        assert_eq!(choice.confusion, [[2, 1], [1, 1]]);
        assert_eq!((choice.disagreed, choice.surplus), (0, 1));
    }

    #[test]
    fn agreement_drops_the_others_and_the_likeliest_come_first() {
        let filter = filter(TeacherPolicy::Agree, ChoiceOrder::Likeliest);
        let choice = filter.choose(written(), &[1, 1], None).unwrap();
        assert_eq!(kept(&choice), [(0, "glad"), (1, "very afraid")]);
        assert_eq!((choice.disagreed, choice.surplus), (2, 1));
    }

    #[test]
    fn soft_labels_keep_as_many_as_asked_in_all_with_the_probabilities() {
        let filter = filter(TeacherPolicy::Soft, ChoiceOrder::FirstCome);
        let choice = filter.choose(written(), &[2, 2], None).unwrap();
        let expected = [
            (0, "very glad"),
            (0, "so glad"),
            (1, "afraid"),
            (1, "very afraid"),
        ];
        assert_eq!(kept(&choice), expected);
        assert_eq!((choice.disagreed, choice.surplus), (0, 1));
        for text in &choice.texts {
            let row = text.probabilities.as_ref().unwrap();
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(row[text.label] > row[1 - text.label], "{text:?}");
        }
        // Two of the three known words stand in it, so that the teacher is less sure.
        let sureness = |at: usize| choice.texts[at].probabilities.as_ref().unwrap()[1];
        assert!(sureness(2) > sureness(3));
    }
}
