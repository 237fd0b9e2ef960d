//! People with several records: their gradients are bounded as one, against one person at a time by automatic differentiation.

use super::agreement::{Subject, check};
use super::autodiff::Leaves;
use super::models::{
    LORA_ALPHA, LORA_RANK, Model, fill_adapters, gpt2_subject, llama_model, llama_subject,
};
use super::*;
use dpx_nn::device::Tensor;
use dpx_nn::{Parameters, Tape};

/// Stands between two records of a person; no model has such a token.
const NEXT: u32 = u32::MAX;
const PER_STEP: usize = 4;

/// People with 1, 2, 4, 3, 1 and 2 records: alike ones, one token (no target), a long one beside a short one.
fn people() -> Vec<Vec<u32>> {
    let records = examples();
    let of = |places: &[usize]| -> Vec<u32> {
        let own: Vec<Vec<u32>> = places.iter().map(|&at| records[at].clone()).collect();
        own.join(&NEXT)
    };
    vec![
        of(&[0]),
        of(&[1, 5]),
        of(&[0, 0, 0, 0]),
        of(&[3, 4, 2]),
        of(&[3]),
        of(&[4, 2]),
    ]
}

/// A model whose examples are people.
struct OfPeople {
    one: Model<Decoder>,
    /// Records that people are filled up to.
    each: Option<usize>,
    idle: Vec<usize>,
}

impl OfPeople {
    fn batch(&self, people: &[Vec<u32>]) -> Batch {
        let people: Vec<Vec<&[u32]>> = people
            .iter()
            .map(|person| person.split(|&id| id == NEXT).collect())
            .collect();
        let counts: Vec<usize> = people.iter().map(Vec::len).collect();
        let sequences: Vec<_> = people.concat().into_iter().map(Sequence::whole).collect();
        let batch = Batch::causal_with_idle(&sequences, &self.idle, false);
        let idle = self.idle.len() / self.each.unwrap_or(1);
        let of_idle = std::iter::repeat_n(self.each.unwrap_or(1), idle);
        let counts: Vec<usize> = counts.into_iter().chain(of_idle).collect();
        batch.in_units(&counts, self.each, 1.0 / PER_STEP as f32)
    }
}

impl Subject for OfPeople {
    fn parameters(&self) -> &Parameters {
        self.one.parameters()
    }

    fn tape(&self, people: &[Vec<u32>]) -> Tape {
        let mut tape = self
            .one
            .network
            .forward_backward(&self.batch(people))
            .unwrap();
        // Idle people stand behind and have no gradient.
        assert!(
            tape.losses
                .split_off(people.len())
                .iter()
                .all(|&loss| loss == 0.0)
        );
        let idle = tape.losses.len();
        tape.losses
            .resize(idle + self.idle.len() / self.each.unwrap_or(1), 0.0);
        tape
    }

    fn oracle(&self, leaves: &Leaves, person: &[u32]) -> Option<Tensor<1>> {
        let losses = person.split(|&id| id == NEXT);
        let losses = losses.filter_map(|record| self.one.oracle(leaves, record));
        let sum = losses.reduce(|sum, loss| sum + loss)?;
        Some(sum / PER_STEP as f64)
    }
}

fn check_people(name: &str, subject: impl Fn() -> Model<Decoder>) {
    for (each, idle) in [
        (None, Vec::new()),
        (Some(PER_STEP), Vec::new()),
        (Some(PER_STEP), vec![7, 0, 3, 0, 0, 0, 0, 0]),
    ] {
        let name = format!("{name}, filled up to {each:?}");
        let one = subject();
        check(&name, &OfPeople { one, each, idle }, &people());
    }
}

/// With the embedding tied to the output layer: the cross terms between records too.
#[test]
fn people_of_gpt2_agree_with_autodiff() {
    check_people("gpt2", || gpt2_subject(model(), 1));
}

#[test]
fn people_of_llama_agree_with_autodiff() {
    for tied in [true, false] {
        check_people(&format!("llama, tied: {tied}"), || {
            llama_subject(llama_model(tied), 1)
        });
    }
}

#[test]
fn people_with_adapters_agree_with_autodiff() {
    for selection in [Selection::Lora, Selection::Bias, Selection::Head] {
        check_people(&format!("gpt2, {selection:?}"), || {
            let mut model = model();
            model.add_lora(LORA_RANK, LORA_ALPHA, 1);
            fill_adapters(model.parameters_mut());
            model.parameters_mut().select(selection);
            gpt2_subject(model, 1)
        });
    }
}

/// The prompt-mismatch loss: two sequences a record, several records a person.
#[test]
fn pairs_of_people_are_clipped_as_one() {
    let texts = examples();
    let pair = |own: usize, other: usize| {
        let sequence = |at: usize| Sequence {
            ids: &texts[at],
            counted_from: 1,
        };
        [sequence(own), sequence(other)]
    };
    let records = [pair(0, 0), pair(1, 5), pair(5, 2), pair(2, 3), pair(4, 1)];
    let counts = [2, 0, 3];
    let model = model();
    let weight = 0.7;
    let flat_of = |batch: &Batch, clipping| {
        let tape = model.forward_backward(batch).unwrap();
        clipped_sum(model.parameters(), tape, clipping, 0.2).unwrap()
    };
    let alone: Vec<Vec<f64>> = records
        .iter()
        .map(|record| {
            flat(&flat_of(
                &Batch::causal_pairs(&[*record], weight),
                Clipping::None,
            ))
        })
        .collect();
    for each in [None, Some(3)] {
        let batch = Batch::causal_pairs(&records, weight).in_units(&counts, each, 0.5);
        let sum = flat_of(&batch, Clipping::Flat);
        let mut want = vec![0.0; alone[0].len()];
        let mut first = 0;
        for (unit, count) in counts.into_iter().enumerate() {
            let mut own = vec![0.0; want.len()];
            for gradient in &alone[first..first + count] {
                for (own, value) in own.iter_mut().zip(gradient) {
                    *own += 0.5 * value;
                }
            }
            first += count;
            let length = norm(&own);
            let got = sum.norms[unit];
            assert!((got - length).abs() <= 1e-4 * length, "{got}, {length}");
            let factor = if length > 0.2 { 0.2 / length } else { 1.0 };
            for (want, own) in want.iter_mut().zip(&own) {
                *want += factor * own;
            }
        }
        assert!(distance(&flat(&sum), &want) <= 1e-4 * norm(&want));
    }
}

/// One record that is not a number takes its person out, and nobody else: the others' sum keeps its bits.
#[test]
fn a_non_finite_record_removes_its_person_alone() {
    let people = OfPeople {
        one: gpt2_subject(model(), 1),
        each: None,
        idle: Vec::new(),
    };
    let whole = people.tape(&self::people());
    let network = &people.one.network;
    let sum = |tape| clipped_sum(network.parameters(), tape, Clipping::Flat, 0.5).unwrap();
    let mut without = whole.clone();
    for sample in &mut without.grad_samples {
        erase_example(sample, 3);
    }
    let without = flat(&sum(without));
    for target in 0..whole.grad_samples.len() {
        let mut tape = whole.clone();
        let (array, rows) = arrays(&mut tape.grad_samples[target]).swap_remove(0);
        // The last row of the third person's last record.
        let place = (rows.range(3).end - 1) * array.width();
        array.host_mut()[place] = f32::NAN;
        let broken = sum(tape);
        assert!(!broken.norms[3].is_finite());
        assert!(flat(&broken) == without, "grad sample {target}");
    }
}
