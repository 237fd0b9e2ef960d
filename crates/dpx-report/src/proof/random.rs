//! Random studies as experiment files: private stages in divided budgets or on their own, sweeps, replicates, canaries, stages
//! that no row or several rows use, axes whose names say nothing true.

use std::fmt::Write;

/// A small generator: the same studies in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % count as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// A stage of a random study.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) needs: Vec<usize>,
    body: String,
}

/// A random study: what the test knows of it without asking dpx.
pub(super) struct Study {
    axes: Vec<(&'static str, Vec<String>)>,
    pub(super) stages: Vec<Stage>,
    split: Vec<usize>,
    pub(super) examples: u64,
}

impl Study {
    pub(super) fn new(random: &mut Random) -> Self {
        let examples = [400, 900, 1500][random.below(3)];
        let mut study = Self {
            axes: Vec::new(),
            stages: Vec::new(),
            split: Vec::new(),
            examples,
        };
        // What the private stages spend follows an axis of any name, or is fixed while an axis called `epsilon` counts
        // something else.
        let swept = random.chance(60);
        let misled = random.chance(40);
        let budget_axis = if misled { "strength" } else { "epsilon" };
        if swept {
            let values = [
                &["8", "3"][..],
                &["\"inf\"", "2"],
                &["1", "0"],
                &["4", "\"inf\"", "0"],
            ];
            let values = values[random.below(values.len())];
            let values = values.iter().map(|&value| value.to_owned()).collect();
            study.axes.push((budget_axis, values));
        }
        if misled {
            let values = [&["0", "1"][..], &["\"inf\"", "3"], &["0"]];
            let values = values[random.below(values.len())];
            let values = values.iter().map(|&value| value.to_owned()).collect();
            study.axes.push(("epsilon", values));
        }
        let replicates = random.below(4);
        if replicates > 1 {
            let values = (1..=replicates).map(|number| number.to_string()).collect();
            study.axes.push(("replicate", values));
        }
        let fixed = random.one(&["5", "2", "0.7"]).to_owned();
        let epsilon = if swept {
            format!("\"${budget_axis}\"")
        } else {
            fixed.clone()
        };
        let preprocess = study.add(
            "preprocess",
            "preprocess",
            &[],
            format!("dataset = \"builtin:emotions\"\nlimit = {examples}\n"),
        );
        let base = random.chance(30).then(|| {
            study.add(
                "base",
                "pretrain",
                &[],
                "corpus = [\"builtin:dialogue\"]\n".to_owned(),
            )
        });
        let divided = random.chance(55);
        let spend = |random: &mut Random| {
            // Members of a divided budget agree on their epsilon.
            let own = if divided || random.chance(60) {
                &epsilon
            } else {
                &fixed
            };
            format!("epsilon = {own}\n")
        };
        let mut counts = Vec::new();
        for number in 0..random.below(3) {
            let body = spend(random) + "keywords = \"\"\n";
            counts.push(study.add(&format!("counts{number}"), "counts", &[preprocess], body));
        }
        let teacher = random.chance(50).then(|| {
            let body = spend(random) + &format!("steps = {}\n", 1 + random.below(4));
            study.add("teacher", "teacher", &[preprocess], body)
        });
        let mut trains = Vec::new();
        for number in 0..=random.below(2) {
            let canaries = if random.chance(30) { examples / 4 } else { 0 };
            let batch = examples as usize / (2 + random.below(6));
            let mut needs = vec![preprocess];
            let model = if let Some(base) = base.filter(|_| random.chance(50)) {
                needs.push(base);
                "stage:base"
            } else {
                "builtin:base"
            };
            let body = spend(random)
                + &format!(
                    "model = \"{model}\"\nbatch_size = {batch}\nepochs = {}\ncanaries = {canaries}\nmax_length = 16\n",
                    1 + random.below(2)
                );
            trains.push(study.add(&format!("train{number}"), "train", &needs, body));
        }
        // A pool of a public or of a private model, votes for its texts, and what they draw.
        let votes = random.chance(40).then(|| {
            let model = base.filter(|_| random.chance(50)).unwrap_or(trains[0]);
            let pool = study.add("pool", "sample", &[model], "count = 40\n".to_owned());
            let body = spend(random) + "clusters = 4\n";
            (
                pool,
                study.add("votes", "select", &[preprocess, pool], body),
            )
        });
        let private: Vec<usize> = counts
            .iter()
            .copied()
            .chain(teacher)
            .chain(trains.iter().copied())
            .chain(votes.map(|(_, votes)| votes))
            .collect();
        if divided && private.len() > 1 {
            study.split = private.clone();
        }
        // A sample of each model, some with counts or the teacher; perhaps one of the same model again, and one of the base.
        let mut samples = Vec::new();
        for (number, &train) in trains.iter().enumerate() {
            for again in 0..=usize::from(random.chance(30)) {
                let mut needs = vec![train];
                let mut body = "count = 12\n".to_owned();
                if let Some(&counts) = counts.first().filter(|_| random.chance(50)) {
                    needs.push(counts);
                    body += "labels = \"private\"\n";
                }
                if let Some(teacher) = teacher.filter(|_| random.chance(50)) {
                    needs.push(teacher);
                    body += "teacher = \"relabel\"\n";
                }
                if misled && random.chance(70) {
                    // The axis called `epsilon` is the length of texts.
                    body += "temperature = 0.9\n";
                }
                let name = format!("sample{number}{}", ["", "b"][again]);
                samples.push(study.add(&name, "sample", &needs, body));
            }
        }
        if let Some((pool, votes)) = votes {
            samples.push(pool);
            let mut needs = vec![pool, votes];
            needs.extend(teacher.filter(|_| random.chance(50)));
            samples.push(study.add("chosen", "sample", &needs, "count = 12\n".to_owned()));
        }
        if let Some(base) = base.filter(|_| random.chance(50)) {
            let body = "count = 12\n".to_owned();
            samples.push(study.add("plain", "sample", &[base], body));
        }
        if misled {
            study.mislead(samples[random.below(samples.len())]);
        }
        for (number, &sample) in samples.iter().enumerate() {
            if random.chance(60) {
                let body = "model = \"bag-of-words\"\n".to_owned();
                study.add(
                    &format!("classify{number}"),
                    "classify",
                    &[sample, preprocess],
                    body,
                );
            }
        }
        study
    }

    /// Lets one stage follow the axis called `epsilon`, in something that costs nothing.
    fn mislead(&mut self, stage: usize) {
        let numbers = self.axes.iter().any(|(name, values)| {
            *name == "epsilon" && values.iter().all(|value| !value.contains("inf"))
        });
        if numbers {
            self.stages[stage].body += "repetition_penalty = 1.1\nguidance = \"$epsilon\"\n";
        } else {
            self.axes.retain(|(name, _)| *name != "epsilon");
        }
    }

    fn add(&mut self, name: &str, kind: &'static str, needs: &[usize], body: String) -> usize {
        self.stages.push(Stage {
            name: name.to_owned(),
            kind,
            needs: needs.to_vec(),
            body,
        });
        self.stages.len() - 1
    }

    /// The experiment file. Axes that nothing mentions are left out.
    pub(super) fn file(&self) -> String {
        let mut text = String::from("[experiment]\nname = \"random\"\nseed = 3\n");
        if !self.axes.is_empty() {
            text.push_str("\n[sweep]\n");
            for (name, values) in &self.axes {
                let _ = writeln!(text, "{name} = [{}]", values.join(", "));
            }
        }
        if !self.split.is_empty() {
            let shares = self.split.iter().enumerate().map(|(at, &stage)| {
                let share = if at == 0 {
                    1.0 - 0.2 * (self.split.len() - 1) as f64
                } else {
                    0.2
                };
                format!("{} = {share:.1}", self.stages[stage].name)
            });
            let shares: Vec<String> = shares.collect();
            let _ = write!(text, "\n[privacy]\nsplit = {{ {} }}\n", shares.join(", "));
        }
        for stage in &self.stages {
            let needs: Vec<String> = stage
                .needs
                .iter()
                .map(|&need| format!("\"{}\"", self.stages[need].name))
                .collect();
            let _ = write!(
                text,
                "\n[stage.{}]\nkind = \"{}\"\n",
                stage.name, stage.kind
            );
            if !needs.is_empty() {
                let _ = writeln!(text, "needs = [{}]", needs.join(", "));
            }
            text.push_str(&stage.body);
        }
        text
    }

    /// The private stages behind a stage, itself included.
    pub(super) fn private_behind(&self, stage: usize) -> Vec<usize> {
        let mut open = vec![stage];
        let mut found = Vec::new();
        let mut seen = vec![false; self.stages.len()];
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            if matches!(
                self.stages[at].kind,
                "train" | "teacher" | "counts" | "select"
            ) {
                found.push(at);
            }
            open.extend(&self.stages[at].needs);
        }
        found.sort_unstable();
        found
    }
}
